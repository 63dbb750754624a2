"""The compiled files of an extraction on two real databases: both chains there and back, and tenants over and over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.util import CommandError
from psycopg import errors

from migdsl.rehearsal.server import Server, start_server
from tests.integration.between import Between, between

ROOT = Path(__file__).resolve().parents[2]
OUTBOX = ROOT / "examples/16_extraction_outbox/orders_extraction.mig"
CDC = ROOT / "examples/17_extraction_cdc/orders_cdc.mig"
T1, T2, T3, T4 = (f"{n * 8}-{n * 4}-{n * 4}-{n * 4}-{n * 12}" for n in "1234")
SEED = f"""
INSERT INTO tenants VALUES ('{T1}'), ('{T2}');
INSERT INTO orders (tenant_id, status, total_cents, note, legacy_ref)
SELECT CASE WHEN g % 2 = 0 THEN '{T1}'::uuid ELSE '{T2}' END, g % 4, g * 7, CASE WHEN g % 3 > 0 THEN 'n''' || g END, 'r'
  FROM generate_series(1, 30) AS g;
"""
LINES = """
INSERT INTO order_lines (order_id, line, tenant_id, sku, quantity, price_cents)
SELECT o.id, g, o.tenant_id, 'sku' || g, g, g * 31 FROM orders AS o, generate_series(1, 2) AS g;
"""
STATE = "CASE status WHEN 0 THEN 'open' WHEN 1 THEN 'paid' ELSE 'refunded' END"
ROWS = {
    "old": f"SELECT id, tenant_id::text, {STATE}, (total_cents * 0.01)::text, note FROM orders ORDER BY id",
    "new": "SELECT id, tenant_id::text, state, total::text, note FROM orders ORDER BY id",
}
LINE_ROWS = {
    "old": "SELECT order_id, line, tenant_id::text, sku, quantity, (price_cents * 0.01)::text FROM order_lines ORDER BY 1, 2",
    "new": "SELECT order_id, line, tenant_id::text, sku, quantity, price::text FROM lines ORDER BY 1, 2",
}
OLD_INSERT = "INSERT INTO orders (tenant_id, status, total_cents) VALUES (%s, 1, 500) RETURNING id"
NEW_INSERT = "INSERT INTO orders (tenant_id, state, total, note) VALUES (%s, 'open', 12.34, 'new') RETURNING id"
_SETTINGS = {"wal_level": "logical", "fsync": "off", "full_page_writes": "off", "max_connections": "50"}


@pytest.fixture(scope="module")
def logical(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_server(tmp_path_factory.mktemp("logical"), settings=_SETTINGS) as server:
        yield server


def named(found: Between, patch: pytest.MonkeyPatch) -> Between:
    patch.setenv("MONOLITH_URL", found.urls["old"])
    patch.setenv("ORDERS_URL", found.urls["new"])
    return found


@pytest.fixture
def outbox(pg: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Between]:
    with between(OUTBOX, pg, tmp_path / "project", SEED + LINES) as found:
        yield named(found, monkeypatch)


@pytest.fixture
def cdc(logical: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Between]:
    with between(CDC, logical, tmp_path / "project", SEED) as found:
        yield named(found, monkeypatch)


def equal(found: Between, *more: str) -> None:
    """Both sides have the same, by our own eyes and by the generated reconciliations."""
    assert found.all("old", ROWS["old"]) == found.all("new", ROWS["new"])
    if "order_line" in more:
        assert found.all("old", LINE_ROWS["old"]) == found.all("new", LINE_ROWS["new"])
    for entity in ("order", *more):
        found.job("reconcile", entity)


def expand(found: Between) -> None:
    for side in ("old", "new"):
        found.upgrade(side, "expand")


def carried(found: Between, *more: str) -> None:
    """The rows of before are on the new side, and what was written meanwhile."""
    for entity in ("order", *more):
        found.job("backfill" + "s", entity)
    found.sync("once")
    equal(found, *more)


def refused(found: Between, side: str, sql: str, *values: object) -> None:
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="is not written in this database"):
        found.all(side, sql, *values)


def over_and_back(found: Between, *more: str) -> None:
    """One tenant's writes turn over, back, and over again; each side takes them where they belong, and the other follows."""
    found.sync("switch", "--tenant", T1, "--to", "new")
    first = found.one("new", NEW_INSERT, T1)
    refused(found, "old", OLD_INSERT, T1)
    refused(found, "new", NEW_INSERT, T2)
    found.all("new", "UPDATE orders SET state = 'paid' WHERE tenant_id = %s AND id < 10", T1)
    found.all("new", "DELETE FROM orders WHERE tenant_id = %s AND id BETWEEN 10 AND 14", T1)
    found.all("old", "UPDATE orders SET total_cents = total_cents + 1 WHERE tenant_id = %s", T2)
    found.sync("once")
    equal(found, *more)
    assert found.all("old", "SELECT status, total_cents, note FROM orders WHERE id = %s", first) == [(0, 1234, "new")]
    # The ranges of keys are apart: no row that is born on one side meets another.
    assert first > found.one("old", OLD_INSERT, T2) + 1_000_000
    found.sync("switch", "--tenant", T1, "--to", "old")
    refused(found, "new", NEW_INSERT, T1)
    found.all("old", "UPDATE orders SET note = 'home' WHERE id = %s", first)
    found.sync("once")
    equal(found, *more)
    # Who isn't listed any more, has no row and was never planned holds nobody up, though it wrote once.
    gone = found.one("old", OLD_INSERT, T3)
    found.all("old", "DELETE FROM orders WHERE id = %s", gone)
    found.sync("switch", "--all", "--to", "new")
    found.one("new", NEW_INSERT, T2)
    found.sync("once")
    equal(found, *more)


