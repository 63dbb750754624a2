"""Old and new code as threads that write the same rows, each in the columns that it knows, while a migration runs there and back.

One client writes a row at a time, so that the last acknowledged write of each row is known: the journal has it. What the
columns of the other code must hold then is said by the scenario (`settle`), independently of what is generated.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.ops.journal import Journal, Row, Scenario, quoted
from tests.ops.story import LATE, Story
from tests.ops.support import T1, T2

# All clients and the migration share a processor: without a pause it is they who take the time. MIGDSL_LONG=1: a dense crowd.
PAUSE_S = 0.001 if os.environ.get("MIGDSL_LONG") else 0.003
# A statement that takes longer was stalled by the migration, and is an error.
OPTIONS = "-c statement_timeout=5s -c client_min_messages=warning"


class Client(threading.Thread):
    """One connection of old or new code."""

    def __init__(self, number: int, code: str, story: Story, scenario: Scenario, crew: Crew) -> None:
        super().__init__(name=f"{code}{number}")
        self.code, self.url, self.scenario, self.crew = code, story.url, scenario, crew
        self.shape = scenario.old if code == "old" else scenario.new
        self.chance = random.Random(number)
        self.over, self.busy = threading.Event(), threading.Lock()
        self.done, self.serial = 0, 0

    def run(self) -> None:
        threshold = 0 if self.scenario.prepared else None
        acts = [self.insert, self.update, self.update, self.upsert, self.delete, self.read, self.copy]
        acts += [self.offend] if self.shape.offends else []
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=threshold, options=OPTIONS) as connection:
            while not self.over.wait(PAUSE_S):
                act = self.chance.choice(acts)
                try:
                    with self.busy:
                        act(connection)
                    self.done += 1
                except Exception as error:  # noqa: BLE001  # whatever it is, the test has to tell of it
                    state = getattr(error, "sqlstate", None)
                    self.crew.errors.append(f"{self.name} {act.__name__}: {state} {error!r}")
                    return

    # ------------------------------------------------------------------------------------------------------- writes

    def values(self, names: list[str]) -> dict[str, object]:
        self.serial += 1
        return {n: self.shape.columns[n](self.chance, f"{self.name}-{self.serial}") for n in names}

    def changes(self, names: list[str]) -> dict[str, object]:
        """Values for a row that is there. In one that the backfill hasn't reached a NULL of new code is no change."""
        found = self.values(names)
        if self.code == "new" and not self.crew.filled.is_set():
            found = {n: value for n, value in found.items() if value is not None}
        return found

    def execute(self, connection: psycopg.Connection, statement: str, *values: object) -> list[tuple]:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def fresh(self, tenant: str, written: dict[str, object]) -> Row:
        facts = {**self.scenario.silent, **written, **self.shape.implied}
        self.scenario.settle(self.code, None, facts)
        return Row(tenant, facts)

    def insert(self, connection: psycopg.Connection) -> None:
        """With all columns, among them explicit NULLs."""
        tenant, written = self.chance.choice((T1, T2)), self.values(list(self.shape.columns))
        marks = ", ".join(["%s"] * (len(written) + 1))
        statement = f"INSERT INTO {self.shape.table} (tenant_id, {self.shape.listed}) VALUES ({marks}) RETURNING id"
        with connection.transaction():
            ((key,),) = self.execute(connection, statement, tenant, *written.values())
            self.also(connection, key)
        self.crew.journal.add(key, self.fresh(tenant, written))

    def copy(self, connection: psycopg.Connection) -> None:
        if not self.shape.copies:
            self.insert(connection)
            return
        tenant, written = self.chance.choice((T1, T2)), self.values(list(self.shape.columns))
        fact = self.shape.conflict[-1]
        asked = f"SELECT id FROM {self.shape.table} WHERE tenant_id = %s AND {quoted(fact)} = %s"
        with connection.transaction(), connection.cursor() as cursor:
            with cursor.copy(f"COPY {self.shape.table} (tenant_id, {self.shape.listed}) FROM STDIN".encode()) as copy:
                copy.write_row((tenant, *written.values()))
            ((key,),) = self.execute(connection, asked, tenant, written[fact])
            self.also(connection, key)
        self.crew.journal.add(key, self.fresh(tenant, written))

    def update(self, connection: psycopg.Connection) -> None:
        """Of one column or several, also to NULL."""
        free = [c for c in self.shape.columns if c not in self.shape.fixed]
        with self.crew.journal.one(self.chance) as found:
            if found is None:
                return
            count = len(free) if self.shape.whole else self.chance.randint(1, len(free))
            written = self.changes(self.chance.sample(free, count))
            if not written:
                return
            sets = ", ".join(f"{quoted(c)} = %s" for c in written)
            statement = f"UPDATE {self.shape.table} SET {sets} WHERE id = %s RETURNING id"
            self.change(connection, found, written, statement, *written.values(), found[0])

    def upsert(self, connection: psycopg.Connection) -> None:
        """Of a row that is there, by what it is known by."""
        free = [c for c in self.shape.columns if c not in self.shape.fixed]
        with self.crew.journal.one(self.chance) as found:
            if found is None or found[1].facts is None:
                return
            written = self.changes(free)
            if not written:
                return
            # A NOT NULL column is given its value even where the row is only updated.
            given = {**{c: found[1].facts[c] for c in self.shape.fixed}, **written}
            sets = ", ".join(f"{quoted(c)} = excluded.{quoted(c)}" for c in written)
            statement = (
                f"INSERT INTO {self.shape.table} (tenant_id, {', '.join(map(quoted, given))}) VALUES "
                f"({', '.join(['%s'] * (len(given) + 1))}) ON CONFLICT ({', '.join(map(quoted, self.shape.conflict))}) "
                f"DO UPDATE SET {sets} RETURNING id"
            )
            self.change(connection, found, given, statement, found[1].tenant, *given.values())

    def delete(self, connection: psycopg.Connection) -> None:
        if len(self.crew.journal.keys) < 60:
            return
        with self.crew.journal.one(self.chance) as found:
            if found is not None:
                with connection.transaction():
                    self.execute(connection, f"DELETE FROM {self.shape.table} WHERE id = %s", found[0])
                    self.also(connection, found[0])
                found[1].facts = None

    def offend(self, connection: psycopg.Connection) -> None:
        """What a constraint to come forbids, twice, since some forbid only that; it is mended before the constraint comes."""
        marks = ", ".join(["%s"] * (len(self.shape.columns) + 1))
        statement = f"INSERT INTO {self.shape.table} (tenant_id, {self.shape.listed}) VALUES ({marks}) RETURNING id"
        keys = []
        for _ in range(2):
            written = {**self.values(list(self.shape.columns)), **self.shape.offends}
            keys += self.execute(connection, statement, T1, *written.values())
        for (key,) in keys:
            self.execute(connection, f"DELETE FROM {self.shape.table} WHERE id = %s", key)

    def read(self, connection: psycopg.Connection) -> None:
        """Old code finds what was written last whatever happens; new code as soon as the backfill is done."""
        if self.code == "new" and not self.crew.filled.is_set():
            return
        names = [c for c in (*self.shape.columns, *self.shape.implied) if c not in self.scenario.loose]
        listed = ", ".join(map(quoted, names))
        with self.crew.journal.one(self.chance) as found:
            if found is None or found[1].facts is None:
                return
            wanted = tuple(found[1].facts[n] for n in names)
            rows = self.execute(connection, f"SELECT {listed} FROM {self.shape.table} WHERE id = %s", found[0])
            assert rows == [wanted], f"key {found[0]}: {names} should be {wanted}, not {rows}"

    def also(self, connection: psycopg.Connection, key: int) -> None:
        if self.shape.also:
            connection.execute(self.shape.also.encode(), {"key": key})

    def change(
        self,
        connection: psycopg.Connection,
        found: tuple[int, Row],
        written: dict[str, object],
        statement: str,
        *values: object,
    ) -> None:
        key, row = found
        assert row.facts is not None
        facts = {**row.facts, **written}
        self.scenario.settle(self.code, row.facts, facts)
        with connection.transaction():
            assert self.execute(connection, statement, *values) == [(key,)]
            self.also(connection, key)
        row.facts = facts


