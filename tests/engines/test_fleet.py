"""Workers that are killed, stopped, frozen and paused become a backfill in which every row was written once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests.conftest import needs_tool
from tests.engines.conftest import Queued, wait_for

FULL = os.environ.get("MIGDSL_CHAOS") == "full"


def progressed(queued: Queued, seen: int) -> bool:
    return queued.written() > seen or not queued.open_lanes()


# While there is a row in `slow`, a batch takes long enough to be hit.
SLOW = """
CREATE TABLE slow AS SELECT;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN IF EXISTS (SELECT FROM slow) THEN PERFORM pg_sleep(0.1); END IF; RETURN NULL; END$$;
CREATE TRIGGER slow AFTER UPDATE ON users FOR EACH STATEMENT EXECUTE FUNCTION slow();
"""


def test_killed_workers_lose_and_repeat_nothing(queued: Queued):
    chance = random.Random(queued.engine)
    queued.users.run(SLOW)
    queued.submit()
    fleet = [queued.worker(), queued.worker()]
    kills = 20 if FULL else 3
    taken = "SELECT max(attempts) FROM migdsl.slice"
    for number in range(20):
        # A worker may have had no lane when it was killed: then some more.
        if number >= kills and (queued.users.one(taken) > 1 or not queued.open_lanes()):
            break
        wait_for(partial(progressed, queued, queued.written()), 180)
        time.sleep(chance.uniform(0, 0.5))
        victim = chance.randrange(2)
        queued.kill(fleet[victim])
        fleet[victim] = queued.worker()
    queued.users.run("DELETE FROM slow")
    for process in fleet:
        _, err = process.communicate(timeout=900 if FULL else 180)
        assert process.returncode == 0, err
    assert queued.users.one(taken) > 1, "no lane was ever taken over"
    queued.assert_right()


def test_a_frozen_worker_is_replaced_and_finds_its_lane_taken(queued: Queued):
    queued.submit()
    frozen = queued.worker()
    wait_for(lambda: queued.written() > 0)
    os.killpg(frozen.pid, signal.SIGSTOP)
    # Its lease would end after a minute; here it ends at once.
    wait_for(lambda: queued.users.run(EXPIRE) >= 0)
    other = queued.worker()
    _, err = other.communicate(timeout=120)
    assert other.returncode == 0, err
    os.killpg(frozen.pid, signal.SIGCONT)
    frozen.communicate(timeout=120)
    queued.assert_right()


EXPIRE = "UPDATE migdsl.slice SET lease_until = clock_timestamp(), backend = NULL WHERE state = 'running'"


def test_a_worker_that_is_asked_to_stop_gives_its_lanes_back(queued: Queued):
    queued.environment["MIGDSL_ENGINE_LANE"] = "600"
    queued.submit()
    first = queued.worker()
    wait_for(lambda: queued.written() > 0)
    first.terminate()
    _, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert "Traceback" not in err
    assert queued.open_lanes() > 0, "it had finished before it was asked"
    assert queued.users.one("SELECT count(*) FROM migdsl.slice WHERE state = 'running'") == 0
    second = queued.worker()
    second.communicate(timeout=120)
    assert second.returncode == 0
    queued.assert_right()


def test_pause_and_resume_need_no_new_submit(queued: Queued):
    queued.submit()
    worker = queued.worker()
    wait_for(lambda: queued.written() > 0)
    assert queued.tell("--pause") == 0
    seen = queued.written()
    assert queued.open_lanes() > 0, "it had finished before it was paused"
    time.sleep(2)
    assert queued.written() == seen
    assert worker.poll() is None
    assert queued.tell("--resume") == 0
    _, err = worker.communicate(timeout=120)
    assert worker.returncode == 0, err
    queued.assert_right()


def test_the_engines_own_command_line_works_lanes_off(queued: Queued):
    name, more = ("procrastinate", []) if queued.engine == "procrastinate" else ("celery", ["--loglevel", "ERROR"])
    program = Path(sys.executable).parent / name
    assert program.exists() or needs_tool(name)
    queued.environment["MIGDSL_ENGINE_LANE"] = "600"
    queued.submit()
    argv = [str(program), "--app", f"migdsl.runtime.engines.{name}", "worker", *more]
    if name == "procrastinate":
        argv[2] += ".app"
    first = queued.start(*argv)
    wait_for(lambda: queued.written() > 0)
    first.terminate()
    _, err = first.communicate(timeout=60)
    assert queued.open_lanes() > 0, "it had finished before it was asked"
    assert queued.users.one("SELECT count(*) FROM migdsl.slice WHERE state = 'running'") == 0, err
    second = queued.start(*argv)
    wait_for(lambda: not queued.open_lanes(), 120)
    second.terminate()
    second.communicate(timeout=60)
    queued.assert_right()


@pytest.mark.parametrize("name", ["procrastinate", "celery"])
def test_the_engines_own_command_line_says_what_is_missing(name: str):
    argv = [sys.executable, "-c", f"from migdsl.runtime.engines.{name} import app"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 1
    assert done.stderr.startswith("error: no job: set MIGDSL_JOBS")


def test_workers_outlive_the_loss_of_all_connections(queued: Queued):
    queued.submit()
    worker = queued.worker()
    wait_for(lambda: queued.written() > 0)
    with psycopg.connect(queued.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    _, err = worker.communicate(timeout=180)
    assert worker.returncode == 0, err
    queued.assert_right(reconnected=True)
