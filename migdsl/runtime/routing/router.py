"""Turns a tenant's stage into reads and writes of the right side, in the right order, for threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from operator import eq
from typing import Any, ParamSpec, TypeVar

from migdsl.runtime.routing import decorators, pins, sql
from migdsl.runtime.routing.compare import Equal, Pair, Shadow
from migdsl.runtime.routing.core import Clock, Core
from migdsl.runtime.routing.errors import named, settled
from migdsl.runtime.routing.fallback import Fallback
from migdsl.runtime.routing.flags import Flags
from migdsl.runtime.routing.mask import Key, Mask, key_text, lock_name
from migdsl.runtime.routing.meters import Meters, text
from migdsl.runtime.routing.repair import Failure, LogRecorder, Recorder
from migdsl.runtime.routing.stages import Policy, Side, Stage
from migdsl.runtime.routing.standing import Pace
from migdsl.runtime.routing.threads import ShadowThreads

T = TypeVar("T")
P = ParamSpec("P")
Lock = Callable[[Any, str], None]


class Router:
    """Routes the requests of one process. Close it at the end.

    `flags` says which stage a tenant is in (`OpenFeature`), `recorder` writes down second writes that failed
    (`LedgerRecorder`), `secret` is the key of the hashes in logs: one for all processes makes them comparable.
    """

    def __init__(
        self,
        flags: Flags,
        recorder: Recorder,
        *,
        shadow: Shadow | None = None,
        pace: Pace | None = None,
        secret: bytes | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.flags = flags
        self.recorder = recorder
        self.meters = Meters()
        self.shadow = ShadowThreads(shadow or Shadow(), clock)
        self._pace = pace or Pace()
        self._mask = Mask(secret)
        self._clock = clock
        self._migrations: list[Migration] = []

    def migration(
        self,
        name: str,
        *,
        flag: str | None = None,
        default: Fallback | str | None = None,
        lock: Lock | None = None,
        equal: Equal = eq,
        columns: Collection[str] = (),
    ) -> Migration:
        """A migration, whose flag has its name unless `flag` says otherwise. Raises RoutingError for a bad `default`.

        - `default`: what stands while the flag service gives no answer and the tenant was never seen:
          `Fallback.of_file` of the compiled flag file, or one stage. Without it such a request fails.
        - `lock` (`advisory_lock`) makes the writers of one row take turns: needed where the two sides are rows of
          their own in one database. Columns of one row need none.
        - `equal(old, new)` compares what the two sides read.
        - `columns` are the names by which logs tell what differs of a mapping that was read. Of any other name they tell
          a hash, since a mapping may be keyed by data.
        """
        fallback = Fallback.only(default) if isinstance(default, str) else default
        told = frozenset(columns)
        core = Core(name, flag or name, fallback, self.meters, self._mask, self._pace, columns=told, clock=self._clock)
        made = Migration(self, core, lock, equal)
        self._migrations.append(made)
        return made

    def request(self) -> AbstractContextManager[pins.Pins]:
        """Around a whole request: every tenant's stage stays what it was when the request first asked for it."""
        return pins.request()

    def metrics(self) -> str:
        """All metrics as Prometheus text."""
        census = [sample for each in self._migrations for sample in each.core.census()]
        return text([*self.meters.samples(), *census])

    def close(self) -> None:
        """Ends the comparisons."""
        self.shadow.close()

    def __enter__(self) -> Router:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True, eq=False)
