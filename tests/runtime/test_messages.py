"""What goes to the server in one message, and that a small tenant needs few of them; on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import psycopg
import pytest

from migdsl.runtime import BackfillJob, main
from migdsl.runtime.address import conninfo_of
from migdsl.runtime.backfill import slices
from migdsl.runtime.backfill.lane import first_batch
from migdsl.runtime.backfill.program import Program
from migdsl.runtime.backfill.slices import Cutter, in_handfuls
from migdsl.runtime.database import Database, Transaction
from migdsl.runtime.jobs import Limits, Retry
from migdsl.runtime.ledger import Claim, Ledger, Part
from migdsl.runtime.sql import Statement, statement
from migdsl.runtime.stop import Signals
from tests.runtime.conftest import Users
from tests.runtime.samples.backfill_user import JOB
from tests.runtime.test_backfill import assert_ledger_is_true

LEDGER = Ledger(JOB.migration, JOB.backfill)
PROGRAM = Program.of(JOB)
ONE = statement("SELECT 1")
PUT = statement("INSERT INTO note (text) VALUES (:text)")
NOTES = statement("SELECT text FROM note ORDER BY n")
FAILS = statement("SELECT 1 / 0")
Notes = Callable[[], "list[str | None]"]


@pytest.fixture
def one(database: str) -> Iterator[Database]:
    one = Database(conninfo_of(database, "test"), Limits(), Retry(attempts=0), Signals())
    yield one
    one.close()


@pytest.fixture
def notes(one: Database) -> Notes:
    """A table of texts; what it holds."""
    one.perform(lambda tx: tx.rows(statement("CREATE TABLE note (n bigint GENERATED ALWAYS AS IDENTITY, text text)")))
    return lambda: [text for (text,) in one.perform(lambda tx: tx.rows(NOTES))]


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is sent from here on, a text a message."""
    sent: list[bytes] = []
    execute = psycopg.RawCursor.execute

    def noted(self, query, *given, **named):
        sent.append(query if isinstance(query, bytes) else str(query).encode())
        return execute(self, query, *given, **named)

    monkeypatch.setattr(psycopg.RawCursor, "execute", noted)
    return sent


def waiting_and_failing(tx: Transaction) -> None:
    tx.later(PUT, {"text": "lost"})
    tx.later(FAILS)


def waiting_and_raising(tx: Transaction) -> None:
    tx.later(PUT, {"text": "lost"})
    raise ValueError("no")


class TestTogether:
    def test_all_of_it_is_one_message(self, one: Database, messages: list[bytes]):
        with one.transaction(brief=True) as tx:
            assert tx.together((ONE, {}), (ONE, {})) == [[("1",)], [("1",)]]
        assert [message.endswith(b"COMMIT") for message in messages] == [False, True]

    @pytest.mark.parametrize("conforming", ["on", "off"])
    def test_any_value_arrives_as_it_is(self, one: Database, notes: Notes, conforming: str):
        texts = ["it's", "back\\slash", "a\\'b", "$1", "ü\n'; DROP TABLE note; --", ""]
        for text in texts:
            with one.transaction() as tx:
                tx.run(statement(f"SET standard_conforming_strings = {conforming}"))
                tx.together((PUT, {"text": text}), (ONE, {}))
                tx.later(PUT, {"text": text})
        assert notes() == [text for text in texts for _ in range(2)]

    def test_a_statement_may_end_in_a_comment(self, one: Database):
        with one.transaction(brief=True) as tx:
            assert tx.together((Statement("SELECT 1 -- one", ()), {}), (ONE, {})) == [[("1",)], [("1",)]]

    def test_each_sees_what_the_one_before_did(self, one: Database, notes: Notes):
        with one.transaction(brief=True) as tx:
            assert tx.together((PUT, {"text": "a"}), (NOTES, {}))[1] == [("a",)]
        assert notes() == ["a"]

    def test_what_waits_goes_before_whatever_comes_next(self, one: Database, notes: Notes):
        with one.transaction() as tx:
            tx.later(PUT, {"text": "a"})
            assert tx.rows(NOTES) == [("a",)]
            tx.later(PUT, {"text": "b"})
            tx.cursor.execute("INSERT INTO note (text) VALUES ('c')")
            tx.later(PUT, {"text": "d"})
        assert notes() == ["a", "b", "c", "d"]

    def test_a_savepoint_takes_back_what_waits_in_it_and_no_more(self, one: Database, notes: Notes):
        with one.transaction() as tx:
            tx.later(PUT, {"text": "kept"})
            with pytest.raises(psycopg.errors.DivisionByZero), tx.savepoint():
                waiting_and_failing(tx)
            tx.later(PUT, {"text": "after"})
        assert notes() == ["kept", "after"]

    @pytest.mark.parametrize("brief", [True, False])
    def test_nothing_is_kept_of_a_transaction_that_fails(self, one: Database, notes: Notes, brief: bool):
        with pytest.raises(psycopg.errors.DivisionByZero), one.transaction(brief=brief) as tx:
            tx.together((PUT, {"text": "a"}), (FAILS, {}), (PUT, {"text": "b"}))
        with pytest.raises(psycopg.errors.DivisionByZero), one.transaction(brief=brief) as tx:
            waiting_and_failing(tx)
        with pytest.raises(ValueError, match="no"), one.transaction(brief=brief) as tx:
            waiting_and_raising(tx)
        assert notes() == []

    def test_a_transaction_in_which_nothing_happens_is_none(self, one: Database, messages: list[bytes]):
        with one.transaction(brief=True):
            pass
        assert messages == []


