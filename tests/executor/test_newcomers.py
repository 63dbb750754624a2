"""A tenant that comes when everybody is over is the new side's: between the two contracts, and on the way back from there."""

# ruff: noqa: F811

from __future__ import annotations

import sys
import uuid

import psycopg
import pytest
from psycopg import errors

from migdsl.executor.homecoming import Homecoming
from tests.executor.extraction import SOURCE, Extraction
from tests.executor.test_extraction import GONE, OUTBOX, SHORT, cache, halfway, made  # noqa: F401
from tests.forked import run_file

_INSERT = "INSERT INTO orders (id, tenant_id, state, total, note) VALUES (%s, %s, 'open', 1, 'first')"
_UPDATE = "UPDATE orders SET note = 'second' WHERE tenant_id = %s"
_BORN = 999_999_999_999_999


def complete(made: Extraction) -> None:
    """Everybody has written the new side for the soak; contract may run."""
    made.apply("expand")
    for job in sorted((made.old.folder / f"backfills/{made.name}").glob("*.py")):
        assert run_file([sys.executable, str(job)], env=made.world.environment()).returncode == 0
    made.apply("validate", "--carry")
    made.roll("live", "all")
    made.roll("complete", "all", "--force")
    made.apply("contract", "--carry", code=4)
    made.pass_time("31 days")


def newcomer(made: Extraction) -> str:
    tenant = str(uuid.uuid4())
    made.old.all(f"INSERT INTO tenants VALUES ('{tenant}')")
    return tenant


def written(made: Extraction, side: str, sql: str, *values: object) -> int:
    """How many rows; raises as the database does."""
    with psycopg.connect(made.world.old if side == "old" else made.world.new, autocommit=True) as connection:
        return connection.execute(sql, values).rowcount


@pytest.mark.long("MIGDSL_LONG")
@pytest.mark.parametrize("made", [(OUTBOX, SHORT)], indirect=True, ids=["outbox"])
def test_who_has_come_since_contract_loses_nothing_on_the_way_back(made: Extraction) -> None:
    complete(made)
    # Between the two contracts, too.
    halfway(made)
    tenant, later = newcomer(made), newcomer(made)
    assert written(made, "new", _INSERT, _BORN, tenant) == 1
    made.apply("contract")
    assert made.old.one(GONE) is None
    after, met = Homecoming.after, []

    def beside(self: Homecoming, phase: str) -> object:
        # The revisions have been taken back, and no row is home yet: clients go on, where they are let in.
        sql = "INSERT INTO orders (tenant_id, status, total_cents, note) VALUES (%s, 0, 5, 'on the old side')"
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match="is not written in this database"):
            written(made, "old", sql, tenant)
        met.append((written(made, "new", _UPDATE, tenant), written(made, "new", _INSERT, _BORN + 1, later)))
        # A sync job that is up again carries what there is.
        made.world.job("drain")
        return after(self, phase)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Homecoming, "after", beside)
        said = made.command("rollback", SOURCE, "--to", "cutover", "--yes", "--lose")
    # Before what takes long: what is written meanwhile waits for it.
    assert said.index("start the sync job again now") < said.index("backfills/")
    assert met == [(1, 1)]
    notes = "SELECT note FROM orders WHERE tenant_id = %s"
    assert [made.old.all(notes, each) for each in (tenant, later)] == [[("second",)], [("first",)]]
    assert made.world.difference() == (set(), set())
    assert made.sides() == {"new"}
    # And home, all of it.
    for stage in ("live", "off"):
        made.command("rollout", SOURCE, "--stage", stage, "--for", "all", "--force", "--record")
    made.command("rollback", SOURCE, "--to", "prepare", "--yes", "--lose")
    assert [made.old.all(notes, each) for each in (tenant, later)] == [[("second",)], [("first",)]]
    assert made.heads() == (None, None)
