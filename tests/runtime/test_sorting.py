"""Ranges of text keys are compared only where both databases sort them alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from migdsl.rehearsal.server import Server
from migdsl.runtime.address import conninfo_of
from migdsl.runtime.database import Database
from migdsl.runtime.errors import UsageError
from migdsl.runtime.jobs import Limits, ReconcileJob, Retry
from migdsl.runtime.reconcile.sorting import require_one_order
from migdsl.runtime.stop import Signals
from migdsl.workspace import compile_files

FILE = """
migration codes { ticket "T-1"; downtime none }
database here  { engine postgresql 15; url env HERE_URL }
database there { engine postgresql 15; url env THERE_URL }
tenants { key tenant_id uuid; list in here `SELECT id FROM tenants` }
entity Code in here.codes { region text key; number int key; tenant_id uuid tenant; index (tenant_id, region, number) }
move Code to there.names { area = region; number = number; tenant_id = tenant_id }
flag codes { stage off for all }
"""


def compiled(text: str) -> dict[str, str]:
    found = compile_files({"m.mig": text}, "m.mig")
    assert not [d for d in found.diagnostics if d.severity.value == "error"], found.diagnostics
    return {a.kind: a.text for a in found.artifacts}


@pytest.fixture(scope="module")
def job() -> ReconcileJob:
    space: dict[str, object] = {"__name__": "generated"}
    exec(compiled(FILE)["reconcile"], space)
    found = space["JOB"]
    assert isinstance(found, ReconcileJob)
    return found


@pytest.fixture
def databases(pg: Server, database: str) -> Iterator[tuple[str, str]]:
    """Two databases on one server, whose default collation is that of bytes."""
    other = pg.create_database("migdsl_test_sorting")
    try:
        yield database, other
    finally:
        pg.drop_database("migdsl_test_sorting")


def asked(job: ReconcileJob, urls: tuple[str, str], *types: str) -> None:
    sides: list[Database] = []
    for url, create in zip(urls, ("codes (region {}, number int)", "names (area {}, number int)"), strict=True):
        with psycopg.connect(url, autocommit=True) as connection:
            name = create.partition(" ")[0]
            connection.execute(f"DROP TABLE IF EXISTS {name}".encode())
            connection.execute(f"CREATE TABLE {create.format(types[len(sides)])}".encode())
        sides.append(Database(conninfo_of(url, "test"), Limits(), Retry(attempts=0), Signals()))
    for side in sides:
        side.open()
    try:
        require_one_order(job, *sides)
    finally:
        for side in sides:
            side.close()


def test_one_order_by_two_names_is_one(job: ReconcileJob, databases: tuple[str, str]) -> None:
    asked(job, databases, "text", "text")
    asked(job, databases, "text", 'varchar(9) COLLATE "C"')


@pytest.mark.parametrize("side", ["old", "new"])
def test_another_order_is_refused(job: ReconcileJob, databases: tuple[str, str], side: str) -> None:
    # Not every server has a second order: one that goes backwards is another one everywhere.
    reverse = """SELECT '"C" DESC' AS collation, 'backwards' AS shown"""
    backwards = replace(job, sorted_old=reverse) if side == "old" else replace(job, sorted_new=reverse)
    with pytest.raises(UsageError, match=r"sort texts of the key of Code apart.*backwards"):
        asked(backwards, databases, "text", "text")


def test_only_a_key_with_texts_is_asked_and_told_of(job: ReconcileJob) -> None:
    told = "Texts of Code's key (region) are sorted alike in here and there"
    assert job.sorted_old is not None
    assert told in compiled(FILE)["runbook"]
    numbered = compiled(FILE.replace("region text", "region int"))
    assert "sorted_old" not in numbered["reconcile"]
    assert "are sorted alike" not in numbered["runbook"]
