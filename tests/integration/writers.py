"""Old and new application code at work: threads that write their own rows, and note what was acknowledged."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from tests.integration.world import Journal, Row

SHARED = "shared'ü@exämple.org"
# A writer that waits longer than this for a lock was stalled by a migration.
LOCK_TIMEOUT = "1s"


@dataclass(slots=True)
class Rules:
    """Where old code still writes, whether new code does, and whether they write addresses that are there already."""

    old_tenants: frozenset[str]
    new: bool = False
    duplicates: bool = True


@dataclass(slots=True)
class Writer:
    """One client. It alone writes its rows, one statement a transaction, so the last acknowledged write is known."""

    name: str
    url: str
    rules: Rules
    rows: dict[int, Row | None]
    tenants: list[str]
    random: random.Random
    done: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    busy: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)
    serial: int = 0

    def run(self) -> None:
        options = f"-c lock_timeout={LOCK_TIMEOUT}"
        with psycopg.connect(self.url, autocommit=True, options=options, application_name=self.name) as connection:
            while not self.stop.wait(0.02):
                with self.busy:
                    self._once(connection)

    def _once(self, connection: psycopg.Connection) -> None:
        write = self.random.choice(self.writes())
        allowed = self.allowed()
        if not allowed:
            return
        try:
            if write(connection, allowed):
                self.done[write.__name__] += 1
        except psycopg.Error as error:
            self.errors.append(f"{self.name} {write.__name__}: {type(error).__name__} {error.sqlstate}")

    def allowed(self) -> frozenset[str]:
        raise NotImplementedError

    def writes(self) -> list[Callable[[psycopg.Connection, frozenset[str]], bool]]:
        raise NotImplementedError

    def own(self, allowed: frozenset[str]) -> tuple[int, Row] | None:
        """One of our rows that lives, in a tenant where we may write."""
        for _ in range(20):
            key = self.random.choice(list(self.rows))
            row = self.rows[key]
            if row is not None and row.tenant in allowed:
                return key, row
        return None

    def fresh(self) -> str:
        self.serial += 1
        kind = ("d'arc", 'Ü "q"', "数", "a\\b", "%d")[self.serial % 5]
        return f"{kind} {self.name}-{self.serial}"

    def tenant(self, allowed: frozenset[str]) -> str:
        return self.random.choice([t for t in self.tenants if t in allowed])

    def address(self) -> str | None:
        return self.random.choice([None, f"{self.fresh()}@old.example", f"{self.fresh()}@exämple.org"])

    def delete(self, connection: psycopg.Connection, allowed: frozenset[str]) -> bool:
        chosen = self.own(allowed)
        if chosen is None or len(self.rows) < 300:
            return False
        connection.execute("DELETE FROM users WHERE id = %s", (chosen[0],))
        self.rows[chosen[0]] = None
        return True


class OldWriter(Writer):
    """Code that has never heard of contact_email."""

    def allowed(self) -> frozenset[str]:
        return self.rules.old_tenants

    def writes(self):
        always = [self.insert, self.upsert, self.update, self.update, self.to_null, self.rename, self.delete]
        return [*always, self.duplicate] if self.rules.duplicates else always

    def insert(self, connection: psycopg.Connection, allowed: frozenset[str]) -> bool:
        row = Row.of_old_code(self.tenant(allowed), self.fresh(), self.address())
        sql = "INSERT INTO users (tenant_id, username, email) VALUES (%s, %s, %s) RETURNING id"
        self.rows[_key(connection, sql, row.tenant, row.username, row.email)] = row
        return True

    def upsert(self, connection: psycopg.Connection, allowed: frozenset[str]) -> bool:
        chosen = self.own(allowed)
        if chosen is None:
            return False
        row = chosen[1].written_by_old(email=self.address())
        sql = (
            "INSERT INTO users (tenant_id, username, email) VALUES (%s, %s, %s)"
            " ON CONFLICT (tenant_id, username) DO UPDATE SET email = excluded.email RETURNING id"
        )
        assert _key(connection, sql, row.tenant, row.username, row.email) == chosen[0]
        self.rows[chosen[0]] = row
        return True

    def update(self, connection: psycopg.Connection, allowed: frozenset[str]) -> bool:
        return self._email(connection, allowed, f"{self.fresh()}@old.example")

    def to_null(self, connection: psycopg.Connection, allowed: frozenset[str]) -> bool:
        return self._email(connection, allowed, None)

    def duplicate(self, connection: psycopg.Connection, allowed: frozenset[str]) -> bool:
        return self._email(connection, allowed, SHARED)

    def _email(self, connection: psycopg.Connection, allowed: frozenset[str], email: str | None) -> bool:
        chosen = self.own(allowed)
        if chosen is None:
            return False
        connection.execute("UPDATE users SET email = %s WHERE id = %s", (email, chosen[0]))
        self.rows[chosen[0]] = chosen[1].written_by_old(email=email)
        return True

    def rename(self, connection: psycopg.Connection, allowed: frozenset[str]) -> bool:
        chosen = self.own(allowed)
        if chosen is None:
            return False
        name = self.fresh()
        connection.execute("UPDATE users SET username = %s WHERE id = %s", (name, chosen[0]))
        self.rows[chosen[0]] = chosen[1].written_by_old(username=name, email=chosen[1].email)
        return True


class NewWriter(Writer):
    """Code that reads and writes contact_email alone."""

    def allowed(self) -> frozenset[str]:
        return frozenset(self.tenants) if self.rules.new else frozenset()

    def writes(self):
        always = [self.insert, self.upsert, self.update, self.update, self.as_computed, self.rename, self.delete]
        return [*always, self.duplicate] if self.rules.duplicates else always

    def insert(self, connection: psycopg.Connection, allowed: frozenset[str]) -> bool:
        name = self.fresh()
        row = Row.of_old_code(self.tenant(allowed), name, None).written_by_new(f"{name}@new.example")
        sql = "INSERT INTO users (tenant_id, username, contact_email) VALUES (%s, %s, %s) RETURNING id"
        self.rows[_key(connection, sql, row.tenant, row.username, row.contact)] = row
        return True

    def upsert(self, connection: psycopg.Connection, allowed: frozenset[str]) -> bool:
        chosen = self.own(allowed)
        if chosen is None:
            return False
        row = chosen[1].written_by_new(f"{self.fresh()}@new.example")
        sql = (
            "INSERT INTO users (tenant_id, username, contact_email) VALUES (%s, %s, %s)"
            " ON CONFLICT (tenant_id, username) DO UPDATE SET contact_email = excluded.contact_email RETURNING id"
        )
        assert _key(connection, sql, row.tenant, row.username, row.contact) == chosen[0]
        self.rows[chosen[0]] = row
        return True

    def update(self, connection: psycopg.Connection, allowed: frozenset[str]) -> bool:
        return self._contact(connection, allowed, lambda _: f"{self.fresh()}@new.example")

    def as_computed(self, connection: psycopg.Connection, allowed: frozenset[str]) -> bool:
        """Writes just what an old row without an address would get."""
        return self._contact(connection, allowed, lambda row: row.username + "@example.com")

    def duplicate(self, connection: psycopg.Connection, allowed: frozenset[str]) -> bool:
        return self._contact(connection, allowed, lambda _: SHARED)

    def _contact(self, connection: psycopg.Connection, allowed: frozenset[str], value: Callable[[Row], str]) -> bool:
        chosen = self.own(allowed)
        if chosen is None:
            return False
        row = chosen[1].written_by_new(value(chosen[1]))
        connection.execute("UPDATE users SET contact_email = %s WHERE id = %s", (row.contact, chosen[0]))
        self.rows[chosen[0]] = row
        return True

    def rename(self, connection: psycopg.Connection, allowed: frozenset[str]) -> bool:
        """Name and address in one statement."""
        chosen = self.own(allowed)
        if chosen is None:
            return False
        name = self.fresh()
        row = chosen[1].written_by_new(f"{name}@new.example", name)
        sql = "UPDATE users SET username = %s, contact_email = %s WHERE id = %s"
        connection.execute(sql, (row.username, row.contact, chosen[0]))
        self.rows[chosen[0]] = row
        return True


def _key(connection: psycopg.Connection, sql: str, *values: object) -> int:
    row = connection.execute(sql, values).fetchone()
    assert row is not None
    return row[0]


@dataclass(slots=True)
class Crew:
    """All writers of a story."""

    writers: list[Writer]
    rules: Rules

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Nobody writes in this block, and no write is under way."""
        for writer in self.writers:
            writer.busy.acquire()
        try:
            yield
        finally:
            for writer in self.writers:
                writer.busy.release()

    def journal(self, journal: Journal) -> None:
        """Carries over what the writers have noted. Only while they rest."""
        for writer in self.writers:
            journal.rows.update(writer.rows)

    def changed(self, rows: Mapping[int, Row]) -> None:
        """Tells the writers of rows that somebody else wrote. Only while they rest."""
        for writer in self.writers:
            writer.rows.update({key: row for key, row in rows.items() if key in writer.rows})

    def errors(self) -> list[str]:
        return [error for writer in self.writers for error in writer.errors]

    def done(self, kind: type[Writer]) -> Counter[str]:
        return sum((w.done for w in self.writers if isinstance(w, kind)), Counter())


@contextmanager
def at_work(url: str, journal: Journal, tenants: list[str], keys: list[int], rules: Rules) -> Iterator[Crew]:
    """Two clients of old code and two of new code, each with its share of `keys`, until the block ends."""
    writers: list[Writer] = []
    for number, kind in enumerate((OldWriter, NewWriter, OldWriter, NewWriter)):
        own = {key: journal.rows[key] for key in keys[number::4]}
        writers.append(kind(f"{kind.__name__}-{number}", url, rules, own, tenants, random.Random(number)))
    threads = [threading.Thread(target=writer.run, name=writer.name) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        yield Crew(writers, rules)
    finally:
        for writer in writers:
            writer.stop.set()
        for thread in threads:
            thread.join()
