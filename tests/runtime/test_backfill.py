"""The example's generated backfill, run as a person runs it, on a real PostgreSQL."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from migdsl.runtime.address import conninfo_of
from migdsl.runtime.database import Database
from migdsl.runtime.jobs import Limits, Retry
from migdsl.runtime.stop import Signals
from tests.runtime.conftest import Users, ledger_statements

FAST = ("--duty", "1")
# Each committed write of a row is a line here: what a kill or a second worker repeats, shows.
AUDIT = """
CREATE TABLE audit (id bigint, backend int);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO audit VALUES (NEW.id, pg_backend_pid()); RETURN NULL; END';
CREATE TRIGGER audit AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION audit();
"""
WORKERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'migdsl %%'"
)


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Polls for up to a minute; a process that ends first fails the test with what it said."""
    until = time.monotonic() + 60
    while not what():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"ended with {process.returncode}: {process.communicate()}")
        assert time.monotonic() < until, "waited for a minute"
        time.sleep(0.02)


def waits_for_a_lock(users: Users) -> bool:
    return users.one(f"{WORKERS} AND wait_event_type = 'Lock'") > 0


def assert_ledger_is_true(users: Users) -> None:
    """Each tenant's rows up to its watermark are filled, none beyond it is, and the counts are those of the table."""
    found = users.all("""
        SELECT s.tenant, s.rows_scanned, s.rows_changed,
               count(u.id) FILTER (WHERE u.id <= (s.watermark->>0)::bigint),
               count(u.id) FILTER (WHERE u.contact_email IS NOT NULL),
               count(u.id) FILTER (WHERE u.contact_email IS NOT NULL AND u.id <= (s.watermark->>0)::bigint)
          FROM migdsl.slice AS s LEFT JOIN users AS u ON u.tenant_id::text = s.tenant
         GROUP BY s.tenant, s.rows_scanned, s.rows_changed
        """)
    assert found
    for tenant, scanned, changed, below, filled, filled_below in found:
        assert scanned == changed == below == filled == filled_below, tenant


def test_fills_every_tenant_and_says_so(many_users: Users, tmp_path: Path):
    metrics = tmp_path / "m.prom"
    done = many_users.job("backfill", *FAST, "--metrics", str(metrics))
    assert done.returncode == 0, done.stderr
    assert "6 succeeded; 20,000 of 20,000 rows passed, 20,000 changed; 0 rows unfilled" in done.stdout
    assert many_users.unfilled() == 0
    assert_ledger_is_true(many_users)
    assert many_users.all(
        "SELECT state, rows_planned, upper_key FROM migdsl.slice WHERE tenant = %s", many_users.empty_tenant
    ) == [("succeeded", 0, None)]
    assert [value for (value,) in many_users.all("SELECT value FROM migdsl.event WHERE kind = 'job' ORDER BY id")] == [
        "started",
        "planned",
        "finished",
    ]
    assert 'outcome="changed"} 20000' in metrics.read_text()
    assert (
        'migdsl_backfill_remaining_rows{migration="users_email",backfill="user.contact_email"} 0\n'
        in metrics.read_text()
    )


def test_a_replay_changes_nothing(users: Users):
    assert users.job("backfill", *FAST).returncode == 0
    before = users.all("SELECT id, xmin::text, contact_email FROM users ORDER BY id")
    for again in ((), ("--again",)):
        done = users.job("backfill", *FAST, *again)
        assert done.returncode == 0, done.stderr
        assert users.all("SELECT id, xmin::text, contact_email FROM users ORDER BY id") == before
    assert users.one("SELECT sum(rows_changed) FROM migdsl.slice") == 0


def test_rows_born_after_planning_are_left_to_the_trigger_until_another_pass(users: Users):
    assert users.job("backfill", *FAST).returncode == 0
    tenant = users.empty_tenant
    users.run("INSERT INTO users (id, tenant_id, username) VALUES (1000000, %s, 'late')", tenant)
    done = users.job("backfill", *FAST)
    assert done.returncode == 1
    assert "1 rows unfilled" in done.stdout
    assert tenant in done.stdout
    assert users.job("backfill", *FAST, "--again").returncode == 0
    assert users.unfilled() == 0


