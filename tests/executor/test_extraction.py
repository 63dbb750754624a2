"""Orders leave a monolith by commands alone, under clients of both sides, while whoever carries them over is killed at random.

The short form runs with the suite. `MIGDSL_LONG=1` has more tenants, rows, clients and kills, takes the whole migration back
to the beginning and forward again, and does it by reading the WAL, too.
"""

from __future__ import annotations

import random
import re
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from migdsl.executor.chain import Chain, Failed
from migdsl.rehearsal.server import Server, start_server
from tests.executor.conftest import ROOT, Run
from tests.executor.extraction import SOURCE, Client, Extraction, Relays, clients, extraction, forget, until
from tests.executor.test_crash import killed
from tests.forked import run_file
from tests.runtime.stream import traffic

OUTBOX, CDC = (ROOT / f"examples/{name}" for name in ("16_extraction_outbox", "17_extraction_cdc"))
_SETTINGS = {"wal_level": "logical", "fsync": "off", "full_page_writes": "off", "max_connections": "100"}
_BETWEEN = """
INSERT INTO migdsl.side (migration, stream, tenant, state, since) VALUES (%s, 'Order/newcomers', '', 'moving', now())
    ON CONFLICT (migration, stream, tenant) DO UPDATE SET state = 'moving' RETURNING state"""
GONE = "SELECT 1 FROM information_schema.tables WHERE table_schema = 'public' AND table_name = 'orders'"


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it: `between` are the writes between two moves, `every` about how many between two kills."""

    tenants: int
    rows: int
    clients: int
    between: int
    relays: int
    every: int
    pause: float


SHORT = Size(3, 60, 2, 25, 1, 100, 0.03)
LONG = Size(5, 1_000, 3, 200, 2, 150, 0.01)


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def logical(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_server(tmp_path_factory.mktemp("logical"), settings=_SETTINGS) as server:
        yield server


@pytest.fixture
def made(
    request: pytest.FixtureRequest, tmp_path: Path, cache: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Extraction]:
    """An example's folder and how much of it, on databases of its own; compiled, and nothing run."""
    folder, size = request.param
    (example,) = folder.glob("*.mig")
    # From shadow on there is something to see, and each move of the flag takes its time.
    text = re.sub("stage off for all", "stage shadow for all", example.read_text(encoding="utf-8"))
    server = request.getfixturevalue("logical" if folder == CDC else "pg")
    extracted = extraction(text, server, tmp_path / "project", cache, run, monkeypatch, (size.tenants, size.rows))
    try:
        yield extracted
    finally:
        forget(extracted)


def to_validate(made: Extraction, relays: Relays) -> None:
    """Expanded, carried over from then on, and proven equal."""
    said = made.apply("backfill", code=4)
    assert "nobody carries Order over" in said
    assert "or let this walk do it while it lasts: --carry" in said
    traffic.journals(made.world)
    relays.start()
    until(made.heard)
    made.apply("validate")
    assert made.sides() == {"old"}


