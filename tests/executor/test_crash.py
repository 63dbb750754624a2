"""A walk that is killed with SIGKILL again and again, there and back, ends where one ends that nobody disturbs.

MIGDSL_LONG=1 kills each command four times.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.executor.conftest import ROOT, Home, Run
from tests.executor.test_story import apply, roll
from tests.integration.world import WRONG

KILLED = -9
TIMES = 4 if os.environ.get("MIGDSL_LONG") else 1
BUSY = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def start(home: Home, *argv: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(argv, cwd=home.folder, env=environment, text=True, **pipes)  # type: ignore[call-overload]


def killed(home: Home, at: int, *words: str) -> bool:
    """Whether the command was killed at its Nth statement, rather than that it had fewer."""
    script = Path(__file__).with_name("killed.py")
    process = start(home, sys.executable, str(script), str(at), ("before", "after")[at % 2], *words)
    said, _ = process.communicate(timeout=120)
    assert process.returncode in (0, KILLED), said
    # The server ends what it is at before it notices: whoever comes next may wait for that.
    return process.returncode == KILLED


def insist(home: Home, seed: int, most: int, *words: str) -> int:
    """Kills at some statements, early ones and late ones, then lets it end; how often it was killed."""
    chosen = random.Random(seed)
    kills = sum(killed(home, chosen.randrange(1, most), *words) for _ in range(TIMES))
    assert not killed(home, 1_000_000, *words)
    return kills


@pytest.mark.slow
@pytest.mark.long("MIGDSL_LONG")
def test_killed_on_every_way(home: Home, run: Run) -> None:
    before = home.dump()
    sure = ("--yes", "--confirm", "watched", "--confirm", "old_code_User")
    assert insist(home, 1, 160, "apply", "users.mig", "--to", "expand", *sure) >= 1
    assert insist(home, 2, 260, "apply", "users.mig", "--to", "validate", *sure) >= 1
    assert home.one(WRONG) == 0
    # Each row was written once, whoever was killed meanwhile.
    changed = home.all("SELECT sum(rows_changed), bool_and(state = 'succeeded') FROM migdsl.slice")
    assert changed == [(home.one("SELECT count(*) FROM users"), True)]
    apply(run, "cutover")
    for stage in ("dualwrite", "shadow", "live"):
        roll(run, stage, "all")
    apply(run, "enforce", code=4)
    home.pass_time("25 hours")
    assert insist(home, 3, 160, "apply", "users.mig", "--to", "enforce", "--yes") >= 1
    assert home.head() == "users_email_enforce"
    enforced = home.dump()
    assert insist(home, 4, 80, "rollback", "users.mig", "--to", "cutover", "--yes") >= 1
    assert home.head() == "users_email_expand"
    apply(run, "enforce")
    assert home.dump() == enforced
    assert run("rollback", "users.mig", "--to", "cutover", "--yes").code == 0
    for stage in ("shadow", "dualwrite", "off"):
        roll(run, stage, "all")
    assert insist(home, 5, 60, "rollback", "users.mig", "--to", "prepare", "--yes") >= 1
    assert (home.head(), home.one("SELECT to_regnamespace('migdsl')")) == (None, None)
    assert home.dump() == before


@pytest.mark.slow
def test_killed_at_random_instants(home: Home, run: Run) -> None:
    """By the clock, wherever that is: in Python, in a statement, between two."""
    words = ("apply", "users.mig", "--to", "validate", "--yes", "--confirm", "watched", "--confirm", "old_code_User")
    chosen, kills = random.Random(7), 0
    for _ in range(3 * TIMES):
        process = start(home, sys.executable, "-m", "migdsl", *words)
        time.sleep(chosen.uniform(0.8, 3.0))
        process.kill()
        said, _ = process.communicate()
        assert process.returncode in (0, KILLED), said
        kills += process.returncode == KILLED
    assert kills >= 1
    apply(run, "validate", *words[5:])
    assert (home.head(), home.one(WRONG)) == ("users_email_expand", 0)
