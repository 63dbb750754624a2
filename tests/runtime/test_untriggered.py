"""Columns that no trigger fills: code goes on leaving them empty while the job runs, which is no fault of the job's."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from migdsl.runtime import BackfillJob, main
from migdsl.runtime.backfill.holds import Health
from migdsl.runtime.backfill.program import Program
from migdsl.runtime.engines.lanes import Bench, Cord
from tests.runtime.conftest import Users
from tests.runtime.samples.backfill_user import JOB
from tests.runtime.test_backfill import FAST

ALONE = replace(JOB, trigger=False)
# While a pass is under way, code inserts rows without a value: as many as `WHEN` lets it.
WRITER = """
CREATE FUNCTION meanwhile() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO users (id, tenant_id, username) SELECT max(id) + 1, NEW.tenant_id, 'late ' || max(id) FROM users;
  RETURN NULL;
END$$;
CREATE TRIGGER meanwhile AFTER UPDATE ON users FOR EACH ROW WHEN ({}) EXECUTE FUNCTION meanwhile()"""
FIRST, ALWAYS = "NEW.id = 70", "NEW.id % 700 = 0 OR NEW.username LIKE 'late%'"


def ran(users: Users, job: BackfillJob, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(job, ["--url", users.url, *FAST])
    return code, capsys.readouterr().out


def empty(users: Users) -> int:
    return users.one("SELECT count(*) FROM users WHERE contact_email IS NULL")


def test_one_more_pass_fills_what_was_written_meanwhile(users: Users, capsys: pytest.CaptureFixture[str]):
    users.run(WRITER.format(FIRST))
    code, said = ran(users, ALONE, capsys)
    assert (code, empty(users)) == (0, 0), said
    assert "0 rows unfilled" in said


def test_with_a_trigger_a_row_that_is_left_is_a_failure(users: Users, capsys: pytest.CaptureFixture[str]):
    users.run(WRITER.format(FIRST))
    code, said = ran(users, JOB, capsys)
    assert (code, empty(users)) == (1, 1)
    assert "is the trigger in place?" in said


def test_what_code_leaves_empty_faster_than_a_pass_ends_is_told_and_no_failure(
    users: Users, capsys: pytest.CaptureFixture[str]
):
    users.run(WRITER.format(ALWAYS))
    code, said = ran(users, ALONE, capsys)
    assert code == 0
    assert empty(users) > 0
    assert "run it once more with --again when no running code does so any more" in said
    assert users.one("SELECT value FROM migdsl.event WHERE kind = 'job' ORDER BY id DESC LIMIT 1") == "finished"


def test_a_row_that_is_set_aside_is_a_failure_all_the_same(users: Users, capsys: pytest.CaptureFixture[str]):
    users.run("ALTER TABLE users ADD CHECK (id <> 70 OR contact_email IS NULL)")
    code, said = ran(users, ALONE, capsys)
    assert (code, empty(users)) == (1, 1), said
    assert "1 set aside" in said


class Queue:
    """An engine that hands out lanes in this process."""

    def submit(self, bench: Bench) -> int:
        return len(bench.backfill.plan())

    def work(self, bench: Bench, _stop: Cord) -> None:
        while not bench.perform(bench.finished):
            for tenant in bench.perform(bench.due):
                bench.work(tenant)


@pytest.mark.parametrize("verbs", [("run",), ("submit", "work")])
def test_an_engine_makes_the_pass_too(users: Users, monkeypatch: pytest.MonkeyPatch, verbs: tuple[str, ...]):
    """Whoever works off what another has queued, as well."""
    users.run(WRITER.format(FIRST))
    monkeypatch.setattr("migdsl.runtime.engines.run.scheduler_of", lambda _engine: Queue())
    for verb in verbs:
        words = [] if verb == "run" else [f"--{verb}"]
        assert main(ALONE, ["--url", users.url, *FAST, "--engine", "celery", *words]) == 0
    assert empty(users) == 0
    assert users.one("SELECT value FROM migdsl.event WHERE kind = 'job' ORDER BY id DESC LIMIT 1") == "finished"


class Asked:
    """A database whose first answer takes until somebody lets it go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def perform(self, _work: object, **_how: object) -> str:
        self.begun.set()
        assert self.go.wait(60)
        return "it must wait"


def test_no_worker_begins_before_there_is_a_first_answer():
    asked = Asked()
    health = Health(Program.of(replace(JOB, hold="SELECT 'why'")))
    found: list[str | None] = []

    def ask() -> None:
        found.append(health.reason(asked))  # type: ignore[arg-type]

    first, second = threading.Thread(target=ask), threading.Thread(target=ask)
    first.start()
    assert asked.begun.wait(60)
    second.start()
    asked.go.set()
    first.join(60)
    second.join(60)
    assert found == ["it must wait", "it must wait"]
