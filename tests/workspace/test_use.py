"""Several files become one unit: what each of them declares holds in all, and every problem stands where it belongs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pytest

from migdsl.diagnostics.render_text import render_text
from migdsl.lint.open_migrations import overlapping
from migdsl.syntax import unit as units
from migdsl.workspace import Compilation, check, compile_files, overlaps, source_digest

DATABASE = "database app { engine postgresql 15 }\n"
TENANTS = "tenants { key tenant_id uuid; list `SELECT id FROM tenants ORDER BY id` }\n"
USER = """entity User in app.users {
  id         bigint   key
  tenant_id  uuid     tenant
  name       text?
  email      text?    pii
  index (tenant_id, id)
}
"""
SCHEMA = DATABASE + TENANTS + USER
MAIN = """use "shared/schema.mig"
migration users_phone {
  ticket "MIG-78"
}
change User {
  add phone text?
}
cutover {
  canary "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11"
}
"""
BOTH = {"main.mig": MAIN, "shared/schema.mig": SCHEMA}


def codes(found: Compilation) -> list[str]:
    return [d.code for d in found.diagnostics]


def place(found: Compilation, number: int = 0) -> tuple[str, str]:
    """File and text of a diagnostic's place."""
    primary = found.diagnostics[number].primary
    assert primary is not None
    return primary.span.path, found.sources[primary.span.path].slice(primary.span)


def test_a_migration_of_two_files_is_the_same_as_one_of_one():
    two = compile_files(BOTH, "main.mig")
    one = compile_files({"main.mig": MAIN.split("\n", 1)[1] + SCHEMA}, "main.mig")
    assert (codes(two), codes(one)) == ([], [])
    assert list(two.sources) == ["main.mig", "shared/schema.mig"]
    assert one.plan is not None
    digests = [found.plan.source_digest for found in (one, two) if found.plan]
    texts = [{a.path: a.text for a in found.artifacts} for found in (one, two)]
    assert digests[0] != digests[1]
    assert {p: t.replace(digests[0], "-") for p, t in texts[0].items()} == {
        p: t.replace(digests[1], "-") for p, t in texts[1].items()
    }


def test_a_path_is_relative_to_the_file_that_says_it():
    files = {
        "a/main.mig": MAIN.replace("shared/schema.mig", "../b/users.mig"),
        "b/users.mig": 'use "deep/tenants.mig"\nuse "../app.mig"\n' + USER,
        "b/deep/tenants.mig": TENANTS,
        "app.mig": DATABASE,
    }
    found = compile_files(files, "a/main.mig")
    assert codes(found) == []
    assert list(found.sources) == ["a/main.mig", "b/users.mig", "b/deep/tenants.mig", "app.mig"]


def test_a_file_that_two_others_use_is_read_once():
    files = {
        "main.mig": MAIN.replace("shared/schema.mig", "users.mig") + 'use "accounts.mig"\nuse "./accounts.mig"\n',
        "users.mig": 'use "base.mig"\n' + USER,
        "accounts.mig": 'use "base.mig"\n' + USER.replace("User in app.users", "Account in app.accounts"),
        "base.mig": DATABASE + TENANTS,
    }
    assert codes(compile_files(files, "main.mig")) == []


def test_a_circle_is_shown_in_full():
    files = {"a.mig": 'use "b.mig"\n', "b.mig": 'use "x/c.mig"\n', "x/c.mig": 'use "../a.mig"\n'}
    found = check(files, "a.mig")
    assert codes(found) == ["MIG016"]
    assert found.diagnostics[0].body == "a.mig → b.mig → x/c.mig → a.mig"
    assert place(found) == ("x/c.mig", '"../a.mig"')
    assert [label.span.path for label in found.diagnostics[0].secondary] == ["a.mig", "b.mig"]
    # Where one comes from outside of it, the way there is no part of the circle.
    outside = check({**files, "main.mig": 'use "b.mig"\n'}, "main.mig")
    assert outside.diagnostics[0].body == "b.mig → x/c.mig → a.mig → b.mig"
    assert codes(check({"a.mig": 'use "a.mig"\n'}, "a.mig")) == ["MIG016"]