def over(made: Extraction, crew: list[Client], size: Size) -> None:
    """There tenant by tenant, back all at once, and there again, beside the clients."""
    first, *others = made.world.tenants
    for tenant in [first, *others[: size.tenants // 2 - 1]]:
        said = made.roll("live", f'tenants "{tenant}"')
        assert f"{tenant} writes on the new side now; its writers waited for" in said
        traffic.wait_for_writes(crew, size.between)
    assert made.sides() == {"old", "new"}
    said = made.roll("shadow", "all")
    assert f"{first} writes on the old side now; its writers waited for" in said
    assert made.sides() == {"old"}
    traffic.wait_for_writes(crew, size.between)
    made.roll("live", "all")
    assert made.sides() == {"new"}
    traffic.wait_for_writes(crew, size.between)


def equal(made: Extraction) -> None:
    """Both sides have what was acknowledged, in its order, once. The clients have stopped."""
    made.world.job("drain")
    assert made.world.difference() == (set(), set())
    assert made.lines("old") == made.lines("new")
    for side in ("old", "new"):
        assert traffic.found(made.world, side) == traffic.expected(made.crews)
        assert traffic.out_of_order(made.world, side) == []


def there(made: Extraction, relays: Relays, size: Size) -> None:
    """From nothing to live for all, beside clients; both sides are equal then."""
    with clients(made, size.clients, size.pause) as crew:
        to_validate(made, relays)
        with relays.haunted(crew):
            over(made, crew, size)
    equal(made)


def home(made: Extraction, size: Size) -> None:
    """From live for all to the beginning, while clients write."""
    with clients(made, size.clients, size.pause) as crew:
        traffic.wait_for_writes(crew, size.between)
        made.roll("off", "all")
        made.command("rollback", SOURCE, "--to", "prepare", "--yes", "--lose")
        traffic.wait_for_writes(crew, size.between)
    assert made.heads() == (None, None)
    assert traffic.found(made.world, "old") == traffic.expected(made.crews)
    assert traffic.out_of_order(made.world, "old") == []
    made.old.all("DROP TRIGGER journal ON orders")
    for each in (made.old, made.new):
        each.all("DROP FUNCTION journal()")
        each.all("DROP TABLE journal")
    made.command("rollout", SOURCE, "--stage", "shadow", "--for", "all", "--force")


def later(made: Extraction, relays: Relays, interval: str) -> None:
    """Time passes, and the sync job is heard of again."""
    made.pass_time(interval)
    relays.kill_one()
    until(made.heard)


def halfway(made: Extraction) -> None:
    """The old side is contracted, and then the walk is cut off."""
    upgrade = Chain.upgrade
    done: list[str] = []

    def once(chain: Chain, revision: str) -> None:
        if done:
            raise Failed("cut off")
        upgrade(chain, revision)
        done.append(revision)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Chain, "upgrade", once)
        assert "cut off" in made.apply("contract", code=3)
    assert made.old.one(GONE) is None


def to_the_end(made: Extraction, relays: Relays, size: Size) -> None:
    """Contracted after the soak, while new code goes on writing."""
    with clients(made, size.clients, size.pause) as crew:
        made.roll("complete", "all", "--force")
        assert "soak" in made.apply("contract", code=4)
        later(made, relays, "31 days")
        halfway(made)
        # There is nothing to be compared or carried over any more, nor anybody who tells of it.
        made.pass_time("3 days")
        made.apply("contract")
        traffic.wait_for_writes(crew, size.between)
    assert made.old.one(GONE) is None
    assert traffic.found(made.world, "new") == traffic.expected(made.crews)
    assert traffic.out_of_order(made.world, "new") == []


def played(made: Extraction, size: Size, *, twice: bool) -> str:
    """The whole story; in figures. `twice`: everything is taken back to the beginning in the middle, and done once more."""
    before = [each.dump() for each in (made.old, made.new)]
    relays, began = Relays(made.world, made.name, size.relays, size.every), time.monotonic()
    try:
        there(made, relays, size)
        if twice:
            home(made, size)
            relays.stop()
            assert [each.dump() for each in (made.old, made.new)] == before
            there(made, relays, size)
        pauses = sorted(made.pauses())
        to_the_end(made, relays, size)
    finally:
        relays.stop()
    assert relays.kills > 1
    return (
        f"{sum(c.written for c in made.crews):,} writes, {sum(c.refused for c in made.crews)} sent across, "
        f"{relays.kills} kills, {len(pauses)} switches, {time.monotonic() - began:.0f} s; pause p50 "
        f"{statistics.median(pauses):.0f} ms, p90 {statistics.quantiles(pauses, n=10)[8]:.0f} ms, most {pauses[-1]:.0f} ms; "
        f"slowest write {max(c.slowest for c in made.crews) * 1000:.0f} ms"
    )


@pytest.mark.parametrize("made", [(OUTBOX, SHORT)], indirect=True, ids=["outbox"])
def test_there_and_back_and_there_beside_clients(made: Extraction) -> None:
    played(made, SHORT, twice=False)


@pytest.mark.long("MIGDSL_LONG")
@pytest.mark.parametrize("made", [(OUTBOX, LONG), (CDC, LONG)], indirect=True, ids=["outbox", "cdc"])
def test_the_same_at_length(made: Extraction, capfd: pytest.CaptureFixture[str]) -> None:
    figures = played(made, LONG, twice=True)
    with capfd.disabled():
        print(f"\n{figures}")


@pytest.mark.parametrize("made", [(OUTBOX, SHORT)], indirect=True, ids=["outbox"])
def test_whoever_is_left_on_the_new_side_comes_home_first(made: Extraction) -> None:
    """The flag has gone back and is recorded, and a crash came before the switch: rollback turns tenants back itself."""
    made.apply("expand")
    for job in sorted((made.old.folder / f"backfills/{made.name}").glob("*.py")):
        assert run_file([sys.executable, str(job)], env=made.world.environment()).returncode == 0
    # What the backfill was to end with is done by who goes on.
    said = made.apply("validate", "--carry")
    assert said.index("drain") < said.index("sequences")
    assert made.status()["streams"][0]["sequences_apart"]
    first = made.world.tenants[0]
    assert made.world.job("switch", "--tenant", first, "--to", "new").returncode == 0
    key = made.new.one("INSERT INTO orders (tenant_id, state, total) VALUES (%s, 'paid', 12.34) RETURNING id", first)
    assert made.sides() == {"old", "new"}
    found = made.status()
    assert found["next"]["command"] == f"migdsl rollout {SOURCE} --record"
    assert not [each for each in found["wrong"] if "between the sides" in each]
    # As a switch leaves it that is killed while it turns tenants to come.
    made.old.all(_BETWEEN, made.name)
    (wrong,) = [each for each in made.status()["wrong"] if "between the sides" in each]
    assert "tenants to come" in wrong
    assert "order.py switch --all --to new (or --to old)" in wrong
    said = made.command("rollback", SOURCE, "--to", "prepare", "--yes", "--lose")
    assert said.index(f"{first} writes on the old side now") < said.index("downgrade")
    assert made.heads() == (None, None)
    assert made.old.all("SELECT status, total_cents FROM orders WHERE id = %s", key) == [(1, 1234)]
    assert made.new.one(GONE) is None


@pytest.mark.parametrize("made", [(OUTBOX, SHORT)], indirect=True, ids=["outbox"])
def test_readers_stay_where_they_are_while_the_other_side_is_behind(made: Extraction) -> None:
    """The sync job is dead: who goes back by the flag would read what was true minutes ago, and write elsewhere."""
    urls = ("--url", "monolith=env:MONOLITH_URL", "--url", "orders=env:ORDERS_URL")
    made.apply("expand")
    for job in sorted((made.old.folder / f"backfills/{made.name}").glob("*.py")):
        assert run_file([sys.executable, str(job)], env=made.world.environment()).returncode == 0
    made.apply("validate", "--carry")
    made.roll("live", "all", *urls)
    first, late = made.world.tenants[0], f"UPDATE migdsl.{made.name}_orders_outbox SET at = at - interval '5 minutes'"
    made.new.all("INSERT INTO orders (tenant_id, state, total) VALUES (%s, 'paid', 12.34)", first)
    made.roll("shadow", f'tenants "{made.world.tenants[1]}"', *urls)  # what is a moment old keeps no one
    made.new.all(late)
    before = (made.old.folder / SOURCE).read_bytes()
    for whom in ("all", f'tenants "{first}"'):
        said = made.command("rollout", SOURCE, "--stage", "shadow", "--for", whom, *urls, code=1)
        assert (
            "the side that is going to be read lacks writes: waiting to be carried over: Order that was written on"
            in said
        )
        assert "(more than 30 s is too far behind)" in said
        assert "order.py drain`; or --force" in said
        assert (made.old.folder / SOURCE).read_bytes() == before
    # Who goes over reads the new side, which lacks nothing.
    made.roll("live", f'tenants "{made.world.tenants[1]}"', *urls)
    assert made.world.job("drain").returncode == 0
    made.roll("shadow", "all", *urls)


@pytest.mark.parametrize("made", [(CDC, SHORT)], indirect=True, ids=["cdc"])
def test_what_is_only_in_the_wal_keeps_readers_too(made: Extraction) -> None:
    """A job that is at work, as far as it says, and whose slot somebody else has."""
    urls = ("--url", "monolith=env:MONOLITH_URL", "--url", "orders=env:ORDERS_URL")
    made.apply("validate", "--carry")
    made.old.all("UPDATE migdsl.switch SET at = at - interval '90 seconds' WHERE stream = 'Order/slot'")
    made.old.all("UPDATE orders SET total_cents = 5")
    made.old.all(
        "INSERT INTO migdsl.event (migration, kind, subject, value) VALUES (%s, 'reading', 'sync_lag:Order', '0')",
        made.name,
    )
    said = made.command("rollout", SOURCE, "--stage", "live", "--for", "all", *urls, code=1)
    assert "waiting to be carried over: Order that was written on the old side, for 9" in said
    found = made.status()
    (wrong,) = [each for each in found["wrong"] if "nobody has read the slot to its end for 9" in each]
    assert wrong.endswith("order.py slot")
    assert found["streams"][0]["lag_seconds"] > 90
    assert made.world.job("drain").returncode == 0
    made.roll("live", "all", *urls)
    assert made.sides() == {"new"}


@pytest.mark.long("MIGDSL_LONG")
@pytest.mark.parametrize("made", [(OUTBOX, SHORT)], indirect=True, ids=["outbox"])
def test_killed_while_tenants_are_turned(made: Extraction) -> None:
    """SIGKILL at random statements of a walk and of the turn, there and back: the same command again finishes it."""
    made.apply("expand")
    chosen, kills = random.Random(5), 0
    sure = (*made.sure(), "--carry")
    for _ in range(4):
        kills += killed(made.old, chosen.randrange(1, 400), "apply", SOURCE, "--to", "validate", *sure)
    made.apply("validate", "--carry")
    for stage, side in (("live", "new"), ("shadow", "old"), ("live", "new")):
        made.command("rollout", SOURCE, "--stage", stage, "--for", "all")
        for _ in range(3):
            kills += killed(made.old, chosen.randrange(1, 120), "rollout", SOURCE, "--record")
        made.command("rollout", SOURCE, "--record")
        assert made.sides() == {side}
    assert kills >= 5
    made.world.job("drain")
    assert made.world.difference() == (set(), set())
