"""Rows that are wrong in every way that a reconciliation claims to see, held against jobs that somebody has edited."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace

import psycopg
import pytest

from migdsl.rehearsal import kinds
from migdsl.rehearsal.journal import Row
from migdsl.rehearsal.kinds import Bench, Planted
from migdsl.rehearsal.model import Log
from migdsl.runtime import ReconcileJob, main
from tests.ops.support import lowered
from tests.runtime.comparing import ADDRESSES, PAIRS, A, B, jobs, parts_at, shop_at

OTHER, EMPTY, FULL = "another value", "NULL where a value belongs", "a value where NULL belongs"
LEFT = "           AND (s.street IS NOT NULL)) AS s\n"
RIGHT = "  FROM public.addresses AS t\n WHERE t.tenant_id = :tenant_id\n   AND (t.customer_id > :after"
JOINED = " AND EXISTS (SELECT FROM public.addresses AS n WHERE n.customer_id = s.id)"
GIVEN = "  FROM public.addresses AS t JOIN public.customers AS c ON c.id = t.customer_id AND c.street IS NOT NULL"
# A column that is left out of all that is compared, on both sides.
NO_CITY = (
    ("ROW(CAST(s.id AS bigint), s.street, (coalesce(s.city, '')))", "ROW(CAST(s.id AS bigint), s.street)"),
    ("ROW(t.customer_id, t.street, t.city)", "ROW(t.customer_id, t.street)"),
    (",\n       hash_record_extended(ROW((coalesce(s.city, ''))), 2) AS city", ""),
    (",\n       hash_record_extended(ROW(t.city), 2) AS city", ""),
)
NO_MISSING = ((LEFT, LEFT.replace(") AS s", f"{JOINED}) AS s")),)
NO_EXTRA = ((RIGHT, RIGHT.replace("  FROM public.addresses AS t", GIVEN)),)
NULLS = (("t.grams IS DISTINCT FROM ", "t.grams <> "),)
NO_REMARK = (("t.remark IS DISTINCT FROM (upper(t.note))", "FALSE"),)


def edited(text: str, edits: tuple[tuple[str, str], ...]) -> ReconcileJob:
    """The job, once somebody has edited its file."""
    for before, after in edits:
        assert before in text, before
        text = text.replace(before, after)
    space: dict[str, object] = {"__name__": "job"}
    exec(text, space)
    job = space["JOB"]
    assert isinstance(job, ReconcileJob)
    return replace(job, settle_s=0.0)


def run(job: ReconcileJob, url: str, *words: str) -> int:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        return main(job, ["--url", url, "--duty", "1", "--limit", kinds.LIMIT, *words])


def untold(desk: psycopg.Connection, migration: str, bench: Bench, planted: list[Planted]) -> list[str]:
    """What is said of those that a job has just not told of, without their keys."""
    log = Log()
    kinds.judged(log, desk, migration, bench, planted, "reconcile/it.py")
    assert {(f.verdict, f.statement) for f in log.findings} <= {("reconciliation", "reconcile/it.py")}
    return [f.what.split(": ", 1)[1] for f in log.findings]


# ------------------------------------------------------------------------------------------- columns of one table


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ((), []),
        (NULLS, [f"{EMPTY}, in grams, is not told of", f"{FULL}, in grams, is not told of"]),
        (NO_REMARK, [f"{how}, in remark, is not told of" for how in (OTHER, EMPTY, FULL)]),
    ],
)
def test_each_column_is_wrong_in_each_way(database: str, edits: tuple[tuple[str, str], ...], said: list[str]):
    url = parts_at(database).url
    (plan,) = lowered(PAIRS).tables
    with psycopg.connect(url, autocommit=True) as desk:
        desk.execute("UPDATE parts SET weight = NULL, note = NULL WHERE place % 7 = 1")
        bench = kinds.benched(plan, desk, A, None, B)
        planted = kinds.values(bench, [])
        ways = {(column, how) for column in ("grams", "remark") for how in (OTHER, EMPTY, FULL)}
        assert {(each.column, each.how) for each in planted} == ways
        # The first column in both tenants; each in a row of its own.
        assert len({each.key for each in planted}) == len(planted) == len(ways) + 1
        assert run(edited(jobs(PAIRS)["Part"], edits), url) == 1
        assert untold(desk, "pairs", bench, planted) == said
        assert run(edited(jobs(PAIRS)["Part"], ()), url, "--repair") == 0


def test_triggers_are_as_they_were(database: str):
    url = parts_at(database).url
    (plan,) = lowered(PAIRS).tables
    query = "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'parts'::regclass ORDER BY 1"
    with psycopg.connect(url, autocommit=True) as desk:
        before = desk.execute(query).fetchall()
        assert before
        kinds.values(kinds.benched(plan, desk, A, B), [])
        assert desk.execute(query).fetchall() == before


# ------------------------------------------------------------------------------------------- two tables


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ((), []),
        (NO_CITY, [f"{OTHER}, in city, is not told of"]),
        (NO_MISSING, ["a row that the new side hasn't got, is not told of"]),
        (NO_EXTRA, ["a row of the new side that nothing gives, is not told of"]),
    ],
)
def test_rows_are_on_one_side_alone(database: str, edits: tuple[tuple[str, str], ...], said: list[str]):
    url = shop_at(database).url
    (plan,) = lowered(ADDRESSES).tables
    with psycopg.connect(url, autocommit=True) as desk:
        # The first gives no row, by the file's own `where`.
        spare = [Row(A, {"id": str(id_)}, {"id": str(id_)}) for id_ in (15, 9, 18, 27)]
        bench = kinds.benched(plan, desk, A, B)
        sided = kinds.one_sided(bench, "addresses_table", (desk, "public.customers"), spare)
        assert [(each.key, each.kind) for each in sided] == [(("9",), "missing"), (("18",), "extra")]
        assert [row.key["id"] for row in spare if not row.alive] == ["18"]
        planted = kinds.values(bench, sided)
        assert run(edited(jobs(ADDRESSES)["Address"], edits), url) == 1
        assert untold(desk, "addresses_table", bench, planted) == said


def test_what_nothing_gives_is_there_until_it_is_told_to_go(database: str):
    url = shop_at(database).url
    (plan,) = lowered(ADDRESSES).tables
    job = edited(jobs(ADDRESSES)["Address"], ())
    with psycopg.connect(url, autocommit=True) as desk:
        bench = kinds.benched(plan, desk, A, B)
        rows = [Row(A, {"id": str(id_)}, {}) for id_ in (9, 18)]
        planted = kinds.one_sided(bench, "addresses_table", (desk, "public.customers"), rows)
        log = Log()
        assert run(job, url, "--repair") == 1
        kinds.kept(log, bench, planted, "reconcile/it.py")
        assert log.findings == []
        assert run(job, url, "--repair", "--delete") == 0
        kinds.kept(log, bench, planted, "reconcile/it.py")
        assert [f.what for f in log.findings] == [
            "Address 18: a row of the new side that nothing gives, was taken away by --repair without --delete"
        ]


def test_alerts_of_a_files_own_may_fire_on_such_rows():
    rules = """{"groups": [{"rules": [
      {"alert": "MigdslReconcileStale", "expr": "time() - migdsl_reconcile_last_run_timestamp_seconds > 1"},
      {"alert": "Own", "expr": "max(migdsl_reconcile_rows_extra) > 0"}, {"alert": "Other", "expr": "migdsl_old_writes > 0"}]}]}"""
    assert kinds.alerts({"prometheus/m.rules.json": rules}) == {"Own"}
    assert kinds.alerts({}) == frozenset()
