"""Rows that can't be filled are set aside alone, the rest goes on, and no value of theirs is told anywhere."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import psycopg
import pytest

from migdsl.ops.conditions import Subjects, gate
from migdsl.ops.gates import backfilled
from migdsl.runtime import BackfillJob, Budget, main
from migdsl.runtime.address import conninfo_of
from migdsl.runtime.backfill.lane import Batch, LaneEnd, Worker, first_batch
from migdsl.runtime.backfill.pace import Search
from migdsl.runtime.backfill.quarantine import fault_of
from migdsl.runtime.database import Database
from migdsl.runtime.errors import RowsRefusedError
from migdsl.runtime.jobs import Limits, Pace, Retry
from migdsl.runtime.ledger import Ledger, Part
from migdsl.runtime.stop import Signals
from migdsl.semantics.policy import Comparison, Metric
from tests.runtime.conftest import ledger_statements

ROWS = 400
SECRET = "hunter2"
TENANTS = ("a", "b")


def make_job(**more: object) -> BackfillJob:
    span = "(t.id > :after OR :after IS NULL) AND t.id <= :upto"
    given = {
        "migration": "m",
        "backfill": "thing.number",
        "table": "thing",
        "database_env": "UNUSED",
        "key": ("id",),
        "tenants": "SELECT unnest(ARRAY['a', 'b'])",
        "upper": "SELECT t.id FROM thing AS t WHERE t.tenant = :tenant_id ORDER BY t.id DESC LIMIT 1",
        "next_bound": f"SELECT t.id FROM thing AS t WHERE t.tenant = :tenant_id AND {span}"
        " ORDER BY t.id OFFSET :skip LIMIT 1",
        "batch": "UPDATE thing AS t SET number = t.source::int, writes = t.writes + 1"
        f" WHERE t.tenant = :tenant_id AND {span} AND t.number IS NULL",
        "count": f"SELECT count(*) FROM thing AS t WHERE t.tenant = :tenant_id AND {span}",
        "remaining": "SELECT count(*) FROM thing AS t WHERE t.tenant = :tenant_id AND t.number IS NULL",
        "retry": Retry(first_s=0.01),
    }
    return BackfillJob(**{**given, **more})  # type: ignore[arg-type]


class Things:
    """A table of texts that become numbers, where they can."""

    def __init__(self, url: str, connection: psycopg.Connection, capsys: pytest.CaptureFixture[str]) -> None:
        self.url, self.connection, self.capsys = url, connection, capsys
        self.said = ""

    def run(self, job: BackfillJob, *args: str) -> int:
        code = main(job, ["--url", self.url, "--duty", "1", *args])
        done = self.capsys.readouterr()
        self.said = done.out + done.err
        assert SECRET not in self.said + str(self.all("SELECT * FROM migdsl.slice, migdsl.quarantine"))
        return code

    def all(self, sql: str, *values: object) -> list[tuple]:
        return self.connection.execute(sql, values or None).fetchall()

    def poison(self, *ids: int) -> None:
        self.connection.execute("UPDATE thing SET source = %s || id WHERE id = ANY(%s)", (SECRET, list(ids)))

    def aside(self) -> list[int]:
        return [int(key[0]) for (key,) in self.all("SELECT row_key FROM migdsl.quarantine ORDER BY row_key")]

    def unfilled(self) -> list[int]:
        return [row[0] for row in self.all("SELECT id FROM thing WHERE number IS DISTINCT FROM id ORDER BY id")]


@pytest.fixture
def things(database: str, capsys: pytest.CaptureFixture[str]):
    with psycopg.connect(database, autocommit=True) as connection:
        for ddl in ledger_statements():
            connection.execute(ddl)
        connection.execute(
            "CREATE TABLE thing (id int PRIMARY KEY, tenant text, source text, number int, writes int DEFAULT 0,"
            " UNIQUE (tenant, id))"
        )
        connection.execute(
            "INSERT INTO thing SELECT g, CASE WHEN g %% 2 = 0 THEN 'a' ELSE 'b' END, g::text"
            " FROM generate_series(1, %s) AS g",
            (ROWS,),
        )
        yield Things(database, connection, capsys)


@pytest.mark.parametrize(
    ("bad", "batch"),
    [((), "64"), ((1,), "1"), ((ROWS,), "64"), ((2, 4, 6), "1000"), ((100, 101, 102, 399, 400), "64")],
)
def test_bad_rows_stand_alone_and_the_rest_goes_on(things: Things, bad: tuple[int, ...], batch: str):
    things.poison(*bad)
    assert things.run(make_job(), "--batch", batch) == (1 if bad else 0)
    assert sorted(things.aside()) == things.unfilled() == list(bad)
    assert things.all("SELECT max(writes) FROM thing") == [(1,)]
    assert things.all("SELECT sum(rows_scanned), sum(rows_changed) FROM migdsl.slice") == [(ROWS, ROWS - len(bad))]
    assert {state for (state,) in things.all("SELECT state FROM migdsl.slice")} == {"succeeded"}
    if bad:
        assert things.all("SELECT DISTINCT error_class, template FROM migdsl.quarantine") == [
            ("InvalidTextRepresentation 22P02", "invalid text representation")
        ]
        assert "22P02: invalid text representation" in things.said
        assert "migdsl.quarantine" in things.said


def test_a_row_that_was_mended_leaves_quarantine_with_the_next_run(things: Things):
    things.poison(10, 20, 21)
    assert things.run(make_job()) == 1
    things.connection.execute("UPDATE thing SET source = id WHERE id = 10")  # filled by the next run
    things.connection.execute("UPDATE thing SET source = id, number = id WHERE id = 20")  # filled by a write
    assert things.run(make_job()) == 1
    assert things.aside() == things.unfilled() == [21]
    things.connection.execute("DELETE FROM thing WHERE id = 21")
    assert things.run(make_job()) == 0
    assert things.aside() == things.unfilled() == []
    assert things.all("SELECT max(writes) FROM thing") == [(1,)]
    assert things.all("SELECT value FROM migdsl.event WHERE kind = 'job' ORDER BY id DESC LIMIT 1") == [("finished",)]


def test_another_pass_finds_what_is_still_bad_and_counts_it_once(things: Things):
    things.poison(10, 20)
    job = make_job(budget=Budget(rows=2))
    assert things.run(job) == 1
    things.connection.execute("UPDATE thing SET source = id WHERE id = 10")
    assert things.run(job, "--again") == 1
    assert things.aside() == things.unfilled() == [20]


@pytest.mark.parametrize(
    ("budget", "fits"),
    [
        (Budget(rows=3), True),
        (Budget(rows=2), False),
        (Budget(rows=0), False),
        (Budget(rows=None, share=3 / ROWS), True),
        (Budget(rows=100, share=2.9 / ROWS), False),
        (Budget(rows=None, share=None), True),
    ],
)
def test_more_than_the_budget_stops_the_job(things: Things, budget: Budget, fits: bool):
    things.poison(50, 52, 54)
    assert things.run(make_job(budget=budget), "--batch", "8") == 1
    states = {state for (state,) in things.all("SELECT state FROM migdsl.slice WHERE tenant = 'a'")}
    assert states == ({"succeeded"} if fits else {"failed"})
    allowed = 3 if fits else math.floor(min(budget.rows or 0, 9) if budget.share is None else budget.share * ROWS)
    assert len(things.aside()) == allowed
    if fits:
        return
    assert things.all("SELECT error FROM migdsl.slice WHERE state = 'failed'") == [
        ("error budget: InvalidTextRepresentation 22P02",)
    ]
    assert "errors at most" in things.said
    # The other tenant, whose turn had not come, is left as it was.
    assert things.all("SELECT state FROM migdsl.slice WHERE tenant = 'b'") in ([("pending",)], [("succeeded",)])
    things.connection.execute("UPDATE thing SET source = id")
    assert things.run(make_job(budget=budget)) == 0
    assert things.unfilled() == things.aside() == []


def test_nothing_is_claimed_while_the_budget_is_spent(things: Things):
    things.poison(2)
    assert things.run(make_job(budget=Budget(rows=0)), "--tenant", "a") == 1
    things.connection.execute(
        "INSERT INTO migdsl.slice (migration, backfill, tenant, upper_key) VALUES ('m', 'thing.number', 'b', '[\"399\"]')"
    )
    before = things.unfilled()
    # Not even by a process that was at work already, and makes nothing pending.
    other = Database(conninfo_of(things.url, "other"), Limits(), Retry(), Signals())
    ledger = Ledger("m", "thing.number")
    assert other.perform(lambda tx: ledger.claim(tx, "b", "other", None, 60)) is None
    other.close()
    assert things.unfilled() == before


def test_a_slice_whose_first_batch_is_at_work_as_the_budget_is_spent_ends_with_it(
    things: Things, monkeypatch: pytest.MonkeyPatch
):
    """It is claimed in that batch's transaction, and so seen by nobody."""
    ledger = Ledger("m", "thing.number")
    one, two = (Database(conninfo_of(things.url, name), Limits(), Retry(), Signals()) for name in ("one", "two"))
    for tenant in TENANTS:
        one.perform(partial(ledger.plan, tenant=tenant, parts=[Part(None, (str(ROWS),), ROWS // 2)]))
    assert two.perform(lambda tx: ledger.claim(tx, "a", "two", None, 60)) is not None
    spoken: list[str] = []

    def spending(*given: Any) -> Batch:
        done = first_batch(*given)
        two.perform(partial(ledger.spend, why="somebody's"))
        return done

    monkeypatch.setattr("migdsl.runtime.backfill.lane.first_batch", spending)
    pace = Pace(first=10, floor=10, ceiling=10, duty=1.0)
    worker = Worker(one, ledger, make_job(), pace, "one", lambda *_: None, lambda *said: spoken.extend(said))
    assert worker.run_lane("b") is LaneEnd.FAILED
    # The batch at hand has ended, and no other was begun.
    found = things.all("SELECT tenant, state, error, rows_scanned FROM migdsl.slice ORDER BY tenant")
    assert found == [
        ("a", "failed", "error budget: somebody's", 0),
        ("b", "failed", "error budget: of another slice", 10),
    ]
    assert spoken == ["b", "error budget"]
    one.close()
    two.close()


def test_no_gate_opens_while_a_row_is_set_aside(things: Things):
    progress = Comparison(Metric("backfill_progress", "ratio", None), "=", "1", "100%")
    gates = (backfilled("m", "thing.number"), gate("filled", progress, Subjects("m", (), (), ("thing.number",))))

    def unmet() -> list[bool]:
        return [things.all(each.unmet) not in ([], [(None,)]) for each in gates]

    things.poison(10)
    assert unmet() == [True, True]
    assert things.run(make_job()) == 1
    assert {state for (state,) in things.all("SELECT state FROM migdsl.slice")} == {"succeeded"}
    assert unmet() == [True, True]
    # Filled by a write, but nobody has looked since.
    things.connection.execute("UPDATE thing SET source = id, number = id WHERE id = 10")
    assert unmet() == [True, True]
    assert things.run(make_job()) == 0
    assert unmet() == [False, False]


def test_a_deferred_constraint_is_asked_before_the_row_is_let_pass(things: Things):
    things.connection.execute("ALTER TABLE thing ADD UNIQUE (tenant, number) DEFERRABLE INITIALLY DEFERRED")
    things.connection.execute("UPDATE thing SET source = 100 WHERE id = 300")
    assert things.run(make_job()) == 1
    assert things.aside() == things.unfilled() == [300]
    ((template,),) = things.all("SELECT template FROM migdsl.quarantine")
    assert template == "unique violation (constraint thing_tenant_number_key, table thing)"


def test_what_a_trigger_raises_is_told_by_the_triggers_name_alone(things: Things):
    things.poison(7)
    things.connection.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.source LIKE 'hunter%' THEN RAISE EXCEPTION 'no %', NEW.source USING ERRCODE = '23514',"
        " CONSTRAINT = NEW.source, DETAIL = NEW.source; END IF; RETURN NEW; END $$"
    )
    things.connection.execute("CREATE TRIGGER refuse BEFORE UPDATE ON thing FOR EACH ROW EXECUTE FUNCTION refuse()")
    assert things.run(make_job(batch=make_job().batch.replace("t.source::int", "t.id"))) == 1
    assert things.all("SELECT error_class, template FROM migdsl.quarantine") == [
        ("CheckViolation 23514", "check violation in refuse()")
    ]


def test_a_refusal_of_our_own_is_a_fault_in_names():
    fault = fault_of(RowsRefusedError("ValueError", "app.normalise:email"))
    assert (fault.error_class, fault.template) == ("ValueError", "app.normalise:email")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64, 500, 20_000])
def test_a_search_ends_after_about_log2_of_the_batch(size: int):
    for bad in {0, size // 2, size - 1}:
        search, at, steps = Search(), 0, 0
        while True:
            steps += 1
            next_size = search.size(size)
            assert next_size >= 1
            hit = at <= bad < at + next_size
            if hit and search.alone:
                assert at == bad
                break
            if hit:
                search.failed(next_size)
            else:
                at += next_size
                search.passed(next_size, found=False)
        assert steps <= math.log2(size) + 3
