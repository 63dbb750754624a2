"""Tables whose tenant is known by way of another: changed in batches that join it, there and back, tenant by tenant."""

from __future__ import annotations

from threading import Event, Thread

import psycopg
import pytest

from tests.ops.story import Story, Walk, both_versions, sees
from tests.ops.support import T1, T2, codes, mig

BASKET = "entity Basket in app.baskets { id bigint key; tenant_id uuid tenant }"
LINE = """
entity Line in app.lines {
  id bigint key
  basket_id bigint -> Basket.id
  sku text
  note text?
  tenant via basket_id -> Basket
}"""
PART = """
entity Part in app.parts {
  line_id bigint -> Line.id
  no integer
  name text
  key (line_id, no)
  tenant via line_id -> Line
}"""
CHANGES = """
change Line {
  add code text { from `upper(sku)`; back sku = `lower(code)`; unique (basket_id, code) }
  drop sku after 20d
  require note { from `'-'` }
  check `code <> ''`
}
change Part { rename name to title }
validate Part {
  invariant "named" `SELECT parts.no FROM parts JOIN lines ON lines.id = parts.line_id JOIN baskets b ON b.id = lines.basket_id
    WHERE b.tenant_id = :tenant_id AND title = ''`
}"""
TEXT = mig(BASKET, LINE, PART, CHANGES)
DDL = f"""
CREATE TABLE baskets (id bigint PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE TABLE lines (id bigint PRIMARY KEY, basket_id bigint NOT NULL REFERENCES baskets, sku text NOT NULL, note text);
CREATE TABLE parts (line_id bigint REFERENCES lines, no integer, name text NOT NULL, PRIMARY KEY (line_id, no));
INSERT INTO baskets SELECT n, CASE WHEN n % 3 > 0 THEN '{T1}'::uuid ELSE '{T2}' END FROM generate_series(1, 30) AS n;
INSERT INTO lines SELECT n, 1 + n % 30, 's' || n, CASE WHEN n % 4 > 0 THEN 'n' || n END FROM generate_series(1, 300) AS n;
INSERT INTO parts SELECT n, m, 'p' || n || m FROM generate_series(1, 300) AS n, generate_series(1, n % 3) AS m"""
WRONG = """SELECT id FROM lines WHERE code IS DISTINCT FROM upper(sku) UNION ALL
SELECT line_id FROM parts WHERE title IS DISTINCT FROM name"""


@both_versions
def test_there_and_back(walk: Walk):
    filled = "SELECT count(*) FROM lines WHERE code = upper(sku) AND note IS NOT NULL"
    looks = {
        "backfill": sees(filled, (300,)),
        "back contract": sees("SELECT count(*) FROM lines WHERE sku = lower(code)", (300,)),
    }
    walk(TEXT, DDL, looks)


def test_one_tenant_at_a_time(walk: Walk):
    """What is done for one tenant touches, and tells of, no row of another."""
    story = walk(TEXT, DDL, looks=None)
    story.upgrade("m_expand")
    assert story.job("backfills", "--tenant", T1) == 0
    owners = "FROM lines JOIN baskets ON baskets.id = basket_id WHERE code IS {} NULL"
    assert story.rows(f"SELECT DISTINCT tenant_id::text {owners.format('NOT')}") == [(T1,)]
    assert story.rows(f"SELECT DISTINCT tenant_id::text, count(*) {owners.format('')} GROUP BY 1") == [(T2, 100)]
    assert story.job("reconcile", "--tenant", T1) == 0
    assert story.job("reconcile", "--tenant", T2) == 1
    assert story.rows("SELECT tenant, rows FROM migdsl.reconciliation WHERE entity = 'Line' ORDER BY id") == [
        (T1, 200),
        (T2, 100),
    ]


def test_rows_that_lead_to_nobody_stop_it(walk: Walk):
    story = walk(TEXT, DDL.replace(" REFERENCES baskets", ""), looks=None)
    story.upgrade("m_expand")
    assert story.job("backfills") == 0
    assert story.job("reconcile") == 0
    story.execute("INSERT INTO lines (id, basket_id, sku, note) VALUES (9000, 9000, 's', 'n')")
    assert story.job("reconcile") == 1
    last = "SELECT value FROM migdsl.event WHERE subject = 'tenants_unlisted:Line' ORDER BY id DESC LIMIT 1"
    assert story.rows(last) == [("1",)]


@both_versions
def test_no_write_is_lost_beside_writers(walk: Walk):
    story = walk(TEXT, DDL, looks=None)
    errors: list[str] = []
    stop = Event()
    clients = [Thread(target=writes, args=(story, number, stop, errors)) for number in range(3)]
    for client in clients:
        client.start()
    try:
        story.upgrade("m_expand")
        story.job("backfills", "--batch", "9")
        while story.rows("SELECT max(id) FROM lines") < [(20_000,)] and any(c.is_alive() for c in clients):
            stop.wait(0.01)
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert errors == []
    assert story.rows("SELECT count(*) > 20 FROM lines WHERE id > 300") == [(True,)]
    # A basket's tenant may change under a line that no write touches: such rows are told, and left to a second run.
    assert story.job("backfills", "--again") == 0
    assert story.rows(WRONG) == []
    assert story.job("reconcile") == 0


