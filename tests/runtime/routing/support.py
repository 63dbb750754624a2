"""Flags and recorders in memory, and a clock that only moves when told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from migdsl.runtime.routing.repair import Failure


@dataclass
class Clock:
    """Seconds."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Switch:
    """A flag service with one flag for all; `down` while it answers nothing."""

    stage: str = "off"
    down: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def variant(self, flag: str, tenant: str) -> str:  # noqa: ARG002 (one flag for all)
        self.asked.append(tenant)
        if self.down is not None:
            raise self.down
        return self.stage

    async def variant_async(self, flag: str, tenant: str) -> str:
        return self.variant(flag, tenant)


@dataclass
class Memory:
    """Recorded failures."""

    failures: list[Failure] = field(default_factory=list)

    def record(self, failure: Failure, on: object | None) -> None:  # noqa: ARG002 (memory needs no connection)
        self.failures.append(failure)

    async def record_async(self, failure: Failure, on: object | None) -> None:
        self.record(failure, on)


@dataclass
class Sides:
    """Both sides of one value, and the order in which they were touched."""

    values: dict[str, object] = field(default_factory=dict)
    touched: list[str] = field(default_factory=list)
    broken: dict[str, Exception] = field(default_factory=dict)

    def read(self, side: str) -> Callable[[], object]:
        def run() -> object:
            self.touched.append(f"read {side}")
            if f"read {side}" in self.broken:
                raise self.broken[f"read {side}"]
            return self.values.get(side)

        return run

    def write(self, side: str, value: object = 1) -> Callable[[], str]:
        def run() -> str:
            self.touched.append(f"write {side}")
            if f"write {side}" in self.broken:
                raise self.broken[f"write {side}"]
            self.values[side] = value
            return side

        return run
