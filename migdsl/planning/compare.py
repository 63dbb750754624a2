"""Two planned versions of one migration become what changes between them: steps, stages, and what else the file says."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from migdsl.plan.diff import Difference, StepChange
from migdsl.planning import declared, stage_moves
from migdsl.planning.model import Planned
from migdsl.planning.release import released
from migdsl.planning.stage_moves import Move
from migdsl.planning.statements import Item, items, plain
from migdsl.semantics.model import PHASES
from migdsl.values import Value


class Compared(Value):
    """What differs, and which phases have run, in order."""

    ran: tuple[str, ...]
    steps: tuple[StepChange, ...]
    moves: tuple[Move, ...]
    changes: tuple[Difference, ...]


def compare(old: Planned, new: Planned, on_disk: Collection[str] = ()) -> Compared:
    """Compare two versions. A phase has run where the older version's stages release it, or its revision is `on_disk`."""
    # Where there is no revision, nothing is released: the flag alone tells what is behind it.
    there = released(old.module) if old.lowered.tables else (p.id for p in old.plan.phases if p.passed)
    has_run = {*there, *on_disk}
    # What is swapped under the code is one move for everybody: no stage between proves anything.
    pairs = any(plan.switched for planned in (old, new) for plan in planned.lowered.tables)
    return Compared(
        tuple(phase for phase in PHASES if phase in has_run),
        tuple(_steps(old, new, has_run)),
        stage_moves.moves(old.module, new.module, pairs=pairs),
        declared.differences(old, new),
    )


def _steps(old: Planned, new: Planned, has_run: Collection[str]) -> Iterator[StepChange]:
    before, after = items(old), items(new)
    keys = sorted({*before, *after}, key=lambda key: (PHASES.index(key[0]), *map(str, key[1:])))
    for key in keys:
        was, is_ = before.get(key), after.get(key)
        aspects = tuple(_aspects(was, is_)) if was is not None and is_ is not None else ()
        if was is None or is_ is None or aspects:
            yield _change(was, is_, aspects, has_run)


def _change(was: Item | None, is_: Item | None, aspects: tuple[str, ...], has_run: Collection[str]) -> StepChange:
    shown = is_ or was
    assert shown is not None
    effects = [each.up + each.down for each in (was, is_) if each is not None]
    binding = bool({"statements", "way back"} & set(aspects)) if was and is_ else any(effects)
    return StepChange(
        change="changed" if was and is_ else "added" if is_ else "removed",
        phase=shown.phase,
        operation=shown.operation,
        table=shown.table,
        subject=shown.subject,
        title=shown.title,
        aspects=aspects,
        binding=binding,
        ran=shown.phase in has_run,
        before=_sql(was),
        after=_sql(is_),
    )


def _aspects(was: Item, is_: Item) -> Iterator[str]:
    for name, before, after in (
        ("statements", was.up, is_.up),
        ("way back", was.down, is_.down),
        ("questions", was.gates, is_.gates),
    ):
        if plain(before) != plain(after):
            yield name
    yield from (name for (name, before), (_, after) in zip(was.how, is_.how, strict=True) if before != after)


def _sql(item: Item | None) -> tuple[str, ...]:
    if item is None:
        return ()
    return (*item.gates, *item.up, *(("-- way back",) if item.down else ()), *item.down)