def writes(story: Story, number: int, stop: Event, errors: list[str]) -> None:
    """Old code: changes, moves to another basket, inserts, deletes."""
    with psycopg.connect(story.url, autocommit=True, options="-c lock_timeout=2s") as connection:
        for round_ in range(1, 100_000):
            if stop.wait(0.002):
                return
            key, fresh = 3 * (round_ * 7 % 100) + number + 1, 10_000 * (number + 1) + round_
            statements = [
                f"UPDATE lines SET sku = 'x{round_}' WHERE id = {key}",
                f"UPDATE lines SET basket_id = {1 + round_ % 30} WHERE id = {key}",
                f"INSERT INTO lines (id, basket_id, sku, note) VALUES ({fresh}, {1 + round_ % 30}, 'y{fresh}', 'n')",
                f"UPDATE parts SET name = 'z{round_}' WHERE line_id = {key}",
            ]
            try:
                connection.execute(statements[round_ % 4].encode())
            except psycopg.Error as error:
                errors.append(f"{type(error).__name__} {error.sqlstate}")


NASTY = """
entity Basket in app."t" { "p1" bigint key; "order" uuid tenant }
entity Line in app."p""1" {
  "select" text
  "loop" integer
  "q1" bigint
  "a b" text?
  key ("select", "loop")
  ("q1") -> Basket ("p1")
  tenant via "q1" -> Basket
}
change Line {
  add "ünï" text? { from `"a b"`; back "a b" = `"ünï"`; unique ("q1", "ünï") }
  drop "a b" after 20d
}"""
NASTY_DDL = f"""
CREATE TABLE "t" ("p1" bigint PRIMARY KEY, "order" uuid NOT NULL);
CREATE TABLE "p""1" ("select" text, "loop" integer, "q1" bigint NOT NULL REFERENCES "t", "a b" text,
                     PRIMARY KEY ("select", "loop"));
INSERT INTO "t" VALUES (1, '{T1}'), (2, '{T2}');
INSERT INTO "p""1" SELECT 'k' || n, n, 1 + n % 2, CASE WHEN n % 4 > 0 THEN 'a' || n END FROM generate_series(1, 40) AS n"""


def test_names_that_need_quotes(walk: Walk):
    walk(mig(NASTY), NASTY_DDL, {"backfill": sees('SELECT count(*) FROM "p""1" WHERE "ünï" = "a b"', (30,))})


def test_a_new_table_and_one_that_goes(walk: Walk):
    created = """
create Tag in app.tags { id bigint key; basket_id bigint -> Basket.id; tenant via basket_id -> Basket }
drop entity Part after 20d irreversible because "nobody uses it"
"""
    walk(mig(BASKET, LINE, PART, created), DDL)


def test_rows_that_point_at_no_row_of_such_a_table_are_counted(walk: Walk):
    """Of another tenant's rows nothing is known: pointing at one is told as pointing at none."""
    tag = "entity Tag in app.tags { id bigint key; tenant_id uuid tenant; line_id bigint? }"
    text = mig(BASKET, LINE, PART, tag, "change Tag { line_id -> Line.id }")
    ddl = f"""{DDL};
CREATE TABLE tags (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, line_id bigint);
INSERT INTO tags SELECT lines.id, tenant_id, lines.id FROM lines JOIN baskets ON baskets.id = basket_id"""
    story = walk(text, ddl, looks=None)
    story.upgrade("m_expand")
    assert story.job("reconcile") == 0
    theirs = f"SELECT lines.id FROM lines JOIN baskets ON baskets.id = basket_id WHERE tenant_id = '{T2}' LIMIT 1"
    story.execute(f"UPDATE tags SET line_id = 7777 WHERE id IN (SELECT id FROM tags WHERE tenant_id = '{T1}' LIMIT 3)")
    story.execute(
        f"UPDATE tags SET line_id = ({theirs}) WHERE id = (SELECT max(id) FROM tags WHERE tenant_id = '{T1}')"
    )
    assert story.job("reconcile") == 1
    told = (
        "SELECT violations FROM migdsl.reconciliation WHERE entity = 'Tag' AND tenant = '{}' ORDER BY id DESC LIMIT 1"
    )
    assert story.rows(told.format(T1)) == [(4,)]
    assert story.rows(told.format(T2)) == [(0,)]


def test_a_foreign_key_to_a_table_of_tenants(walk: Walk):
    ddl = f"{DDL}; ALTER TABLE lines DROP CONSTRAINT lines_basket_id_fkey"
    text = mig(BASKET, LINE.replace(" -> Basket.id", ""), "change Line { (basket_id) -> Basket (id) }")
    walk(text, ddl)
    assert codes(text) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("change Line { drop basket_id irreversible because 'no' }".replace("'", '"'), "MIG429"),
        ("change Line { optional basket_id }", "MIG429"),
        ("change Line { rename basket_id to b }", "MIG429"),
        ("change Line { add b bigint { from `basket_id`; back basket_id = `b` } }", "MIG429"),
        ("change Line { add x text? }\nchange Basket { rename table to carts }", "MIG429"),
        ("change Line { add x text? }\ndrop entity Basket irreversible because 'no'".replace("'", '"'), "MIG429"),
        ("change Part { add x text? }\nchange Line { rename basket_id to b }", "MIG429"),
        ("change Line { add x text?; unique per tenant }", "MIG001"),
    ],
)
def test_the_way_to_the_tenant_stays(change: str, found: str):
    assert found in codes(mig(BASKET, LINE, PART, change))


def test_without_a_surely_known_parent_nothing_is_changed():
    text = mig(BASKET, LINE.replace("basket_id bigint", "basket_id bigint?"), PART, "change Part { add x text? }")
    assert codes(text) == ["MIG304"]
