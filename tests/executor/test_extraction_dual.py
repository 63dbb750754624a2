"""Orders leave a monolith beside an application that writes through the generated module; what that leaves, `once` carries over.

Second writes are cut off at random, and no relay runs. The short form runs with the suite, `MIGDSL_LONG=1` has more of all.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from migdsl.rehearsal.server import Server
from migdsl.runtime.routing import LogRecorder, OpenFeature, Pace, Router
from migdsl.runtime.routing import meters as m
from migdsl.runtime.stream.carriers import Carriers
from migdsl.runtime.stream.dual import DualWrites
from tests.executor.conftest import ROOT, Run
from tests.executor.extraction import SOURCE, WRITES, Client, Extraction, extraction, forget, until
from tests.executor.test_extraction import GONE, Size, equal
from tests.runtime.stream import traffic
from tests.runtime.stream.both import Pool
from tests.runtime.stream.test_dual_traffic import cutting

EXAMPLE = ROOT / "examples/18_extraction_dual_write/orders_dual_write.mig"
SHORT, LONG = Size(2, 30, 2, 12, 0, 0, 0.03), Size(5, 2_000, 4, 300, 0, 0, 0.004)


@dataclass(frozen=True, slots=True)
class Application:
    """One process."""

    orders: DualWrites
    router: Router

    def stages(self) -> set[str]:
        return set(self.orders.routes.stages().values())

    def carried(self, name: str) -> int:
        return sum(self.router.meters.value(m.CARRIED, name, way, "carried") for way in ("old_to_new", "new_to_old"))


@dataclass
class Routed(Client):
    """A client whose writes go through the generated module."""

    app: Application | None = None

    def _anywhere(self, _sides: dict[str, psycopg.Connection], what: str, tenant: str, values: dict) -> int | None:
        assert self.app is not None

        def on(side: str) -> Any:
            return lambda connection: connection.execute(WRITES[side][what], values).fetchone()

        try:
            row = self.app.orders.write(tenant, old=on("old"), new=on("new"))
        except errors.ObjectNotInPrerequisiteState:
            self.refused += 1
            assert what == "move"
            return None
        assert row is not None, f"{what} of {values['id']}, which was acknowledged, meets no row"
        return row[0]


@contextmanager
def application(made: Extraction) -> Iterator[Application]:
    """A process of the application, with the file that was compiled."""
    folder = made.old.folder
    space: dict[str, Any] = {"__name__": "generated"}
    exec((folder / f"routing/{made.name}/order.py").read_text(encoding="utf-8"), space)
    pools = Pool(made.world.old), Pool(made.world.new)
    flags = OpenFeature.flagd_file(folder / f"flags/{made.name}.flagd.json", poll_seconds=0.1)
    with Router(flags, LogRecorder(), pace=Pace(ttl=0.05, settle=0.0)) as router:
        second = Carriers(space["STREAM"], timeout_s=60.0, pause_s=0.05)
        leases = {"old": pools[0].connection, "new": pools[1].connection}
        with space["dual_writes"](router.migration(made.name), **leases, carriers=second, patience_s=120.0) as orders:
            yield Application(orders, router)
    for pool in pools:
        pool.close()


@contextmanager
def clients(made: Extraction, size: Size, apps: tuple[Application, ...]) -> Iterator[list[Routed]]:
    """Clients at work, some of each process."""
    numbers = range(len(made.crews) + 1, len(made.crews) + size.clients + 1)
    crew = [Routed(made.world, n, pause=size.pause, app=apps[n % len(apps)]) for n in numbers]
    made.crews += crew
    with traffic.at_work(crew):
        yield crew


@pytest.fixture
def made(
    request: pytest.FixtureRequest, tmp_path: Path, cache: Path, run: Run, pg: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Extraction]:
    """The example on databases of its own; compiled, and nothing run."""
    size: Size = request.param
    found = extraction(
        EXAMPLE.read_text(encoding="utf-8"),
        pg,
        tmp_path / "project",
        cache,
        run,
        monkeypatch,
        (size.tenants, size.rows),
    )
    try:
        yield found
    finally:
        forget(found)


def walked(made: Extraction, phase: str, code: int = 0) -> str:
    """Walks on; a reconciliation that looked at a range's hashes and at its rows while these were written says to look again."""
    while True:
        ran = made.run("apply", SOURCE, "--to", phase, *made.sure(), "--carry")
        if ran.code != 1 or "hashes differ though no row does" not in ran.out:
            assert ran.code == code, ran
            return ran.out + ran.err


def there(made: Extraction, size: Size, crew: list[Routed]) -> int:
    """From nothing to live for all, and back and there once more in between; how often second writes were cut off."""
    # Before expand there is no fence, and the module writes the old side as ever.
    traffic.wait_for_writes(crew, size.between)
    made.apply("expand")
    traffic.journals(made.world)
    made.roll("dualwrite", "all")
    walked(made, "cutover")
    made.roll("shadow", "all")
    with cutting(made.world, random.Random(3)) as cuts:
        traffic.wait_for_writes(crew, size.between)
        made.world.job("once", code=None)
        turned(made, crew, size.between)
    return cuts[0]


def turned(made: Extraction, crew: list[Routed], between: int) -> None:
    """A tenant goes over, comes back, and all go."""
    first = made.world.tenants[0]
    made.roll("live", f'tenants "{first}"')
    assert made.sides() == {"old", "new"}
    traffic.wait_for_writes(crew, between)
    made.roll("shadow", "all")
    assert made.sides() == {"old"}
    traffic.wait_for_writes(crew, between)
    made.roll("live", "all")
    assert made.sides() == {"new"}
    traffic.wait_for_writes(crew, between)


def to_the_end(made: Extraction, size: Size, crew: list[Routed], apps: tuple[Application, ...]) -> None:
    """Contracted, while clients go on."""
    made.roll("rampdown", "all")
    made.roll("complete", "all")
    until(lambda: all(app.stages() == {"complete"} for app in apps))
    assert "two clean readings" in walked(made, "contract", code=4)
    made.pass_time("31 days")
    walked(made, "contract")
    traffic.wait_for_writes(crew, size.between)


def played(made: Extraction, size: Size) -> str:
    """The whole story; in figures."""
    with application(made) as one, application(made) as two:
        with clients(made, size, (one, two)) as crew:
            cuts = there(made, size, crew)
        equal(made)
        with clients(made, size, (one, two)) as crew:
            to_the_end(made, size, crew, (one, two))
        carried = one.carried(made.name) + two.carried(made.name)
    assert made.old.one(GONE) is None
    assert traffic.found(made.world, "new") == traffic.expected(made.crews)
    assert traffic.out_of_order(made.world, "new") == []
    assert carried > 0
    assert cuts > 0
    return f"{sum(c.written for c in made.crews):,} writes, {carried:,} carried over at once, {cuts:,} cut off"


@pytest.mark.parametrize("made", [SHORT], indirect=True, ids=["short"])
def test_an_application_carries_its_orders_over_itself(made: Extraction) -> None:
    assert "carried over at once" in played(made, SHORT)


@pytest.mark.long("MIGDSL_LONG")
@pytest.mark.parametrize("made", [LONG], indirect=True, ids=["long"])
def test_the_same_at_length(made: Extraction, capfd: pytest.CaptureFixture[str]) -> None:
    figures = played(made, LONG)
    with capfd.disabled():
        print(f"\n{figures}")