def counted(users: Users, job: BackfillJob, messages: list[bytes], tenants: int) -> int:
    """How many messages a run takes, the tenants with 20 rows each."""
    users.run("TRUNCATE users, tenants, migdsl.slice, migdsl.quarantine")
    users.run("INSERT INTO tenants SELECT md5(n::text)::uuid FROM generate_series(1, %s) AS n;", tenants)
    users.run(
        "INSERT INTO users (id, tenant_id, username) SELECT g, md5((1 + g %% %s)::text)::uuid, 'u' || g"
        "  FROM generate_series(1, 20 * %s) AS g",
        tenants,
        tenants,
    )
    messages.clear()
    assert main(job, ["--url", users.url, "--duty", "1", "--batch", "1000"]) == 0
    sent = len(messages)
    assert users.unfilled() == 0
    assert_ledger_is_true(users)
    return sent


def test_a_tenant_of_one_batch_takes_three_messages(
    users: Users, messages: list[bytes], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(slices, "_AIM_S", float("inf"))  # on a busy machine handfuls would become small
    few, many = (counted(users, replace(JOB, hold=None), messages, tenants) for tenants in (20, 60))
    # Claimed, filled, done; what is planned and counted for several at once is spread over them.
    assert 40 * 3 <= many - few < 40 * 4


@pytest.mark.parametrize(
    ("meanwhile", "counted"),
    [
        ("SELECT", 0),
        ("UPDATE migdsl.slice SET planned_at = now() - interval '1 hour'", 1),
        ("UPDATE users SET contact_email = 'chosen' WHERE id = (SELECT min(id) FROM users WHERE tenant_id = %s)", 1),
        ("DELETE FROM users WHERE id = (SELECT min(id) FROM users WHERE tenant_id = %s)", 1),
        ("INSERT INTO users (id, tenant_id, username) VALUES (1, %s, 'born')", 1),
    ],
)
def test_a_batch_is_counted_where_it_may_not_be_what_was_planned(
    users: Users, one: Database, messages: list[bytes], meanwhile: str, counted: int
):
    tenant = users.tenants[3]
    parts = Cutter(PROGRAM, JOB.slice_rows).cut(one, [tenant])
    one.perform(lambda tx: LEDGER.plan_all(tx, parts))
    users.run(meanwhile, *([tenant] if "%s" in meanwhile else []))
    messages.clear()
    assert main(JOB, ["--url", users.url, "--duty", "1", "--batch", "5000", "--tenant", tenant]) == 0
    assert messages.count(PROGRAM.count.text.encode()) == counted
    rows = users.one("SELECT count(*) FROM users WHERE tenant_id = %s", tenant)
    assert users.one("SELECT rows_scanned FROM migdsl.slice") == rows


def test_a_slice_that_has_begun_is_counted(users: Users, one: Database, messages: list[bytes]):
    """Rows that were born since count as passed, so that what is left by the ledger may be far too few."""
    tenant = users.tenants[3]
    parts = Cutter(PROGRAM, JOB.slice_rows).cut(one, [tenant])
    one.perform(lambda tx: LEDGER.plan_all(tx, parts))
    users.run("UPDATE migdsl.slice SET rows_planned = rows_planned + 1, rows_scanned = 1")
    messages.clear()
    assert main(JOB, ["--url", users.url, "--duty", "1", "--batch", "5000", "--tenant", tenant]) == 0
    assert messages.count(PROGRAM.count.text.encode()) == 1


class CrashError(Exception):
    """Takes a transaction back."""


class TestClaims:
    def claim(self, one: Database, tenant: str) -> Claim | None:
        return one.perform(lambda tx: LEDGER.claim(tx, tenant, "one", one.announced_pid, 60))

    def plan(self, one: Database, tenant: str) -> None:
        parts = Cutter(PROGRAM, JOB.slice_rows).cut(one, [tenant])
        one.perform(lambda tx: LEDGER.plan_all(tx, parts))

    def test_a_fence_that_was_taken_back_is_not_given_again(self, one: Database, users: Users):
        self.plan(one, users.tenants[3])
        fences = set()
        for _ in range(20):  # as a crash of the server takes them back
            with suppress(CrashError), one.transaction() as tx:
                claim = LEDGER.claim(tx, users.tenants[3], "one", None, 60)
                assert claim is not None
                fences.add(claim.fence)
                raise CrashError
        assert len(fences) == 20
        claim = self.claim(one, users.tenants[3])
        assert claim is not None
        assert claim.fence not in fences

    def test_a_lane_that_somebody_claims_just_now_is_not_claimed(self, one: Database, users: Users):
        tenant = users.tenants[3]
        self.plan(one, tenant)
        with users.connect() as other, other.transaction():
            other.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 6))", (LEDGER._lane(tenant),))
            assert self.claim(one, tenant) is None
            assert users.one("SELECT state FROM migdsl.slice") == "pending"
        assert self.claim(one, tenant) is not None

    def test_a_claim_and_its_first_batch_are_kept_or_lost_together(self, one: Database, users: Users):
        tenant = users.tenants[3]
        self.plan(one, tenant)

        def work(tx: Transaction) -> None:
            claim = LEDGER.claim(tx, tenant, "one", one.announced_pid, 60)
            assert claim is not None
            batch = first_batch(tx, LEDGER, PROGRAM, claim, 10, 60)
            assert (batch.scanned, batch.changed, batch.last) == (10, 10, False)

        def failing(tx: Transaction) -> None:
            work(tx)
            tx.rows(FAILS)

        with pytest.raises(psycopg.errors.DivisionByZero):
            one.perform(failing)
        assert users.all("SELECT state, watermark, attempts FROM migdsl.slice") == [("pending", None, 0)]
        assert users.one("SELECT count(*) FROM users WHERE contact_email IS NOT NULL") == 0
        one.perform(work)
        assert users.all("SELECT state, rows_scanned, attempts FROM migdsl.slice") == [("running", 10, 1)]
        assert_ledger_is_true(users)

    def test_the_server_process_of_a_pooler_is_nobodys(self, one: Database, users: Users):
        tenant = users.tenants[3]
        self.plan(one, tenant)
        pooled = one.announced_pid + 1
        assert one.perform(lambda tx: LEDGER.claim(tx, tenant, "one", pooled, 60)) is not None
        assert users.one("SELECT backend FROM migdsl.slice") is None


