"""What a migration does beside its tables (an API, a replacement) becomes one flat value, which each section takes part of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeVar

from migdsl.ops.model import Step
from migdsl.plan.model import Check, ModernizationGate, Task
from migdsl.plan.phases import ExitCondition, StageName
from migdsl.plan.timeline import Wait
from migdsl.planning.paths import Paths
from migdsl.semantics.model import CheckedModule
from migdsl.values import Value

T = TypeVar("T")
Complexity = Literal["easy", "moderate", "hard"]
COMPLEXITIES: tuple[Complexity, ...] = ("easy", "moderate", "hard")


class Manual(Value):
    """What people do in a phase, and the command that does it, empty where none does.

    It stands in the runbook, and `apply` asks whether it is done; where it isn't `asked`, since an exit condition asks for what
    comes of it, `apply` says it.
    """

    phase: str
    text: str
    command: str = ""
    asked: bool = True


class Way(Value):
    """The way back out of `phase`: what to run, and what is kept; `kept_seconds` is for how long, None until contract."""

    phase: str
    commands: tuple[str, ...]
    keeps: str
    kept_seconds: int | None = None


class Beside(Value):
    """All that one declaration that is no table gives to a plan. Texts are whole sentences, without a full stop in lists
    that the plan shows as items.

    `subject`: what it is called, as `API orders_http`. `summary`: what becomes of it, for the plan's title. `category`: the
    type of a migration that is this alone. `artifacts`: path by the operation of its steps (those of `Lowered.beside`).
    `ramps`: tenants (or requests) move in the rollout's steps; `approach` says how. `moves`: the cutover's steps where nobody
    moves. `soak_seconds`: how long the old stays before contract, None where that isn't said in a duration. `code`: versions
    of the application by phase. `before`: what a runbook says first; `stages`: what the flag's stages mean for it; `watched`:
    what is looked at after a move of the flag. What raises the level of risk stands in `Lowered.points`.
    """

    subject: str
    summary: str
    category: str
    pattern: str
    truth: str
    systems: tuple[str, ...]
    truths: tuple[tuple[StageName, str], ...] = ()
    strategy: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    artifacts: tuple[tuple[str, str], ...] = ()
    manual: tuple[Manual, ...] = ()
    exits: tuple[tuple[str, ExitCondition], ...] = ()
    code: tuple[tuple[str, str], ...] = ()
    waits: tuple[Wait, ...] = ()
    soak_seconds: int | None = None
    ramps: bool = False
    approach: str = ""
    moves: tuple[str, ...] = ()
    aborts: tuple[str, ...] = ()
    downtime: str = ""
    ways: tuple[Way, ...] = ()
    reconciliation: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    metrics: tuple[str, ...] = ()
    sampling: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()
    complexity: Complexity = "easy"
    breaking: tuple[str, ...] = ()
    stakeholders: tuple[str, ...] = ()
    gates: tuple[ModernizationGate, ...] = ()
    rules: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    stages: str = ""
    watched: str = ""
    tasks: tuple[Task, ...] = ()


def beside(module: CheckedModule, paths: Paths) -> tuple[Beside, ...]:
    """What each declaration that is no table gives, in the order of their kinds."""
    return tuple(_found(module, paths))


def _found(module: CheckedModule, paths: Paths) -> Iterator[Beside]:
    if module.apis:
        from migdsl.planning import apis  # most migrations have none

        yield from apis.beside(module, paths)
    if module.replacements:
        from migdsl.planning import replacing  # likewise

        yield from replacing.beside(module, paths)


def each(parts: Iterable[Beside], of: Callable[[Beside], Iterable[T]]) -> tuple[T, ...]:
    """What all of them have of one kind, in order."""
    return tuple(found for part in parts for found in of(part))


def artifact(parts: Iterable[Beside], step: Step) -> str | None:
    """The file that does a step."""
    return next((path for part in parts for operation, path in part.artifacts if operation == step.operation), None)
