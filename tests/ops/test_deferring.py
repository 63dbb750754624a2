"""Constraints that wait for the end of a transaction, on a table that moves: their copies wait as they do."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from migdsl.diagnostics import Severity
from migdsl.introspect.compare import compare
from migdsl.introspect.connect import address, reading
from migdsl.introspect.read import read
from migdsl.workspace import check
from tests.conftest import ENGINE
from tests.ops.moves import DDL, SEED, TEXT, new, old
from tests.ops.story import Walk
from tests.ops.support import T1, Connection, Migration, all_rows

LATE = "DEFERRABLE INITIALLY DEFERRED"
WAITING = {
    "ON DELETE SET NULL,": f"ON DELETE SET NULL {LATE},",
    "REFERENCES orders,": "REFERENCES orders DEFERRABLE,",
    "UNIQUE (tenant_id, number),": f"UNIQUE (tenant_id, number) {LATE},",
    "ON DELETE CASCADE)": f"ON DELETE CASCADE {LATE})",
}
CUSTOMER = f"INSERT INTO customers VALUES (1, '{T1}')"
KEYS = """
SELECT conname, condeferrable, condeferred FROM pg_constraint
 WHERE contype IN ('f', 'u') AND (conrelid = 'sales.purchases'::regclass OR confrelid = 'sales.purchases'::regclass) ORDER BY 1"""


def waiting(ddl: str = DDL) -> str:
    """The tables, with constraints as an ORM makes them."""
    for before, after in WAITING.items():
        assert ddl.count(before) == 1
        ddl = ddl.replace(before, after)
    return ddl


def run(migration: Migration, *statements: str) -> None:
    """One transaction."""
    with migration.connection.transaction():
        for statement in statements:
            migration.connection.execute(statement.encode())


@pytest.fixture
def shop(expanded: Callable[..., Migration]) -> Migration:
    return expanded(TEXT, waiting())


def test_old_code_goes_on_to_write_a_child_before_its_parent(shop: Migration):
    run(shop, old(1), "UPDATE orders SET customer_id = 1", CUSTOMER)
    assert all_rows(shop.connection, "SELECT id, customer_id FROM sales.purchases") == [(1, 1)]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        run(shop, "UPDATE orders SET customer_id = 2")


def test_numbers_change_places_in_one_statement(shop: Migration):
    run(shop, old(1), old(2))
    run(shop, "UPDATE orders SET number = CASE id WHEN 1 THEN 'n2' ELSE 'n1' END")
    assert all_rows(shop.connection, "SELECT id, no FROM sales.purchases ORDER BY 1") == [(1, "n2"), (2, "n1")]
    run(shop, "UPDATE sales.purchases SET no = CASE id WHEN 1 THEN 'n1' ELSE 'n2' END")
    assert all_rows(shop.connection, "SELECT id, number FROM orders ORDER BY 1") == [(1, "n1"), (2, "n2")]


def test_a_row_that_one_snapshot_can_not_see_is_no_error_of_its_own(shop: Migration):
    run(shop, old(1))
    run(shop, "ALTER TABLE sales.purchases DISABLE TRIGGER USER", "DELETE FROM sales.purchases")
    run(shop, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "DELETE FROM orders")
    assert all_rows(shop.connection, "SELECT id FROM sales.purchases") == []


def test_so_do_the_keys_of_those_that_point_at_it(shop: Migration):
    assert all_rows(shop.connection, KEYS) == [
        ("purchases_customer_id_fkey", True, True),
        ("purchases_tenant_id_no_key", True, True),
    ]
    for phase in ("validate", "cutover", "enforce"):
        shop.up(phase)
    assert all_rows(shop.connection, KEYS) == [
        ("lines_order_id_fkey1", True, True),
        ("purchases_customer_id_fkey", True, True),
        ("purchases_parent_id_fkey", True, False),
        ("purchases_tenant_id_no_key", True, True),
    ]
    run(shop, f"INSERT INTO lines VALUES (1, '{T1}', 7)", new(7))


def test_where_none_waits_none_does_afterwards(expanded: Callable[..., Migration]):
    shop = expanded(TEXT, DDL)
    shop.up("enforce")
    assert {tuple(waits) for _, *waits in all_rows(shop.connection, KEYS)} == {(False, False)}


def test_a_key_that_waits_is_refused(expanded: Callable[..., Migration]):
    ddl = DDL.replace("IDENTITY PRIMARY KEY", "IDENTITY PRIMARY KEY DEFERRABLE").replace("REFERENCES orders", "", 1)
    ddl = ddl.replace("REFERENCES orders ON DELETE CASCADE", "")
    with pytest.raises(
        psycopg.errors.ObjectNotInPrerequisiteState, match=r"orders_pkey of public\.orders is deferrable"
    ) as told:
        expanded(TEXT, ddl)
    assert told.value.diag.message_hint == "make it anew, without DEFERRABLE, before the move"


def test_there_and_back(walk: Walk):
    walk(TEXT, waiting(SEED), {})


ACROSS = f"""
migration leave {{ ticket "MIG-1"; type service_extraction; owner "orders" }}
service orders {{ owner "orders" }}
database orders {{ engine postgresql {ENGINE}; url env ORDERS_URL; service orders }}
database monolith {{ engine postgresql {ENGINE}; url env MONOLITH_URL }}
tenants {{ key tenant_id uuid; list in monolith `SELECT id FROM tenants ORDER BY id` }}
cutover {{ ramp 50%, 100% every 1h; writes after reads }}
flag leave {{ stage off for all }}
entity Order in monolith.orders {{
  id bigint key
  tenant_id uuid tenant
  number text
  note text?
  unique (tenant_id, number)
  unique (tenant_id, note)
  index (tenant_id, id)
}}
move Order to orders.orders {{
  id = id
  tenant_id = tenant_id
  number = number
  omit note because "unread"
}}
"""


@pytest.mark.parametrize("waits", ["", LATE])
def test_another_database_can_not_see_it_so_it_is_said_beforehand(connection: Connection, url: str, waits: str):
    columns = "id bigint PRIMARY KEY, tenant_id uuid NOT NULL, number text NOT NULL, note text"
    uniques = f"UNIQUE (tenant_id, number) {waits}, UNIQUE (tenant_id, note) {waits}"
    connection.execute(f"CREATE TABLE orders ({columns}, {uniques}); CREATE INDEX ON orders (tenant_id, id)".encode())
    found = check({"m.mig": ACROSS}, "m.mig")
    assert found.module is not None
    monolith = next(d for d in found.module.databases if d.name == "monolith")
    with reading(address(url)) as session:
        told = [d for d in compare(found.module, monolith, read(session), session) if d.code != "MIG736"]
    name = "orders_tenant_id_number_key"
    said = f"`Order`: {name} is deferrable, and what the file makes of it in orders is not"
    assert [(d.code, d.severity, d.title) for d in told] == ([("MIG734", Severity.WARNING, said)] if waits else [])
