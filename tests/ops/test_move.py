"""Rows that move to another table of the same database: what either side writes is on both."""

from __future__ import annotations

import os
from collections.abc import Callable

import psycopg
import pytest

from migdsl.workspace import compile_files
from tests.conftest import MAJORS
from tests.ops.conftest import emptied
from tests.ops.moves import DDL, TEXT, new, old
from tests.ops.support import T1, Migration, all_rows, mig

UNREFERRED = """
ALTER TABLE lines DROP CONSTRAINT IF EXISTS lines_order_id_fkey;
ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_parent_id_fkey"""


@pytest.fixture(params=MAJORS if os.environ.get("MIGDSL_MOVES") == "full" else MAJORS[:1])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database."""
    return emptied(request, request.param)


@pytest.fixture
def shop(expanded: Callable[..., Migration]) -> Migration:
    return expanded(TEXT, DDL)


def run(migration: Migration, *statements: str) -> None:
    """One transaction."""
    with migration.connection.transaction():
        for statement in statements:
            migration.connection.execute(statement.encode())


def unfilled(migration: Migration, statement: str) -> None:
    """A row from before the triggers."""
    forth = '"~migdsl_m_sales_purchases_forth"'
    run(
        migration,
        f"ALTER TABLE orders DISABLE TRIGGER {forth}",
        statement,
        f"ALTER TABLE orders ENABLE ALWAYS TRIGGER {forth}",
    )


def both(migration: Migration) -> tuple[list, list]:
    """What is on either side."""
    return (
        all_rows(migration.connection, "SELECT id, status, total_cents FROM orders ORDER BY 1"),
        all_rows(migration.connection, "SELECT id, state, total::float FROM sales.purchases ORDER BY 1"),
    )


@pytest.mark.parametrize(
    ("statements", "left", "right", "counted"),
    [
        ([old(1)], [(1, 0, 100)], [(1, "open", 1.0)], 1),
        ([new(1, "paid", "2.5")], [(1, 1, 250)], [(1, "paid", 2.5)], 0),
        # Neither way changes what only the other way rounds or merges.
        ([old(1, 4), "UPDATE sales.purchases SET total = 3"], [(1, 4, 300)], [(1, "refunded", 3.0)], 1),
        ([old(1, 4), "UPDATE sales.purchases SET state = 'open'"], [(1, 0, 100)], [(1, "open", 1.0)], 1),
        ([new(1, "odd"), "UPDATE orders SET total_cents = 5"], [(1, 3, 5)], [(1, "odd", 0.05)], 1),
        ([new(1, "open", "1.239"), "UPDATE orders SET status = 1"], [(1, 1, 124)], [(1, "paid", 1.239)], 1),
        ([new(1, "open", "1.239"), "UPDATE orders SET total_cents = 5"], [(1, 0, 5)], [(1, "open", 0.05)], 1),
        ([old(1, 3), "UPDATE orders SET status = 4"], [(1, 4, 100)], [(1, "refunded", 1.0)], 1),
        ([old(1), "DELETE FROM orders"], [], [], 2),
        ([old(1), "DELETE FROM sales.purchases"], [], [], 1),
        ([old(1), "DELETE FROM sales.purchases", old(1, 1)], [(1, 1, 100)], [(1, "paid", 1.0)], 2),
        ([old(1), "UPDATE orders SET id = 7, status = 1"], [(7, 1, 100)], [(7, "paid", 1.0)], 3),
        ([old(1), "UPDATE sales.purchases SET id = 7, state = 'paid'"], [(7, 1, 100)], [(7, "paid", 1.0)], 1),
        ([old(1), old(2), "UPDATE orders SET status = 1"], [(1, 1, 100), (2, 1, 100)], [(1, "paid", 1.0), (2, "paid", 1.0)], 4),
        ([old(1), "TRUNCATE orders CASCADE"], [], [], 1),
        ([old(1), UNREFERRED, "TRUNCATE sales.purchases"], [], [], 1),
    ],
)  # fmt: skip
def test_what_one_side_writes_is_on_the_other(
    shop: Migration, statements: list[str], left: list, right: list, counted: int
):
    for statement in statements:
        run(shop, statement)
    assert both(shop) == (left, right)
    assert shop.old_writes() == counted
    run(shop, "TRUNCATE orders CASCADE")
    run(shop, *statements)  # in one transaction as well
    assert both(shop) == (left, right)


def test_code_that_writes_both_sides_writes_the_second_by_an_upsert(shop: Migration):
    upsert = " ON CONFLICT (id) DO UPDATE SET state = EXCLUDED.state, total = EXCLUDED.total"
    run(
        shop,
        old(1),
        new(1, "open", "1") + upsert,
        "UPDATE orders SET status = 1",
        "UPDATE sales.purchases SET state = 'paid'",
    )
    assert both(shop) == ([(1, 1, 100)], [(1, "paid", 1.0)])
    run(shop, new(2, "paid", "1"), old(2, 1) + " ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status")
    assert both(shop)[0] == [(1, 1, 100), (2, 1, 100)]
    run(shop, "DELETE FROM orders", "DELETE FROM sales.purchases")
    assert both(shop) == ([], [])


def test_the_numbers_come_from_one_place(shop: Migration):
    left = "INSERT INTO orders (tenant_id, number, status, total_cents)"
    right = "INSERT INTO sales.purchases (tenant_id, no, state, total)"
    for n in range(3):
        run(shop, f"{left} VALUES ('{T1}', 'a{n}', 0, 1)", f"{right} VALUES ('{T1}', 'b{n}', 'open', 1)")
    assert [key for key, *_ in both(shop)[0]] == [key for key, *_ in both(shop)[1]] == [1, 2, 3, 4, 5, 6]


def test_a_key_that_waits_for_its_batch_is_taken(shop: Migration):
    unfilled(shop, old(1, 1))
    with pytest.raises(psycopg.errors.UniqueViolation, match="has not been carried over yet"):
        run(shop, new(1, "open"))
    assert both(shop) == ([(1, 1, 100)], [])


def test_triggers_of_its_own_may_write_the_row_again(shop: Migration):
    """One before, that changes it, and one after, that writes it once more."""
    run(
        shop,
        "CREATE FUNCTION up() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := upper(NEW.note); RETURN NEW; END'",
        "CREATE TRIGGER a BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION up()",
        "CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN UPDATE orders SET total_cents = total_cents + 1 WHERE id = NEW.id AND total_cents < 103; RETURN NULL; END'",
        "CREATE TRIGGER b AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION more()",
    )
    run(shop, old(1), "UPDATE orders SET note = 'old'")
    run(shop, new(2, total="1.01"), "UPDATE sales.purchases SET note = 'new' WHERE id = 2")
    assert all_rows(shop.connection, "SELECT note, total_cents FROM orders ORDER BY id") == [("OLD", 103), ("NEW", 103)]
    assert all_rows(shop.connection, "SELECT note, total::float FROM sales.purchases ORDER BY id") == [
        ("OLD", 1.03),
        ("NEW", 1.03),
    ]


def test_rights_on_the_other_side_are_not_needed(shop: Migration):
    run(shop, "DROP ROLE IF EXISTS migdsl_mover", "CREATE ROLE migdsl_mover")
    try:
        run(shop, "GRANT USAGE ON SCHEMA sales, public TO migdsl_mover", "GRANT ALL ON sales.purchases TO migdsl_mover")
        insert = f"INSERT INTO sales.purchases (tenant_id, no, state, total) VALUES ('{T1}', 'a', 'open', 1)"
        run(shop, "SET LOCAL ROLE migdsl_mover", insert, "UPDATE sales.purchases SET total = 2")
        assert both(shop) == ([(1, 0, 200)], [(1, "open", 2.0)])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(shop, "SET LOCAL ROLE migdsl_mover", "UPDATE orders SET total_cents = 0")
    finally:
        run(shop, "DROP OWNED BY migdsl_mover", "DROP ROLE migdsl_mover")


def test_who_may_do_something_with_the_old_table_may_with_the_new_one(expanded: Callable[..., Migration]):
    """Its owner, who isn't the one who migrates, and who has rights on some columns alone."""
    thing = "entity Thing in app.things { id bigint key; tenant_id uuid tenant; first text; last text; secret text }"
    move = """move Thing to app.work.people { id = id; tenant_id = tenant_id; word = secret
      "the name" text = `first || ' ' || last`
      back first = `split_part("the name", ' ', 1)`; back last = `split_part("the name", ' ', 2)` }"""
    roles = ("migdsl_had", "migdsl_some", "migdsl_less")
    ddl = [f"DROP ROLE IF EXISTS {each}; CREATE ROLE {each}" for each in roles]
    ddl += ["CREATE TABLE things (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, first text, last text, secret text)"]
    ddl += ["GRANT USAGE, CREATE ON SCHEMA public TO migdsl_had; ALTER TABLE things OWNER TO migdsl_had"]
    ddl += ["GRANT SELECT (id, first, last), UPDATE (last) ON things TO migdsl_some WITH GRANT OPTION"]
    ddl += ["GRANT SELECT (id, first) ON things TO migdsl_less, PUBLIC"]
    found = expanded(mig(thing, move), "; ".join(ddl))
    try:
        may = """
SELECT r, p, string_agg(c, ',' ORDER BY c) FILTER (WHERE has_column_privilege(r, 'work.people', c, p))
  FROM unnest(%s::text[]) AS r, unnest(ARRAY['SELECT', 'UPDATE']) AS p, unnest(ARRAY['id', 'the name', 'word']) AS c
 GROUP BY 1, 2 ORDER BY 1, 2"""
        assert found.connection.execute(may, (list(roles),)).fetchall() == [
            ("migdsl_had", "SELECT", "id,the name,word"),
            ("migdsl_had", "UPDATE", "id,the name,word"),
            ("migdsl_less", "SELECT", "id"),
            ("migdsl_less", "UPDATE", None),
            ("migdsl_some", "SELECT", "id,the name"),
            ("migdsl_some", "UPDATE", None),
        ]
        run(found, "SET LOCAL ROLE migdsl_some", 'SELECT id, "the name" FROM work.people')
    finally:
        run(found, f"DROP OWNED BY {', '.join(roles)} CASCADE", f"DROP ROLE {', '.join(roles)}")


