"""What is computed from personal data is personal data, whichever operation computes it."""

from __future__ import annotations

import pytest

from migdsl.syntax.unit import Files
from migdsl.workspace import compile_files

HEAD = """migration m { ticket "MIG-1" }
database app { engine postgresql 15; url env DATABASE_URL }
tenants { key tenant_id uuid; list `SELECT id FROM tenants ORDER BY id` }
entity Pupil in app.pupils {
  id        bigint key
  tenant_id uuid   tenant
  last      text   pii
  diagnosis text?  phi
  class     text
  login     text?
  nick      text?
  index (tenant_id, id)
}
"""
SAID = ["last", "diagnosis"]


def private(text: str) -> list[list[str]]:
    """The protected columns of each domain of the plan."""
    found = compile_files(Files({"m.mig": HEAD + text}), "m.mig")
    assert found.plan is not None, found.diagnostics
    return [list(domain.pii_columns) for domain in found.plan.data_domains]


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("require login { from `coalesce(last, 'x')` }", ["login"]),
        ("require login { from `class` }", []),
        ("retype class varchar(80) { from `left(class || last, 80)`; back `class` }", ["class"]),
        ("retype class varchar(80) { from `left(class, 80)`; back `class || last` }", ["class"]),
        ("optional class { back `coalesce(class, last)` }", ["class"]),
        ("drop class { back `last` }", ["class"]),
        ("add key_of text { from `coalesce(nick, 'x')`; back nick = `key_of || last` }", ["nick", "key_of"]),
        # In several steps, against the order in which they are said.
        (
            "optional class { back `coalesce(login, 'x')` }; require login { from `coalesce(diagnosis, 'x')` }",
            ["class", "login"],
        ),
    ],
)
def test_a_column_that_is_filled_from_personal_data_is_protected(operation: str, more: list[str]):
    assert private(f"change Pupil {{ {operation} }}\n") == [[*SAID, *more]]


def test_what_the_database_computes_of_it_is_protected_too():
    computed = HEAD.replace(
        "  nick ", "  lower text generated `lower(last)`; short text generated `left(class, 3)`\n  nick "
    )
    found = compile_files(Files({"m.mig": f"{computed}change Pupil {{ require login {{ from `lower` }} }}\n"}), "m.mig")
    assert found.plan is not None, found.diagnostics
    assert [list(domain.pii_columns) for domain in found.plan.data_domains] == [["last", "diagnosis", "login", "lower"]]
    created = "create Card in app.cards { id bigint key; tenant_id uuid tenant; shown text?\n"
    created += "  up text? generated `upper(shown)`; from Pupil { id = id; tenant_id = tenant_id; shown = last } }\n"
    assert private(created) == [["shown", "up"]]
    watermark = f"{computed}change Pupil {{ require login {{ from `class` }} }}\nbackfill Pupil {{ order by lower }}\n"
    assert "MIG432" in {d.code for d in compile_files(Files({"m.mig": watermark}), "m.mig").diagnostics}


@pytest.mark.parametrize(("reads", "more"), [("last", ["sort"]), ("class", [])])
def test_what_python_makes_of_it_is_protected_too(reads: str, more: list[str]):
    added = f'change Pupil {{ add sort text? }}\nbackfill Pupil.sort {{ using python "m:f" from {reads} }}\n'
    assert private(added) == [[*SAID, *more]]


def test_a_new_table_and_a_move_take_the_mark_along():
    created = "create Card in app.cards { id bigint key; tenant_id uuid tenant; shown text?\n"
    created += "  from Pupil { id = id; tenant_id = tenant_id; shown = login } }\n"
    change = "change Pupil { require login { from `coalesce(last, 'x')` } }\n"
    assert sorted(private(created + change)) == [["last", "diagnosis", "login"], ["shown"]]
    move = (
        "move Pupil to app.people { id = id; tenant_id = tenant_id; last = last; diagnosis = diagnosis; class = class\n"
    )
    move += '  login = login; back nick = `left(last, 2)`; omit nick because "is the beginning of the name" }\n'
    moved = compile_files(Files({"m.mig": HEAD + move}), "m.mig")
    assert moved.module is not None, moved.diagnostics
    (found,) = moved.module.moves
    assert [c.name for c in found.table.columns if c.pii] == ["last", "nick"]
    assert found.table in moved.module.tables


POINTING = """entity Login in app.logins {
  tenant_id uuid tenant
  email     text pii
  chart     text phi
  name      text
  key (tenant_id, email)
  unique (name)
  unique (chart)
}
entity Visit in app.visits {
  id        bigint key
  tenant_id uuid   tenant
  mail      text
  short     text?
  by        text? -> Login.name
  class     text?
  LINES
}
"""


@pytest.mark.parametrize(
    ("lines", "change", "found"),
    [
        ("", "", []),
        ("other text? -> Login.name", "", []),
        ("file text? -> Login.chart", "", ["file"]),
        ("(tenant_id, mail) -> Login", "", ["mail"]),
        ("(mail, tenant_id) -> Login (email, tenant_id)", "", ["mail"]),
        ("(tenant_id, mail) -> Login (tenant_id, email) on delete cascade", "require short { from `mail` }", ["mail", "short"]),
        ("upper text? generated `upper(mail)`; (tenant_id, mail) -> Login", "", ["mail", "upper"]),
        # What comes with the migration.
        ("", "(tenant_id, mail) -> Login", ["mail"]),
        ("", "add of text? -> Login.chart", ["of"]),
        ("", "add of text? -> Login.name", []),
    ],
)  # fmt: skip
def test_what_points_at_personal_data_has_no_other_values(lines: str, change: str, found: list[str]):
    text = POINTING.replace("LINES", lines) + f"change Visit {{ {change or 'optional mail { back `class` }'} }}\n"
    assert private(text) == [found]


def test_a_new_table_that_points_at_personal_data_has_some():
    created = "create Card in app.cards { id bigint key; tenant_id uuid tenant; login text?; number bigint?\n"
    created += "  (tenant_id, login) -> Login; of text? -> Login.name }\n"
    assert private(POINTING.replace("LINES", "") + created) == [["login"]]
    move = "move Visit to app.seen { id = id; tenant_id = tenant_id; mail = mail; short = short; by = by; class = class }\n"
    lines = "(tenant_id, mail) -> Login"
    moved = compile_files(Files({"m.mig": HEAD + POINTING.replace("LINES", lines) + move}), "m.mig")
    assert moved.module is not None, moved.diagnostics
    (found,) = moved.module.moves
    assert [[c.name for c in t.columns if c.pii] for t in (found.table, found.target)] == [["mail"], ["mail"]]


def test_where_nothing_was_left_unsaid_the_tables_stay_as_they_are():
    assert private("change Pupil { optional class { back `coalesce(class, 'x')` } }\n") == [SAID]