class TestPlanning:
    def parts(self, one: Database, users: Users, rows: int, job: BackfillJob = JOB) -> dict[str, tuple[Part, ...]]:
        return Cutter(Program.of(job), rows).cut(one, users.tenants)

    @pytest.mark.parametrize("rows", [40, 500, 100_000])
    def test_counted_together_or_one_by_one_is_the_same(
        self, one: Database, users: Users, rows: int, monkeypatch: pytest.MonkeyPatch
    ):
        together = self.parts(one, users, rows)
        monkeypatch.setattr(slices, "_HURRY", FAILS)
        cutter = Cutter(PROGRAM, rows)
        assert cutter.cut(one, users.tenants) == together
        monkeypatch.undo()
        assert cutter.cut(one, users.tenants) == together  # it doesn't try again what took too long
        sums = dict(users.all("SELECT tenant_id::text, count(*) FROM users GROUP BY 1"))
        assert {tenant: sum(part.rows for part in parts) for tenant, parts in together.items()} == {
            tenant: sums.get(tenant, 0) for tenant in users.tenants
        }
        assert together[users.empty_tenant] == (Part(None, None, 0),)
        assert all(part.rows <= rows for parts in together.values() for part in parts)

    def test_a_tenant_that_takes_long_to_count_is_cut(self, one: Database, users: Users, messages: list[bytes]):
        users.run("CREATE FUNCTION slowly() RETURNS boolean LANGUAGE sql AS 'SELECT pg_sleep(0.002) IS NOT NULL'")
        slow = replace(JOB, count=f"{JOB.count.rstrip()} AND slowly()")
        assert self.parts(one, users, 500, slow) == self.parts(one, users, 500)
        assert any(b"slowly" in message and b"OFFSET" not in message for message in messages)

    def test_handfuls_grow_as_long_as_they_are_quick(self, monkeypatch: pytest.MonkeyPatch):
        now = [0.0]
        monkeypatch.setattr("migdsl.runtime.backfill.slices.time.monotonic", lambda: now[0])
        sizes: list[int] = []

        def work(these):
            sizes.append(len(these))
            now[0] += 10.0 if len(sizes) == 4 else 0.1
            return list(these)

        tenants = [str(n) for n in range(400)]
        assert [each for some in in_handfuls(tenants, work) for each in some] == tenants
        assert sizes[:6] == [4, 8, 16, 32, 16, 32]
        assert max(sizes) <= 128

    def test_a_handful_is_closed_at_so_many_rows(self):
        rows = {"a": 10, "b": 99_990, "c": 1, "d": 10_000_000, "e": 0, "g": 5}
        found = list(in_handfuls("abcdefg", list, rows))
        assert found == [["a", "b"], ["c"], ["d"], ["e", "f", "g"]]

    def test_what_is_left_is_counted_of_as_many_rows_as_were_planned(
        self, users: Users, monkeypatch: pytest.MonkeyPatch
    ):
        """Many small tenants make handfuls large, and a large tenant isn't one of many in a snapshot."""
        counted: list[Sequence[str]] = []
        rows_left = Program.rows_left

        def left(program: Program, tx: Transaction, tenants: Sequence[str]) -> dict[str, int]:
            counted.append(tenants)
            return rows_left(program, tx, tenants)

        monkeypatch.setattr(Program, "rows_left", left)
        monkeypatch.setattr(slices, "_ROWS", 100)
        assert main(JOB, ["--url", users.url, "--duty", "1"]) == 0
        sizes = dict(users.all("SELECT tenant, sum(rows_planned) FROM migdsl.slice GROUP BY tenant"))
        assert sorted(tenant for some in counted for tenant in some) == sorted(sizes)
        assert all(len(some) == 1 or sum(sizes[tenant] for tenant in some) <= 100 for some in counted)

    def test_again_leaves_alone_who_is_at_work(self, one: Database, users: Users):
        parts = self.parts(one, users, 100_000)
        assert one.perform(lambda tx: LEDGER.plan_all(tx, parts)) == frozenset(users.tenants)
        assert one.perform(lambda tx: LEDGER.plan_all(tx, parts)) == frozenset()
        busy = users.tenants[3]
        claim = one.perform(lambda tx: LEDGER.claim(tx, busy, "one", None, 60))
        assert claim is not None
        assert one.perform(lambda tx: LEDGER.plan_all(tx, parts, again=True)) == frozenset(users.tenants) - {busy}
        assert users.one("SELECT state FROM migdsl.slice WHERE tenant = %s", busy) == "running"
        assert users.one("SELECT count(*) FROM migdsl.slice") == len(users.tenants)
        assert users.one("SELECT min(fence) FROM migdsl.slice WHERE tenant <> %s", busy) == 1
