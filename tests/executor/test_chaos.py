"""Old and new code write all the while: walks that are killed again and again end as one that nobody disturbs does.

The long form: MIGDSL_KILLS=20 kills each step that often.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest

from tests.executor.conftest import ROOT, Home, Run
from tests.executor.test_crash import KILLED, start
from tests.executor.test_story import apply, roll
from tests.integration.world import WRONG, Journal, build, differences
from tests.integration.writers import Crew, Rules, at_work

KILLS = int(os.environ.get("MIGDSL_KILLS", "1"))
EVENTS = "SELECT id, kind, subject, value, actor FROM migdsl.event"


@dataclass
class Killer:
    """Runs commands in processes of their own; none of them is spared at first."""

    home: Home
    chosen: random.Random = field(default_factory=lambda: random.Random(11))
    kills: int = 0
    said: set[tuple] = field(default_factory=set)

    def __call__(self, *words: str) -> None:
        for _ in range(KILLS):
            process = start(self.home, sys.executable, "-m", "migdsl", *words)
            time.sleep(self.chosen.uniform(0.6, 4.0))
            process.kill()
            said, _ = process.communicate()
            assert process.returncode in (0, KILLED), said
            self.kills += process.returncode == KILLED
            self.look()
        process = start(self.home, sys.executable, "-m", "migdsl", *words)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        self.look()

    def look(self) -> None:
        """What was recorded once stays recorded, as it was."""
        if self.home.one("SELECT to_regclass('migdsl.event')::text"):
            now = set(self.home.all(EVENTS))
            assert self.said <= now
            self.said = now


def walk(home: Home, run: Run, step: Callable[..., object], crew: Crew | None) -> list[list[str]]:
    """All of it, with a way back from enforce and from contract; the schemas at the places where it rests."""
    shapes = []
    rules = crew.rules if crew else Rules(frozenset())
    step("apply", "users.mig", "--to", "expand", "--yes", "--confirm", "watched")
    roll(run, "dualwrite", "all")
    rules.new = True
    step("apply", "users.mig", "--to", "validate", "--yes", "--confirm", "old_code_User")
    assert home.one(WRONG) == 0
    shapes.append(home.dump())
    step("apply", "users.mig", "--to", "cutover", "--yes")
    for stage in ("shadow", "live"):
        roll(run, stage, "all")
    apply(run, "enforce", code=4)
    home.pass_time("25 hours")
    for words in (("apply", "enforce"), ("rollback", "cutover"), ("apply", "enforce")):
        step(words[0], "users.mig", "--to", words[1], "--yes")
        shapes.append(home.dump())
    with crew.resting() if crew else threading.Lock():
        rules.old_tenants = frozenset()
    for stage in ("rampdown", "complete"):
        roll(run, stage, "all")
    apply(run, "contract", code=4)
    home.pass_time("31 days")
    for words in (("apply", "contract"), ("rollback", "enforce"), ("apply", "contract")):
        step(words[0], "users.mig", "--to", words[1], "--yes")
        shapes.append(home.dump())
    return shapes


@pytest.mark.slow
@pytest.mark.long("MIGDSL_KILLS")
def test_killed_while_old_and_new_code_write(home: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(home.url) as connection:
        journal = Journal.of(connection)
    tenants = sorted({row.tenant for row in journal.living().values()})
    killer = Killer(home)
    with at_work(home.url, journal, tenants, list(journal.rows), Rules(frozenset(tenants), duplicates=False)) as crew:
        shapes = walk(home, run, killer, crew)
    crew.journal(journal)
    assert crew.errors() == []
    assert killer.kills >= KILLS
    assert home.head() == "users_email_contract"
    with psycopg.connect(home.url) as connection:
        assert differences(connection, journal, ("contact_email",)) == []
    with twin(home, monkeypatch) as other:
        assert walk(other, run, run, None) == shapes


@contextmanager
def twin(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """The same project on a database of its own."""
    name = home.url.split("?", maxsplit=1)[0].rsplit("/", 1)[1] + "_twin"
    made = Home(home.folder.with_name("twin"), home.server.create_database(name), home.server)
    made.folder.mkdir()
    shutil.copy(ROOT / "examples/users.mig", made.folder)
    monkeypatch.chdir(made.folder)
    monkeypatch.setenv("DATABASE_URL", made.url)
    with psycopg.connect(made.url, autocommit=True) as connection:
        build(connection, tenants=7, rows=300)
        connection.execute("UPDATE users SET email = id || email WHERE email LIKE 'shared%'")
    try:
        process = start(made, sys.executable, "-m", "migdsl", "compile", "users.mig")
        assert process.wait(60) == 0
        yield made
    finally:
        made.server.drop_database(name)


def test_back_to_each_phase_and_on_again(home: Home, run: Run) -> None:
    """From cutover, a phase further back each time; what comes again is what was there."""
    apply(run, "cutover", "--confirm", "watched", "--confirm", "old_code_User")
    there, before = home.dump(), home.one("SELECT count(*) FROM migdsl.slice")
    for phase in ("validate", "backfill", "expand"):
        ran = run("rollback", "users.mig", "--to", phase, "--yes")
        assert ran.code == 0, ran
        # Nothing of these phases is DDL: the columns and what is in them stay, and status goes by such facts.
        assert home.dump() == there
        assert home.one(WRONG) == 0
        apply(run, "cutover")
    assert home.one("SELECT count(*) FROM migdsl.slice") == before
    assert run("rollback", "users.mig", "--to", "prepare", "--yes").code == 0
    apply(run, "cutover", "--confirm", "watched", "--confirm", "old_code_User")
    assert home.dump() == there


@pytest.mark.slow
def test_behind_a_lock_that_is_held_for_ten_seconds(home: Home, run: Run) -> None:
    """The DDL tries again and again in short attempts, and no writer waits long behind it."""
    errors: list[str] = []
    writes: list[int] = []
    stop = threading.Event()

    def write() -> None:
        with psycopg.connect(home.url, autocommit=True, options="-c lock_timeout=1s") as connection:
            while not stop.wait(0.01):
                try:
                    connection.execute("UPDATE users SET username = username WHERE id = (SELECT min(id) FROM users)")
                    writes.append(1)
                except psycopg.Error as error:
                    errors.append(f"{type(error).__name__} {error.sqlstate}")

    waits = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
    writer = threading.Thread(target=write)
    with psycopg.connect(home.url) as holder:
        holder.execute("SELECT FROM users LIMIT 1")
        writer.start()
        words = ("apply", "users.mig", "--to", "expand", "--yes", "--confirm", "watched")
        process = start(home, sys.executable, "-m", "migdsl", *words)
        seen, until = 0, time.monotonic() + 10
        while time.monotonic() < until or seen < 3 or len(writes) < 100:
            assert process.poll() is None, process.communicate()
            seen += home.one(waits, holder.info.backend_pid)
            time.sleep(0.02)
        holder.rollback()
        said, _ = process.communicate(timeout=120)
    stop.set()
    writer.join()
    assert process.returncode == 0, said
    assert errors == []
    assert home.head() == "users_email_expand"
