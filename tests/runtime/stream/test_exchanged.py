"""Rows that exchange a unique value: what can't get across is said with its way out, and the way out is one."""

from __future__ import annotations

from tests.runtime.stream.conftest import Job
from tests.runtime.stream.world import World

SET = "UPDATE orders SET note = %s WHERE id = %s"


def test_two_rows_that_exchange_a_unique_value_are_told_how_to_get_across(world: World, job: Job):
    job("enqueue")
    for side in ("old", "new"):
        world.run(side, "UPDATE orders SET note = 'n' || id")
        world.run(side, "CREATE UNIQUE INDEX taken ON orders (tenant_id, note)")
    job("once")
    one, other = world.all("old", "SELECT id, note FROM orders WHERE tenant_id = %s LIMIT 2", world.tenants[0])
    # A value that is given up and taken comes by itself.
    world.run("old", SET, "free", one[0])
    world.run("old", SET, one[1], other[0])
    job("drain")
    world.run("old", SET, other[1], one[0])
    job("drain")
    assert "no dead letters" in job("dead-letters")
    # Each has what the other had.
    world.run("old", SET, "between", one[0])
    world.run("old", SET, other[1], other[0])
    world.run("old", SET, one[1], one[0])
    job("drain", code=1)
    job("dead-letters", "--retry")
    job("drain", code=1)
    said = job("dead-letters", code=1)
    assert said.count("23505") == 3
    assert "give one of them a free value where it is written" in said
    world.run("old", SET, "a free value", one[0])
    job("drain")
    world.run("old", SET, one[1], one[0])
    job("drain")
    assert "no dead letters" in job("dead-letters")
    assert world.difference() == (set(), set())
