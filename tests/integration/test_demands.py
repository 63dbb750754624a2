"""What the file demands is kept: conditions over the ledger stop enforce, invariants are asked tenant by tenant."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from alembic.util import CommandError

from tests.integration.project import EXAMPLE, Project
from tests.integration.world import CANARY

MORE = """
gate clean when drift_rate < 0.1% for 48h and backfill_progress = 100%
gate calm when checkout_errors < 1% for 1h and rows_mismatched < 1
phase backfill { exit when backfill_errors = 0 or tenants_unlisted > 99 }
metric checkout_errors = `sum(rate(http_errors_total[5m]))` unit ratio
validate User {
  invariant "every address has an @" `SELECT u.contact_email FROM users AS u
    WHERE u.tenant_id = :tenant_id AND u.contact_email NOT LIKE '%@%' -- of the new column`
  invariant "names aren't $gate$" `SELECT id FROM users WHERE tenant_id = :tenant_id AND username = '$gate$';`
}
"""
SLO = "downtime none\n  slo drift_rate < 50%"


def unmet(project: Project, revision: str = "users_email_enforce") -> list[str]:
    """The demands of the file among the gates that the refusal names."""
    with pytest.raises(CommandError) as refused:
        project.upgrade(revision)
    reasons = str(refused.value).partition(": not yet: ")[2].split("; ")
    return [r for r in reasons if r.startswith(("slo", "clean", "calm", "exit", '"', "drift", "rows", "backfill_"))]


def live(project: Project) -> None:
    project.run(
        "INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('users_email', 'stage', 'all', 'live')"
    )


def reading(project: Project, subject: str, value: str, age: str) -> None:
    project.run(
        "INSERT INTO migdsl.event (migration, kind, subject, value, at)"
        " VALUES ('users_email', 'reading', %s, %s, clock_timestamp() - %s::interval)",
        subject,
        value,
        age,
    )


@pytest.fixture
def demanding(clean_project: Project) -> Project:
    """Expand has run, of a file that demands more than the example."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("downtime none", SLO) + MORE
    clean_project.write(text)
    clean_project.upgrade("users_email_expand")
    return clean_project


def test_what_was_never_measured_does_not_hold(demanding: Project) -> None:
    assert unmet(demanding) == [
        "slo: drift_rate < 50% does not hold",
        "drift_rate of User is not measured",
        "clean: drift_rate < 0.1% for 48h and backfill_progress = 100% does not hold",
        "drift_rate of User is not measured, backfill_progress of User is not measured",
        "calm: rows_mismatched < 1 does not hold",
        "rows_mismatched of User is not measured",
        "exit_backfill: backfill_errors = 0 or tenants_unlisted > 99 does not hold",
        "backfill_errors of User is not measured, tenants_unlisted of User is not measured",
        '"every address has an @" has not been asked of User',
        '"names aren\'t $gate$" has not been asked of User',
    ]


def test_a_condition_holds_once_every_reading_of_its_time_does(demanding: Project) -> None:
    assert demanding.backfill().code == 0
    live(demanding)
    assert demanding.reconcile().code == 0
    # One reading is no history, and one that is a day old not enough of it.
    assert unmet(demanding) == [
        "clean: drift_rate < 0.1% for 48h and backfill_progress = 100% does not hold",
        "drift_rate of User is 0%, backfill_progress of User is 100%",
    ]
    demanding.pass_time("47 hours")
    assert demanding.reconcile().code == 0
    assert unmet(demanding)[0].startswith("clean: ")
    demanding.pass_time("2 hours")
    demanding.upgrade("users_email_enforce")
    demanding.downgrade("users_email_expand")
    # Nor is one that stands alone since the time began.
    demanding.pass_time("90 hours")
    assert unmet(demanding)[0].startswith("clean: ")


