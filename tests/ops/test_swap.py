"""The swap of a column and its shadow: what stood on the column stands on it afterwards, under its name."""

from __future__ import annotations

import re

import pytest

from tests.ops.killing import killed_anywhere
from tests.ops.story import Story, Walk, both_versions, change, sees
from tests.ops.support import T1, T2, mig

ENTITY = """
entity Thing in app.things {
  id         integer  key
  tenant_id  uuid     tenant
  amount     integer? default 3
  kind       text
  unique (tenant_id, amount) as things_uq
  index  (tenant_id, id)
  index  (amount, lower(kind)) using btree include (kind) where `amount > 0` as things_ix
  check  `amount < 1000` as things_ck
}
entity Part in app.parts {
  id         bigint key
  tenant_id  uuid   tenant
  thing_id   bigint -> Thing.id
  amount     integer?
  (tenant_id, amount) -> Thing (tenant_id, amount) on delete set null
  index (tenant_id, id)
}
"""
DDL = """
DO $$ BEGIN CREATE ROLE migdsl_reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
CREATE TABLE things (id serial PRIMARY KEY, tenant_id uuid NOT NULL, kind text NOT NULL, amount integer DEFAULT 3,
  CONSTRAINT things_uq UNIQUE (tenant_id, amount), CONSTRAINT things_ck CHECK (amount < 1000));
CREATE INDEX ON things (tenant_id, id);
CREATE INDEX things_ix ON things (amount, lower(kind)) INCLUDE (kind) WHERE amount > 0;
CREATE TABLE parts (id bigint PRIMARY KEY, tenant_id uuid NOT NULL,
  thing_id bigint NOT NULL REFERENCES things ON UPDATE CASCADE DEFERRABLE,
  amount integer, FOREIGN KEY (tenant_id, amount) REFERENCES things (tenant_id, amount) ON DELETE SET NULL);
CREATE INDEX ON parts (tenant_id, id);
ALTER TABLE things ALTER COLUMN amount SET STATISTICS 77;
ALTER TABLE things ALTER COLUMN amount SET (n_distinct = 5);
ALTER TABLE things CLUSTER ON things_uq;
ALTER TABLE things REPLICA IDENTITY USING INDEX things_pkey;
COMMENT ON COLUMN things.amount IS 'it''s "how much"';
COMMENT ON CONSTRAINT things_uq ON things IS 'once';
COMMENT ON INDEX things_ix IS 'fast';
COMMENT ON CONSTRAINT things_ck ON things IS 'few';
GRANT SELECT (amount), UPDATE (amount) ON things TO migdsl_reader;
GRANT USAGE ON SEQUENCE things_id_seq TO migdsl_reader;
CREATE STATISTICS things_st ON amount, kind FROM things;
CREATE VIEW much AS SELECT id, amount * 2 AS twice, kind FROM things WHERE amount > 1 WITH CHECK OPTION;
CREATE VIEW more WITH (security_barrier = true) AS SELECT count(*) AS n, sum(twice) AS s FROM much;
COMMENT ON VIEW much IS 'a view';
COMMENT ON COLUMN much.twice IS 'doubled';
GRANT SELECT ON much, more TO migdsl_reader;
ALTER TABLE things ENABLE ROW LEVEL SECURITY;
CREATE POLICY things_few ON things AS RESTRICTIVE FOR SELECT TO migdsl_reader USING (amount < 500);
CREATE POLICY parts_few ON parts USING (EXISTS (SELECT FROM things WHERE things.id = thing_id)) WITH CHECK (amount > 0);
"""
SEED = f"""
INSERT INTO things (tenant_id, amount, kind) SELECT '{T1}', n, 'K' || n FROM generate_series(1, 20) AS n;
INSERT INTO parts (id, tenant_id, thing_id, amount) SELECT id, tenant_id, id, amount FROM things"""


def _types(dump: list[str], *columns: str) -> list[str]:
    """A dump in which some columns, and their sequence, have the wider type already."""
    text = "\f".join(dump)
    for column in columns:
        text = re.sub(rf"^(\s+{column} )integer", r"\1bigint", text, flags=re.MULTILINE)
    return re.sub(r"\n    AS integer", "", text).split("\f")


@both_versions
def test_all_that_stands_on_a_column_goes_along(walk: Walk):
    dumps: dict[str, list[str]] = {}

    def note(story: Story) -> None:
        dumps["before"] = story.dump()

    def compare(story: Story) -> None:
        found, wanted = story.dump(), sorted(_types(dumps["before"], "id", "amount"))
        assert found == wanted, "\n".join(sorted(set(found) ^ set(wanted)))
        assert story.rows("SELECT * FROM more") == [(19, 418)]
        story.execute(f"INSERT INTO things (tenant_id, kind) VALUES ('{T2}', 'k')")
        assert story.rows("SELECT id, amount FROM things WHERE kind = 'k'") == [(21, 3)]
        story.execute("DELETE FROM things WHERE kind = 'k'")

    walk(
        mig(ENTITY, change("retype id bigint after 30d", "retype amount bigint after 30d", entity="Thing")),
        DDL + SEED,
        looks={"before": note, "contract": compare, "back cutover": sees("SELECT s FROM more", (418,))},
    )


@pytest.mark.parametrize("revision", ["m_expand", "m_validate", "m_cutover", "m_contract"])
def test_killed_anywhere_it_can_be_run_again(walk: Walk, revision: str):
    text = mig(ENTITY, change("retype id bigint after 30d", "retype amount bigint after 30d", entity="Thing"))
    story = walk(text, DDL + SEED, looks=None)
    killed_anywhere(story, revision)
