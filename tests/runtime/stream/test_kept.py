"""What one way rounds or merges stays as it was written, on either side, through a switch there and back again."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.runtime.stream.both import application
from tests.runtime.stream.conftest import Job
from tests.runtime.stream.world import World

OLD = "SELECT id, status, total_cents, note FROM orders WHERE tenant_id = %s ORDER BY id"
NEW = "SELECT id, state, total, note FROM orders WHERE tenant_id = %s ORDER BY id"


@pytest.fixture
def tenant(world: World, job: Job) -> str:
    """One whose rows are on both sides: three statuses of the old one are one state of the new one, and the other way round
    whatever the old one doesn't know is its status 3."""
    world.run("old", "UPDATE orders SET status = 2 + id / 3 % 3")
    job("enqueue")
    job("once")
    return world.tenants[0]


def test_a_way_home_rewrites_nothing_that_nobody_touched(world: World, job: Job, tenant: str):
    before = world.all("old", OLD, tenant)
    assert {status for _, status, _, _ in before} >= {2, 3, 4}
    job("switch", "--tenant", tenant, "--to", "new")
    world.run("new", "UPDATE orders SET note = 'touched' WHERE tenant_id = %s", tenant)
    job("once")
    assert world.all("old", OLD, tenant) == [(*row[:3], "touched") for row in before]
    # A value that is another one by now comes home.
    world.run("new", "UPDATE orders SET state = 'paid' WHERE tenant_id = %s", tenant)
    job("once")
    assert {row[1] for row in world.all("old", OLD, tenant)} == {1}
    job("reconcile")


def test_what_the_new_side_tells_apart_stays_when_the_old_one_writes_again(world: World, job: Job, tenant: str):
    job("switch", "--tenant", tenant, "--to", "new")
    world.run("new", "UPDATE orders SET state = 'lost' WHERE tenant_id = %s", tenant)
    job("switch", "--tenant", tenant, "--to", "old")
    assert {status for _, status, _, _ in world.all("old", OLD, tenant)} == {3}
    world.run("old", "UPDATE orders SET note = 'old again' WHERE tenant_id = %s", tenant)
    job("once")
    assert {(row[1], row[3]) for row in world.all("new", NEW, tenant)} == {("lost", "old again")}
    world.run("old", "UPDATE orders SET status = 1 WHERE tenant_id = %s", tenant)
    job("once")
    assert {row[1] for row in world.all("new", NEW, tenant)} == {"paid"}


@pytest.mark.parametrize("side", ["old", "new"])
def test_rows_that_agree_one_way_are_no_difference_and_one_beside_them_is_found(
    world: World, job: Job, tenant: str, side: str
):
    job("switch", "--tenant", tenant, "--to", "new")
    world.run("new", "UPDATE orders SET state = 'lost' WHERE tenant_id = %s", tenant)
    job("switch", "--tenant", tenant, "--to", side)
    job("once")
    for hashes in ((), ("--portable",)):
        job("reconcile", *hashes)
    world.run(
        "old",
        "SELECT set_config('migdsl.applier', 'extraction/Order', false);"
        f" UPDATE orders SET total_cents = 77777 WHERE id = (SELECT min(id) FROM orders WHERE tenant_id = '{tenant}')",
    )
    assert "row 3 differs in total" in job("reconcile", "--tenant", tenant, code=1)


def test_second_writes_of_an_application_leave_it_so_too(world: World, job: Job, tenant: str):
    row = next(row for row in world.all("old", OLD, tenant) if row[1] == 4)
    job("switch", "--tenant", tenant, "--to", "new")
    with application(world) as app:
        app.orders.write(tenant, old=_untouched, new=partial(_noted, row=row[0]))
        assert app.seconds("carried") == 1
    assert (*row[:3], "by application") in world.all("old", OLD, tenant)


def _untouched(_connection: Any) -> None:
    raise AssertionError


def _noted(connection: Any, row: int) -> None:
    connection.execute("UPDATE orders SET note = 'by application' WHERE id = %s", (row,))