def test_one_tenant_alone(users: Users):
    tenant = users.tenants[2]
    done = users.job("backfill", *FAST, "--tenant", tenant)
    assert done.returncode == 0, done.stderr
    assert users.all("SELECT DISTINCT tenant_id::text FROM users WHERE contact_email IS NOT NULL") == [(tenant,)]
    assert users.all("SELECT DISTINCT tenant FROM migdsl.slice") == [(tenant,)]


def test_values_written_by_others_are_kept(users: Users):
    users.run("UPDATE users SET contact_email = 'chosen' WHERE id = 70")
    assert users.job("backfill", *FAST).returncode == 0
    assert users.one("SELECT contact_email FROM users WHERE id = 70") == "chosen"
    assert users.one("SELECT sum(rows_scanned) - sum(rows_changed) FROM migdsl.slice") == 1


def test_killed_twice_in_the_middle_of_a_batch(many_users: Users):
    users, big = many_users, many_users.one(
        "SELECT tenant_id::text FROM users GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
    )
    users.run(AUDIT)
    for share in (0.2, 0.7):
        row = users.one(
            "SELECT percentile_disc(%s::float) WITHIN GROUP (ORDER BY id) FROM users WHERE tenant_id = %s", share, big
        )
        with psycopg.connect(users.url) as holder:
            holder.execute("SELECT FROM users WHERE id = %s FOR UPDATE", (row,))
            process = users.start("backfill", *FAST, "--batch", "300")
            wait_for(lambda: waits_for_a_lock(users), process)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        wait_for(lambda: users.one(WORKERS) == 0)
        assert users.one("SELECT count(*) FROM migdsl.slice WHERE state = 'running'") == 1
        assert_ledger_is_true(users)
        assert 0 < users.one("SELECT count(*) FROM audit") < 20_000
    done = users.job("backfill", *FAST)
    assert done.returncode == 0, done.stderr
    assert users.unfilled() == 0
    assert_ledger_is_true(users)
    assert users.all("SELECT count(*), count(DISTINCT id) FROM audit") == [(20_000, 20_000)]
    assert users.one("SELECT attempts FROM migdsl.slice WHERE tenant = %s", big) == 3


