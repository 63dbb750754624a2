"""Comparisons behind the request's back: what is compared, what is dropped, and that nothing but hashes is said."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from migdsl.emit import promql, telemetry
from migdsl.runtime.routing import AsyncRouter, Router, Shadow
from migdsl.runtime.routing import meters as m
from migdsl.runtime.routing.mask import Mask, key_text
from migdsl.semantics.policy import Metric
from tests.conftest import needs_tool
from tests.runtime.routing.support import Memory, Switch

PII = "ada@example.org"
Read = Callable[[], object]


class Reads:
    """Serves reads in stage shadow through a router of either kind, then waits for the comparisons."""

    def __init__(self, kind: str, **shadow: Any) -> None:
        self.kind, self.shadow = kind, Shadow(
            **{"recheck": 0.0, "budget": 1e9, "max_age": 1e9, "timeout": 60.0, **shadow}
        )
        self.switch = Switch("shadow")

    def serve(self, *reads: tuple[Read, Read], on: object = None, stage: str = "shadow") -> m.Meters:
        self.switch.stage = stage
        return asyncio.run(self._tasks(reads, on)) if self.kind == "asyncio" else self._threads(reads, on)

    def _threads(self, reads: tuple[tuple[Read, Read], ...], on: object) -> m.Meters:
        with Router(self.switch, Memory(), shadow=self.shadow, secret=b"s") as router:
            users = router.migration("m", columns=["id", "email"])
            for old, new in reads:
                with users.at("t", on=on) as at:
                    at.read(old=old, new=new, key=(7, "x"))
            assert router.shadow.drain()
            self.text = router.metrics()
            return router.meters

    async def _tasks(self, reads: tuple[tuple[Read, Read], ...], on: object) -> m.Meters:
        async with AsyncRouter(self.switch, Memory(), shadow=self.shadow, secret=b"s") as router:
            users = router.migration("m", columns=["id", "email"])
            for old, new in reads:
                async with users.at("t", on=on) as at:
                    await at.read(old=_awaited(old), new=_awaited(new), key=(7, "x"))
            assert await router.shadow.drain()
            self.text = router.metrics()
            return router.meters


def _awaited(read: Callable[..., object]) -> Callable[..., Any]:
    async def wait(*connection: object) -> object:
        return read(*connection)

    return wait


def always(value: object) -> Read:
    return lambda: value


def counts(meters: m.Meters) -> tuple[int, int, int]:
    """Compared, mismatched, dropped."""
    return meters.value(m.COMPARED), meters.value(m.MISMATCHED), meters.value(m.DROPPED)


@pytest.fixture(params=["threads", "asyncio"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize(
    ("stage", "compared"), [("off", 0), ("dualwrite", 0), ("shadow", 1), ("live", 1), ("rampdown", 0)]
)
def test_shadow_and_live_are_compared(kind: str, stage: str, compared: int):
    assert counts(Reads(kind).serve((always(1), always(1)), stage=stage)) == (compared, 0, 0)


@pytest.mark.parametrize("stage", ["shadow", "live"])
def test_a_difference_is_counted_and_said_without_values(kind: str, stage: str, caplog: pytest.LogCaptureFixture):
    # Of `hiv_positive` nobody can see whether it is a column, or the name that a row gave to something.
    old = {"id": 7, "email": PII, PII: 1, "hiv_positive": 1}
    new = {"id": 7, "email": "eve@example.org", PII: 2}
    reads = Reads(kind)
    assert counts(reads.serve((always(old), always(new)), (always(1), always(1)), stage=stage)) == (2, 1, 0)
    (line,) = caplog.messages
    mask = Mask(b"s")
    hashes = (
        f"email {mask.of(PII)} {mask.of('eve@example.org')}; {mask.of(PII)} {mask.of(1)} {mask.of(2)}; "
        f"{mask.of('hiv_positive')} {mask.of(1)} absent"
    )
    assert line == (f'event=shadow_mismatch migration=m tenant=t key="[\\"7\\", \\"x\\"]" differs="{hashes}"')
    assert "example.org" not in line + reads.text
    assert 'migdsl_router_shadow_mismatched_total{migration="m"} 1' in reads.text


def test_a_write_that_came_in_between_is_no_mismatch(kind: str):
    """What was answered is older than what the other side says now: both are asked again."""
    values = iter([1, 2])
    assert counts(Reads(kind).serve((lambda: next(values), always(2)))) == (1, 0, 0)


def test_a_comparison_that_fails_fails_nothing(kind: str, caplog: pytest.LogCaptureFixture):
    def broken() -> object:
        raise ValueError(PII)

    reads = Reads(kind)
    assert counts(reads.serve((always(1), broken), (always(1), always(1)))) == (1, 0, 1)
    assert 'dropped_total{migration="m",reason="error"} 1' in reads.text
    assert PII not in caplog.text


@pytest.mark.parametrize(
    ("settings", "reason"), [({"budget": 0.0}, "budget"), ({"max_age": -1.0}, "late"), ({"timeout": -1.0}, "timeout")]
)
def test_what_does_not_fit_is_dropped(kind: str, settings: dict[str, float], reason: str):
    reads = Reads(kind, **settings)
    assert counts(reads.serve((always(1), always(2)))) == (0, 0, 1)
    assert f'reason="{reason}"}} 1' in reads.text


def test_nothing_of_an_empty_sample_is_compared(kind: str):
    assert counts(Reads(kind, sample=0.0).serve(*[(always(1), always(2))] * 20)) == (0, 0, 0)


def test_a_full_queue_drops_and_never_waits():
    hold, begun = threading.Event(), threading.Event()

    def slow() -> int:
        begun.set()
        assert hold.wait(60)
        return 1

    shadow = Shadow(queue=2, workers=1, budget=1e9, max_age=1e9, timeout=60)
    with Router(Switch("shadow"), Memory(), shadow=shadow) as router:
        users = router.migration("m")

        def read() -> None:
            with users.at("t") as at:
                at.read(old=always(1), new=slow)

        read()
        assert begun.wait(60)
        for _ in range(5):
            read()
        assert router.meters.value(m.DROPPED, "m", "full") == 3
        hold.set()
        assert router.shadow.drain()
        assert counts(router.meters) == (3, 0, 3)


def test_a_full_queue_of_tasks_drops():
    async def run() -> None:
        hold, begun = asyncio.Event(), asyncio.Event()

        async def slow() -> int:
            begun.set()
            await hold.wait()
            return 1

        async def fast() -> int:
            return 1

        shadow = Shadow(queue=2, workers=1, budget=1e9, max_age=1e9, timeout=60)
        async with AsyncRouter(Switch("shadow"), Memory(), shadow=shadow) as router:
            users = router.migration("m")
            for number in range(6):
                async with users.at("t") as at:
                    await at.read(old=fast, new=slow)
                if number == 0:
                    await begun.wait()
            hold.set()
            assert await router.shadow.drain()
            assert counts(router.meters) == (3, 0, 3)

    asyncio.run(run())


def test_comparisons_have_connections_of_their_own(kind: str):
    """The request's own is used for the answer alone."""
    used: list[tuple[str, object]] = []

    @contextmanager
    def lease() -> Iterator[str]:
        yield "leased"

    @asynccontextmanager
    async def lease_async() -> Any:
        yield "leased"

    def read(side: str) -> Callable[[object], int]:
        def run(connection: object) -> int:
            used.append((side, connection))
            return 1

        return run

    reads = Reads(kind, lease=lease, lease_async=lease_async)
    assert counts(reads.serve((read("old"), read("new")), on="request's")) == (1, 0, 0)  # type: ignore[arg-type]
    assert used == [("old", "request's"), ("new", "leased")]
    reads = Reads(kind)
    assert counts(reads.serve((read("old"), read("new")), on="request's")) == (0, 0, 1)  # type: ignore[arg-type]
    assert 'reason="lease"} 1' in reads.text