class Crew:
    """The clients at work, and what went wrong."""

    def __init__(self, story: Story, scenario: Scenario) -> None:
        self.story, self.scenario = story, scenario
        self.journal, self.filled = Journal(), threading.Event()
        self.errors: list[str] = []
        self.clients: list[Client] = []
        self.started = 0
        table = scenario.old.table
        there = {
            name for (name,) in story.rows(f"SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass")
        }
        names = sorted({*scenario.old.columns, *scenario.silent} & there)
        for key, tenant, *values in story.rows(
            f"SELECT id, tenant_id::text, {', '.join(map(quoted, names))} FROM {table}"
        ):
            facts = {**scenario.silent, **dict(zip(names, values, strict=True))}
            scenario.settle("old", None, facts)
            self.journal.add(key, Row(tenant, facts))

    def start(self, code: str, count: int = 2) -> None:
        for _ in range(count):
            self.started += 1
            self.clients.append(Client(self.started, code, self.story, self.scenario, self))
            self.clients[-1].start()

    def stop(self, *codes: str) -> None:
        leaving = [c for c in self.clients if c.code in codes]
        for client in leaving:
            client.over.set()
        for client in leaving:
            client.join()
        self.clients = [c for c in self.clients if c.code not in codes]
        assert not self.errors, self.errors

    @contextmanager
    def at_work(self, *codes: str) -> Iterator[None]:
        """Code of these ages writes in this block, and is gone after it."""
        try:
            for code in codes:
                self.start(code)
            self.work()
            yield
            self.work()
            self.stop(*codes)
        finally:
            for client in self.clients:
                client.over.set()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Nobody writes in this block, and no write is under way."""
        for client in self.clients:
            client.busy.acquire()
        try:
            yield
        finally:
            for client in self.clients:
                client.busy.release()

    def work(self, each: int = 15) -> None:
        """Waits until every client has done so much more."""
        goals = [(client, client.done + each) for client in self.clients]
        while any(client.done < goal for client, goal in goals):
            assert not self.errors, self.errors
            assert self.errors or all(client.is_alive() for client in self.clients), "a client has gone"
            time.sleep(0.01)
        assert not self.errors, self.errors


def live(story: Story, scenario: Scenario) -> None:
    """There and back with code of both ages at work: no error, no lost write, and each dump as it was."""
    crew = Crew(story, scenario)
    with crew.at_work("old"):
        _back(story, scenario, crew, _there(story, scenario, crew))
    assert story.rows("SELECT nspname FROM pg_namespace WHERE nspname = 'migdsl'") == []


def _there(story: Story, scenario: Scenario, crew: Crew) -> list[tuple[str, list[str]]]:
    dumps = []
    for revision in story.revisions:
        phase = revision.removeprefix(f"{story.name}_")
        dumps.append((phase, story.dump()))
        if phase == scenario.until:
            _old_is_gone(story, scenario, crew)
        if phase in LATE:
            story.stage(LATE[phase])
            if scenario.since == "live" == LATE[phase]:
                crew.start("new")
                crew.work()
        story.upgrade(revision)
        if phase == scenario.since:
            crew.start("new")
        if phase == "expand":
            _fill(story, scenario, crew)
        crew.work()
    with crew.resting():
        crew.journal.check(story, scenario.new)
        if any(client.code == "old" for client in crew.clients):
            crew.journal.check(story, scenario.old)
        assert scenario.asks is None or story.rows(scenario.asks) == []
    assert not crew.errors, crew.errors
    return dumps


def _fill(story: Story, scenario: Scenario, crew: Crew) -> None:
    crew.work()
    found = story.job("backfills"), story.job("reconcile")
    # What old code still breaks is told, and is no failure of the jobs.
    told = scenario.filled is not None or bool(scenario.old.offends)
    assert found == (0, 0) or (told and max(found) == 1), found
    crew.filled.set()


def _old_is_gone(story: Story, scenario: Scenario, crew: Crew) -> None:
    crew.stop("old")
    if scenario.filled is not None:
        with crew.resting():
            assert story.job("backfills", "--again") == 0
            crew.journal.settle("new", scenario.filled)


def _back(story: Story, scenario: Scenario, crew: Crew, dumps: list[tuple[str, list[str]]]) -> None:
    for phase, dump in reversed(dumps):
        if phase == scenario.since:
            crew.stop("new")
        if phase == "contract":
            with crew.resting():
                crew.journal.settle("new", scenario.lost)
        story.downgrade()
        found = story.dump()
        assert found == dump, f"the way back from {phase}: {set(found) ^ set(dump)}"
        if scenario.since == "live" == LATE.get(phase):
            crew.stop("new")
        if phase == scenario.until:
            crew.start("old")
        crew.work()
    crew.stop("old", "new")
    crew.journal.settle("old", scenario.home)
    crew.journal.check(story, scenario.old)