class Migration:
    """One migration of a router."""

    router: Router
    core: Core
    lock: Lock | None
    equal: Equal

    @contextmanager
    def at(self, tenant: object, *, on: Any = None) -> Iterator[At]:
        """A tenant's place, which stays the same until the block ends, or the request around it.

        `on` is the request's connection or session: reads and writes are then called with it, a second write has a
        savepoint of its own, and its failure is recorded in the same transaction. Raises StageUnknownError.
        """
        with pins.request():
            yield At(self, str(tenant), self.policy(str(tenant)), on)

    def policy(self, tenant: str) -> Policy:
        """What stands for a tenant: as pinned, else as known for the ttl, else as the flag says."""
        held = pins.pinned(id(self), tenant)
        return held or pins.pin(id(self), tenant, self.core.fresh(tenant) or self._ask(tenant))

    def stages(self) -> dict[str, Stage]:
        """The tenants that this process knows, with their stage."""
        return self.core.standings.stages()

    def reads(self, *, new: Callable[P, T], **where: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Decorator of the function that reads the old side; `where` names its arguments (`tenant`, `key`, `on`)."""
        return decorators.routed(self.at, "read", new, **where)

    def writes(self, *, new: Callable[P, T], **where: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Decorator of the function that writes the old side; its `key` has to be named."""
        return decorators.routed(self.at, "write", new, **where)

    def _ask(self, tenant: str) -> Policy:
        asked = self.core.clock()
        try:
            variant = self.router.flags.variant(self.core.flag, tenant)
        except Exception as error:  # noqa: BLE001 (a provider may raise anything, and a request goes on without it)
            return self.core.unanswered(tenant, asked, f"{named(error)}")
        return self.core.answered(tenant, variant, asked)


@dataclass(frozen=True, slots=True)
class At:
    """A tenant's place in one request."""

    migration: Migration
    tenant: str
    policy: Policy
    on: Any

    @property
    def stage(self) -> Stage:
        """The stage that was pinned."""
        return self.policy.stage

    @property
    def writes(self) -> tuple[Side, ...]:
        """The sides to write, the authoritative first: for code that puts both into one statement."""
        return self.policy.writes

    def choose(self, *, old: T, new: T) -> T:
        """The value of the side that answers, where both are at hand already."""
        return old if self.policy.reads == "old" else new

    def read(self, *, old: Callable[..., T], new: Callable[..., T], key: Key | None = None) -> T:
        """What the authoritative side reads; in shadow and live the other side is read later and compared."""
        core, side = self.migration.core, self.policy.reads
        sides = {"old": old, "new": new}
        try:
            value = self._call(sides[side])
        except Exception:
            core.failed(self.policy, side, "read")
            raise
        core.read(self.policy, side)
        if self.policy.compares:
            leased, equal = self.on is not None, self.migration.equal
            pair = Pair(core, self.tenant, key, side, value, {"old": old, "new": new}, equal, leased, core.clock())
            self.migration.router.shadow.submit(pair)
        return value

    def write(self, *, old: Callable[..., T], new: Callable[..., T], key: Key) -> T:
        """Writes the authoritative side, whose failure is raised, then the other, whose failure is recorded.

        The result is the authoritative side's. `key` is the row's, by which it is repaired.
        """
        self.lock(key)
        first, *seconds = self.policy.writes
        sides = {"old": old, "new": new}
        try:
            result = self._call(sides[first])
        except BaseException as error:
            self._first_failed(first, seconds, key, error)
            raise
        self.migration.core.wrote(self.policy, first, "first")
        for side in seconds:
            self._second(side, sides[side], key)
        return result

    def lock(self, key: Key) -> None:
        """Waits for the row's other writers, where the migration has a lock. Call it before a read that a write is
        going to rest on; `write` calls it too."""
        if self.migration.lock is not None:
            self.migration.lock(self.on, lock_name(self.migration.core.migration, self.tenant, key_text(key)))

    def _first_failed(self, first: Side, seconds: list[Side], key: Key, error: BaseException) -> None:
        core = self.migration.core
        if isinstance(error, Exception):
            core.failed(self.policy, first, "write")
        # Without a transaction for both sides the write may be there although its answer is lost.
        if self.on is None and not settled(error):
            for side in seconds:
                self._record(core.unsettled(self.tenant, self.policy, side, key, error))

    def _second(self, side: Side, run: Callable[..., object], key: Key) -> None:
        try:
            with sql.guard(self.on):
                self._call(run)
        except BaseException as error:
            self._record(self.migration.core.failure(self.tenant, self.policy, side, key, error))
            if not isinstance(error, Exception):
                raise  # somebody ends the process, which is no reason to forget the row
        else:
            self.migration.core.wrote(self.policy, side, "second")

    def _record(self, failure: Failure) -> None:
        try:
            with sql.guard(self.on):
                self.migration.router.recorder.record(failure, self.on)
        except Exception as error:  # noqa: BLE001 (whatever it is, the request has been served)
            self.migration.core.recorder_failed(error)
            LogRecorder().record(failure, None)
            self.migration.core.recorded("spilled")
        else:
            self.migration.core.recorded("recorded")

    def _call(self, run: Callable[..., T]) -> T:
        return run() if self.on is None else run(self.on)