@pytest.mark.parametrize(
    ("used", "code", "help_"),
    [
        ("shared/shema.mig", "MIG014", 'did you mean "shared/schema.mig"?'),
        ("shared/", "MIG014", 'use "shared/schema.mig"'),
        ("", "MIG014", 'use "shared/schema.mig"'),
        (".", "MIG014", 'use "shared/schema.mig"'),
        ("shared\\\\schema.mig", "MIG014", "folders are parted by `/`, on every system"),
        ("a\\nb", "MIG014", "folders are parted by `/`, on every system"),
        ("/etc/passwd", "MIG015", "a path is relative to the file that says it"),
        ("C:/schema.mig", "MIG015", "a path is relative to the file that says it"),
        ("../schema.mig", "MIG015", "use a file of this project"),
        ("shared/../../schema.mig", "MIG015", "use a file of this project"),
    ],
)
def test_a_file_that_can_t_be_used_is_one_problem(used: str, code: str, help_: str):
    found = compile_files({**BOTH, "main.mig": MAIN.replace("shared/schema.mig", used)}, "main.mig")
    assert codes(found) == [code]
    assert found.diagnostics[0].help == help_
    assert place(found) == ("main.mig", f'"{used}"')


def test_problems_stand_in_the_file_that_has_them():
    found = check({**BOTH, "shared/schema.mig": SCHEMA.replace("bigint ", "bigit ")}, "main.mig")
    assert codes(found) == ["MIG105"]
    assert place(found) == ("shared/schema.mig", "bigit")


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA.replace("email      text?", "email      ?"),  # a line that makes no sense
        SCHEMA.replace("entity User in", "entity User"),  # a declaration
        SCHEMA + 'entity X in app.x { id bigint "',  # all of it
    ],
)
def test_a_used_file_that_can_t_be_read_in_part_makes_nobody_else_wrong(schema: str):
    found = check({**BOTH, "shared/schema.mig": schema}, "main.mig")
    assert found.diagnostics
    assert {d.primary.span.path for d in found.diagnostics if d.primary} == {"shared/schema.mig"}


def test_a_use_that_is_misspelt_makes_nobody_else_wrong():
    found = check({**BOTH, "main.mig": MAIN.replace('use "shared/schema.mig"', "use shared.schema")}, "main.mig")
    assert codes(found) == ["MIG001"]
    assert codes(check({**BOTH, "main.mig": MAIN.replace("shared/schema.mig", r"\x")}, "main.mig")) == ["MIG008"]


@pytest.mark.parametrize(("more", "code"), [(DATABASE, "MIG104"), (USER, "MIG104"), (TENANTS, "MIG013")])
def test_what_is_declared_twice_shows_both_places(more: str, code: str):
    found = check({**BOTH, "main.mig": MAIN + more}, "main.mig")
    assert codes(found) == [code]
    assert place(found)[0] == "main.mig"
    assert [label.span.path for label in found.diagnostics[0].secondary] == ["shared/schema.mig"]
    assert "┌─ shared/schema.mig:" in render_text(found.diagnostics, found.sources, colour=False)


def test_a_used_migration_is_an_error_and_the_only_one():
    found = check({**BOTH, "shared/schema.mig": 'migration other { ticket "X" }\n' + SCHEMA}, "main.mig")
    assert codes(found) == ["MIG017"]
    assert place(found) == ("main.mig", '"shared/schema.mig"')


OLD = (
    'finished 2027-02-01\nmigration other { ticket "X" }\nchange %s { drop email after 30d irreversible because "y" }\n'
)


def test_a_finished_migration_may_be_used_for_what_is_as_it_was():
    account = USER.replace("User in app.users", "Account in app.accounts")
    fine = check({**BOTH, "shared/schema.mig": OLD % "Account" + SCHEMA}, "main.mig")
    assert codes(fine) == []
    stale = check({**BOTH, "shared/schema.mig": OLD % "Account" + SCHEMA + account}, "main.mig")
    assert codes(stale) == ["MIG017"]
    assert [label.span.path for label in stale.diagnostics[0].secondary] == ["shared/schema.mig"] * 2


