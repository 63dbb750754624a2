"""Each operation, and the entity as the table is afterwards."""

from __future__ import annotations

import inspect
import re
from typing import get_args

import pytest

from migdsl.folding import Unfoldable
from migdsl.folding.operations import FOLDS
from migdsl.syntax import ast
from migdsl.workspace import check
from tests.folding.support import HEAD, folded

USER = """# People who may log in.
entity User in app.users {
  id         bigint        key   # never reused
  tenant_id  uuid          tenant
  name       text
  # where to reach them
  email      text?         pii   default "none"
  age        integer?
  state      enum mood("sad", "ok")
  legacy age unclear "may be a guess"
  unique (tenant_id, name) as users_name_uq
  index  (tenant_id, lower(name)) where `name <> '' AND age > 1`
  check  `age > 0`
  rows 500k
}

# untouched   as it is
entity Post in app.posts { id bigint key; tenant_id uuid tenant; author text? -> User.name; mood enum mood("sad", "ok") }
"""
SPARE = USER.replace("  index  (tenant_id, lower(name)) where `name <> '' AND age > 1`\n  check  `age > 0`\n", "")


def lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that are gone, and those that have come; the others have to be in their order."""
    old, new = before.splitlines(), after.splitlines()
    gone, come = [line for line in old if line not in new], [line for line in new if line not in old]
    assert [line for line in old if line in new] == [line for line in new if line in old]
    return gone, come


CASES = [
    ("add phone text? pii", [], ["  phone text? pii"]),
    ('add region text default "eu" { allow MIG407 because "x" }', [], ['  region text default "eu"']),
    (
        "add nick text { from `name`; unique per tenant }",
        [],
        ["  nick text", "  unique (tenant_id, nick)"],
    ),
    ("add nick text? unique", [], ["  nick text? unique"]),
    (
        "add nick text? { unique (tenant_id, nick) as nick_uq; unique (nick, name) }",
        [],
        ["  nick text?", "  unique (tenant_id, nick) as nick_uq", "  unique (nick, name)"],
    ),
    ("add index integer?", [], ['  "index" integer?']),
    ('add "Rows" integer?', [], ['  "Rows" integer?']),
    ("add length numeric(12, 2)?", [], ["  length numeric(12, 2)?"]),
    (
        'drop email after 30d irreversible because "x"',
        ['  email      text?         pii   default "none"'],
        [],
    ),
    (
        "require email { from `'x'` }",
        ['  email      text?         pii   default "none"'],
        ['  email      text          pii   default "none"'],
    ),
    ("require age { from `1` }", ["  age        integer?"], ["  age        integer"]),
    ("optional name", ["  name       text"], ["  name       text?"]),
    ("retype age bigint", ["  age        integer?"], ["  age        bigint?"]),
    (
        "retype id numeric(20)",
        ["  id         bigint        key   # never reused"],
        ["  id         numeric(20)        key   # never reused"],
    ),
    ("default age 3", ["  age        integer?"], ["  age        integer? default 3"]),
    (
        "default id `nextval('s')`",
        ["  id         bigint        key   # never reused"],
        ["  id         bigint        key default `nextval('s')`   # never reused"],
    ),
    (
        'default email "some"',
        ['  email      text?         pii   default "none"'],
        ['  email      text?         pii   default "some"'],
    ),
    (
        "drop default email",
        ['  email      text?         pii   default "none"'],
        ["  email      text?         pii"],
    ),
    ("unique (tenant_id, email) as mail_uq", [], ["  unique (tenant_id, email) as mail_uq"]),
    ("index (tenant_id, email) where `email <> ''`", [], ["  index (tenant_id, email) where `email <> ''`"]),
    (
        "unique (tenant_id, lower(email)) where `age > 1` as mail_ux",
        [],
        ["  unique (tenant_id, lower(email)) where `age > 1` as mail_ux"],
    ),
    ("index (age desc nulls last)", [], ["  index (age desc nulls last)"]),
    ("check `email <> ''` as mail_ck { complies because \"x\" }", [], ["  check `email <> ''` as mail_ck"]),
    # With an index, where none leads to what a delete of the parent asks for.
    ("name -> User.name on delete set null", [], ["  (name) -> User (name) on delete set null", "  index (name)"]),
    ("name -> User.name\n  index (name, age)", [], ["  (name) -> User (name)", "  index (name, age)"]),
    ("(tenant_id, name) -> User (tenant_id, name)", [], ["  (tenant_id, name) -> User (tenant_id, name)"]),
    ("drop constraint users_name_uq", ["  unique (tenant_id, name) as users_name_uq"], []),
    ("drop constraint users_age_check", ["  check  `age > 0`"], []),
    (
        "drop constraint users_name_uq\n  unique (tenant_id, name, age) as users_name_uq",
        ["  unique (tenant_id, name) as users_name_uq"],
        ["  unique (tenant_id, name, age) as users_name_uq"],
    ),
    (
        "index (age) as users_name_uq\n  drop constraint users_name_uq",
        ["  unique (tenant_id, name) as users_name_uq"],
        ["  index (age) as users_name_uq"],
    ),
    (
        'default email "x"\n  drop email irreversible because "x"',
        ['  email      text?         pii   default "none"'],
        [],
    ),
    (
        'drop email irreversible because "x"\n  drop default email',
        ['  email      text?         pii   default "none"'],
        [],
    ),
    (
        'enum mood add "fine" after "sad"',
        ['  state      enum mood("sad", "ok")', POST := USER.splitlines()[-1]],
        ['  state      enum mood("sad", "fine", "ok")', POST.replace('"sad", ', '"sad", "fine", ')],
    ),
    (
        'enum state add "bad" before "sad"',
        ['  state      enum mood("sad", "ok")', POST],
        ['  state      enum mood("bad", "sad", "ok")', POST.replace('"sad"', '"bad", "sad"')],
    ),
    (
        'enum mood add "great"',
        ['  state      enum mood("sad", "ok")', POST],
        ['  state      enum mood("sad", "ok", "great")', POST.replace('"ok"', '"ok", "great"')],
    ),
    (
        "rename table to people",
        [
            "entity User in app.users {",
            "  check  `age > 0`",
        ],
        [
            "entity User in app.people {",
            "  check  `age > 0` as users_age_check",
        ],
    ),
    ('comment "people"', [], []),
    ('comment age "years"', [], []),
    ("replica identity full", [], []),
    (
        "rename name to full_name",
        [
            "  name       text",
            "  unique (tenant_id, name) as users_name_uq",
            "  index  (tenant_id, lower(name)) where `name <> '' AND age > 1`",
            POST,
        ],
        [
            "  full_name       text",
            "  unique (tenant_id, full_name) as users_name_uq",
            "  index  (tenant_id, lower(full_name)) where `full_name <> '' AND age > 1`",
            POST.replace("User.name", "User.full_name"),
        ],
    ),
    (
        'rename age to "Age in years"',
        [
            "  age        integer?",
            '  legacy age unclear "may be a guess"',
            "  index  (tenant_id, lower(name)) where `name <> '' AND age > 1`",
            "  check  `age > 0`",
        ],
        [
            '  "Age in years"        integer?',
            '  legacy "Age in years" unclear "may be a guess"',
            "  index  (tenant_id, lower(name)) where `name <> '' AND \"Age in years\" > 1`",
            '  check  `"Age in years" > 0`',
        ],
    ),
    (
        "rename state to key",
        ['  state      enum mood("sad", "ok")'],
        ['  "key"      enum mood("sad", "ok")'],
    ),
]


@pytest.mark.parametrize(("operation", "gone", "come"), CASES, ids=[case[0].split("{")[0] for case in CASES])
def test_what_an_operation_makes_of_the_entity(operation: str, gone: list[str], come: list[str]):
    after = folded(USER, f"change User {{\n  {operation}\n}}\n")
    assert lines(USER, after) == (gone, come)


SPARED = [
    (
        "split name into first text pii, last text? { first = `name`; last = `name`; back `first || last` }",
        ["  name       text"],
        # The old column has what the first is marked for, and the last is made of that.
        ["  first text pii", "  last text? pii"],
    ),
    (
        "merge name, age into label text { from `name || coalesce(age, 1)`; back name = `label`, age = `1` }",
        ["  name       text", "  age        integer?", '  legacy age unclear "may be a guess"'],
        ["  label text"],
    ),
    (
        'drop age after 30d irreversible because "x"',
        ["  age        integer?", '  legacy age unclear "may be a guess"'],
        [],
    ),
    (
        "key (tenant_id, id)",
        ["  id         bigint        key   # never reused"],
        ["  id         bigint   # never reused", "  key (tenant_id, id)"],
    ),
]


@pytest.mark.parametrize(("operation", "gone", "come"), SPARED, ids=[case[0].split("{")[0] for case in SPARED])
def test_what_an_operation_makes_of_columns_that_nothing_uses(operation: str, gone: list[str], come: list[str]):
    spare = SPARE.replace("  unique (tenant_id, name) as users_name_uq\n", "").replace(" -> User.name", "")
    after = folded(spare, f"change User {{\n  {operation}\n}}\n")
    assert lines(spare, after) == (gone, come)


def test_what_goes_by_name_is_found_whatever_else_changes():
    posts = POST.replace(" -> User.name", "").replace(" }", "; (author) -> User (name) on delete cascade }")
    schema = USER.replace(POST, posts)
    change = (
        "change User {\n  rename name to login\n  drop constraint users_name_uq\n}\n"
        "change Post {\n  drop constraint posts_author_fkey\n}\n"
    )
    after = folded(schema, change)
    assert "->" not in after
    assert "unique" not in after
    assert "lower(login)" in after


def test_marks_of_a_renamed_table_become_lines_with_their_names():
    before = (
        "entity User in app.users {\n  id bigint key\n  tenant_id uuid tenant unique\n"
        "  boss bigint? -> User.id on delete set null # b\n  index (boss)\n}\n"
    )
    after = folded(before, "change User { rename table to people }\n")
    assert after == (
        "entity User in app.people {\n  id bigint key\n  tenant_id uuid tenant\n  boss bigint? # b\n"
        "  unique (tenant_id) as users_tenant_id_key\n  (boss) -> User (id) on delete set null as users_boss_fkey\n"
        "  index (boss) as users_boss_idx\n}\n"
    )


def test_operations_fold_in_their_order():
    change = 'change User {\n  add a text?\n  add b text? { unique (a, b) }\n  drop email irreversible because "x"\n}\n'
    after = folded(USER, change)
    assert re.findall(r"^  (\w+) ", after.split("legacy")[0], re.M) == [
        "id",
        "tenant_id",
        "name",
        "age",
        "state",
        "a",
        "b",
    ]
    assert after.index("users_name_uq") < after.index("unique (a, b)") < after.index("index ")


@pytest.mark.parametrize(
    ("before", "operation", "after"),
    [
        (
            "{ id bigint key; tenant_id uuid tenant; a text?; b text? }",
            'drop a irreversible because "x"',
            "{ id bigint key; tenant_id uuid tenant; b text? }",
        ),
        (
            "{ id bigint key; tenant_id uuid tenant; a text?; b text? }",
            'drop b irreversible because "x"',
            "{ id bigint key; tenant_id uuid tenant; a text? }",
        ),
        (
            "{ a text?; id bigint key; tenant_id uuid tenant }",
            'drop a irreversible because "x"',
            "{ id bigint key; tenant_id uuid tenant }",
        ),
        (
            "{ id bigint key; tenant_id uuid tenant }",
            "add a text?",
            "{ id bigint key; tenant_id uuid tenant; a text? }",
        ),
        (
            "{ id bigint key; tenant_id uuid tenant; a text?; }",
            "require a { from `'x'` }",
            "{ id bigint key; tenant_id uuid tenant; a text; }",
        ),
        (
            "{ # all\n  id bigint key\n  tenant_id uuid tenant; a text? # why\n\n}",
            "add b text?",
            "{ # all\n  id bigint key\n  tenant_id uuid tenant; a text?; b text? # why\n\n}",
        ),
        (
            "{\r\n\tid bigint key\r\n\ttenant_id uuid tenant ; # t\r\n}",
            "add a text?",
            "{\r\n\tid bigint key\r\n\ttenant_id uuid tenant ; # t\r\n\ta text?\r\n}",
        ),
        (
            "{\n  id bigint key\n  tenant_id uuid tenant\n  a text? }",
            'drop a irreversible because "x"',
            "{\n  id bigint key\n  tenant_id uuid tenant\n   }",
        ),
    ],
)
def test_other_layouts(before: str, operation: str, after: str):
    head = "entity User in app.users "
    assert folded(f"{head}{before}\n", f"change User {{ {operation} }}\n") == f"{head}{after}\n"


def test_sql_of_one_s_own_can_t_be_folded_but_be_passed_over():
    change = 'change User {\n  sql "tidy up" { up `VACUUM`; irreversible because "x" }\n  add a text?\n}\n'
    with pytest.raises(Unfoldable, match="tidy up"):
        folded(USER, change)
    assert lines(USER, folded(USER, change, force=True)) == ([], ["  a text?"])


def test_every_operation_of_the_language_has_a_fold():
    assert set(FOLDS) == set(get_args(ast.Operation))


def test_every_fold_is_tried_here():
    words = {case[0].split()[0] for case in CASES + SPARED} | {"sql"}
    heads = {"Add": "add", "SetDefault": "default", "Constrain": "unique", "DropNamed": "drop", "ExtendEnum": "enum"}
    heads |= {"RenameTable": "rename", "ReplicaIdentity": "replica", "RawSql": "sql"}
    assert {heads.get(kind.__name__, kind.__name__.lower()) for kind in FOLDS} <= words


def test_an_operation_without_a_fold_is_a_clear_error(monkeypatch: pytest.MonkeyPatch):
    module = inspect.getmodule(FOLDS[ast.Add])
    assert module is not None
    monkeypatch.delitem(FOLDS, ast.Add)
    with pytest.raises(Unfoldable, match="what `add` makes of an entity is not known"):
        folded(USER, "change User { add a text? }\n")


@pytest.mark.parametrize("operation", [case[0] for case in CASES + SPARED])
def test_the_entity_afterwards_checks(operation: str):
    schema = SPARE.replace("  unique (tenant_id, name) as users_name_uq\n", "").replace(" -> User.name", "")
    change = f"change User {{\n  {operation}\n}}\n"
    if "drop constraint" in operation:
        return
    after = check({"schema.mig": HEAD + folded(schema, change)}, "schema.mig")
    found = {d.code for d in after.diagnostics if d.severity.value == "error"}
    # What these foreign keys point at is unique no more.
    assert found == ({"MIG115"} if "-> User" in operation else set())


def test_what_is_made_of_personal_data_keeps_its_mark():
    before = "entity User in app.users {\n  id bigint key\n  tenant_id uuid tenant\n  email text? pii\n  age integer phi\n}\n"
    change = (
        "change User {\n  add first text? { from `split_part(email, '@', 1)` }\n  add old boolean { from `age > 64` }\n"
        "  add plain text?\n}\n"
        "create Mail in app.mails { id bigint key; tenant_id uuid tenant; said text?; n integer\n"
        "  from User { id = id; tenant_id = tenant_id; said = email; n = `1` }\n}\n"
    )
    after = folded(before, change)
    assert "first text? pii\n" in after
    assert "old boolean phi\n" in after
    assert "plain text?\n" in after
    assert "said text? pii; n integer\n" in after


def test_a_column_that_gets_values_of_personal_data_gets_the_mark():
    before = (
        "entity User in app.users {\n  id bigint key\n  tenant_id uuid tenant\n  email text pii\n  age integer phi\n"
    )
    before += '  login text?\n  class text  default "x"\n  rank text\n}\n'
    change = "change User {\n  require login { from `email` }\n  optional class { back `coalesce(class, login)` }\n}\n"
    after = folded(before, change)
    assert "login text pii\n" in after
    assert 'class text? pii  default "x"\n' in after
    assert "rank text\n" in after
    retyped = folded(before, "change User { retype rank varchar(9) { from `left(rank, 9)`; back `rank || age` } }\n")
    assert "rank varchar(9) phi\n" in retyped


def test_what_moves_under_another_name_keeps_its_mark():
    before = (
        "entity User in app.users {\n  id bigint key\n  tenant_id uuid tenant\n  email text? pii\n  note text? phi\n}\n"
    )
    move = "move User to app.people {\n  id = id\n  tenant_id = tenant_id\n  mail = email\n"
    move += "  said text? = `note`\n  back note = `said`\n}\n"
    after = folded(before, move)
    assert "mail text? pii\n" in after
    assert "said text? phi\n" in after


@pytest.mark.parametrize("named", ["code", "label"])
@pytest.mark.parametrize("first", [True, False])
def test_a_foreign_key_between_what_moves_has_the_new_names(named: str, first: bool):
    """Whether the file says the old one or the new one, and in whatever order."""
    before = (
        "entity Bin in app.bins { id bigint key; tenant_id uuid tenant; code text unique }\n"
        "entity Pick in app.picks { id bigint key; tenant_id uuid tenant; bin_code text }\n"
    )
    moves = ["move Bin to app.store.bins { id = id; tenant_id = tenant_id; label = code }\n"]
    copied = "id = id; tenant_id = tenant_id; bin_code = bin_code"
    moves.append(f"move Pick to app.store.picks {{ {copied}; (bin_code) -> Bin ({named}) on delete cascade }}\n")
    after = folded(before, "".join(moves if first else moves[::-1]))
    assert "label text unique" in after
    assert "(bin_code) -> Bin (label) on delete cascade" in after