def test_a_forked_child_compares_too():
    with Router(Switch("shadow"), Memory(), shadow=Shadow(budget=1e9, max_age=1e9)) as router:
        users = router.migration("m")

        def read() -> None:
            with users.at("t") as at:
                at.read(old=always(1), new=always(1))
            assert router.shadow.drain()

        read()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                read()
                code = 0 if router.meters.value(m.COMPARED) == 2 else 2
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0


def test_a_closed_router_drops(kind: str):
    router = Router(Switch("shadow"), Memory())
    users = router.migration("m")
    router.close()
    with users.at("t") as at:
        assert at.read(old=always(1), new=always(2)) == 1
    assert router.meters.value(m.DROPPED, "m", "closed") == 1


def test_hashes_are_keyed_and_keys_are_text():
    assert Mask(b"a").of(PII) != Mask(b"b").of(PII) == Mask(b"b").of(PII)
    assert Mask().of(PII) != Mask().of(PII)
    assert Mask(b"a").of(None) == "null"
    assert Mask(b"a").difference((1, 2), [1, 3]) == f"[1] {Mask(b'a').of(2)} {Mask(b'a').of(3)}"
    assert Mask(b"a").difference({"x": 1}, {}, ["x"]) == f"x {Mask(b'a').of(1)} absent"
    assert Mask(b"a").difference({"x": 1}, {}) == f"{Mask(b'a').of('x')} {Mask(b'a').of(1)} absent"
    assert [key_text(key) for key in (None, 7, "ü", (1, None))] == ["[]", '["7"]', '["ü"]', '["1", "None"]']


def test_names_are_one_of_a_kind_and_follow_the_convention():
    names = [spec.name for spec in m.ROUTER_METRICS]
    assert len(set(names)) == len(names)
    for spec in m.ROUTER_METRICS:
        assert spec.name.startswith("migdsl_router_")
        assert spec.name.endswith("_total") == (spec.kind == "counter")
        assert not {"tenant", "key"} & set(spec.labels)


def test_prometheus_reads_the_text():
    reads = Reads("threads")
    reads.serve((always(1), always(2)), (always(1), always(1)))
    done = subprocess.run(
        [needs_tool("promtool"), "check", "metrics"], input=reads.text, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_condition_speaks_of_what_the_router_exports():
    """`shadow_mismatch_rate` in a .mig file: its PromQL names these two counters, with their own labels."""
    found = promql.series(Metric("shadow_mismatch_rate", "ratio", None), "m")
    for spec, ref in ((m.COMPARED, telemetry.SHADOW_COMPARED), (m.MISMATCHED, telemetry.SHADOW_MISMATCHED)):
        assert (spec.name, spec.labels) == (ref.name, ref.labels)
        assert ref.of("m") in found
