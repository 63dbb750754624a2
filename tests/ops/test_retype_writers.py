"""Code that knows nothing of a `retype` goes on writing through all of it: no error, no lost write, no number given twice."""

from __future__ import annotations

import threading
import zlib
from collections import Counter
from collections.abc import Callable

import psycopg

from tests.ops.story import LATE, Story, Walk, both_versions, change
from tests.ops.support import T1, T2, mig
from tests.ops.test_retype_key import DDL, ENTITIES, SEED

Write = Callable[[psycopg.Connection, str], None]


class Writers:
    """Threads that write until they are stopped; `errors` are what any of them met."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stop = threading.Event()
        self.errors: list[str] = []
        self.given: list[int] = []
        self.users: set[str] = set()
        self.lock = threading.Lock()
        kinds: tuple[Write, ...] = (
            self.insert,
            self.upsert,
            self.remove,
        )
        self.threads = [threading.Thread(target=self.run, args=(kind, n)) for n, kind in enumerate((*kinds, *kinds))]

    def __enter__(self) -> Writers:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def run(self, kind: Write, number: int) -> None:
        count = 0
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as connection:
            while not self.stop.is_set():
                count += 1
                try:
                    kind(connection, f"{kind.__name__}{number}_{count}")
                except psycopg.Error as error:
                    self.errors.append(f"{kind.__name__}: {error.sqlstate} {error}")
                    return

    def insert(self, connection: psycopg.Connection, name: str) -> None:
        """Without an id, then rows that point at it; in one transaction, and by COPY."""
        with connection.transaction():
            rows = connection.execute(
                "INSERT INTO users (tenant_id, username, boss) VALUES (%s, %s, 10) RETURNING id", (T1, name)
            ).fetchall()
            with connection.cursor().copy("COPY items (tenant_id, user_id) FROM STDIN") as copy:
                copy.write_row((T1, rows[0][0]))
        with self.lock:
            self.given.append(rows[0][0])
            self.users.add(name)

    def upsert(self, connection: psycopg.Connection, name: str) -> None:
        """With an id of its own, and again by either unique constraint."""
        # Of rows of this thread alone: of two that insert one row at one moment PostgreSQL may see the other constraint first.
        thread = int(name.removeprefix("upsert").partition("_")[0]) % 2
        own = -1 - zlib.crc32(name.encode()) % 200 * 2 - thread
        connection.execute(
            "INSERT INTO users (id, tenant_id, username) VALUES (%s, %s, %s) ON CONFLICT (id) DO UPDATE SET boss = 10",
            (own, T2, f"own{own}"),
        )
        connection.execute(
            "INSERT INTO users (tenant_id, username, boss) VALUES (%s, %s, 10)"
            " ON CONFLICT (tenant_id, username) DO UPDATE SET boss = excluded.boss",
            (T2, f"own{own}"),
        )

    def remove(self, connection: psycopg.Connection, name: str) -> None:
        """A row and, by cascade, what points at it."""
        with connection.transaction():
            connection.execute("INSERT INTO users (tenant_id, username) VALUES (%s, %s)", (T1, name))
            connection.execute(
                "INSERT INTO items (tenant_id, user_id) SELECT tenant_id, id FROM users WHERE tenant_id = %s AND username = %s",
                (T1, name),
            )
            connection.execute("UPDATE users SET boss = id WHERE tenant_id = %s AND username = %s", (T1, name))
        connection.execute("DELETE FROM users WHERE tenant_id = %s AND username = %s", (T1, name))


@both_versions
def test_writers_notice_nothing_there_and_back(walk: Walk):
    story = walk(mig(ENTITIES, change("retype id bigint after 30d")), DDL + SEED, looks=None)
    before = story.dump()
    with Writers(story.url) as writers:
        _there(story)
        _back(story)
        _there(story)
    assert writers.errors == []
    assert [n for n, times in Counter(writers.given).items() if times > 1] == []
    there = {row[0] for row in story.rows("SELECT username FROM users")}
    assert writers.users <= there
    assert len(writers.users) > 50
    orphans = "SELECT count(*) FROM items WHERE NOT EXISTS (SELECT FROM users WHERE users.id = user_id)"
    assert story.rows(orphans) == [(0,)]
    for _ in story.revisions:
        story.downgrade()
    assert story.dump() == before


def _there(story: Story) -> None:
    for revision in story.revisions:
        phase = revision.removeprefix("m_")
        if phase in LATE:
            story.stage(LATE[phase])
        story.upgrade(revision)
        if phase == "expand":
            assert story.job("backfills") == 0
            assert story.job("reconcile") == 0


def _back(story: Story) -> None:
    for revision in reversed(story.revisions):
        if not revision.endswith("expand"):
            story.downgrade()
            if not revision.endswith("validate"):
                assert story.job("reconcile") == 0
    # From the shadows' beginning again: what was recorded of the last time no longer counts.
    story.downgrade()
