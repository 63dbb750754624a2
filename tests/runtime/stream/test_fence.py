"""The fence's look at a tenant: behind the lock that a switch has for itself, and without one of the row where none is needed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from migdsl.ops.stream_owner import advisory
from migdsl.rehearsal.server import Server
from tests.runtime.stream.conftest import databases
from tests.runtime.stream.test_switch import wait_until
from tests.runtime.stream.world import World, make, moved

# One row: the next one's trigger would look again.
UPDATE = "UPDATE orders SET note = 'late' WHERE id < 3 AND tenant_id = %s"
# How code comes to the fence; each is begun before a switch closes the side, and waits there.
WAYS = {
    "a statement": UPDATE.replace("%s", "{literal}"),
    "a prepared statement": "EXECUTE late({literal})",
    "a subtransaction": "SELECT pg_temp.late({literal})",
    "a function with one snapshot": "SELECT pg_temp.asked({literal})",
}
PREPARED = (
    "PREPARE late (uuid) AS UPDATE orders SET note = 'late' WHERE id < 3 AND tenant_id = $1",
    """CREATE FUNCTION pg_temp.late(of_tenant uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    UPDATE orders SET note = 'late' WHERE id < 3 AND tenant_id = of_tenant;
  EXCEPTION WHEN division_by_zero THEN
    NULL;
  END;
END$$""",
    f"""CREATE FUNCTION pg_temp.asked(of_tenant text) RETURNS boolean LANGUAGE sql STABLE
AS $$ SELECT {moved().fence}(of_tenant) $$""",
)


@pytest.fixture
def world(pg: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with databases(pg) as (old, new):
        yield make(old, new, tmp_path_factory.mktemp("fence"), 2, 8)


def locked(world: World, isolation: str) -> bool:
    """Whether a writer of the first tenant, whose row is there already, has it locked."""
    tenant = world.tenants[0]
    with psycopg.connect(world.old) as writer:
        writer.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
        writer.execute(UPDATE, (tenant,))
        return bool(world.one("old", "SELECT xmax::text::bigint FROM migdsl.side WHERE tenant = %s", tenant))


def test_writers_lock_their_tenants_row_only_where_they_have_one_snapshot(world: World):
    world.run("old", UPDATE, world.tenants[0])
    assert not locked(world, "READ COMMITTED")
    assert not locked(world, "READ UNCOMMITTED")
    assert locked(world, "REPEATABLE READ")
    assert locked(world, "SERIALIZABLE")


def test_a_newcomers_first_writer_keeps_the_row_of_all_of_them(world: World):
    with psycopg.connect(world.old) as writer:
        writer.execute(UPDATE, (world.tenants[0],))
        with psycopg.connect(world.old) as turning, pytest.raises(errors.LockNotAvailable):
            turning.execute("SELECT FROM migdsl.side WHERE stream = %s FOR UPDATE NOWAIT", (moved().others,))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("known", [True, False])
def test_who_waits_while_a_side_is_closed_finds_it_closed(world: World, way: str, known: bool):
    """The statement began, and its session was warm, before the switch: what it sees must be from after it."""
    tenant = world.tenants[0]
    if known:
        world.run("old", UPDATE, tenant)
    sql = WAYS[way].format(literal=f"'{tenant}'")
    found: list[BaseException] = []

    def write() -> None:
        try:
            writer.execute(sql)
        except psycopg.Error as error:
            found.append(error)

    with psycopg.connect(world.old, autocommit=True) as writer, psycopg.connect(world.old) as switch:
        for each in PREPARED:
            writer.execute(each)
        for _ in range(6 if known else 0):  # by then it has a plan for good
            write()
        switch.execute(f"SELECT pg_advisory_xact_lock({advisory(moved(), '%s')})", (tenant,))
        thread = threading.Thread(target=write)
        thread.start()
        wait_until(lambda: world.all("old", "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        switch.execute(
            "INSERT INTO migdsl.side VALUES ('extraction', 'Order', %s, 'moving')"
            " ON CONFLICT (migration, stream, tenant) DO UPDATE SET state = 'moving'",
            (tenant,),
        )
        switch.commit()
        thread.join()
    assert [type(error) for error in found] == [errors.SerializationFailure]


def test_a_statement_over_tenants_of_both_sides_fails_as_a_whole(world: World):
    here, there = world.tenants
    world.run("old", "INSERT INTO migdsl.side VALUES ('extraction', 'Order', %s, 'new')", there)
    for sql in ("UPDATE orders SET note = 'nightly'", "TRUNCATE orders"):
        with pytest.raises(errors.ObjectNotInPrerequisiteState):
            world.run("old", sql)
    assert not world.all("old", "SELECT FROM orders WHERE note = 'nightly'")
    assert world.run("old", "UPDATE orders SET note = 'nightly' WHERE tenant_id = %s", here) == 4