def ripen(found: Between, *entities: str) -> None:
    """Clean readings a day apart, and the soak is over."""
    for interval in ("25 hours", "40 days", "0 hours"):
        for entity in entities:
            found.job("reconcile", entity)
        found.told()
        found.pass_time(interval)


def test_there_and_back_and_there_by_outbox(outbox: Between) -> None:
    before = outbox.dumps()
    expand(outbox)
    for side in ("new", "old"):
        outbox.downgrade(side, "expand")
    assert outbox.dumps() == before
    assert outbox.one("old", "SELECT to_regnamespace('migdsl') IS NULL")
    expand(outbox)
    with pytest.raises(CommandError, match="rows of Order have not been compared yet"):
        outbox.upgrade("new", "validate")
    carried(outbox, "order_line")
    early = came_early(outbox)
    outbox.upgrade("new", "validate")
    early.join()
    outbox.sync("once")
    equal(outbox, "order_line")
    over_and_back(outbox, "order_line")
    with pytest.raises(errors.ForeignKeyViolation):
        outbox.all("new", "INSERT INTO lines VALUES (-1, 1, %s, 'x', 1, 1)", T1)

    # Nothing is taken away while a tenant is written elsewhere.
    for side in ("new", "old"):
        with pytest.raises(CommandError, match="is not on the old side"):
            outbox.downgrade(side, "expand")
    outbox.upgrade("new", "validate")  # which was taken back on the way
    outbox.stage("live")
    ripen(outbox, "order", "order_line")
    too_early(outbox, "order", "order_line")
    contract(outbox, "order", "order_line")

    # Back to where it began: writes first.
    outbox.sync("switch", "--all", "--to", "old")
    outbox.sync("drain")
    equal(outbox, "order_line")
    outbox.downgrade("new", "validate")
    for side in ("new", "old"):
        outbox.downgrade(side, "expand")
    assert outbox.dumps() == before


def came_early(found: Between) -> threading.Thread:
    """A line is on the new side, and its order comes there once the foreign key has been refused for that."""
    order = found.one("old", OLD_INSERT, T1)
    found.all("old", "INSERT INTO order_lines VALUES (%s, 1, %s, 'early', 1, 100)", order, T1)
    found.all("old", "DELETE FROM migdsl.orders_extraction_orders_outbox")
    found.sync("once")
    assert found.one("new", "SELECT count(*) FROM lines WHERE order_id = %s", order) == 1
    assert found.one("new", "SELECT count(*) FROM orders WHERE id = %s", order) == 0
    sleeps = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"

    def bring() -> None:
        with psycopg.connect(found.urls["new"]) as applier:
            while applier.execute(sleeps).fetchone() == (0,):
                applier.rollback()
            applier.execute("SELECT set_config('migdsl.applier', 'orders_extraction/Order', true)")
            applier.execute(
                "INSERT INTO orders (id, tenant_id, state, total) VALUES (%s, %s, 'paid', 5.00)", (order, T1)
            )

    thread = threading.Thread(target=bring, daemon=True)
    thread.start()
    return thread


def too_early(found: Between, *entities: str) -> None:
    """Contract is refused while one tenant still writes the old table."""
    found.stage("complete")
    found.sync("switch", "--tenant", T2, "--to", "old")
    with pytest.raises(CommandError, match="tenants that do not write Order") as told:
        found.upgrade("old", "contract")
    assert "on the new side: 1" in str(told.value)
    found.sync("switch", "--tenant", T2, "--to", "new")
    with pytest.raises(CommandError, match="since the last switch of Order"):
        found.upgrade("old", "contract")
    ripen(found, *entities)


def contract(found: Between, *entities: str) -> None:
    """The old table goes, and comes back with its rows."""
    lines = entities[1:]
    enforced, rows = found.dumps(), found.all("new", ROWS["new"])
    # Who comes when everybody is over belongs there.
    refused(found, "old", OLD_INSERT, T4)
    for side in ("old", "new"):
        found.upgrade(side, "contract")
        # Killed when all was done, and before Alembic wrote that down.
        found.unwritten(side, "contract")
        found.upgrade(side, "contract")
    assert found.one("old", "SELECT to_regclass('public.orders') IS NULL")
    free = found.one("new", NEW_INSERT, T3)
    found.all("new", "DELETE FROM orders WHERE id = %s", free)

    for side in ("new", "old"):
        found.downgrade(side, "contract")
    assert found.dumps() == enforced
    if found.slotted:
        found.sync("slot", "--create")
    refused(found, "old", OLD_INSERT, T1)
    found.sync("drain")
    assert found.all("new", ROWS["new"]) == rows
    equal(found, *lines)
    assert found.one("old", "SELECT count(*) FROM orders WHERE legacy_ref IS NOT NULL") == 0


