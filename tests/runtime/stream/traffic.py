"""Threads that write orders as old and new code do, wherever the tenant is just then, and remember what was acknowledged."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import psycopg
from psycopg import errors

from tests.runtime.stream.world import World

# Every row that is written leaves a line, in the order in which it was, on each side; appliers' writes do too.
JOURNAL = """
CREATE TABLE journal (seq bigint GENERATED ALWAYS AS IDENTITY, id bigint NOT NULL, version bigint NOT NULL);
CREATE FUNCTION journal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO journal (id, version) VALUES (NEW.id, {version});
  RETURN NULL;
END $$;
CREATE TRIGGER journal AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION journal();
ALTER TABLE orders ENABLE ALWAYS TRIGGER journal;
"""
WRITES = {
    "old": {
        "insert": "INSERT INTO orders (tenant_id, total_cents, note) VALUES (%(tenant)s, %(version)s, %(note)s) RETURNING id",
        "update": "UPDATE orders SET total_cents = %(version)s, note = %(note)s, status = 1 WHERE id = %(id)s RETURNING id",
        "upsert": "INSERT INTO orders (id, tenant_id, total_cents, note) VALUES (%(id)s, %(tenant)s, %(version)s, %(note)s)"
        " ON CONFLICT (id) DO UPDATE SET total_cents = excluded.total_cents, note = excluded.note RETURNING id",
        "move": "UPDATE orders SET tenant_id = %(other)s, total_cents = %(version)s, note = %(note)s WHERE id = %(id)s"
        " RETURNING id",
        "delete": "DELETE FROM orders WHERE id = %(id)s RETURNING id",
    },
    "new": {
        "insert": "INSERT INTO orders (tenant_id, total, note) VALUES (%(tenant)s, %(version)s / 100.0, %(note)s) RETURNING id",
        "update": "UPDATE orders SET total = %(version)s / 100.0, note = %(note)s, state = 'paid' WHERE id = %(id)s RETURNING id",
        "upsert": "INSERT INTO orders (id, tenant_id, total, note) VALUES (%(id)s, %(tenant)s, %(version)s / 100.0, %(note)s)"
        " ON CONFLICT (id) DO UPDATE SET total = excluded.total, note = excluded.note RETURNING id",
        "move": "UPDATE orders SET tenant_id = %(other)s, total = %(version)s / 100.0, note = %(note)s WHERE id = %(id)s"
        " RETURNING id",
        "delete": "DELETE FROM orders WHERE id = %(id)s RETURNING id",
    },
}


@dataclass
class Writer:
    """One client with rows of its own: `rows` are those that it was told are there, with tenant, version and note."""

    world: World
    number: int
    rows: dict[int, tuple[str, int, str]] = field(default_factory=dict)
    given: set[int] = field(default_factory=set)
    written: int = 0
    refused: int = 0
    sides: dict[str, str] = field(default_factory=dict)
    slowest: float = 0.0
    error: BaseException | None = None
    stop: bool = False
    pause: float = 0.0

    def work(self) -> None:
        try:
            with (
                psycopg.connect(self.world.old, autocommit=True) as old,
                psycopg.connect(self.world.new, autocommit=True) as new,
            ):
                chance = random.Random(self.number)
                while not self.stop:
                    self._write({"old": old, "new": new}, chance)
                    time.sleep(self.pause)
        except BaseException as error:  # noqa: BLE001 - raised again by `writing`
            self.error = error

    def _write(self, sides: dict[str, psycopg.Connection], chance: random.Random) -> None:
        what = chance.choice(["insert", "update", "update", "upsert", "move", "delete"]) if self.rows else "insert"
        id_ = chance.choice(list(self.rows)) if what != "insert" else 0
        tenant = self.rows[id_][0] if id_ else chance.choice(self.world.tenants)
        self.written += 1
        values = {
            "id": id_,
            "tenant": tenant,
            "other": chance.choice(self.world.tenants),
            "version": self.written,
            "note": f"w{self.number}.{self.written}",
        }
        began = time.monotonic()
        found = self._anywhere(sides, what, tenant, values)
        self.slowest = max(self.slowest, time.monotonic() - began)
        if found is None:
            return
        if what == "insert":
            assert found not in self.given, f"key {found} was given out twice"
            self.given.add(found)
        assert not id_ or found == id_
        if what == "delete":
            del self.rows[id_]
        else:
            now = values["other"] if what == "move" else tenant
            self.rows[found] = (str(now), self.written, str(values["note"]))

    def _anywhere(self, sides: dict[str, psycopg.Connection], what: str, tenant: str, values: dict) -> int | None:
        """The key, once a side has taken the write; None for a move between tenants of different sides."""
        refusals, believed = 0, dict(self.sides)
        while True:
            side = self.sides.setdefault(tenant, "old")
            try:
                row = sides[side].execute(WRITES[side][what], values).fetchone()
            except errors.SerializationFailure:
                time.sleep(0.002)
                continue
            except errors.ObjectNotInPrerequisiteState:
                self.refused += 1
                refusals += 1
                if what == "move":
                    # The other tenant's side may be what was refused: an UPDATE on the wrong side may meet no row at all.
                    self.sides = believed
                    return None
                self.sides[tenant] = "new" if side == "old" else "old"
                continue
            # A row that was acknowledged is there, on the side that is the tenant's: else it has been lost.
            assert row is not None, f"{what} of {values['id']} on the {side} side met no row"
            if what == "move":
                self.sides[str(values["other"])] = side
            return row[0]


@contextmanager
def writing(world: World, writers: int, pause: float = 0.0) -> Iterator[list[Writer]]:
    """Writers at work until the block ends; raises what one of them met."""
    crew = [Writer(world, number, pause=pause) for number in range(1, writers + 1)]
    with at_work(crew):
        yield crew


@contextmanager
def at_work(crew: Sequence[Writer]) -> Iterator[None]:
    """The same of writers that are there already."""
    threads = [threading.Thread(target=each.work, daemon=True) for each in crew]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for each in crew:
            each.stop = True
        for thread in threads:
            thread.join()
    for each in crew:
        if each.error is not None:
            raise each.error


def wait_for_writes(crew: Sequence[Writer], more: int) -> None:
    """Until that many writes have been begun."""
    target = sum(each.written for each in crew) + more
    while sum(each.written for each in crew) < target:
        assert not any(each.error for each in crew), [each.error for each in crew]
        time.sleep(0.005)


def journals(world: World) -> None:
    """Makes the journal on both sides."""
    world.run("old", JOURNAL.format(version="NEW.total_cents"))
    world.run("new", JOURNAL.format(version="(NEW.total * 100)::bigint"))


def out_of_order(world: World, side: str) -> list[tuple]:
    """Lines of a side's journal that are no newer than the one before of the same key: order lost, or applied twice."""
    return world.all(
        side,
        "SELECT id, before, version FROM (SELECT id, version, lag(version) OVER (PARTITION BY id ORDER BY seq) AS before"
        " FROM journal) AS lines WHERE version <= before",
    )


def expected(crew: Sequence[Writer]) -> dict[int, tuple[str, Decimal, str]]:
    """What every writer was told, as the new side has it."""
    return {id_: (tenant, Decimal(v) / 100, note) for each in crew for id_, (tenant, v, note) in each.rows.items()}


def found(world: World, side: str) -> dict[int, tuple[str, Decimal, str]]:
    """The writers' rows on a side, as the new side has them."""
    total = "(total_cents / 100.0)::numeric(12,2)" if side == "old" else "total"
    rows = world.all(side, f"SELECT id, tenant_id::text, {total}, note FROM orders WHERE note LIKE 'w%%.%%'")
    return {row[0]: row[1:] for row in rows}
