"""Tables whose tenant is known by way of another, moved to another database together: under writers, there, back and there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import psycopg
import pytest
from alembic.util import CommandError
from psycopg import errors

from migdsl.rehearsal.server import Server, start_server
from migdsl.runtime.stop import Halt, Signals
from migdsl.runtime.stream.cli import main as run_stream
from migdsl.runtime.stream.jobs import Stream
from migdsl.runtime.stream.pair import Urls
from migdsl.runtime.stream.relay import Relay
from tests.integration.between import Between, between
from tests.integration.children import (
    CANCEL,
    EDIT,
    ENTITIES,
    FILE,
    GIVE,
    HANG,
    LINE,
    NOTE,
    ORDER,
    ROWS,
    SEED,
    T1,
    T2,
    Writer,
)

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def logical(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"wal_level": "logical", "fsync": "off", "full_page_writes": "off", "max_connections": "50"}
    with start_server(tmp_path_factory.mktemp("logical"), settings=settings) as server:
        yield server


@pytest.fixture
def shop(pg: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Between]:
    path = tmp_path / "shop.mig"
    path.write_text(FILE, encoding="utf-8")
    with between(path, pg, tmp_path / "project", SEED) as found:
        monkeypatch.setenv("MONOLITH_URL", found.urls["old"])
        monkeypatch.setenv("ORDERS_URL", found.urls["new"])
        yield found


def expand(shop: Between) -> None:
    for side in ("old", "new"):
        shop.upgrade(side, "expand")


def enqueued(shop: Between) -> None:
    for entity in ENTITIES:
        shop.job("backfills", entity)


def equal(shop: Between) -> None:
    """Both sides have the same, by our own eyes and by the generated reconciliations."""
    assert shop.all("old", ROWS["old"]) == shop.all("new", ROWS["new"])
    for entity in ENTITIES:
        shop.job("reconcile", entity)


def until(met: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.01)


def refused(shop: Between, side: str, sql: str, *values: object) -> None:
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="is not written in this database"):
        shop.all(side, sql, *values)


def test_there_and_back_and_there_under_writers(shop: Between) -> None:
    before = shop.dumps()
    shop.all("old", "ALTER TABLE order_lines DROP CONSTRAINT order_lines_order_id_fkey")
    with pytest.raises(CommandError, match="no foreign key that holds for all rows leads from order_id"):
        shop.upgrade("old", "expand")
    foreign = "ADD CONSTRAINT order_lines_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE"
    shop.all("old", f"ALTER TABLE order_lines {foreign}")
    expand(shop)
    writers = [Writer(shop.urls, seed, 32) for seed in (1, 2)]
    with carrying(shop):
        under(shop, writers)
        switched(shop, writers, 8, (T1, "new"))
        switched(shop, writers, 14, (T2, "new"), (T1, "old"))
        switched(shop, writers, 20, (T1, "new"), (T2, "old"))
        agreed(shop, writers)
    contracted_and_back(shop, before)


@pytest.mark.long("MIGDSL_LONG")
@pytest.mark.parametrize("seed", [11, 12])
def test_tenants_over_and_over(shop: Between, seed: int) -> None:
    expand(shop)
    writers, chance = [Writer(shop.urls, 10 * seed + n, 400) for n in range(3)], Random(seed)
    with carrying(shop):
        under(shop, writers)
        while any(writer.is_alive() for writer in writers):
            switched(shop, writers, 0, (chance.choice([T1, T2]), chance.choice(["old", "new"])))
        agreed(shop, writers)


@pytest.mark.long("MIGDSL_LONG")
def test_keys_from_the_wal(logical: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shop.mig"
    said = "".join(f"sync {entity} {{ by cdc logical }}\n" for entity in ("Order", "Line", "Note"))
    path.write_text(FILE.replace("flag shop", f"{said}flag shop"), encoding="utf-8")
    with between(path, logical, tmp_path / "project", SEED) as shop:
        monkeypatch.setenv("MONOLITH_URL", shop.urls["old"])
        monkeypatch.setenv("ORDERS_URL", shop.urls["new"])
        expand(shop)
        shop.sync("slot", "--create")
        writers = [Writer(shop.urls, seed, 120) for seed in (21, 22)]
        with carrying(shop):
            under(shop, writers)
            for to in ("new", "old", "new"):
                switched(shop, writers, 0, (T1, to), (T2, to))
            agreed(shop, writers)


@contextmanager
def carrying(shop: Between) -> Iterator[None]:
    """Appliers at work, as `run` has them."""
    halt = Halt(Signals())
    urls = Urls(shop.urls["old"], shop.urls["new"])
    relay = Relay(stream_of(shop), urls, "test", halt, lambda *_given, **_fields: None)
    thread = threading.Thread(target=relay.run, args=(2,))
    thread.start()
    try:
        yield
    finally:
        halt.ended = True
        thread.join(PATIENCE_S)
    assert not relay.errors


def under(shop: Between, writers: list[Writer]) -> None:
    """The rows of before are carried over while writers are at work, and foreign keys are there."""
    for writer in writers:
        writer.start()
    enqueued(shop)
    drained(shop)
    for entity in ENTITIES:
        shop.job("reconcile", entity)
    shop.upgrade("new", "validate")


def agreed(shop: Between, writers: list[Writer]) -> None:
    """The writers end, and what was acknowledged is on both sides."""
    for writer in writers:
        writer.join(PATIENCE_S)
        assert not writer.failed, writer.failed
        assert not writer.is_alive()
    drained(shop)
    equal(shop)
    for writer in writers:
        kept(shop, writer)


def switched(shop: Between, writers: list[Writer], after: int, *moves: tuple[str, str]) -> None:
    """Turns tenants over while the writers have written so much, and go on. A switch is refused while a row waits for its
    owner as a dead letter."""
    until(lambda: all(w.done >= after or w.failed for w in writers), f"{after} writes")
    for tenant, to in moves:
        until(partial(turned, shop, tenant, to), f"{tenant} on {to}")


def turned(shop: Between, tenant: str, to: str) -> bool:
    return ended(shop, "switch", "--tenant", tenant, "--to", to) == 0


def ended(shop: Between, *words: str) -> int:
    """The exit code of a command of the sync job."""
    return run_stream(stream_of(shop), words)


def stream_of(shop: Between) -> Stream:
    found = shop._space("sync", shop.job_of_the_stream)["STREAM"]
    assert isinstance(found, Stream)
    return found


def drained(shop: Between) -> None:
    shop.sync("drain", "--seconds", str(PATIENCE_S))


def kept(shop: Between, writer: Writer) -> None:
    """What was acknowledged is there, on both sides."""
    for side in ("old", "new"):
        found = shop.all(side, ROWS[side])
        orders = {row[0]: row[1] for row in found}
        lines = {row[3]: (row[0], row[4]) for row in found if row[3] is not None}
        assert {order: orders.get(order) for order in writer.orders} == writer.orders
        assert {line: lines.get(line) for line in writer.lines} == writer.lines
        own = {line for line, (order, _) in lines.items() if order in writer.orders}
        assert own == set(writer.lines)


def contracted_and_back(shop: Between, before: dict[str, list[str]]) -> None:
    shop.sync("switch", "--all", "--to", "new")
    shop.stage("complete")
    for interval in ("25 hours", "40 days", "0 hours"):
        for entity in ENTITIES:
            shop.job("reconcile", entity)
        shop.pass_time(interval)
    rows = shop.all("new", ROWS["new"])
    for side in ("old", "new"):
        shop.upgrade(side, "contract")
    for side in ("new", "old"):
        shop.downgrade(side, "contract")
    drained(shop)
    assert shop.all("old", ROWS["old"]) == rows
    equal(shop)
    shop.sync("switch", "--all", "--to", "old")
    drained(shop)
    shop.downgrade("new", "validate")
    for side in ("new", "old"):
        shop.downgrade(side, "expand")
    assert shop.dumps() == before


# ------------------------------------------------------------------------------------------- one thing at a time


def expanded(shop: Between) -> None:
    """Both sides are there, with all rows of before on both, and foreign keys."""
    expand(shop)
    enqueued(shop)
    drained(shop)
    equal(shop)
    shop.upgrade("new", "validate")


def test_what_belongs_to_an_order_is_fenced_with_it_and_goes_along(shop: Between) -> None:
    expanded(shop)
    shop.sync("switch", "--tenant", T1, "--to", "new")
    mine = shop.one("old", "SELECT min(id) FROM orders WHERE tenant_id = %s", T1)
    line = shop.one("old", "SELECT min(id) FROM order_lines WHERE order_id = %s", mine)
    refused(shop, "old", LINE["old"], mine, "x")
    refused(shop, "old", NOTE["old"], line, "x")
    refused(shop, "old", EDIT["old"], "x", line)
    refused(shop, "old", CANCEL["old"], mine)
    theirs = shop.one("new", "SELECT min(number) FROM purchases WHERE tenant = %s", T2)
    refused(shop, "new", LINE["new"], theirs, "x")
    # What an applier brings that slept through the switch is older than what is there; nobody knows whose it was.
    unseen(shop, EDIT["old"], "stale", line)
    outbox, key = "migdsl.shop_order_lines_outbox", "SELECT lane, %s FROM migdsl.lane WHERE entity = 'Line'"
    shop.all("old", f"INSERT INTO {outbox} (lane, key_1) {key}", line)
    shop.sync("once")
    assert shop.one("new", "SELECT sku FROM lines WHERE id = %s", line) != "stale"
    unseen(shop, """DELETE FROM line_notes WHERE "line's id" = %s""", line)
    unseen(shop, "DELETE FROM order_lines WHERE id = %s", line)
    shop.all("old", f"INSERT INTO {outbox} (lane, key_1) {key}", line)
    shop.sync("once")
    shop.all("new", EDIT["new"], "newer", line)
    shop.all("new", "UPDATE notes SET body = 'newer' WHERE line = %s", line)
    # Over there nothing tells any more whose the lines of an order are that is gone: who is late knows the tenant itself.
    last = shop.one("new", "SELECT number FROM purchases WHERE tenant = %s ORDER BY number DESC LIMIT 1", T1)
    orphan = shop.one("new", LINE["new"], last, "gone with its order")
    drained(shop)
    shop.all("new", CANCEL["new"], last)
    shop.all("old", f"INSERT INTO {outbox} (lane, key_1, tenant) {key.replace('%s', '%s, %s')}", orphan, T1)
    drained(shop)
    equal(shop)
    assert shop.one("new", "SELECT count(*) FROM lines WHERE id = %s", orphan) == 0


def test_what_hangs_elsewhere_by_now_is_not_taken_along(shop: Between) -> None:
    """An order's end is carried over before the line's move to another one: the line comes once more, its note would not."""
    expanded(shop)
    first, second = (shop.one("old", ORDER["old"], T1) for _ in range(2))
    line = shop.one("old", LINE["old"], first, "x")
    shop.one("old", NOTE["old"], line, "x")
    drained(shop)
    shop.all("old", HANG["old"], second, line)
    shop.all("old", CANCEL["old"], first)
    with held_back(shop, "order_lines"):
        shop.sync("once")
        assert shop.one("new", "SELECT count(*) FROM purchases WHERE number = %s", first) == 0
    drained(shop)
    equal(shop)


@contextmanager
def held_back(shop: Between, table: str) -> Iterator[None]:
    """Keys of a table are not in the outbox yet."""
    outbox = f"migdsl.shop_{table}_outbox"
    shop.all("old", f"CREATE TABLE held AS SELECT lane, key_1, tenant FROM {outbox}")
    shop.all("old", f"DELETE FROM {outbox}")
    yield
    shop.all("old", f"INSERT INTO {outbox} (lane, key_1, tenant) SELECT * FROM held")
    shop.all("old", "DROP TABLE held")


def unseen(shop: Between, sql: str, *values: object) -> None:
    """A write of the old side's that neither fence nor outbox looks at, as an applier makes it."""
    with psycopg.connect(shop.urls["old"]) as connection:
        connection.execute("SELECT set_config('migdsl.applier', 'shop/Order', true)")
        connection.execute(sql.encode(), values)


