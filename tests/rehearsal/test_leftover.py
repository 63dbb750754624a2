"""What a migration may leave undone, and no query shows it: rules that were never validated, numbers that end, triggers."""

from __future__ import annotations

import psycopg
import pytest

from migdsl.rehearsal.leftover import undone
from migdsl.rehearsal.model import Log
from migdsl.rehearsal.server import Server
from migdsl.rehearsal.stage import Stage
from migdsl.semantics.model import Table
from migdsl.workspace import compile_files
from tests.rehearsal.conftest import ROOT

DONE = """
CREATE TABLE parents (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, few serial, much bigserial);
CREATE TABLE children (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent bigint REFERENCES parents, CHECK (id > 0));
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER mine AFTER INSERT ON children FOR EACH ROW EXECUTE FUNCTION nothing();
INSERT INTO parents DEFAULT VALUES; INSERT INTO children (parent) SELECT id FROM parents;
"""
UNDONE = """
ALTER TABLE children ADD CONSTRAINT again FOREIGN KEY (parent) REFERENCES parents NOT VALID;
ALTER TABLE children ADD CONSTRAINT more CHECK (parent > 5) NOT VALID;
ALTER SEQUENCE parents_much_seq MAXVALUE 2147483647;
CREATE TRIGGER "~migdsl m" AFTER INSERT ON children FOR EACH ROW EXECUTE FUNCTION nothing();
INSERT INTO parents DEFAULT VALUES; UPDATE parents SET much = 7;
"""


def found(stage: Stage, tables: tuple[Table, ...] = ()) -> list[str]:
    log = Log()
    undone(stage, tables, log)
    assert all(each.verdict == "catalog_target" for each in log.findings)
    return [each.what for each in log.findings]


def test_what_is_left_undone_is_told(database: str, pg: Server) -> None:
    stage = Stage(database, pg.bin, "test")
    with stage.connect() as connection:
        connection.execute(DONE)
        assert found(stage) == []
        connection.execute(UNDONE)
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("CREATE UNIQUE INDEX CONCURRENTLY broken ON parents (much)")
    assert found(stage) == [
        "again of children was never validated",
        "more of children was never validated",
        "the index broken is invalid",
        "the numbers of parents.much end at 2147483647",
        'the trigger "~migdsl m" of children is still there',
    ]


def test_a_column_that_was_to_go_is_told(database: str, pg: Server) -> None:
    stage, text = Stage(database, pg.bin, "test"), (ROOT / "examples/users.mig").read_text(encoding="utf-8")
    module = compile_files({"users.mig": text}, "users.mig").module
    assert module is not None
    with stage.connect() as connection:
        connection.execute("CREATE TABLE users (id bigint, tenant_id uuid, username text, email text)")
        assert found(stage, module.tables) == []
        connection.execute("ALTER TABLE users ADD old_mail text, DROP email")
    assert found(stage, module.tables) == ["the column old_mail of public.users is still there"]
