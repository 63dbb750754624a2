"""`rename` while clients of old and new code write, and killed at every statement: no error, no lost write, no leftover."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import psycopg
import pytest

from tests.ops.killing import killed_anywhere
from tests.ops.story import Story, Walk, both_versions
from tests.ops.support import T2, mig
from tests.ops.test_rename import CUSTOMER, DDL, ORDER, RENAME


class Client(Thread):
    """Writes rows of its own under the column names that it knows, and remembers what it wrote last."""

    def __init__(self, url: str, name: str, ref: str, customer: str) -> None:
        super().__init__(daemon=True)
        self.url, self.client, self.ref, self.customer = url, name, ref, customer
        self.last: dict[int, tuple[str, int]] = {}
        self.errors: list[str] = []
        self.over = Event()

    def run(self) -> None:
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as connection:
            turn = 0
            while not self.over.is_set() and not self.errors:
                turn += 1
                try:
                    self._write(connection, turn)
                except psycopg.Error as error:
                    self.errors.append(f"{error.sqlstate} {error}")

    def _write(self, connection: psycopg.Connection, turn: int) -> None:
        value, customer = f"{self.client}-{turn}", 1 + turn % 2
        upsert = (
            f"INSERT INTO orders (tenant_id, {self.ref}, {self.customer}) VALUES (%s, %s, %s) ON CONFLICT "
            f"(tenant_id, {self.ref}) DO UPDATE SET {self.customer} = EXCLUDED.{self.customer} RETURNING id"
        )
        # Half of the facts were there before, so that both ways of an upsert are taken.
        fact = value if turn % 2 else f"{self.client}-shared-{turn % 5}"
        (row,) = connection.execute(upsert.encode(), (T2, fact, customer)).fetchall()
        self.last[row[0]] = (fact, customer)
        if turn % 3 == 0:
            update = f"UPDATE orders SET {self.ref} = %s, {self.customer} = NULL WHERE id = %s AND {self.ref} = %s"
            mine = next(iter(self.last))
            renamed = f"{self.client}-again-{turn}"
            if connection.execute(update.encode(), (renamed, mine, self.last[mine][0])).rowcount:
                self.last[mine] = (renamed, 0)

    def stop(self) -> None:
        while self.is_alive() and len(self.last) < 9:
            self.join(0.05)
        self.over.set()
        self.join()
        assert self.errors == []
        assert len(self.last) > 8


@contextmanager
def at_work(story: Story, *clients: Client) -> Iterator[None]:
    """The clients write meanwhile; then every row of theirs holds what they wrote last, under each name that there is."""
    for client in clients:
        client.start()
    try:
        yield
    finally:
        for client in clients:
            client.stop()
    columns = [c for (c,) in story.rows(COLUMNS)]
    for ref, customer in (("ref", "customer_id"), ("code", "buyer_id")):
        if ref in columns:
            found = {
                row[0]: (row[1], row[2]) for row in story.rows(f"SELECT id, {ref}, coalesce({customer}, 0) FROM orders")
            }
            for client in clients:
                assert {n: found[n] for n in client.last} == client.last


COLUMNS = (
    "SELECT attname::text FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0 AND NOT attisdropped"
)


@both_versions
def test_clients_of_old_and_new_code_go_on_writing(walk: Walk):
    story = walk(mig(CUSTOMER, ORDER, RENAME), DDL, looks=None)

    def old(name: str) -> Client:
        return Client(story.url, name, "ref", "customer_id")

    def new(name: str) -> Client:
        return Client(story.url, name, "code", "buyer_id")

    with at_work(story, old("o1"), old("o2")):
        story.upgrade("m_expand")
        assert story.job("backfills") == 0
    with at_work(story, old("o3"), old("o4")):
        story.upgrade("m_validate")
    story.stage("live")
    story.upgrade("m_enforce")
    with at_work(story, old("o5"), new("n5")):
        pass
    story.stage("complete")
    with at_work(story, new("n6"), new("n7")):
        story.upgrade("m_contract")
    with at_work(story, new("n8")):
        story.downgrade()
    with at_work(story, old("o9"), new("n9")):
        pass
    with at_work(story, old("o10"), old("o11")):
        for _ in range(3):
            story.downgrade()


@pytest.mark.parametrize("revision", ["m_expand", "m_validate", "m_enforce", "m_contract"])
def test_killed_anywhere_it_can_be_run_again(walk: Walk, revision: str):
    story = walk(mig(CUSTOMER, ORDER, RENAME), DDL, looks=None)
    killed_anywhere(story, revision)
