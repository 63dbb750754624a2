"""Orders that leave a monolith, as an example's file has it: two databases, clients that go by the flag, relays."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from migdsl.cli import main
from migdsl.rehearsal.server import Server
from migdsl.runtime.routing import OpenFeature
from tests.executor.conftest import ROOT, Home, Run
from tests.executor.test_story import STATUS
from tests.ops.declared import ddl
from tests.runtime.stream.traffic import Writer
from tests.runtime.stream.world import World

SOURCE = "orders.mig"
NEW = ("live", "rampdown", "complete")
WRITES = {
    "old": {
        "insert": "INSERT INTO orders (tenant_id, status, total_cents, note) VALUES (%(tenant)s, 0, %(version)s, %(note)s)"
        " RETURNING id",
        "update": "UPDATE orders SET total_cents = %(version)s, note = %(note)s, status = 1 WHERE id = %(id)s RETURNING id",
        "upsert": "INSERT INTO orders (id, tenant_id, status, total_cents, note)"
        " VALUES (%(id)s, %(tenant)s, 1, %(version)s, %(note)s)"
        " ON CONFLICT (id) DO UPDATE SET total_cents = excluded.total_cents, note = excluded.note RETURNING id",
        "move": "UPDATE orders SET tenant_id = %(other)s, total_cents = %(version)s, note = %(note)s WHERE id = %(id)s"
        " RETURNING id",
        "delete": "DELETE FROM orders WHERE id = %(id)s RETURNING id",
    },
    "new": {
        "insert": "INSERT INTO orders (tenant_id, state, total, note)"
        " VALUES (%(tenant)s, 'open', %(version)s / 100.0, %(note)s) RETURNING id",
        "update": "UPDATE orders SET total = %(version)s / 100.0, note = %(note)s, state = 'paid' WHERE id = %(id)s RETURNING id",
        "upsert": "INSERT INTO orders (id, tenant_id, state, total, note)"
        " VALUES (%(id)s, %(tenant)s, 'paid', %(version)s / 100.0, %(note)s)"
        " ON CONFLICT (id) DO UPDATE SET total = excluded.total, note = excluded.note RETURNING id",
        "move": "UPDATE orders SET tenant_id = %(other)s, total = %(version)s / 100.0, note = %(note)s WHERE id = %(id)s"
        " RETURNING id",
        "delete": "DELETE FROM orders WHERE id = %(id)s RETURNING id",
    },
}
BEFORE = """
INSERT INTO orders (tenant_id, status, total_cents, note, legacy_ref)
SELECT t.tenant, n %% 4, n * 7, CASE WHEN n %% 3 = 0 THEN NULL ELSE 'n''' || n || '-ü' END, 'r' || n
  FROM unnest(%s::uuid[]) AS t (tenant), generate_series(1, %s) AS n
"""
LINES = """
INSERT INTO order_lines (order_id, line, tenant_id, sku, quantity, price_cents)
SELECT o.id, n, o.tenant_id, 'sku ' || o.id, n, o.total_cents FROM orders AS o, generate_series(1, 2) AS n
"""
_PATIENCE_S = 120.0
_FEW = 30


@dataclass
class Client(Writer):
    """Asks the flag whose side a tenant's writes are on, as an application does, and goes across where a fence sends it."""

    flags: OpenFeature | None = None
    flag: str = ""

    def _side(self, tenant: str) -> str:
        assert self.flags is not None
        return "new" if self.flags.variant(self.flag, tenant) in NEW else "old"

    def _anywhere(self, sides: dict[str, psycopg.Connection], what: str, tenant: str, values: dict) -> int | None:
        """The key, once a side has taken the write; None for a move between tenants that a fence keeps apart."""
        side, nowhere = self._side(tenant), 0
        while True:
            try:
                row = sides[side].execute(WRITES[side][what], values).fetchone()
            except errors.SerializationFailure:
                time.sleep(0.002)
                continue
            except errors.ObjectNotInPrerequisiteState:
                self.refused += 1
                row = None
            else:
                if row is not None:
                    return row[0]
                # A row that isn't there yet on a side where the tenant doesn't write: no trigger sees that.
                nowhere += 1
                assert nowhere < 50, f"{what} of {values['id']}, which was acknowledged, meets no row on either side"
            if what == "move":
                return None
            side = "new" if side == "old" else "old"