def test_there_and_back_and_there_by_reading_the_wal(cdc: Between) -> None:
    before = cdc.dumps()
    expand(cdc)
    for side in ("new", "old"):
        cdc.downgrade(side, "expand")
    assert cdc.dumps() == before
    expand(cdc)
    # Nothing is enqueued that the slot would have to follow.
    assert "there is no slot" in cdc.sync("once", code=3)
    cdc.sync("slot", "--create")
    cdc.one("old", OLD_INSERT, T1)
    carried(cdc)
    over_and_back(cdc)
    cdc.stage("live")
    ripen(cdc, "order")
    too_early(cdc, "order")
    # It drops the slot itself, after its gates.
    contract(cdc, "order")
    cdc.sync("switch", "--all", "--to", "old")
    cdc.sync("drain")
    for side in ("new", "old"):
        if side == "old":
            with pytest.raises(CommandError, match="is still there"):
                cdc.downgrade(side, "expand")
            cdc.sync("slot", "--drop")
        cdc.downgrade(side, "expand")
    assert cdc.dumps() == before


NASTY = """
migration nasty { ticket "MIG-1" }
database monolith { engine postgresql 15; url env MONOLITH_URL }
database orders { engine postgresql 15; url env ORDERS_URL }
tenants none because "one shop"
entity Rate in monolith.pricing."Rate Book" {
  "Key Part" text key
  n smallint key
  amount numeric
  tags text[]?
  doc jsonb?
  label varchar(5)
  global because "all shops have the same rates"
}
entity Node in monolith.nodes {
  id integer key default `nextval('nodes_id_seq'::regclass)`
  parent integer? -> Node.id
  word text
  global because "all shops have the same nodes"
}
move Rate to orders.rates."Rate's book" {
  "Key Part" = "Key Part"
  n = n
  cents bigint = `(amount * 100)::bigint`
  back amount = `cents / 100.0`
  tags = tags
  doc = doc
  label = label
}
move Node to orders.nodes { id = id; parent = parent; word = word }
flag nasty { stage off for all }
"""
ROWS_OF_NASTY = """
ALTER SEQUENCE nodes_id_seq OWNED BY nodes.id;
INSERT INTO pricing."Rate Book" SELECT 'k\'\'"' || g, g, g * 1.25, ARRAY['a,b', 'c"d'], '{"x": 1}', 'abc'
  FROM generate_series(1, 20) AS g;
INSERT INTO nodes (parent, word) SELECT CASE WHEN g > 1 THEN g - 1 END, 'w' || g FROM generate_series(1, 25) AS g;
"""


@pytest.mark.long("MIGDSL_LONG")
def test_names_keys_and_families_that_are_awkward(pg: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No tenants, quotes in names, keys of several columns, a sequence in a default, rows that point at rows of their table."""
    path = tmp_path / "nasty.mig"
    path.write_text(NASTY, encoding="utf-8")
    with between(path, pg, tmp_path / "project", ROWS_OF_NASTY, "CREATE SEQUENCE nodes_id_seq;\n") as made:
        found = named(made, monkeypatch)
        before = found.dumps()
        expand(found)
        for entity in ("rate", "node"):
            found.job("backfills", entity)
        found.sync("once")
        for entity in ("rate", "node"):
            found.job("reconcile", entity)
        found.upgrade("new", "validate")
        found.sync("switch", "--to", "new")
        found.all("new", "INSERT INTO nodes (parent, word) VALUES (1, 'x')")
        found.all("new", """UPDATE rates."Rate's book" SET cents = 7 WHERE n < 4""")
        found.all("new", """DELETE FROM rates."Rate's book" WHERE n = 9""")
        refused(found, "old", "INSERT INTO nodes (word) VALUES ('x')")
        found.sync("once")
        found.stage("complete")
        ripen(found, "rate", "node")
        enforced = found.dumps()
        for side in ("old", "new"):
            found.upgrade(side, "contract")
        for side in ("new", "old"):
            found.downgrade(side, "contract")
        assert found.dumps() == enforced
        # Each node's parent is to be there first: who came too early is tried again for as long as that helps.
        found.sync("drain")
        for entity in ("rate", "node"):
            found.job("reconcile", entity)
        found.sync("switch", "--to", "old")
        found.sync("drain")
        found.downgrade("new", "validate")
        for side in ("new", "old"):
            found.downgrade(side, "expand")
        assert found.dumps() == before