@pytest.mark.parametrize("write", ["DELETE FROM orders WHERE id = 1", "UPDATE orders SET total_cents = 5 WHERE id = 1"])
def test_a_snapshot_from_before_a_batch_is_told_to_try_again(shop: Migration, write: str):
    unfilled(shop, old(1, 1))
    with psycopg.connect(shop.connection.info.dsn) as client:
        client.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        client.execute("SELECT count(*) FROM orders")
        run(shop, new(1, "paid"))  # as the batch does
        with pytest.raises(psycopg.errors.SerializationFailure):
            client.execute(write.encode())
    assert both(shop) == ([(1, 1, 100)], [(1, "paid", 1.0)])


def test_the_plan_says_what_is_true_of_it():
    found = compile_files({"m.mig": TEXT}, "m.mig", through="contract")
    texts = {a.kind: " ".join(a.text.split()) for a in found.artifacts}
    plan = texts["plan"]
    assert "Triggers carry what is written to orders over to purchases and back, in the same statement" in plan
    assert "with two-way triggers" in plan
    assert "purchases is dropped, and all that was written there stands in orders too" in plan
    assert "legacy_ref of orders comes back empty" in plan
    assert "let foreign key (order_id) follow Order" in plan
    assert "orders is gone from contract on" in plan
    assert "would come back" not in texts["backfill"]  # a row that new code has deleted is gone on both sides
    names = sorted(a.path for a in found.artifacts if a.kind in ("backfill", "reconcile"))
    assert names == ["backfills/m/order.py", "reconcile/m/line.py", "reconcile/m/order.py"]