@dataclass
class Relays:
    """The sync job in processes of its own, one of which is killed at random and started again."""

    world: World
    name: str
    number: int
    every: int
    kills: int = 0
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _chance: random.Random = field(default_factory=lambda: random.Random(11))
    _end: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._running = [self._one() for _ in range(self.number)]

    def _one(self) -> subprocess.Popen[bytes]:
        return self.world.start("run", "--workers", "2")

    def kill_one(self) -> None:
        victim = self._chance.randrange(self.number)
        self._running[victim].send_signal(signal.SIGKILL)
        self._running[victim].wait()
        self.kills += 1
        self._running[victim] = self._one()

    def stop(self) -> None:
        for each in self._running:
            each.kill()
            each.wait()
        self._running = []

    @contextmanager
    def haunted(self, crew: list[Client]) -> Iterator[None]:
        """Kills, while the block lasts, as the crew writes."""
        thread = threading.Thread(target=self._haunt, args=(crew,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()
            self._end.clear()

    def _haunt(self, crew: list[Client]) -> None:
        """Appliers that never get to work would carry nothing: they have caught up before the next is killed."""
        due = 0
        while not self._end.wait(0.05):
            written = sum(each.written for each in crew)
            if written >= due and self.behind() < _FEW:
                self.kill_one()
                due = written + self._chance.randrange(self.every // 2, self.every * 2)

    def behind(self) -> int:
        """How many orders wait to be carried, either way."""
        sql = f"SELECT count(*) FROM migdsl.{self.name}_orders_outbox"
        return sum(self.world.one(side, sql) for side in ("old", "new"))


@dataclass
class Extraction:
    """The project, its databases, and the commands that walk it."""

    old: Home
    new: Home
    world: World
    run: Run
    name: str
    crews: list[Client] = field(default_factory=list)
    people: list[str] = field(default_factory=list)

    def command(self, *words: str, code: int = 0) -> str:
        ran = self.run(*words)
        assert ran.code == code, ran
        return ran.out + ran.err

    def status(self) -> dict:
        ran = self.run("status", SOURCE, "--json")
        assert ran.code in (0, 1, 4), ran
        found = json.loads(ran.out)
        STATUS.validate(found)
        return found

    def apply(self, phase: str, *words: str, code: int = 0) -> str:
        """Walks on; people say yes to all that only they know."""
        return self.command("apply", SOURCE, "--to", phase, *self.sure(), *words, code=code)

    def sure(self) -> list[str]:
        """The words by which people say so."""
        if not self.people:
            self.people = [c["id"] for c in self.status()["conditions"] if c["kind"] != "ledger"]
        return ["--yes", *(word for name in self.people for word in ("--confirm", name))]

    def roll(self, stage: str, who: str, *words: str) -> str:
        """Moves the flag, which is deployed with the file, and records it: from then on writes go where it says."""
        return self.command("rollout", SOURCE, "--stage", stage, "--for", who, "--record", *words)

    def pass_time(self, interval: str) -> None:
        for home in (self.old, self.new):
            home.pass_time(interval)
            home.all(f"UPDATE migdsl.side SET since = since - interval '{interval}'")

    def heads(self) -> tuple[str | None, str | None]:
        return self.old.head(), self.new.head()

    def sides(self) -> set[str]:
        """The sides on which tenants write."""
        found = self.world.sides()
        return {found.get(tenant, ("old", "old"))[0] for tenant in self.world.tenants}

    def heard(self) -> bool:
        """Whether a sync job has been at work within the last minute."""
        sql = "SELECT count(*) FROM migdsl.event WHERE kind = 'reading' AND subject = 'sync_lag:Order'"
        return self.old.one(f"{sql} AND at > now() - interval '1 minute'") > 0

    def lines(self, side: str) -> list[tuple]:
        """What an order has, as the new side says it; none where the example moves orders alone."""
        if not self.old.one("SELECT to_regclass('order_lines')::text"):
            return []
        sql = {
            "old": "SELECT order_id, line, tenant_id, sku, quantity, price_cents * 0.01 FROM order_lines ORDER BY 1, 2",
            "new": "SELECT order_id, line, tenant_id, sku, quantity, price FROM lines ORDER BY 1, 2",
        }
        return self.world.all(side, sql[side])

    def pauses(self) -> list[float]:
        """How long the writers of a tenant waited, of each switch, in milliseconds."""
        found = (re.search(r"([\d.]+) ms", value) for _, value in self.old.events("switch"))
        return [float(match[1]) for match in found if match]


def until(held: Callable[[], bool]) -> None:
    """Wait for it."""
    end = time.monotonic() + _PATIENCE_S
    while not held():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@contextmanager
def clients(made: Extraction, number: int, pause: float) -> Iterator[list[Client]]:
    """Clients at work until the block ends, each with a number that no other has; raises what one of them met."""
    flags = OpenFeature.flagd_file(made.old.folder / f"flags/{made.name}.flagd.json")
    numbers = range(len(made.crews) + 1, len(made.crews) + number + 1)
    crew = [Client(made.world, n, pause=pause, flags=flags, flag=made.name) for n in numbers]
    made.crews += crew
    threads = [threading.Thread(target=each.work, daemon=True) for each in crew]
    for thread in threads:
        thread.start()
    try:
        yield crew
    finally:
        for each in crew:
            each.stop = True
        for thread in threads:
            thread.join()
    for each in crew:
        if each.error is not None:
            raise each.error


def extraction(
    text: str, server: Server, folder: Path, cache: Path, run: Run, patch: pytest.MonkeyPatch, size: tuple[int, int]
) -> Extraction:
    """A file compiled in a folder, and its databases: `size` is how many tenants, and how many rows of each."""
    folder.mkdir()
    (folder / SOURCE).write_text(text, encoding="utf-8")
    name = re.search(r"^migration (\w+)", text, re.MULTILINE)[1]  # type: ignore[index]
    urls = [server.create_database(f"migdsl_{uuid.uuid4().hex}_{side}") for side in ("old", "new")]
    patch.chdir(folder)
    settings = {
        "XDG_CACHE_HOME": cache,
        "NO_COLOR": 1,
        "MONOLITH_URL": urls[0],
        "ORDERS_URL": urls[1],
        "PYTHONPATH": ROOT,
    }
    for variable, value in settings.items():
        patch.setenv(variable, str(value))
    tenants = tuple(sorted(str(uuid.UUID(int=0xABCDEF * (n + 1) ** 9)) for n in range(size[0])))
    with psycopg.connect(urls[0], autocommit=True) as old:
        old.execute("CREATE TABLE tenants (id uuid PRIMARY KEY)")
        old.execute("INSERT INTO tenants SELECT unnest(%s::uuid[])", (list(tenants),))
        old.execute(ddl(text, rows=0).encode())
        old.execute(BEFORE, (list(tenants), size[1]))
        if "entity OrderLine" in text:
            old.execute(LINES)
    assert main(["compile", SOURCE]) == 0
    (job,) = (folder / "sync" / name).glob("*.py")
    world = World(urls[0], urls[1], tenants, job)
    return Extraction(Home(folder, urls[0], server), Home(folder, urls[1], server), world, run, name)


def forget(made: Extraction) -> None:
    """Drops both databases, and the slot that would keep them."""
    server = made.old.server
    for home in (made.old, made.new):
        home.all(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()"
        )
        server.drop_database(home.url.rsplit("/", 1)[-1].partition("?")[0])
