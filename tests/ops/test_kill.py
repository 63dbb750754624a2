"""Each revision, killed at any statement and run again, ends where it ends without the kill: schema and rows, there and back."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from alembic.util import CommandError
from psycopg import sql
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from tests.ops.declared import ddl
from tests.ops.scenarios import SCENARIOS
from tests.ops.story import LATE, Story, Walk
from tests.ops.test_examples import EXAMPLES, LISTS

# How many statements of a revision's way are chosen, and as many of the indexes built or dropped CONCURRENTLY.
MOST = int(os.environ.get("MIGDSL_KILLS", "1"))
# What the examples have none of.
OTHERS = (
    "drop with a way back", "optional", "default", "drop constraint", "replica identity", "rename table", "retype in place",
    "key", "create from", "sql", "several at once",
)  # fmt: skip
TABLES = """SELECT c.oid::regclass::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
             WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'migdsl')
               AND c.relname <> 'alembic_version' ORDER BY 1"""


def content(story: Story) -> dict[str, object]:
    """Every table's rows, whatever the order of rows and columns."""
    found: dict[str, object] = {}
    for (table,) in story.rows(TABLES):
        query = sql.SQL("SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)), '[]') FROM {} AS t")
        found[table] = story.connection.execute(query.format(sql.SQL(table))).fetchone()
    return found


def state(story: Story) -> tuple[list[str], dict[str, object]]:
    return story.dump(), content(story)


class Watch:
    """Counts the statements that Alembic sends; the backend of number `fatal` dies, in the midst of it where it takes long."""

    def __init__(self, story: Story, fatal: int | None) -> None:
        self.story, self.fatal = story, fatal
        self.sent: list[str] = []

    @property
    def killed(self) -> bool:
        return self.fatal is not None and len(self.sent) > self.fatal

    def __call__(self, _: object, cursor: psycopg.Cursor, statement: str, *__: object) -> None:
        self.sent.append(statement)
        if len(self.sent) - 1 != self.fatal:
            return
        pid = cursor.connection.info.backend_pid
        if long(statement):
            self.kill_in_the_midst(pid)
        else:
            self.story.execute(f"SELECT pg_terminate_backend({pid}, 10000)")

    def kill_in_the_midst(self, pid: int) -> None:
        """Somebody's open transaction makes it wait, with an index half built or half gone behind it."""
        holder = psycopg.connect(self.story.url)
        for (table,) in holder.execute(TABLES.encode()).fetchall():
            holder.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE".encode())

        def kill() -> None:
            waits = f"SELECT FROM pg_stat_activity WHERE pid = {pid} AND wait_event_type = 'Lock'"
            until = time.monotonic() + 10
            with psycopg.connect(self.story.url, autocommit=True) as other:
                while not other.execute(waits.encode()).fetchall() and time.monotonic() < until:
                    time.sleep(0.01)
                other.execute(f"SELECT pg_terminate_backend({pid}, 10000)".encode())
            holder.close()

        threading.Thread(target=kill).start()


def long(statement: str) -> bool:
    return " CONCURRENTLY " in statement and not statement.startswith("DO")


@contextmanager
def watched(story: Story, fatal: int | None = None) -> Iterator[Watch]:
    watch = Watch(story, fatal)
    event.listen(Engine, "before_cursor_execute", watch)
    try:
        yield watch
    finally:
        event.remove(Engine, "before_cursor_execute", watch)


class Way:
    """One revision up, or down again."""

    def __init__(self, story: Story, revision: str, before: str) -> None:
        self.story, self.revision, self.before = story, revision, before

    def go(self, up: bool) -> None:
        if up:
            self.story.upgrade(self.revision)
        else:
            self.story.downgrade(self.before)

    def sent(self, up: bool) -> list[str]:
        with watched(self.story) as watch:
            self.go(up)
        return watch.sent

    def break_off(self, fatal: int) -> None:
        """Killed on the way up, marked as run, and taken back."""
        with watched(self.story, fatal), pytest.raises((CommandError, DBAPIError), match="terminating connection"):
            self.go(True)
        self.story.stamp(self.revision)
        self.go(False)

    def go_twice(self, up: bool, fatal: int) -> None:
        """Killed, and run again."""
        with watched(self.story, fatal) as watch:
            with pytest.raises((CommandError, DBAPIError), match="terminating connection"):
                self.go(up)
            assert watch.killed
        self.go(up)


def points(sent: list[str], seed: str) -> list[int]:
    """Statements to die at."""
    chosen, slow = random.Random(seed), [n for n, statement in enumerate(sent) if long(statement)]
    return sorted({*chosen.sample(range(len(sent)), min(MOST, len(sent))), *chosen.sample(slow, min(MOST, len(slow)))})


def halves(sent: list[str], seed: str) -> list[int]:
    """Statements to die at, with something done and something left; the gates come first."""
    first = next(n for n, statement in enumerate(sent) if "$gate$" in statement) + 1
    return sorted({first + n for n in points(sent[first:], seed)})


def survives(way: Way) -> None:
    up = way.sent(up=True)
    way.sent(up=False)
    below = state(way.story)
    way.go(up=True)
    above = state(way.story)
    down = way.sent(up=False)
    assert state(way.story) == below
    # The two ways take turns, so that each begins where the other was killed.
    ups, downs = points(up, f"up {way.revision}"), points(down, f"down {way.revision}")
    if way.revision.endswith("_contract"):
        # All is done, and Alembic's note of it is what lacks: the gates ask again of what has gone.
        assert "alembic_version" in up[-1]
        ups = sorted({*(ups if LONG else ()), len(up) - 1})
    for number in range(max(len(ups), len(downs))):
        dead = ups[number % len(ups)]
        way.go_twice(True, dead)
        assert state(way.story) == above, f"{way.revision} up, killed at {dead}: {up[dead]}"
        dead = downs[number % len(downs)]
        way.go_twice(False, dead)
        assert state(way.story) == below, f"{way.revision} down, killed at {dead}: {down[dead]}"
    if way.revision.endswith(("_enforce", "_contract")):
        for dead in halves(up, f"half {way.revision}"):
            way.break_off(dead)
            assert state(way.story) == below, f"{way.revision} broke off at {dead}: {up[dead]}"
    way.go(up=True)


def survives_all(story: Story) -> None:
    before = "base"
    for revision in story.revisions:
        phase = revision.removeprefix(f"{story.name}_")
        if phase in LATE:
            story.stage(LATE[phase])
        survives(Way(story, revision, before))
        if phase == "expand":
            assert story.job("backfills") == 0
            assert story.job("reconcile") == 0
        before = revision


# All of them take minutes: MIGDSL_LONG=1.
LONG = bool(os.environ.get("MIGDSL_LONG"))


@pytest.mark.parametrize("path", EXAMPLES if LONG else EXAMPLES[::3], ids=lambda path: path.stem)
def test_examples(walk: Walk, path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(path.parent))  # an example may bring a Python function along
    text = path.read_text(encoding="utf-8").replace("SELECT id FROM accounts ORDER BY id", LISTS)
    survives_all(walk(text, ddl(text), looks=None))


@pytest.mark.parametrize("name", OTHERS if LONG else OTHERS[::3])
def test_other_operations(walk: Walk, name: str):
    survives_all(walk(SCENARIOS[name].text, SCENARIOS[name].ddl, looks=None))
