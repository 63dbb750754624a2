"""The router in threads and in asyncio: order, authority, pins, and what happens when something fails."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from migdsl.runtime.routing import (
    AsyncRouter,
    Fallback,
    LinesRecorder,
    Pace,
    Router,
    RoutingError,
    StageUnknownError,
    advisory_lock,
)
from migdsl.runtime.routing.asgi import SCOPE_KEY, RoutingMiddleware
from migdsl.runtime.routing.repair import Failure
from migdsl.runtime.routing.stages import POLICIES, STAGES, Stage
from tests.runtime.routing.support import Clock, Memory, Sides, Switch

PII = "ada@example.org"


class RefusedError(Exception):
    """As drivers have them: with an SQLSTATE, empty where the server didn't come to speak."""

    def __init__(self, text: str, state: str) -> None:
        super().__init__(text)
        self.sqlstate = state or None


class Both:
    """One router of each kind behind the same calls."""

    def __init__(self, kind: str, **settings: Any) -> None:
        self.kind, self.switch, self.memory, self.clock = kind, Switch(), Memory(), Clock()
        self.pace = Pace(ttl=5, settle=60)
        recorder = settings.pop("recorder", self.memory)
        made = Router if kind == "threads" else AsyncRouter
        self.router: Any = made(self.switch, recorder, pace=self.pace, clock=self.clock)
        self.users: Any = self.router.migration("users_email", **settings)

    def read(self, sides: Sides) -> object:
        if self.kind == "threads":
            with self.users.at("t") as at:
                return at.read(old=sides.read("old"), new=sides.read("new"), key=7)

        async def run() -> object:
            async with self.users.at("t") as at:
                found = await at.read(old=awaited(sides.read("old")), new=awaited(sides.read("new")), key=7)
            await self.router.shadow.drain()
            await self.router.close()
            return found

        return asyncio.run(run())

    def write(self, sides: Sides, value: object = 1) -> object:
        if self.kind == "threads":
            with self.users.at("t") as at:
                return at.write(old=sides.write("old", value), new=sides.write("new", value), key=7)

        async def run() -> object:
            async with self.users.at("t") as at:
                old, new = (awaited(sides.write(side, value)) for side in ("old", "new"))
                return await at.write(old=old, new=new, key=7)

        return asyncio.run(run())

    def stage(self) -> Stage:
        if self.kind == "threads":
            return self.users.policy("t").stage
        return asyncio.run(self.users.policy("t")).stage

    def later(self, seconds: float = 3600) -> None:
        self.clock.now += seconds


def awaited(run: Callable[[], Any]) -> Callable[[], Any]:
    async def wait() -> Any:
        return run()

    return wait