def test_an_order_that_changes_its_tenant_takes_along_what_is_just_being_written(shop: Between) -> None:
    expanded(shop)
    order = shop.one("old", ORDER["old"], T1)
    with psycopg.connect(shop.urls["old"]) as early, psycopg.connect(shop.urls["old"]) as seen:
        first = early.execute(LINE["old"], (order, "early")).fetchone()
        seen.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        seen.execute("SELECT count(*) FROM orders")
        given = threading.Thread(target=shop.all, args=("old", GIVE["old"], T2, order))
        given.start()
        until(lambda: waiting(shop) == 1, "the order waits for who writes its lines")
        late = threading.Thread(target=shop.all, args=("old", LINE["old"], order, "late"))
        late.start()
        until(lambda: waiting(shop) == 2, "a new line waits for the order")
        early.commit()
        given.join(PATIENCE_S)
        late.join(PATIENCE_S)
        # A snapshot from before would take the order for the former tenant's.
        with pytest.raises(errors.SerializationFailure):
            seen.execute(LINE["old"], (order, "stale"))
    assert first is not None
    told = "SELECT tenant, tenant_was FROM migdsl.shop_order_lines_outbox WHERE key_1 = %s ORDER BY id"
    assert shop.all("old", told, first[0]) == [(T1, None), (T2, T1)]
    assert shop.all("old", told, first[0] + 1) == [(T2, None)]
    with psycopg.connect(shop.urls["old"]) as other:
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with pytest.raises(errors.FeatureNotSupported, match="go to another tenant"):
            other.execute(GIVE["old"], (T1, order))
    shop.sync("switch", "--tenant", T2, "--to", "new")
    assert shop.all("new", ROWS["new"]) == shop.all("old", ROWS["old"])


def waiting(shop: Between) -> int:
    return shop.one("old", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
