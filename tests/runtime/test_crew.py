"""Several workers, canaries, slices, and what is said from another terminal; on a real PostgreSQL."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace

import psycopg
import pytest

from migdsl.runtime import BackfillJob, main
from migdsl.runtime.backfill import crew
from migdsl.runtime.backfill.crew import in_turn
from migdsl.runtime.jobs import Limits, Retry
from migdsl.runtime.ledger import Lane
from tests.runtime.conftest import Users
from tests.runtime.samples.backfill_user import JOB
from tests.runtime.test_backfill import AUDIT, FAST, WORKERS, assert_ledger_is_true, wait_for

# A fixed batch: on a machine that is busy, batches that adapt become small.
WHOLE = (*FAST, "--batch", "1000")
SLOW = ("--batch", "20", "--duty", "0.2")
# Which rows were written by whom, in the order in which the transactions wrote them.
ORDER = """
CREATE TABLE journal (seq bigint GENERATED ALWAYS AS IDENTITY, tenant uuid, id bigint, backend int);
CREATE FUNCTION journal() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO journal (tenant, id, backend) VALUES (NEW.tenant_id, NEW.id, pg_backend_pid()); RETURN NULL; END';
CREATE TRIGGER journal AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION journal();
"""


def run(users: Users, job: BackfillJob, *args: str) -> int:
    return main(job, ["--url", users.url, *FAST, *args])


def progress(users: Users) -> int:
    return users.one("SELECT coalesce(sum(rows_scanned), 0) FROM migdsl.slice")


def lane(tenant: str, left: int = 1, *, open_: int = 1, paused: int = 0, failed: int = 0) -> Lane:
    return Lane(tenant, left, open_, paused, failed, busy=False)


def test_workers_share_the_tenants_and_no_row(many_users: Users):
    many_users.run(AUDIT)
    done = many_users.job("backfill", *FAST, "--workers", "3", "--batch", "100")
    assert done.returncode == 0, done.stderr
    assert "6 succeeded; 20,000 of 20,000 rows passed, 20,000 changed; 0 rows unfilled" in done.stdout
    assert many_users.unfilled() == 0
    assert_ledger_is_true(many_users)
    assert many_users.all("SELECT count(*), count(DISTINCT id) FROM audit") == [(20_000, 20_000)]
    assert many_users.one("SELECT count(DISTINCT backend) FROM audit") > 1
    lanes = many_users.all(
        "SELECT u.tenant_id, count(DISTINCT backend) FROM audit JOIN users AS u USING (id) GROUP BY 1"
    )
    assert {workers for _, workers in lanes} == {1}


def test_sigterm_ends_all_workers_after_their_batch(many_users: Users):
    process = many_users.start("backfill", *SLOW, "--workers", "3")
    wait_for(lambda: many_users.one("SELECT count(*) FROM migdsl.slice WHERE rows_scanned > 0") >= 2, process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert many_users.one("SELECT count(*) FROM migdsl.slice WHERE state = 'running' OR lease_until IS NOT NULL") == 0
    assert many_users.unfilled() > 0
    assert_ledger_is_true(many_users)
    wait_for(lambda: many_users.one(WORKERS) == 0)


def test_an_error_of_one_worker_ends_all_and_is_told_once(many_users: Users):
    many_users.run("REVOKE ALL ON users FROM PUBLIC")
    broken = replace(JOB, batch=JOB.batch.replace("t.username", "t.no_such_column"), workers=3)
    assert run(many_users, broken) == 3
    assert many_users.one("SELECT count(*) FROM migdsl.slice WHERE state = 'running'") == 0


def test_canaries_are_done_before_anybody_else_begins(users: Users):
    users.run(ORDER)
    small, other = users.tenants[4], users.tenants[2]
    assert run(users, replace(JOB, canary=(small, other), workers=2)) == 0
    assert users.unfilled() == 0
    last_canary = users.one("SELECT max(seq) FROM journal WHERE tenant IN (%s, %s)", small, other)
    first_other = users.one("SELECT min(seq) FROM journal WHERE tenant NOT IN (%s, %s)", small, other)
    assert last_canary < first_other


def test_a_canary_that_fails_keeps_all_others_waiting(users: Users):
    canary = users.tenants[4]
    users.run(f"ALTER TABLE users ADD CHECK (contact_email IS NULL OR tenant_id <> '{canary}')")
    job = replace(JOB, canary=(canary,), budget=replace(JOB.budget, rows=0))
    assert run(users, job) == 1
    assert users.one("SELECT count(*) FROM users WHERE contact_email IS NOT NULL") == 0
    # Who names tenants means these.
    users.run("UPDATE migdsl.slice SET error = NULL WHERE state = 'failed'")
    assert run(users, job, "--tenant", users.tenants[2]) == 0


def test_the_order_of_turns():
    some = (lane("big", 9), lane("small", 1), lane("canary", 5))
    assert [each.tenant for each in in_turn(some, ())] == ["big", "small", "canary"]
    assert [each.tenant for each in in_turn(some, ("canary", "gone"))] == ["canary"]
    assert [each.tenant for each in in_turn(some, ("small", "canary"))] == ["small", "canary"]
    assert [each.tenant for each in in_turn(some, ("gone",))] == ["big", "small", "canary"]
    for stuck in (lane("canary", open_=0, failed=1), lane("canary", open_=0, paused=1)):
        assert in_turn((lane("big"), stuck), ("canary",)) == ()


def test_a_lane_whose_time_is_up_waits_for_all_others(users: Users, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(crew, "TURN_S", 0.0)
    users.run(ORDER)
    assert main(JOB, ["--url", users.url, "--duty", "1", "--batch", "40"]) == 0
    assert users.unfilled() == 0
    turns = [
        tenant
        for (tenant,) in users.all(
            "SELECT tenant FROM (SELECT seq, tenant, lag(tenant) OVER (ORDER BY seq) AS before FROM journal) AS j"
            " WHERE tenant IS DISTINCT FROM before ORDER BY seq"
        )
    ]
    # Five tenants with rows: each has had a turn before the first has its second.
    assert len(set(turns[:5])) == 5
    assert len(turns) > 10
    assert users.one("SELECT max(attempts) FROM migdsl.slice") > 1


def test_big_tenants_are_cut_into_slices(many_users: Users):
    users = many_users
    users.run(AUDIT)
    assert run(users, replace(JOB, slice_rows=1000, workers=2)) == 0
    parts = users.all(
        "SELECT tenant, part, (lower_key->>0)::bigint, (upper_key->>0)::bigint, rows_planned, rows_scanned"
        " FROM migdsl.slice ORDER BY tenant, part"
    )
    assert sum(rows for *_, rows, _ in parts) == 20_000
    assert max(rows for *_, rows, _ in parts) == 1000
    assert all(planned == scanned for *_, planned, scanned in parts)
    before: tuple = (None, None, None)
    for tenant, part, lower, upper, _, _ in parts:
        assert (part, lower) == ((before[1] + 1, before[2]) if tenant == before[0] else (0, None))
        before = (tenant, part, upper)
    assert users.unfilled() == 0
    assert users.all("SELECT count(*), count(DISTINCT id) FROM audit") == [(20_000, 20_000)]
    # Another pass has slices of its own, and fences that no worker of the pass before has.
    fences = users.one("SELECT min(fence) FROM migdsl.slice")
    users.run("UPDATE users SET contact_email = NULL WHERE id % 70 = 0")
    assert run(users, replace(JOB, slice_rows=5000), "--again") == 0
    assert users.unfilled() == 0
    assert users.one("SELECT max(rows_planned) FROM migdsl.slice") == 5000
    assert users.one("SELECT min(fence) FROM migdsl.slice WHERE rows_planned > 0") > fences


@pytest.mark.parametrize("workers", ["1", "2"])
def test_paused_and_resumed_from_another_terminal(many_users: Users, workers: str):
    users = many_users
    process = users.start("backfill", *SLOW, "--workers", workers)
    wait_for(lambda: progress(users) > 0, process)
    paused = users.job("backfill", "--pause")
    assert paused.returncode == 0, paused.stderr
    assert "slices paused" in paused.stdout
    stood = progress(users)
    status = users.job("backfill", "--status")
    assert "paused" in status.stdout
    assert "--resume" in status.stdout
    assert process.poll() is None
    assert users.one("SELECT count(*) FROM migdsl.slice WHERE state IN ('pending', 'running')") == 0
    assert progress(users) == stood < 20_000
    # A job that is begun while all is paused doesn't wait for somebody to come.
    other = users.job("backfill", *FAST)
    assert other.returncode == 1
    assert "paused: --resume lets it go on" in other.stdout
    assert users.job("backfill", "--resume").returncode == 0
    wait_for(lambda: progress(users) > stood, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert users.job("backfill", *WHOLE).returncode == 0
    assert users.unfilled() == 0
    assert_ledger_is_true(users)
    said = users.all("SELECT value FROM migdsl.event WHERE kind = 'control' ORDER BY id")
    assert said == [("paused",), ("resumed",)]


def test_what_is_paused_stays_so_for_tenants_that_come_later(users: Users):
    assert users.job("backfill", *FAST, "--tenant", users.tenants[0]).returncode == 0
    assert users.job("backfill", "--pause").returncode == 0
    for args in ((), ("--again",)):
        done = users.job("backfill", *FAST, *args)
        assert done.returncode == 1
        assert "paused: --resume" in done.stdout
        assert users.all("SELECT DISTINCT tenant_id::text FROM users WHERE contact_email IS NOT NULL") == [
            (users.tenants[0],)
        ]
    assert users.job("backfill", "--resume").returncode == 0
    assert users.job("backfill", *FAST).returncode == 0
    assert users.unfilled() == 0


def test_one_tenant_is_cancelled_and_the_others_go_on(many_users: Users):
    users = many_users
    big = users.one("SELECT tenant_id::text FROM users GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")
    process = users.start("backfill", "--batch", "50", "--duty", "0.5")
    wait_for(lambda: progress(users) > 0, process)
    assert users.job("backfill", "--cancel", "--tenant", big).returncode == 0
    users.job("backfill", "--pause", "--tenant", users.empty_tenant)  # nothing to pause, and nothing wrong with that
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert "1 cancelled" in out
    assert users.all("SELECT DISTINCT tenant_id::text FROM users WHERE contact_email IS NULL") == [(big,)]
    assert users.job("backfill", *WHOLE).returncode == 1
    assert users.job("backfill", *WHOLE, "--again").returncode == 0
    assert users.unfilled() == 0


def test_a_held_job_says_why_and_keeps_its_lease(users: Users):
    users.run("CREATE TABLE health (why text)")
    users.run("INSERT INTO health VALUES ('the moon is full')")
    job = replace(JOB, hold="SELECT max(why) FROM health", limits=Limits(lease_s=2), retry=Retry(first_s=0.01))
    ends: list[int] = []
    thread = threading.Thread(target=lambda: ends.append(run(users, job)))
    thread.start()
    held = "SELECT count(*) FROM migdsl.slice WHERE held = 'the moon is full' AND state = 'running'"
    wait_for(lambda: users.one(held) == 1)
    began = users.one("SELECT clock_timestamp()")
    wait_for(lambda: users.one("SELECT clock_timestamp() > %s + interval '4 seconds'", began))
    assert users.all("SELECT attempts, lease_until > clock_timestamp() FROM migdsl.slice WHERE state = 'running'") == [
        (1, True)
    ]
    assert users.one("SELECT count(*) FROM users WHERE contact_email IS NOT NULL") == 0
    assert "waits: the moon is full" in users.job("backfill", "--status").stdout
    users.run("DELETE FROM health")
    thread.join(timeout=60)
    assert ends == [0]
    assert users.unfilled() == 0
    assert users.one("SELECT count(*) FROM migdsl.slice WHERE held IS NOT NULL") == 0


def test_a_paused_job_that_is_held_notices(users: Users):
    job = replace(JOB, hold="SELECT 'always'", limits=Limits(lease_s=2))
    ends: list[int] = []
    thread = threading.Thread(target=lambda: ends.append(run(users, job)))
    thread.start()
    wait_for(lambda: users.one("SELECT count(*) FROM migdsl.slice WHERE held = 'always'") == 1)
    assert run(users, job, "--cancel") == 0
    thread.join(timeout=60)
    assert ends == [1]


def test_a_lock_on_one_tenant_keeps_no_other_waiting(users: Users):
    row = users.one("SELECT min(id) FROM users WHERE tenant_id = %s", users.tenants[0])
    with psycopg.connect(users.url) as holder:
        holder.execute("SELECT FROM users WHERE id = %s FOR UPDATE", (row,))
        process = users.start("backfill", *FAST, "--workers", "2")
        others = "SELECT count(*) FROM users WHERE contact_email IS NULL AND tenant_id <> %s"
        wait_for(lambda: users.one(others, users.tenants[0]) == 0, process)
        assert process.poll() is None
    process.communicate(timeout=90)
    assert process.returncode == 0
    assert users.unfilled() == 0