@pytest.fixture(params=["threads", "asyncio"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def both(kind: str) -> Iterator[Both]:
    made = Both(kind)
    yield made
    if kind == "threads":
        made.router.close()


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_reads_and_writes_in_its_order(both: Both, stage: Stage):
    both.switch.stage = stage
    sides = Sides({"old": "o", "new": "n"})
    policy = POLICIES[stage]
    assert both.write(sides) == policy.authority
    assert sides.touched == [f"write {side}" for side in policy.writes]
    sides.values = {"old": "o", "new": "n"}
    assert both.read(sides) == sides.values[policy.reads]
    assert sides.touched[len(policy.writes)] == f"read {policy.reads}"


@pytest.mark.parametrize("stage", STAGES)
def test_the_authoritative_write_fails_the_request_and_nothing_else_is_written(both: Both, stage: Stage):
    both.switch.stage = stage
    first = POLICIES[stage].authority
    sides = Sides(broken={f"write {first}": RefusedError(PII, "23505")})
    with pytest.raises(RefusedError, match=PII):
        both.write(sides)
    assert sides.touched == [f"write {first}"]
    assert both.memory.failures == []
    assert 'operation="write"} 1' in both.router.metrics()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("error", ["57P01", "08006", "40003", ""])
def test_an_authoritative_write_that_may_be_there_is_recorded(
    both: Both, stage: Stage, error: str, caplog: pytest.LogCaptureFixture
):
    """Its answer is lost: in two databases the other side is told apart by nobody, unless somebody looks."""
    both.switch.stage = stage
    first, *seconds = POLICIES[stage].writes
    sides = Sides(broken={f"write {first}": RefusedError(PII, error)})
    with pytest.raises(RefusedError, match=PII):
        both.write(sides)
    assert sides.touched == [f"write {first}"]
    said = f"unknown RefusedError {error}".rstrip()
    assert both.memory.failures == [Failure("users_email", "t", '["7"]', side, stage, said) for side in seconds]
    assert ("first_write_unknown" in caplog.text) == bool(seconds)
    assert 'operation="second_write"' not in both.router.metrics()
    assert PII not in caplog.text


@pytest.mark.parametrize("stage", ["dualwrite", "shadow", "live", "rampdown"])
def test_a_second_write_that_fails_is_recorded_and_fails_nothing(
    both: Both, stage: Stage, caplog: pytest.LogCaptureFixture
):
    both.switch.stage = stage
    first, second = POLICIES[stage].writes
    sides = Sides(broken={f"write {second}": ValueError(PII)})
    assert both.write(sides, PII) == first
    assert both.memory.failures == [Failure("users_email", "t", '["7"]', second, stage, "ValueError")]
    assert PII not in caplog.text + both.router.metrics()
    assert 'migdsl_router_repairs_total{migration="users_email",outcome="recorded"} 1' in both.router.metrics()


def test_a_recorder_that_fails_loses_nothing(kind: str, caplog: pytest.LogCaptureFixture, tmp_path: Any):
    both = Both(kind, recorder=LinesRecorder(tmp_path / "missing" / "repairs.jsonl"))
    both.switch.stage = "dualwrite"
    assert both.write(Sides(broken={"write new": ValueError(PII)})) == "old"
    (line,) = [r.getMessage() for r in caplog.records if "repair_needed" in r.getMessage()]
    assert 'tenant=t key="[\\"7\\"]" side=new stage=dualwrite error=ValueError' in line
    assert PII not in caplog.text
    assert 'outcome="spilled"} 1' in both.router.metrics()


def test_lines_on_the_disk_are_read_back(kind: str, tmp_path: Any):
    recorder = LinesRecorder(tmp_path / "repairs.jsonl")
    both = Both(kind, recorder=recorder)
    both.switch.stage = "live"
    for _ in range(2):
        both.write(Sides(broken={"write old": ValueError(PII)}))
    failure = Failure("users_email", "t", '["7"]', "old", "live", "ValueError")
    assert list(recorder.failures()) == [failure, failure]
    assert PII not in (tmp_path / "repairs.jsonl").read_text()


def test_a_request_that_is_cancelled_in_its_second_write_is_recorded():
    async def run() -> None:
        both.switch.stage = "dualwrite"

        async def old() -> None:
            pass

        async def new() -> None:
            started.set()
            await asyncio.Event().wait()

        async def request() -> None:
            async with both.users.at("t") as at:
                await at.write(old=old, new=new, key=7)

        started = asyncio.Event()
        task = asyncio.create_task(request())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    both = Both("asyncio")
    asyncio.run(run())
    assert [failure.error for failure in both.memory.failures] == ["CancelledError"]


def test_a_request_that_is_cancelled_twice_is_recorded():
    async def run() -> None:
        recording, go_on = asyncio.Event(), asyncio.Event()

        class Slow(Memory):
            async def record_async(self, failure: Failure, on: object | None) -> None:
                recording.set()
                await go_on.wait()
                self.record(failure, on)

        slow = Slow()
        users = AsyncRouter(Switch("dualwrite"), slow).migration("users_email")

        async def request() -> None:
            sides = Sides(broken={"write new": ValueError()})
            async with users.at("t") as at:
                await at.write(old=awaited(sides.write("old")), new=awaited(sides.write("new")), key=7)

        task = asyncio.create_task(request())
        await recording.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        go_on.set()
        while not slow.failures:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_an_interrupt_in_a_first_write_is_recorded_and_raised(both: Both):
    both.switch.stage = "dualwrite"
    with pytest.raises(KeyboardInterrupt):
        both.write(Sides(broken={"write old": KeyboardInterrupt()}))  # type: ignore[dict-item]
    (failure,) = both.memory.failures
    assert (failure.side, failure.error) == ("new", "unknown KeyboardInterrupt")
    assert 'operation="write"' not in both.router.metrics()


def test_an_interrupt_in_a_second_write_is_recorded_and_raised():
    both = Both("threads")
    both.switch.stage = "dualwrite"
    with pytest.raises(KeyboardInterrupt):
        both.write(Sides(broken={"write new": KeyboardInterrupt()}))  # type: ignore[dict-item]
    assert len(both.memory.failures) == 1


def test_a_request_keeps_its_stage_whatever_the_flag_says_meanwhile(both: Both):
    both.switch.stage = "shadow"
    if both.kind == "threads":
        with both.router.request():
            assert both.stage() == "shadow"
            both.switch.stage = "live"
            both.later()
            with both.users.at("t") as at:
                assert at.stage == "shadow"
            assert both.stage() == "shadow"
    else:

        async def request() -> None:
            async with both.users.at("t") as at:
                both.switch.stage = "live"
                both.later()
                inner = asyncio.create_task(both.users.policy("t"))
                assert (at.stage, (await inner).stage) == ("shadow", "shadow")

        asyncio.run(request())
    assert both.stage() == "live"


def test_requests_in_other_threads_have_stages_of_their_own():
    both = Both("threads")
    found = []
    with both.users.at("t") as at:
        both.switch.stage = "dualwrite"
        both.later()
        thread = threading.Thread(target=lambda: found.append(both.stage()))
        thread.start()
        thread.join()
    assert (at.stage, found) == ("off", ["dualwrite"])


def test_the_flag_is_asked_once_a_ttl(both: Both):
    for _ in range(5):
        both.stage()
    assert both.switch.asked == ["t"]
    both.later(5)
    both.stage()
    assert len(both.switch.asked) == 2


@pytest.mark.parametrize("answer", [ConnectionError(PII), None])
def test_without_an_answer_the_last_known_stage_stands(both: Both, answer: Exception | None):
    both.switch.stage = "rampdown"
    assert both.stage() == "rampdown"
    both.switch.down, both.switch.stage = answer, "" if answer is None else "off"
    both.later()
    assert both.stage() == "rampdown"
    assert both.stage() == "rampdown"
    assert len(both.switch.asked) == 2, "a service that is down is asked once a ttl"
    assert 'migdsl_router_flag_errors_total{migration="users_email"} 1' in both.router.metrics()


def test_without_an_answer_or_a_default_nothing_is_guessed(both: Both):
    both.switch.down = ConnectionError("down")
    sides = Sides()
    with pytest.raises(StageUnknownError, match="tenant 't' in migration users_email is unknown: ConnectionError"):
        both.write(sides)
    assert sides.touched == []


def test_without_an_answer_the_default_stands(kind: str):
    both = Both(kind, default="live")
    both.switch.down = ConnectionError("down")
    assert both.stage() == "live"
    assert both.stage() == "live"
    assert both.switch.asked == ["t"]
    both.switch.down, both.switch.stage = None, "rampdown"
    both.later()
    assert both.stage() == "rampdown"


def test_a_default_that_is_no_stage_is_refused(kind: str):
    with pytest.raises(RoutingError, match="'on' is no stage"):
        Both(kind, default="on")


def test_nothing_leads_back_from_complete_and_a_jump_goes_step_by_step(both: Both, caplog: pytest.LogCaptureFixture):
    assert both.stage() == "off"
    both.switch.stage = "shadow"
    both.later(5)
    assert both.stage() == "dualwrite"
    both.later(60)
    assert both.stage() == "shadow"
    both.switch.stage = "complete"
    both.later()
    assert both.stage() == "complete"
    both.switch.stage = "off"
    both.later()
    assert both.stage() == "complete"
    assert "event=stage migration=users_email tenant=t stage=complete flag=off verdict=refused" in caplog.text
    assert 'migdsl_router_moves_total{migration="users_email",stage="complete",verdict="refused"} 1' in (
        both.router.metrics()
    )


def test_two_tenants_and_two_migrations_have_stages_of_their_own():
    both = Both("threads")
    other = both.router.migration("orders", flag="orders_flag")
    both.switch.stage = "shadow"
    assert both.stage() == "shadow"
    both.switch.stage = "off"
    assert both.users.policy("u").stage == "off"
    assert other.policy("t").stage == "off"
    assert both.users.stages() == {"t": "shadow", "u": "off"}
    assert 'migdsl_router_tenants{migration="users_email",stage="shadow"} 1' in both.router.metrics()


def test_what_is_at_hand_is_chosen():
    both = Both("threads")
    with both.users.at(7) as at:
        assert (at.choose(old=1, new=2), at.writes, at.tenant) == (1, ("old",), "7")


def test_a_lock_needs_a_connection():
    both = Both("threads", lock=advisory_lock)
    with pytest.raises(RoutingError, match=r"at\(tenant, on=connection\)"):
        both.write(Sides())


def test_decorated_functions_go_by_the_stage():
    both, sides = Both("threads"), Sides({"old": "o", "new": "n"})

    def read_new(tenant: str, user: int = 0) -> object:
        return sides.read("new")()

    @both.users.reads(new=read_new, key="user")
    def read(tenant: str, user: int = 0) -> object:
        """Reads."""
        return sides.read("old")()

    def write_new(value: object, *, tenant: str, user: int) -> object:
        return sides.write("new", value)()

    @both.users.writes(new=write_new, key="user")
    def write(value: object, *, tenant: str, user: int) -> object:
        return sides.write("old", value)()

    assert (read("t"), read.__doc__) == ("o", "Reads.")
    both.switch.stage = "dualwrite"
    both.later()
    assert write("x", tenant="t", user=3) == "old"
    assert sides.values == {"old": "x", "new": "x"}
    sides.broken["write new"] = ValueError()
    write("y", tenant="t", user=3)
    assert both.memory.failures[0].key == '["3"]'


def test_decorated_coroutines_go_by_the_stage():
    both, sides = Both("asyncio"), Sides()

    async def new(tenant: str, user: int) -> object:
        return sides.write("new")()

    @both.users.writes(new=new, key="user")
    async def old(tenant: str, user: int) -> object:
        return sides.write("old")()

    both.switch.stage = "live"
    assert asyncio.run(old("t", 1)) == "new"
    assert sides.touched == ["write new", "write old"]


@pytest.mark.parametrize(("kind_of", "where"), [("reads", {"tenant": "who"}), ("writes", {}), ("reads", {"key": "id"})])
def test_a_decorator_that_can_not_work_says_so(kind_of: str, where: dict[str, str]):
    def old(tenant: str) -> None:
        pass

    with pytest.raises(RoutingError):
        getattr(Both("threads").users, kind_of)(new=old, **where)(old)


def test_an_asgi_application_finds_the_stage_and_keeps_it():
    both = Both("asyncio")
    both.switch.stage = "shadow"
    found: list[object] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(scope.get(SCOPE_KEY))
        if scope["type"] == "http" and SCOPE_KEY in scope:
            both.switch.stage = "live"
            both.later()
            async with both.users.at("t") as at:
                found.append(at.stage)

    async def run() -> None:
        served = RoutingMiddleware(app, both.router, (both.users,), lambda scope: scope.get("tenant"))
        for scope in ({"type": "http", "tenant": "t"}, {"type": "http"}, {"type": "lifespan"}):
            await served(scope, None, None)  # type: ignore[arg-type]

    asyncio.run(run())
    assert found == [{"users_email": "shadow"}, "shadow", None, None]


def test_the_log_is_quiet_in_the_request(both: Both, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    both.switch.stage = "dualwrite"
    both.write(Sides(), PII)
    both.read(Sides({"old": PII}))
    assert caplog.text == ""


def test_a_fallback_is_a_value():
    assert Fallback.only("live").stage("anybody") == "live"
