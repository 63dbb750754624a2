"""Whole files: which of them change, where entities go, and that what comes out is a schema like any other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migdsl.folding import Unfoldable, stages_left
from migdsl.syntax.unit import Files, unit
from migdsl.workspace import check, compile_files
from tests.folding.support import CANARY, DONE, HEAD, MIGRATION, finished

ROOT = Path(__file__).resolve().parents[2]
USER = (
    "entity User in app.users {\n  id bigint key\n  tenant_id uuid tenant\n  email text?\n  index (tenant_id, id)\n}\n"
)
CHANGE = "change User {\n  add phone text?\n}\n"
OWN = 'migration m {\n  ticket "A"\n}\n'


def test_only_the_file_with_the_entity_changes():
    files = {
        "m.mig": MIGRATION.replace("schema.mig", "shared/users.mig") + CHANGE + CANARY + DONE,
        "shared/users.mig": 'use "base.mig"\n\n# why\n' + USER + "\n# behind\n",
        "shared/base.mig": HEAD,
    }
    texts = finished(files)
    assert set(texts) == {"m.mig", "shared/users.mig"}
    assert texts["shared/users.mig"] == files["shared/users.mig"].replace(
        "  email text?\n", "  email text?\n  phone text?\n"
    )


@pytest.mark.parametrize(
    ("header", "closed"),
    [
        ('migration m { ticket "A" }  # note\n', 'migration m { ticket "A" }  # note\nfinished 2027-02-01\n'),
        ('migration m { ticket "A" }; ', 'migration m { ticket "A" }; finished 2027-02-01; '),
        ('migration m {\r\n  ticket "A"\r\n}\r\n', 'migration m {\r\n  ticket "A"\r\n}\r\nfinished 2027-02-01\r\n'),
    ],
)
def test_the_line_stands_behind_the_header(header: str, closed: str):
    rest = CHANGE + CANARY + DONE
    texts = finished({"m.mig": 'use "schema.mig"\n' + header + rest, "schema.mig": HEAD + USER})
    assert texts["m.mig"] == 'use "schema.mig"\n' + closed + rest
    assert unit(Files(texts), "m.mig").finished == "2027-02-01"


def test_an_entity_in_the_migration_s_own_file_needs_a_place_to_go():
    own = {"m.mig": OWN + HEAD + USER + CHANGE + CANARY + DONE}
    with pytest.raises(Unfoldable, match="`User` stands in the migration's own file") as error:
        finished(own)
    assert error.value.help == "migdsl finish m.mig --into schema.mig"


def test_what_the_migration_s_own_file_declares_goes_where_it_is_to_go():
    other = USER.replace("User in app.users", "Other in app.others")
    text = OWN + HEAD + "# of users\n# and more\n" + USER + "\n" + other + CHANGE + CANARY + DONE
    texts = finished({"m.mig": text}, into="db/schema.mig")
    assert texts["m.mig"] == text.replace(OWN, OWN + "finished 2027-02-01\n")
    after = texts["db/schema.mig"]
    assert after.startswith("database app")
    assert "# of users\n# and more\nentity User" in after
    assert after.count("phone text?") == 1
    assert other in after
    assert check(texts, "db/schema.mig").diagnostics == ()


def test_what_goes_to_another_database_takes_the_service_along_that_owns_it():
    path = ROOT / "examples/16_extraction_outbox/orders_extraction.mig"
    text = path.read_text(encoding="utf-8").replace("stage off for all", "stage complete for all")
    after = finished({"m.mig": text}, into="schema.mig")["schema.mig"]
    assert "service orders {" in after
    assert "service billing" not in after  # which owns no database
    assert "entity Order in orders.orders {" in after
    assert "entity OrderLine in orders.lines {" in after
    assert check({"schema.mig": after}, "schema.mig").diagnostics == ()


def test_what_is_there_already_stays_there():
    there = HEAD + "entity Order in app.orders { id bigint key; tenant_id uuid tenant }\n"
    files = {"m.mig": OWN + HEAD + USER + CHANGE + CANARY + DONE, "schema.mig": there}
    after = finished(files, into="schema.mig")["schema.mig"]
    assert after.startswith(there)
    assert after.count("database app") == after.count("tenants {") == after.count("entity User") == 1
    assert check({"schema.mig": after}, "schema.mig").diagnostics == ()
    with pytest.raises(Unfoldable, match=r"declared in schema\.mig already"):
        finished({**files, "schema.mig": there + USER}, into="schema.mig")


def test_a_new_file_uses_what_the_migration_used():
    files = {"m.mig": MIGRATION.replace("schema", "base") + USER + CHANGE + CANARY + DONE, "base.mig": HEAD}
    texts = finished(files, into="db/users.mig")
    assert texts["db/users.mig"].startswith('use "../base.mig"\n\nentity User')
    assert check({**files, **texts}, "db/users.mig").diagnostics == ()


CREATE = """create Note in app.notes {
  id         bigint   key   # the user's
  tenant_id  uuid     tenant
  body       text?
  index (tenant_id, id)
  from User {
    id        = id
    tenant_id = tenant_id
    body      = email
  }
}
"""
NOTE = """entity Note in app.notes {
  id         bigint   key   # the user's
  tenant_id  uuid     tenant
  body       text?
  index (tenant_id, id)
}
"""


def test_a_new_table_becomes_an_entity_of_the_shared_file():
    files = {"m.mig": MIGRATION + CREATE + CANARY + DONE, "schema.mig": HEAD + USER}
    texts = finished(files)
    assert texts["schema.mig"] == HEAD + USER + "\n" + NOTE
    own = {
        "m.mig": OWN
        + HEAD
        + CREATE.replace(
            "  from User {\n    id        = id\n    tenant_id = tenant_id\n    body      = email\n  }\n", ""
        )
        + CANARY
        + DONE
    }
    with pytest.raises(Unfoldable, match="`Note` stands in the migration's own file"):
        finished(own)
    alone = finished(own, into="schema.mig")["schema.mig"]
    assert alone.endswith("\n\n" + NOTE)
    assert check({"schema.mig": alone}, "schema.mig").diagnostics == ()


def test_a_table_that_went_away_is_no_entity_any_more():
    other = USER.replace("User in app.users", "Other in app.others")
    drop = 'drop entity User after 30d irreversible because "unread"\n'
    texts = finished({"m.mig": MIGRATION + drop + CANARY + DONE, "schema.mig": HEAD + USER + other})
    assert texts["schema.mig"] == HEAD + other


def test_stages():
    def left(*lines: str) -> str | None:
        flag = "flag m { " + "; ".join(lines) + " }\n"
        files = {"m.mig": MIGRATION + CHANGE + CANARY + flag, "schema.mig": HEAD + USER}
        module = check(files, "m.mig").module
        assert module is not None
        return stages_left(module)

    assert left() == "off"
    assert left("stage complete for all") is None
    assert left("stage complete for all", "stage complete for canary") is None
    assert left("stage complete for all", "stage live for 5%") == "live"
    assert left("stage complete for canary") == "off"


NAMES = st.sampled_from(["a", "b", "Ab", '"Ab"', '"index"', "key", "größe", '"a ""b"""', "rows", "select", '"select"'])
TYPES = st.sampled_from(["text", "integer", "numeric(12,2)", "timestamp(3) with time zone", "text[]", "app.odd"])
LAYOUTS = st.sampled_from(["\n  ", "\n\n  # a comment\n  ", " # behind\n  ", ";  ", "\r\n\t"])


