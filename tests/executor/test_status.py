"""`migdsl status`: what is told of a database at each point, and which exit code a script gets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psycopg
import pytest
from jsonschema import Draft202012Validator

from migdsl.cli import executing, status_rich
from migdsl.cli.status_view import duration, render
from tests.executor.conftest import ROOT, Home, Run
from tests.executor.test_story import STATUS, WATCHED, apply, roll, status


def test_from_the_beginning(home: Home, run: Run) -> None:
    found = status(run, 4)
    assert (found["phase"], found["heads"], found["backfills"]) == ("prepare", [], [])
    assert found["next"] == {
        "phase": "expand",
        "command": "migdsl apply users.mig --to expand",
        "waits_for": [f"watched: {WATCHED} (only a person knows)"],
    }
    assert home.one("SELECT to_regclass('alembic_version')") is None
    ran = run("status", "users.mig")
    assert ran.code == 4
    assert "[ ] expand" in ran.out
    assert "not run yet" in ran.out


def test_the_shape_of_status_is_held_to(home: Home, run: Run) -> None:
    Draft202012Validator.check_schema(STATUS.schema)
    apply(run, "backfill", "--confirm", "watched", "--confirm", "old_code_User")
    found = status(run, 0)
    assert found["backfills"]
    assert STATUS.is_valid(found)
    for path in ("migration", "next.command", "backfills.0.progress", "phases.0.state", "reconciliations.0.at"):
        *way, last = path.split(".")
        for change in ("gone", "odd", "more"):
            broken = json.loads(json.dumps(found))
            place = broken
            for step in way:
                place = place[int(step)] if step.isdecimal() else place[step]
            if change == "gone":
                del place[last]
            else:
                place[last if change == "odd" else "more"] = [1]
            assert not STATUS.is_valid(broken), (path, change)


def test_what_is_wrong(home: Home, run: Run) -> None:
    apply(run, "backfill", "--confirm", "watched", "--confirm", "old_code_User")
    assert status(run, 0)["wrong"] == []
    home.all('ALTER TABLE users DISABLE TRIGGER "~migdsl_users_email"')
    home.all("UPDATE users SET contact_email = 'secret@x' WHERE id = (SELECT max(id) FROM users)")
    ran = run("apply", "users.mig", "--to", "validate", "--yes")
    assert ran.code == 1
    found = status(run, 1)
    assert found["wrong"][0] == "the newest reconciliation of User found problems 1"
    assert found["wrong"][1] == "apply failed at validate/reconcile User"
    assert found["phase"] == "backfill"
    ran = run("status", "users.mig")
    assert "1 problems" in ran.out
    assert "secret@x" not in ran.out + str(found)
    home.all("INSERT INTO migdsl.quarantine VALUES ('users_email', 'User', 't', '[\"1\"]', 'X', 'y')")
    assert "the backfill of User has set 1 rows aside" in status(run, 1)["wrong"]
    home.all("UPDATE migdsl.slice SET state = 'pending'; DELETE FROM migdsl.quarantine")
    assert "(User)" not in render(status(run, 1))


def test_the_flag_of_the_file_and_the_recorded_one(home: Home, run: Run) -> None:
    apply(run, "expand", "--confirm", "watched")
    assert run("rollout", "users.mig", "--stage", "dualwrite", "--for", "all").code == 0
    found = status(run, 4)
    assert found["stages"] == {"recorded": [["all", "off"]], "file": [["all", "dualwrite"]]}
    assert found["next"]["command"] == "migdsl rollout users.mig --record"
    assert "in the file" in render(found)
    assert run("rollout", "users.mig", "--record").code == 0
    assert status(run, 4)["next"]["command"] == "migdsl apply users.mig --to backfill"


def test_a_flag_that_was_moved_back_has_a_way_back_beside_the_way_forward(home: Home, run: Run) -> None:
    apply(run, "expand", "--confirm", "watched")
    roll(run, "dualwrite", "all")
    apply(run, "validate", "--confirm", "old_code_User")
    assert "back" not in status(run, 0)["next"]
    ran = run("rollback", "users.mig", "--to", "prepare", "--yes")
    assert ran.code == 1
    assert "MIG741" in ran.err
    roll(run, "off", "all")
    roll(run, "off", "all")  # said twice it is no other move
    found = status(run, 0)
    assert found["next"]["back"] == "migdsl rollback users.mig --to prepare"
    assert "or back  migdsl rollback users.mig --to prepare" in render(found)
    roll(run, "dualwrite", "all")
    assert "back" not in status(run, 0)["next"]
    roll(run, "off", "all")
    assert run("rollback", "users.mig", "--to", "prepare", "--yes").code == 0
    assert "back" not in status(run, 4)["next"], "nothing is left to take back"


def test_what_a_terminal_shows(home: Home, run: Run) -> None:
    apply(run, "validate", "--confirm", "watched", "--confirm", "old_code_User")
    report = status(run, 0)
    shown = status_rich.render(report, colour=False, width=100)
    for text in ("backfills", "100%", "clean", "migdsl apply users.mig --to cutover", "all"):
        assert text in shown
    assert "\x1b[3" not in shown
    assert "\x1b[3" in status_rich.render(report, colour=True, width=100)


def test_watching_ends_with_a_signal(home: Home) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = (sys.executable, "-m", "migdsl", "status", "users.mig", "--watch", "--json")
    process = subprocess.Popen(argv, cwd=home.folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("{")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 4


def test_a_backfill_that_is_asked_to_stop(home: Home, run: Run) -> None:
    """SIGTERM in mid-job: the walk ends there, says so, and goes on when it is run again."""
    apply(run, "expand", "--confirm", "watched")
    said = ("confirm", "expand/old_code_User", "yes")
    home.all("INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('users_email', %s, %s, %s)", *said)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = (sys.executable, "-m", "migdsl", "apply", "users.mig", "--to", "validate", "--yes")
    with psycopg.connect(home.url) as holder:
        holder.execute("SELECT FROM users ORDER BY id LIMIT 1 FOR UPDATE")
        process = subprocess.Popen(
            argv, cwd=home.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
        until = time.monotonic() + 60
        while home.one(waiting, holder.info.backend_pid) == 0:
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        holder.rollback()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 4, out + err
    assert "backfill: stopped" in out
    assert home.events("apply")[-1] == ("backfill/backfill User", "stopped")
    apply(run, "validate")


def test_a_walk_has_one_correlation_id(home: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The jobs' lines, and the connections of walk and jobs, carry what the environment gives."""
    monkeypatch.setenv("MIGDSL_CORRELATION_ID", "trace-77")
    monkeypatch.setenv("MIGDSL_LOG_FORMAT", "json")
    home.all("CREATE TABLE named (name text)")
    home.all(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        " INSERT INTO named SELECT current_setting('application_name'); RETURN NULL; END$$"
    )
    apply(run, "expand", "--confirm", "watched")
    home.all("CREATE TRIGGER note AFTER INSERT ON migdsl.event FOR EACH STATEMENT EXECUTE FUNCTION note()")
    said = apply(run, "validate", "--confirm", "old_code_User")
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert lines
    assert {line["run"] for line in lines} == {"trace-77"}
    assert home.all("SELECT DISTINCT name FROM named") == [("migdsl users_email apply trace-77",)]


def test_waiting_on_the_spot(home: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--wait` looks again until the flag is recorded, and says only once what it waits for."""
    apply(run, "cutover", "--confirm", "watched", "--confirm", "old_code_User")
    for stage in ("dualwrite", "shadow"):
        roll(run, stage, "all")
    assert run("rollout", "users.mig", "--stage", "live", "--for", "all").code == 0
    looks: list[float] = []

    def paused(self: object, seconds: float) -> None:
        if seconds:
            looks.append(seconds)
        if len(looks) == 3 and seconds:
            home.all(
                "INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('users_email', 'stage', 'all', 'live')"
            )
        if len(looks) == 5 and seconds:
            home.pass_time("25 hours")

    monkeypatch.setattr("migdsl.executor.ledger.Ledger.paused", paused)
    ran = run("apply", "users.mig", "--to", "enforce", "--yes", "--wait")
    assert ran.code == 0, ran
    assert looks == [executing._POLL_S] * 5
    assert ran.out.count("the deployed stage of all is shadow") == 1
    assert home.head() == "users_email_enforce"


def test_durations() -> None:
    assert [duration(n) for n in (0, 59, 60, 3_661, 90_000)] == ["0 s", "59 s", "1 min", "1 h 1 min", "1 d 1 h"]
