"""Second writes that an application's router recorded as failed: status says so, and no reader changes sides before."""

from __future__ import annotations

import psycopg

from migdsl.runtime.routing import LedgerRecorder, repair
from migdsl.runtime.routing.repair import Failure
from tests.executor.conftest import Home, Run
from tests.executor.test_story import apply, roll, status

WAITING = "second writes that failed wait for their repair: 1"
URL = ("--url", "env:DATABASE_URL")


def fail(home: Home, stage: str) -> None:
    failure = Failure("users_email", "t", '["1"]', "new", stage, "UniqueViolation 23505")  # type: ignore[arg-type]
    LedgerRecorder(lambda: psycopg.connect(home.url)).record(failure, None)


def mend(home: Home) -> None:
    with psycopg.connect(home.url) as connection:
        assert repair(connection, "users_email", lambda *_: None) == 1


def test_no_reader_changes_sides_while_a_repair_is_open(home: Home, run: Run) -> None:
    apply(run, "cutover", "--confirm", "watched", "--confirm", "old_code_User")
    for stage in ("dualwrite", "shadow"):
        roll(run, stage, "all")
    fail(home, "shadow")
    found = status(run, 1)
    assert found["wrong"] == [WAITING]
    assert f"repaired: {WAITING}" in found["next"]["waits_for"]
    before = home.source.read_bytes()
    ran = run("rollout", "users.mig", "--stage", "live", "--for", "canary", *URL)
    assert (ran.code, "MIG743" in ran.err, WAITING in ran.err) == (1, True, True)
    assert home.source.read_bytes() == before
    # Within the same side the flag may move: the way back from dual writes is open.
    assert run("rollout", "users.mig", "--stage", "dualwrite", "--for", "all", "--dry-run", *URL).code == 0
    mend(home)
    assert status(run, 4)["wrong"] == []
    roll(run, "live", "canary")
    roll(run, "live", "all")
    apply(run, "enforce", code=4)
    home.pass_time("25 hours")
    fail(home, "live")
    said = apply(run, "enforce", code=4)
    assert f"repaired: {WAITING}" in said
    assert home.head() == "users_email_expand"
    assert run("rollout", "users.mig", "--stage", "shadow", "--for", "all", *URL).code == 1
    mend(home)
    apply(run, "enforce")
    assert home.head() == "users_email_enforce"
