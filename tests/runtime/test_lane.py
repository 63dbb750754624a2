"""Claims, fences and batches, seen one transaction at a time by two workers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import psycopg
import pytest

from migdsl.runtime.address import conninfo_of
from migdsl.runtime.backfill.lane import run_batch
from migdsl.runtime.backfill.program import Program
from migdsl.runtime.database import Database
from migdsl.runtime.errors import FenceLostError
from migdsl.runtime.jobs import Limits, Retry
from migdsl.runtime.ledger import Claim, Ledger, Part
from migdsl.runtime.sql import statement
from migdsl.runtime.stop import Signals
from tests.runtime.conftest import Users
from tests.runtime.samples.backfill_user import JOB

LEDGER = Ledger(JOB.migration, JOB.backfill)
PROGRAM = Program.of(JOB)


class Worker:
    """A worker's connection, stepped by hand."""

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self.database = Database(conninfo_of(url, name), Limits(), Retry(attempts=0), Signals())

    def plan(self, tenant: str) -> None:
        def work(tx):
            LEDGER.plan(tx, tenant, [Part(None, PROGRAM.last_key(tx, tenant), 0)])

        self.database.perform(work)

    def claim(self, tenant: str) -> Claim | None:
        return self.database.perform(lambda tx: LEDGER.claim(tx, tenant, self.name, self.database.backend_pid, 60))

    def batch(self, claim: Claim, size: int = 10):
        return self.database.perform(lambda tx: run_batch(tx, LEDGER, PROGRAM, claim, size, 60))


@pytest.fixture
def workers(users: Users) -> Iterator[tuple[Worker, Worker]]:
    pair = (Worker(users.url, "one"), Worker(users.url, "two"))
    pair[0].plan(users.tenants[3])
    yield pair
    for worker in pair:
        worker.database.close()


def rows_of(question, values, tx):
    return tx.rows(question, values)


def expire(users: Users) -> None:
    users.run("UPDATE migdsl.slice SET lease_until = now() - interval '1 second' WHERE state = 'running'")


def filled(users: Users) -> int:
    return users.one("SELECT count(*) FROM users WHERE contact_email IS NOT NULL")


def test_a_lane_has_one_worker(users: Users, workers: tuple[Worker, Worker]):
    one, two = workers
    claim = one.claim(users.tenants[3])
    assert claim is not None
    assert two.claim(users.tenants[3]) is None
    assert one.batch(claim).changed == filled(users) == 10
    assert two.claim(users.tenants[3]) is None


def test_a_worker_whose_lease_ran_out_writes_nothing_more(users: Users, workers: tuple[Worker, Worker]):
    one, two = workers
    old = one.claim(users.tenants[3])
    assert old is not None
    one.batch(old)
    expire(users)
    new = two.claim(users.tenants[3])
    assert new is not None
    assert new.fence > old.fence
    with pytest.raises(FenceLostError):
        one.batch(old)
    assert filled(users) == 10
    two.batch(new)
    assert filled(users) == 20


def test_without_its_fence_it_would_write(users: Users, workers: tuple[Worker, Worker]):
    # The control: the same worker with the new fence does write, so it is the fence that stopped it.
    one, two = workers
    old = one.claim(users.tenants[3])
    assert old is not None
    expire(users)
    new = two.claim(users.tenants[3])
    assert new is not None
    one.batch(Claim(old.tenant, old.part, new.fence))
    assert filled(users) == 10


def test_a_dead_workers_lane_is_free_at_once(users: Users, workers: tuple[Worker, Worker]):
    one, two = workers
    assert one.claim(users.tenants[3]) is not None
    backend = one.database.backend_pid
    one.database.close()
    with users.connect() as connection:
        while connection.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (backend,)).fetchone() is not None:
            connection.execute("SELECT pg_sleep(0.01)")
    assert two.claim(users.tenants[3]) is not None