def test_a_finished_migration_is_history():
    # What it changes is changed: against the entities of today all of it is wrong.
    text = "finished 2027-02-01\n" + MAIN.replace("add phone text?", "add email text?") + 'use "gone.mig"\n'
    for found in (check({"main.mig": text}, "main.mig"), compile_files({"main.mig": text}, "main.mig")):
        assert (found.diagnostics, found.finished, found.artifacts, found.ok) == ((), "2027-02-01", (), True)


@pytest.mark.parametrize(
    ("text", "code", "there"),
    [
        ("finished 2027-02-30\n" + MAIN, "MIG008", "2027-02-30"),
        ("finished 30d\n" + MAIN, "MIG008", "30d"),
        ("finished 2027-02-01\nfinished 2027-02-02\n" + MAIN, "MIG013", "finished 2027-02-02"),
        ("finished 2027-02-01\n" + SCHEMA, "MIG005", "finished 2027-02-01"),
    ],
)
def test_a_date_that_can_t_be_is_shown(text: str, code: str, there: str):
    found = check({**BOTH, "main.mig": text}, "main.mig")
    assert codes(found) == [code]
    assert place(found) == ("main.mig", there)


def test_the_digest_covers_every_file_and_no_path():
    def digest(files: Mapping[str, str], main: str) -> str:
        return source_digest(check(files, main).sources)

    before = digest(BOTH, "main.mig")
    assert before == digest({"../x/main.mig": MAIN, "../x/shared/schema.mig": SCHEMA}, "../x/main.mig")
    assert before != digest({**BOTH, "shared/schema.mig": SCHEMA + "# more\n"}, "main.mig")
    assert before != digest({**BOTH, "main.mig": MAIN + "# more\n"}, "main.mig")


def test_there_is_an_end_to_how_many_files_are_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(units, "MOST_FILES", 3)
    chain = {f"f{n}.mig": f'use "f{n + 1}.mig"\n' for n in range(5)} | {"f5.mig": SCHEMA}
    found = check(chain, "f0.mig")
    assert codes(found) == ["MIG014"]
    assert place(found) == ("f2.mig", '"f3.mig"')


def test_a_long_chain_of_files_is_no_trouble():
    chain = {f"f{n}.mig": f'use "f{n + 1}.mig"\n' for n in range(units.MOST_FILES - 1)}
    chain[f"f{units.MOST_FILES - 1}.mig"] = SCHEMA
    found = check(chain, "f0.mig")
    assert (codes(found), len(found.sources)) == ([], units.MOST_FILES)


def migration(name: str, *operations: str, entity: str = "User") -> str:
    text = MAIN.replace("users_phone", name).replace("change User", f"change {entity}")
    return text.replace("add phone text?", "\n".join(operations))


ADD = "add phone text?"
PAIR = "add address text pii { from `coalesce(email, 'x')`; back email = `address` }"


@pytest.mark.parametrize(
    ("one", "two", "shown"),
    [
        (ADD, ADD, "`User.phone`"),
        (PAIR, "require email { from `coalesce(email, 'x')` }", "`User.email`"),
        ('drop email after 30d irreversible because "x"', "add copy text? { from `email` }", "`User.email`"),
        (
            "add a text? { unique (tenant_id, a) as one_uq }",
            "add b text? { unique (tenant_id, b) as one_uq }",
            "the name `one_uq`",
        ),
        ("retype email varchar(90)", "index (tenant_id, email)", "`User.email`"),
        ("default name 'x'".replace("'", '"'), 'default name "y"', "`User.name`"),
        ('comment "a"', 'comment "b"', "the comment of `User`"),
        ("rename table to people", ADD, "the table `public.users`"),
        ("drop constraint name_uq", "drop constraint name_uq", "the name `name_uq`"),
    ],
)
def test_two_open_migrations_that_want_the_same_are_shown_with_both_places(one: str, two: str, shown: str):
    schema = SCHEMA.replace("  index", "  unique (tenant_id, name) as name_uq\n  index")
    files = {"a.mig": migration("a", one), "b.mig": migration("b", two), "shared/schema.mig": schema}
    checked = [check(files, name) for name in ("a.mig", "b.mig")]
    (problem,) = overlapping([found.module for found in checked if found.module])
    assert (problem.code, problem.title.startswith(shown)) == ("MIG430", True)
    assert problem.primary is not None
    assert [problem.primary.span.path, *(label.span.path for label in problem.secondary)] == ["b.mig", "a.mig"]


