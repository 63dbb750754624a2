"""`drop entity`: counted, set aside, dropped, and made again as it was, but for its rows."""

from __future__ import annotations

import psycopg
import pytest

from tests.ops.story import Story, Walk, older_version
from tests.ops.support import T1, codes, mig
from tests.ops.test_constraints import ENTITIES

DROP = 'drop entity Member after 30d irreversible because "archived"'
# As much as a table can carry.
DDL = f"""
CREATE TABLE orgs (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, name text);
INSERT INTO orgs VALUES (1, '{T1}', 'one');
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE members (
  id bigint GENERATED ALWAYS AS IDENTITY (START WITH 7 INCREMENT BY 3 CACHE 5) PRIMARY KEY,
  tenant_id uuid NOT NULL, org_id bigint REFERENCES orgs ON DELETE SET NULL,
  nick text NOT NULL CONSTRAINT "nick's" CHECK (nick <> ''), age int DEFAULT 1 + 1,
  old serial, feels mood NOT NULL DEFAULT 'ok', twice int GENERATED ALWAYS AS (age * 2) STORED,
  wide varchar(9) COLLATE "C" DEFAULT 'it''s %', kept text,
  CONSTRAINT "by ""nick"" x" UNIQUE (tenant_id, nick),
  EXCLUDE USING gist (int4range(age, age + 1) WITH &&) WHERE (age > 1000)
) WITH (fillfactor = 70);
CREATE INDEX "idx %s" ON members (lower(nick) DESC NULLS LAST) INCLUDE (age) WHERE age > 0;
ALTER TABLE members CLUSTER ON "by ""nick"" x";
ALTER TABLE members REPLICA IDENTITY USING INDEX "by ""nick"" x";
ALTER TABLE members ALTER COLUMN kept SET STORAGE EXTERNAL;
ALTER TABLE members ALTER COLUMN nick SET STATISTICS 77;
ALTER TABLE members ALTER COLUMN nick SET (n_distinct = -0.5);
CREATE STATISTICS members_st (dependencies) ON nick, age FROM members;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER "stamp it" BEFORE UPDATE OF nick ON members FOR EACH ROW WHEN (NEW.nick <> 'x') EXECUTE FUNCTION stamp();
ALTER TABLE members DISABLE TRIGGER "stamp it";
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE POLICY "own rows" ON members AS RESTRICTIVE FOR UPDATE TO CURRENT_USER, PUBLIC USING (age > 0) WITH CHECK (age > 1);
COMMENT ON TABLE members IS 'who''s in';
COMMENT ON COLUMN members.age IS E'a\\nb';
COMMENT ON CONSTRAINT "nick's" ON members IS 'short';
COMMENT ON INDEX "idx %s" IS 'fast';
COMMENT ON POLICY "own rows" ON members IS 'own';
COMMENT ON TRIGGER "stamp it" ON members IS 'late';
DO $$ BEGIN CREATE ROLE dropped_reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT SELECT, INSERT ON members TO dropped_reader WITH GRANT OPTION;
GRANT UPDATE (nick) ON members TO PUBLIC;
GRANT USAGE ON SEQUENCE members_old_seq TO dropped_reader;
INSERT INTO members (tenant_id, nick) SELECT '{T1}', 'n' || n FROM generate_series(1, 5) AS n;
"""


def test_a_table_goes_and_comes_back_as_it_was(walk: Walk):
    def gone(story: Story) -> None:
        with pytest.raises(psycopg.errors.UndefinedTable):
            story.rows("SELECT * FROM members")

    def back(story: Story) -> None:
        story.execute(f"INSERT INTO members (tenant_id, nick) VALUES ('{T1}', 'again')")
        assert story.rows("SELECT id > 19, old FROM members") == [(True, 6)]  # no number is given out twice

    walk(
        mig(ENTITIES, DROP),
        DDL,
        {"enforce": gone, "contract": gone, "back enforce": back},
    )


@older_version
def test_the_same_on_an_older_version(walk: Walk, version: int):
    walk(mig(ENTITIES, DROP), DDL)


@pytest.mark.parametrize(
    ("ddl", "named"),
    [
        ("CREATE VIEW seen AS SELECT nick FROM members", "view seen"),
        ("CREATE TABLE loans (id int, member bigint REFERENCES members)", "table loans"),
        ("CREATE TABLE bags (id int, whole members)", "column whole of table bags"),
        ("CREATE PUBLICATION told FOR TABLE members", "publication told"),
        ("CREATE POLICY p ON orgs USING (EXISTS (SELECT FROM members))", "policy p on table orgs"),
    ],
)
def test_what_depends_on_it_is_named_before_anything_changes(walk: Walk, ddl: str, named: str):
    story = walk(mig(ENTITIES, DROP), f"{DDL};{ddl}", None)
    with pytest.raises(Exception, match="still used by") as refused:
        story.upgrade("m_expand")
    assert named in str(refused.value)


def test_writes_hold_contract_up(walk: Walk):
    story = walk(mig(ENTITIES, DROP), DDL, None)
    story.upgrade("m_expand")
    story.stage("live")
    story.upgrade("m_enforce")
    story.stage("complete")
    # Somebody found the table under its other name.
    story.execute("DELETE FROM m_members_aside WHERE nick = 'n1'")
    assert story.job("reconcile") == 0
    with pytest.raises(Exception, match="old code still wrote Member"):
        story.upgrade("m_contract")


def test_rows_that_are_lost_need_a_reason():
    assert codes(mig(ENTITIES, "drop entity Member after 30d")) == ["MIG404"]
    assert codes(mig(ENTITIES, DROP, "change Member { index (nick) }")) == ["MIG403"]