def test_sigterm_finishes_the_batch_and_gives_the_lease_back(many_users: Users):
    process = many_users.start("backfill", "--batch", "20", "--duty", "0.2")
    wait_for(lambda: bool(many_users.one("SELECT coalesce(sum(rows_scanned), 0) FROM migdsl.slice")), process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "event=stopped" in said
    assert many_users.one("SELECT count(*) FROM migdsl.slice WHERE state = 'running'") == 0
    assert many_users.one("SELECT count(*) FROM migdsl.slice WHERE state = 'pending' AND watermark IS NOT NULL") == 1
    assert many_users.unfilled() > 0
    assert_ledger_is_true(many_users)
    assert many_users.job("backfill", *FAST).returncode == 0
    assert many_users.unfilled() == 0


def test_ctrl_c_says_that_it_was_interrupted(many_users: Users):
    process = many_users.start("backfill", "--batch", "20", "--duty", "0.2")
    wait_for(lambda: bool(many_users.one("SELECT coalesce(sum(rows_scanned), 0) FROM migdsl.slice")), process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert_ledger_is_true(many_users)


def test_two_processes_share_the_work_and_no_row(many_users: Users):
    many_users.run(AUDIT)
    both = [many_users.start("backfill", "--duty", "0.7", "--batch", "100") for _ in range(2)]
    ends = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    assert many_users.unfilled() == 0
    assert_ledger_is_true(many_users)
    assert many_users.all("SELECT count(*), count(DISTINCT id) FROM audit") == [(20_000, 20_000)]
    # A lane is one worker's from its claim to its end.
    lanes = many_users.all(
        "SELECT u.tenant_id, count(DISTINCT backend) FROM audit JOIN users AS u USING (id) GROUP BY 1"
    )
    assert {workers for _, workers in lanes} == {1}


def test_a_lock_held_by_someone_else_is_waited_out(users: Users):
    with psycopg.connect(users.url) as holder:
        holder.execute("SELECT FROM users WHERE id = 700 FOR UPDATE")
        process = users.start("backfill", *FAST)
        assert process.stderr is not None
        said = iter(process.stderr)
        line = next(line for line in said if "event=retry" in line)
    assert "LockNotAvailable 55P03" in line
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert users.unfilled() == 0


def test_a_lost_connection_is_made_again(users: Users):
    with psycopg.connect(users.url) as holder:
        holder.execute("SELECT FROM users WHERE id = 700 FOR UPDATE")
        process = users.start("backfill", *FAST)
        wait_for(lambda: waits_for_a_lock(users), process)
        users.all(WORKERS.replace("count(*)", "pg_terminate_backend(pid)"))
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "event=retry" in said
    assert users.unfilled() == 0
    assert_ledger_is_true(users)


def test_a_dry_run_writes_nothing(users: Users):
    done = users.job("backfill", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "6 slices of 6 tenants, 2,000 rows" in done.stdout
    assert "UPDATE public.users AS t" in done.stdout
    assert users.one("SELECT count(*) FROM migdsl.slice") == 0
    assert users.one("SELECT count(*) FROM users WHERE contact_email IS NOT NULL") == 0


def test_a_database_that_was_not_expanded_is_told_what_to_do(database: str):
    users = Users(database, ())
    for first in ((), ("--status",)):
        done = users.job("backfill", *first)
        assert done.returncode == 3
        assert "alembic upgrade head" in done.stderr
        assert done.stderr.count("\n") == 1
    users.run("CREATE TABLE tenants (id uuid)")
    users.run("CREATE TABLE users (id bigint, tenant_id uuid, username text, email text)")
    users.run("INSERT INTO tenants VALUES ('7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11')")
    for statement in ledger_statements():
        users.run(statement)
    done = users.job("backfill")
    assert done.returncode == 3
    assert "UndefinedColumn 42703" in done.stderr
    assert "alembic upgrade head" in done.stderr


def test_urls_are_never_printed(users: Users):
    secret = "hunter2-secret"
    for url in (f"postgresql://me:{secret}@127.0.0.1:1/x", f"postgresql+psycopg://me:{secret}@127.0.0.1:1/x"):
        done = users.job("backfill", "--url", url)
        assert done.returncode == 3
        assert "can't connect" in done.stderr
        assert secret not in done.stderr + done.stdout
    done = users.job("backfill", "--url", f"postgresql://me:{secret}@[oops")
    assert done.returncode == 2
    assert secret not in done.stderr + done.stdout


def test_a_password_that_a_message_quotes_is_masked():
    database = Database(conninfo_of("postgres://me:p%40ss@db/x", "a"), Limits(), Retry(), Signals())
    assert database._masked('FATAL: "p@ss"\n  is wrong') == 'FATAL: "***" is wrong'


def test_usage_errors(users: Users):
    for wrong in (("--batch", "0"), ("--duty", "1.5"), ("--tenant", "nobody"), ("--dry-run", "--again")):
        assert users.job("backfill", *wrong).returncode == 2
    done = subprocess.run(
        users.argv("backfill"),
        env={**users.environment(), "DATABASE_URL": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "DATABASE_URL" in done.stderr


def test_a_row_filter_is_an_error_and_not_a_part_of_the_table(users: Users):
    role = "r" + str(conninfo_to_dict(users.url)["dbname"])[-20:]
    users.run(f"CREATE ROLE {role} LOGIN")
    try:
        users.run(f"GRANT ALL ON ALL TABLES IN SCHEMA public, migdsl TO {role}; GRANT USAGE ON SCHEMA migdsl TO {role}")
        users.run("ALTER TABLE users ENABLE ROW LEVEL SECURITY")
        users.run("CREATE POLICY half ON users USING (id % 2 = 0)")
        done = users.job("backfill", "--url", make_conninfo(users.url, user=role))
        assert done.returncode == 3
        assert "BYPASSRLS" in done.stderr
        assert users.one("SELECT count(*) FROM users WHERE contact_email IS NOT NULL") == 0
    finally:
        users.run(f"DROP OWNED BY {role}; DROP ROLE {role}")