CREATE = "create Note in app.notes { id bigint key; tenant_id uuid tenant; body text?; from User { id = id; body = email } }\n"


@pytest.mark.parametrize(
    ("one", "two", "shown"),
    [
        (CREATE, CREATE, "the table `public.notes`"),
        (
            'drop entity User after 30d irreversible because "x"\n',
            "change User { add a text? }\n",
            "the table `public.users`",
        ),
        (CREATE, 'change User { drop email irreversible because "x" }\n', "`User.email`"),
        (CREATE, "change User { rename table to notes }\n", "the table `public.notes`"),
    ],
)
def test_tables_that_come_and_go_are_compared_too(one: str, two: str, shown: str):
    head, tail = MAIN.split("change User", 1)[0], MAIN[MAIN.index("cutover") :]
    texts = {f"{n}.mig": head.replace("users_phone", n) + each + tail for n, each in (("a", one), ("b", two))}
    checked = [check({**texts, "shared/schema.mig": SCHEMA}, name) for name in texts]
    found = overlapping([each.module for each in checked if each.module])
    assert [problem.code for problem in found if problem.title.startswith(shown)] == ["MIG430"]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (ADD, "add fax text?"),
        ("add copy text? { from `email` }", "add other text? { from `email` }"),
        ("require name { from `'x'` }", 'drop email after 30d irreversible because "x"'),
    ],
)
def test_open_migrations_that_want_different_things_get_along(one: str, two: str):
    files = {"a.mig": migration("a", one), "b.mig": migration("b", two), "shared/schema.mig": SCHEMA}
    assert overlaps([check(files, name) for name in ("a.mig", "b.mig")]) == ()


def test_a_rule_is_lifted_where_that_is_said_and_not_at_the_same_place_of_another_file():
    drop = 'drop email after 1h irreversible because "x"'
    body = f"change User {{ {drop} }}\n"
    main = MAIN.replace(
        "add phone text?",
        'drop name after 1h irreversible because "x" {\n    allow MIG407 because "y"\n' + "    # …\n" * 90 + "  }",
    )
    main = main.replace("change User", "change Other")
    other = USER.replace("User in app.users", "Other in app.others")
    found = check({"main.mig": main, "shared/schema.mig": SCHEMA + other + body}, "main.mig")
    assert codes(found) == ["MIG407"]
    assert place(found) == ("shared/schema.mig", drop)
    start = found.diagnostics[0].primary
    assert start is not None
    assert main.index("drop name") < start.span.start < main.index("cutover"), "the places have to look alike"


def test_two_files_of_one_migration_are_told_of_by_what_they_write():
    files = {"a.mig": migration("a", ADD), "b.mig": migration("a", ADD), "shared/schema.mig": SCHEMA}
    assert overlaps([check(files, name) for name in ("a.mig", "b.mig")]) == ()


def test_a_migration_that_is_finished_is_in_nobody_s_way():
    files = {
        "a.mig": "finished 2027-02-01\n" + migration("a", ADD),
        "b.mig": migration("b", ADD),
        "shared/schema.mig": SCHEMA,
    }
    assert overlaps([check(files, name) for name in ("a.mig", "b.mig")]) == ()


@pytest.mark.parametrize("year", [1, 1900, 2000, 2023, 2024])
def test_a_day_is_one_of_the_calendar(year: int):
    texts = [f"{year:04}-{month:02}-{day:02}" for month in range(14) for day in range(33)]
    assert [text for text in texts if units.is_date(text)] == [text for text in texts if of_the_calendar(text)]
    assert not any(
        map(
            units.is_date,
            (
                "2027-2-1",
                "20270201",
                "2027-W01-1",
                "\u0662\u0660\u0662\u0667-\u0660\u0662-\u0660\u0661",
                "2027-02-01\n",
                "0000-01-01",
            ),
        )
    )


def of_the_calendar(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False