def test_one_bad_reading_in_between_is_enough(demanding: Project) -> None:
    assert demanding.backfill().code == 0
    live(demanding)
    assert demanding.reconcile().code == 0
    demanding.pass_time("50 hours")
    assert demanding.reconcile().code == 0
    reading(demanding, "drift_rate:User", "0.0011", "20 hours")
    reading(demanding, "drift_rate:User", "0.0001", "1 second")
    assert unmet(demanding) == [
        "clean: drift_rate < 0.1% for 48h and backfill_progress = 100% does not hold",
        "drift_rate of User is 0.01%, backfill_progress of User is 100%",
    ]
    # It stands until the next one: when the time began it was still in force.
    demanding.pass_time("29 hours")
    assert demanding.reconcile().code == 0
    assert unmet(demanding)[0].startswith("clean: ")
    demanding.pass_time("20 hours")
    assert demanding.reconcile().code == 0
    demanding.upgrade("users_email_enforce")


def test_an_invariant_that_is_broken_stops_enforce_and_names_no_value(demanding: Project) -> None:
    assert demanding.backfill().code == 0
    live(demanding)
    demanding.run("UPDATE users SET contact_email = 'secret-' || id WHERE tenant_id = %s", CANARY)
    broken = demanding.one("SELECT count(*) FROM users WHERE contact_email LIKE 'secret-%%' AND tenant_id = %s", CANARY)
    done = demanding.reconcile()
    assert done.code == 1
    assert f"tenant {CANARY!r} breaks 'every address has an @': {broken} rows" in done.out
    assert "secret-" not in done.out + done.err
    assert demanding.all("SELECT tenant, violations FROM migdsl.reconciliation WHERE violations > 0") == [
        (CANARY, broken)
    ]
    assert f'"every address has an @" is broken in User {broken} times' in unmet(demanding)
    demanding.run("UPDATE users SET contact_email = id || '@example.org' WHERE tenant_id = %s", CANARY)
    assert demanding.reconcile().code == 0
    assert not any("every address" in reason for reason in unmet(demanding))


def test_the_plan_says_what_no_revision_can_tell(demanding: Project) -> None:
    runbook = (demanding.out / "docs" / "migrations" / "users_email.md").read_text(encoding="utf-8")
    assert "- [ ] checkout\\_errors \\< 1% for 1h (your monitoring tells; no revision can)" in runbook
    assert "- [ ] The condition calm holds: rows\\_mismatched \\< 1" in runbook


def test_a_backfill_waits_while_locks_are_waited_for(clean_project: Project) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    clean_project.write(text + "backfill User { batch 10 rows; pause when lock_wait > 1s }\n")
    clean_project.upgrade("users_email_expand")
    with clean_project.connect() as holder:
        holder.execute("CREATE TABLE queue (id integer)")
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE queue IN ACCESS EXCLUSIVE MODE")
        waiter = subprocess.Popen(
            [sys.executable, "-c", WAITER], env={**os.environ, "URL": clean_project.url}, stdout=subprocess.DEVNULL
        )
        waited = "SELECT count(*) FROM pg_locks WHERE NOT granted AND waitstart < clock_timestamp() - interval '1.5 s'"
        _until(lambda: clean_project.one(waited) > 0)
        job = clean_project.start_backfill()
        _until(lambda: clean_project.one("SELECT count(*) FROM migdsl.slice WHERE held IS NOT NULL") > 0)
        filled = clean_project.one("SELECT count(*) FROM users WHERE contact_email IS NOT NULL")
        holder.execute("COMMIT")
    out, err = job.communicate(timeout=60)
    waiter.wait(timeout=60)
    assert filled == 0
    assert job.returncode == 0, out + err
    assert "event=held" in err
    assert "lock_wait is " in err
    assert clean_project.one("SELECT count(*) FROM users WHERE contact_email IS NULL") == 0


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "waited for a minute"
        time.sleep(0.05)


WAITER = """
import os, psycopg
psycopg.connect(os.environ["URL"], autocommit=True).execute("SELECT count(*) FROM queue")
"""
