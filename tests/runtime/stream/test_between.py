"""Both sides are compared from the side that is right, and what differs goes through the outbox once more."""

from __future__ import annotations

import json

from tests.runtime.stream.conftest import Job
from tests.runtime.stream.world import World


def apart(world: World, side: str, statement: str) -> None:
    """A write that nobody is told of."""
    world.run(side, f"SELECT set_config('migdsl.applier', 'extraction/Order', false); {statement}")


def test_what_differs_is_found_in_both_databases_and_mended(world: World, job: Job):
    job("enqueue")
    job("once")
    apart(world, "new", "UPDATE orders SET total = 1 WHERE id = 5")
    apart(world, "new", "DELETE FROM orders WHERE id = 6")
    apart(world, "old", "DELETE FROM orders WHERE id = 7")
    # With hashes that agree between major versions, too.
    for hashes in ((), ("--portable",)):
        found = json.loads(job("reconcile", "--json", *hashes, code=1))
        assert {(row["key"][0], row["kind"]) for each in found["tenants"] for row in each["differing"]} == {
            ("5", "mismatched"),
            ("6", "missing"),
            ("7", "extra"),
        }
    job("reconcile", "--repair", "--delete", code=1)
    job("once")
    assert world.difference() == (set(), set())
    job("reconcile", "--portable")


def test_after_the_switch_the_new_side_is_right(world: World, job: Job):
    job("enqueue")
    job("once")
    tenant = world.one("old", "SELECT tenant_id::text FROM orders WHERE id = 5")
    job("switch", "--tenant", tenant, "--to", "new")
    world.run("new", "UPDATE orders SET state = 'refunded' WHERE id = 5")
    job("once")
    job("reconcile")
    apart(world, "old", "DELETE FROM orders WHERE id = 5")
    found = json.loads(job("reconcile", "--json", "--tenant", tenant, code=1))
    (row,) = found["tenants"][0]["differing"]
    assert (row["key"], row["kind"], found["tenants"][0]["truth"]) == (["5"], "missing", "new")


def test_two_rows_with_each_others_values_are_found(world: World, job: Job):
    """Each pair alone in its tenant: with sums that a swap leaves as they are almost half of them would be missed."""
    job("enqueue")
    job("once")
    pairs = world.all(
        "new", "SELECT (array_agg(id ORDER BY id))[2:3] FROM orders GROUP BY tenant_id HAVING count(*) > 3"
    )
    for (pair,) in pairs:
        apart(
            world,
            "new",
            f"UPDATE orders SET note = CASE id WHEN {pair[0]} THEN 'b' ELSE 'a' END WHERE id IN {tuple(pair)}",
        )
        apart(
            world,
            "old",
            f"UPDATE orders SET note = CASE id WHEN {pair[0]} THEN 'a' ELSE 'b' END WHERE id IN {tuple(pair)}",
        )
    found = json.loads(job("reconcile", "--json", code=1))
    assert sorted(row["key"] for each in found["tenants"] for row in each["differing"]) == sorted(
        [str(id_)] for (pair,) in pairs for id_ in pair
    )