@st.composite
def stories(draw: st.DrawFn) -> tuple[str, list[str]]:
    """An entity with columns of nasty names, and operations on them that may stand together."""
    names = draw(st.lists(NAMES, min_size=3, max_size=6, unique_by=lambda name: name.strip('"').casefold()))
    gap = draw(LAYOUTS)
    columns, operations = [], []
    for number, name in enumerate(names):
        type_, nullable = draw(TYPES), draw(st.booleans())
        quoted = name if name[0] == '"' else f'"{name}"' if name in ("key", "rows") else name
        how = draw(st.sampled_from(["stay", "add", "drop", "require", "optional"])) if number else "stay"
        if how == "add":
            mark = draw(st.sampled_from(["", " pii", " { unique per tenant }"]))
            operations.append(f"add {name} {type_}?{mark}")
            continue
        column = f"{quoted} {type_}{'?' if how == 'require' or (nullable and how != 'optional') else ''}"
        columns.append(column + draw(st.sampled_from(["", " pii", "   phi"])))
        if how == "drop":
            operations.append(f'drop {quoted} irreversible because "x"')
        elif how == "require":
            operations.append(f"require {quoted} {{ from `NULL::{type_}` }}")
        elif how == "optional":
            operations.append(f"optional {quoted} {{ back `NULL::{type_}` }}")
    items = ["id bigint key", "tenant_id uuid   tenant", *columns, "index (tenant_id, id)"]
    closing = gap if "#" not in gap else "\n"
    return "entity User in app.users {" + gap + gap.join(items) + closing.replace("  #", "#") + "}\n", operations


def errors(files: dict[str, str], name: str) -> list[str]:
    return [f"{d.code} {d.title}" for d in check(files, name).diagnostics if d.severity.value == "error"]


@settings(max_examples=40, deadline=None)
@given(stories())
def test_what_was_folded_is_a_schema_that_the_next_migration_builds_on(story: tuple[str, list[str]]):
    entity, operations = story
    change = "change User {\n" + "".join(f"  {each}\n" for each in operations) + "  add spare text?\n}\n"
    files = {"m.mig": MIGRATION + change + CANARY + DONE, "schema.mig": HEAD + entity}
    assert errors(files, "m.mig") == []
    texts = {**files, **finished(files)}
    assert errors(texts, "schema.mig") == []
    assert errors(texts, "m.mig") == []
    table, before = table_of(texts), table_of(files)
    wanted = dict(before)
    for operation in changed(files):
        wanted = after(wanted, operation)
    assert table == wanted
    again = MIGRATION.replace("migration m", "migration n")
    more = again + "change User {\n  require spare { from `'x'` }\n  add other text?\n}\n" + CANARY
    compiled = compile_files({**texts, "n.mig": more}, "n.mig")
    assert compiled.ok
    assert compiled.artifacts


Columns = dict[str, tuple[str, bool]]


def table_of(files: dict[str, str]) -> Columns:
    """The columns of `schema.mig`'s entity: type, and whether NULL is allowed."""
    module = check(files, "schema.mig").module
    assert module is not None
    return {c.name: (c.type.sql, c.nullable) for c in module.tables[0].columns}


def changed(files: dict[str, str]) -> list[object]:
    module = check(files, "m.mig").module
    assert module is not None
    return list(module.changes[0].operations)


def after(columns: Columns, operation: object) -> Columns:
    """What the operation does to a table, said without the folding."""
    column = operation.column  # type: ignore[attr-defined]
    kind = type(operation).__name__
    if kind == "DropColumn":
        return {name: what for name, what in columns.items() if name != column.name}
    nullable = {"RequireColumn": False, "OptionalColumn": True}.get(kind, column.nullable)
    return {**columns, column.name: (column.type.sql, nullable)}