@pytest.mark.parametrize("state", ["paused", "cancelled"])
def test_a_slice_that_was_paused_or_cancelled_stops(users: Users, workers: tuple[Worker, Worker], state: str):
    one, _ = workers
    claim = one.claim(users.tenants[3])
    assert claim is not None
    users.run("UPDATE migdsl.slice SET state = %s, lease_until = NULL, worker = NULL", state)
    with pytest.raises(FenceLostError):
        one.batch(claim)
    assert filled(users) == 0
    assert one.claim(users.tenants[3]) is None


def test_two_slices_of_a_tenant_are_one_lane(users: Users, workers: tuple[Worker, Worker]):
    one, two = workers
    users.run(
        "INSERT INTO migdsl.slice (migration, backfill, tenant, part, lower_key, upper_key)"
        " SELECT migration, backfill, tenant, 1, upper_key, '[\"99999999\"]' FROM migdsl.slice"
    )
    old = one.claim(users.tenants[3])
    assert old is not None
    assert two.claim(users.tenants[3]) is None
    expire(users)
    new = two.claim(users.tenants[3])
    assert new is not None
    with pytest.raises(FenceLostError):
        one.batch(old)


def test_a_batch_and_its_watermark_are_one_transaction(users: Users, workers: tuple[Worker, Worker]):
    one, _ = workers
    claim = one.claim(users.tenants[3])
    assert claim is not None

    def fail_after(tx):
        run_batch(tx, LEDGER, PROGRAM, claim, 10, 60)
        tx.rows(statement("SELECT 1 / 0"))

    with pytest.raises(psycopg.errors.DivisionByZero):
        one.database.perform(fail_after)
    assert filled(users) == 0
    assert users.all("SELECT watermark, rows_changed FROM migdsl.slice") == [(None, 0)]


def test_the_bounds_are_found_by_index(users: Users, workers: tuple[Worker, Worker]):
    users.run("ANALYZE users")
    tenant = users.tenants[0]
    for after, wanted in ((None, "(id <= "), ("700", "(id > ")):
        values = {"tenant_id": tenant, "after": after, "upto": "1400", "skip": "9"}
        for sql in (JOB.next_bound, JOB.batch):
            explain = statement("EXPLAIN " + sql)
            plan = "\n".join(row[0] or "" for row in workers[0].database.perform(partial(rows_of, explain, values)))
            (condition,) = [line for line in plan.splitlines() if "Index Cond" in line]
            assert wanted in condition, plan
            assert "tenant_id = " in condition, plan
            assert "OR" not in plan, plan


def test_the_bounds_read_no_more_rows_than_the_batch_has(users: Users, workers: tuple[Worker, Worker]):
    tenant = users.tenants[3]
    ids = [row[0] for row in users.all("SELECT id::text FROM users WHERE tenant_id = %s ORDER BY users.id", tenant)]
    span = {"tenant_id": tenant, "after": ids[-21], "upto": ids[-1], "skip": "9"}
    read = statement("SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'users'")

    def work(tx):
        before = int(tx.rows(read)[0][0])
        bound = tx.rows(PROGRAM.next_bound, span)
        tx.run(PROGRAM.batch, {**span, "upto": bound[0][0]})
        return bound, int(tx.rows(read)[0][0]) - before

    # A generic plan can't fold `:after IS NULL` away, and would read the tenant from its first row.
    bound, rows = workers[0].database.perform(work)
    assert bound == [(ids[-11],)]
    assert rows <= 22


def test_the_text_of_a_key_does_not_depend_on_the_databases_settings(users: Users, workers: tuple[Worker, Worker]):
    name = users.one("SELECT current_database()")
    for setting in (
        "datestyle = 'SQL, DMY'",
        "bytea_output = 'escape'",
        "intervalstyle = 'iso_8601'",
        "extra_float_digits = -15",
    ):
        users.run(f"ALTER DATABASE {name} SET {setting}")
    workers[0].database.close()
    question = statement("SELECT date '2024-03-04', bytea 'a', interval '1 day 2 hours', 0.1::float8 + 0.2::float8")
    rows = workers[0].database.perform(partial(rows_of, question, {}))
    assert rows == [("2024-03-04", r"\x61", "1 day 02:00:00", "0.30000000000000004")]
