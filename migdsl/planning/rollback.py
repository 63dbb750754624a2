"""The way back out of each phase: what to run, in which order, and what is kept of what was written meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from migdsl.ops import begun
from migdsl.plan.model import PhaseRollback, Rollback
from migdsl.planning import losses, streaming
from migdsl.planning.beside import Way, each
from migdsl.planning.demands import sentence
from migdsl.planning.facts import Facts, new_side, old_side, sides
from migdsl.planning.model import Revision
from migdsl.planning.moves import aborts
from migdsl.planning.release import streams_alone
from migdsl.planning.streams import streams
from migdsl.planning.words import agreeing, first_upper, listed
from migdsl.semantics.model import (
    AddColumn,
    AddConstraint,
    ColumnOperation,
    DropColumn,
    ExtendEnum,
    OptionalColumn,
    RequireColumn,
)
from migdsl.semantics.policy import spoken


def rollback(facts: Facts, revisions: tuple[Revision, ...], phases: tuple[str, ...]) -> Rollback:
    """The rollback section; `phases` are those that the plan has, in order."""
    ways = tuple(_ways_back(facts, revisions, phases))
    return Rollback(
        conditions=(
            *(tuple(aborts(facts)) or (f"A client of {facts.subjects} fails after expand",)),
            *(spoken(c) for c in facts.module.policy.returns),
        ),
        steps=(
            *(f"From {w.from_phase} to {w.to_phase}: {_in_a_row(w.commands)}" for w in ways if w.commands),
            *(sentence(step) for step in facts.module.policy.return_steps),
        ),
        data_reconciliation=(*_reconciliation(facts), *each(facts.beside, lambda b: b.reconciliation)),
        phases=ways,
    )


def _in_a_row(commands: tuple[str, ...]) -> str:
    return "; ".join(each.removeprefix("# ") for each in commands)


def _tables(facts: Facts) -> str:
    return listed([p.table.entity for p in facts.tables])


def _reconciliation(facts: Facts) -> Iterator[str]:
    for plan in facts.tables:
        path, entity = facts.paths.reconcile(plan.table), plan.table.entity
        backs = [c.column for c in plan.comparisons if c.carried_back]
        if backs:
            yield (
                f"Run {path} after each step back: {listed(backs)} has been carried back into the old columns by the "
                "trigger, and 0 rows must differ"
            )
        elif plan.swapped:
            yield f"Run {path} after each step back: the old {listed(plan.swapped)} has followed, and 0 rows must differ"
        elif plan.moved is not None:
            came, goes = sides(plan)
            yield f"Run {path} after each step back: what {goes} was given has been carried to {came}, and 0 rows must differ"
        elif plan.move is not None:
            came, goes = sides(plan)
            yield f"Run {path} after each step back: what was written to {goes} is in {came} too, and 0 rows must differ"
        elif plan.comparisons:
            yield f"Run {path} after each step back: nothing of {entity} is carried back, and 0 rows must differ"
        else:
            yield f"Run {path} after each step back: the rows of {entity} per tenant must be those from before"


def _ways_back(facts: Facts, revisions: tuple[Revision, ...], phases: tuple[str, ...]) -> Iterator[PhaseRollback]:
    for before, phase in reversed(list(pairwise(phases))):
        ways = [way for part in facts.beside for way in part.ways if way.phase == phase]
        kept = [facts.soak_seconds if phase == "enforce" else None, *(way.kept_seconds for way in ways)]
        yield PhaseRollback(
            from_phase=phase,
            to_phase=before,
            commands=(
                *_commands(facts, phase, [r for r in reversed(revisions) if r.phase == phase]),
                *(command for way in ways for command in way.commands),
            ),
            keeps=_kept(facts, phase, ways),
            kept_for_seconds=min((seconds for seconds in kept if seconds is not None), default=None),
        )


def _kept(facts: Facts, phase: str, ways: list[Way]) -> str:
    own = [_keeps(facts, phase)] if facts.tables else []
    return "; ".join([*own, *(way.keeps for way in ways)]) or f"All data of {facts.subjects}: nothing was changed here"


def _commands(facts: Facts, phase: str, revisions: list[Revision]) -> Iterator[str]:
    reconciles = [f"python {facts.paths.reconcile(p.table)}" for p in facts.tables if p.comparisons]
    stage = _stage_below(facts, phase)
    flag = tuple(_moved_back(facts, stage)) if stage is not None else ()
    # A revision that a stage has released is gone from the disk once the flag has left that stage.
    first = bool(revisions) and phase in ("validate", "cutover")
    for stream in streams(facts.tables):
        yield from streaming.ahead(facts.paths, stream, phase)
    yield from () if first else flag
    found = [streaming.back(facts.paths, stream, phase) for stream in streams(facts.tables)]
    yield from () if first else (command for before, _ in found for command in before)
    if phase == "backfill":
        yield from _stopped(facts)
    for revision in revisions:
        alembic = facts.paths.alembic(revision.database)
        if phase in begun.LATE:
            # Where Alembic stands below already, a downgrade ends well and does nothing.
            yield f"# only where the upgrade to {revision.id} broke off: {alembic} stamp {revision.id}"
        yield f"{alembic} downgrade {below(revision)}"
    yield from flag if first else ()
    yield from (command for before, _ in found for command in before) if first else ()
    yield from (command for _, after in found for command in after)
    if phase not in ("expand", "backfill"):
        yield from reconciles


def _stopped(facts: Facts) -> Iterator[str]:
    filled = [p.table for p in facts.tables if p.fills]
    paces = [facts.module.policy.pace(table.entity) for table in filled]
    workers = ", and the workers on other machines" if any(p and p.engine not in (None, "local") for p in paces) else ""
    ends = "they finish their batches" if workers or len(filled) > 1 else "it finishes its batch"
    if filled:
        yield f"# stop {listed([facts.paths.backfill(t) for t in filled])}{workers} (Ctrl-C, or SIGTERM): {ends}"


def _stage_below(facts: Facts, phase: str) -> str | None:
    """Where the flag must stand for everybody once a phase has been left backwards; None where it may stay."""
    if not facts.tables:
        return None
    # Only at shadow is there a revision of validate to go back by, unless it is for tables that nobody writes.
    held = any(s.up for s in facts.lowered.phase("validate")) and not streams_alone(facts.module)
    nobody = "dualwrite" if facts.pairs else "off"
    if phase == "cutover":
        return "shadow" if held else nobody
    if phase == "validate":
        return nobody if held else None
    return "off" if phase == "expand" and facts.pairs else None


def _moved_back(facts: Facts, stage: str) -> Iterator[str]:
    """The flag first: the file and what is compiled from it, the deploy, the record."""
    file = facts.module.path.replace("\\", "/").rsplit("/", 1)[-1]
    urls = facts.lowered.databases
    named = [f"{name}=" if len(urls) > 1 else "" for name in urls]
    said = [f"--url {name}env:{facts.module.database(of).url_env}" for name, of in zip(named, urls, strict=True)]
    switched = [p for p in facts.tables if p.switched]
    new, old = listed([new_side(p) for p in switched]), listed([old_side(p, facts.change(p)) for p in switched])
    why = f"new code must not use {new} any more" if stage == "off" else f"readers go back to {old}"
    yield f"# {why if switched else f'{facts.migration} is {stage} for everybody again'}"
    yield f"migdsl rollout {file} --stage {stage} --for all {' '.join(said)}"
    yield f"# deploy {facts.paths.flags}, and wait until all processes have seen it; then"
    yield f"migdsl rollout {file} --record"


def below(revision: Revision) -> str:
    """What Alembic is told to go back to: of our chain alone, since `base` means all chains of a project."""
    return revision.after or f"{revision.id}@base"


def _keeps(facts: Facts, phase: str) -> str:
    rules = {"contract": _after_contract, "expand": _after_expand, "cutover": _before_the_switch, "enforce": _unbound}
    if phase in rules:
        return rules[phase](facts)
    if phase == "backfill":
        across = [streaming.kept(stream, phase) for stream in streams(facts.tables)]
        filled = [kept] if (kept := _filled(facts)) else list(_carried(facts))
        return "; ".join(["All data", *filled, *across])
    made = [s for s in facts.lowered.phase(phase) if s.up and s.operation not in ("gate", "drop_constraint")]
    cut = _cut(facts, phase)
    if cut and not made:
        return f"All data of {_tables(facts)}; {cut}"
    if made:
        what = (
            "the constraints"
            if any(s.operation == "add_constraint" for s in made)
            else "the keys, indexes and constraints"
        )
        over = f" over the new {listed(facts.swaps)}" if facts.swaps else ""
        more = f", and {cut}" if cut else ""
        return f"All data of {_tables(facts)}; only {what} that {phase} made{over} go{more}"
    return f"All data of {_tables(facts)}: {phase} has changed nothing"


def _cut(facts: Facts, phase: str) -> str:
    """The foreign keys that the phase has dropped, and that stand again once it is undone."""
    steps = [s for s in facts.lowered.phase(phase) if s.operation == "drop_constraint"]
    entities = listed(list(dict.fromkeys(s.table.entity for s in steps if s.down and s.table is not None)))
    keys = agreeing(len([s for s in steps if s.down]), "the foreign key of {} is", "the foreign keys of {} are")
    told = f"made again, and proven: a row of {entities} that points nowhere by then has to be mended first"
    return f"{keys.format(entities)} {told}" if entities else ""


def _unbound(facts: Facts) -> str:
    """What the way back out of enforce keeps."""
    aside = [p.table.name for p in facts.tables if p.leaves]
    binding = {s.table for s in facts.lowered.phase("enforce") if s.up}
    bound = listed([p.table.entity for p in facts.tables if not p.leaves and p.table in binding])
    has = agreeing(len(aside), "has its name back, with all its rows", "have their names back, with all their rows")
    parts = [f"all data: {listed(aside)} {has}"] if aside else []
    parts += [f"all data of {bound}; only the constraints that enforce made go"] if bound else []
    return _sentence(parts) or f"All data of {_tables(facts)}: enforce has changed nothing"


def _before_the_switch(facts: Facts) -> str:
    """What the way back out of cutover keeps."""
    found = [
        *_unswapped(facts),
        *_alone(facts),
        *(
            "the triggers have carried each write to {1} home to {0}".format(*sides(p))
            for p in facts.tables
            if p.move is not None and p.moved is None
        ),
        *(streaming.kept(stream, "cutover") for stream in streams(facts.tables)),
        *_others(facts),
        *_keys(facts),
    ]
    if not found:
        return f"All data of {_tables(facts)}: cutover has moved nothing but the flag"
    return f"All data: {'; '.join(found)}"


def _unswapped(facts: Facts) -> Iterator[str]:
    if facts.swaps:
        names, them = listed(facts.swaps), agreeing(len(facts.swaps), "it", "them")
        column = agreeing(len(facts.swaps), "the old column of {} has", "the old columns of {} have").format(names)
        yield (
            f"{column} followed, what stood on {them} is built again first, and the way back stops, changing nothing, while "
            "there is a value that an old type can't hold"
        )


def _carried(facts: Facts) -> Iterator[str]:
    """What a backfill has filled, and what it has inserted."""
    filled = listed([f"{p.table.entity}.{f.column}" for p in facts.tables if p.origin is None for f in p.fills])
    inserted = listed([sides(p)[1] for p in facts.tables if p.origin is not None and p.moved is None and p.fills])
    yield from [f"what was filled of {filled} stays filled and does no harm"] if filled else ()
    yield from [f"the rows that were inserted into {inserted} stay there and do no harm"] if inserted else ()


def _alone(facts: Facts) -> Iterator[str]:
    """Tables that nothing leads back from."""
    for plan in (p for p in facts.tables if p.move is None):
        if plan.origin is not None:
            table, old = plan.table.entity, plan.origin.table.entity
            yield f"{table} stays as it is; what was written there and not to {old} as well is not seen by who reads {old}"


def _others(facts: Facts) -> Iterator[str]:
    pairs = [p.table.entity for p in facts.tables if p.switched and p.origin is None]
    if pairs:
        yield f"the trigger has kept the old columns of {listed(pairs)} in step"


def _keys(facts: Facts) -> Iterator[str]:
    """Tables that get their old key back."""
    moved = [s.table for s in facts.lowered.phase("cutover") if s.up and s.table is not None]
    for table in (p.table for p in facts.tables if p.table in moved):
        operations = (o for p in facts.tables if p.table is table for o in facts.change(p).operations)
        if any(isinstance(o, AddConstraint) and o.constraint.kind == "key" for o in operations):
            yield f"the key of {table.entity} is ({', '.join(table.key)}) again"


def _after_contract(facts: Facts) -> str:
    gone = [s for s in facts.lowered.phase("contract") if s.operation == "drop_column"]
    lost = [_dropped(s.title) for s in gone if not s.reversible]
    back = [_dropped(s.title) for s in gone if s.reversible]
    by = "by `back`" if not facts.swaps else "from the new values"
    come, their = agreeing(len(back), "comes", "come"), agreeing(
        len(lost), "comes back empty: its", "come back empty: their"
    )
    parts = [f"{listed(back)} {come} back at the end of the table, computed {by} in batches"] if back else []
    parts += [f"{listed(lost)} {their} values are lost, as the file says"] if lost else []
    for plan in facts.tables:
        if plan.move is not None:
            came, goes = sides(plan)
            empty = [o.column for o in plan.move.omitted if o.target is None]
            if plan.moved is None:
                parts.append(f"{came} comes back with all that stood on it, and with the rows of {goes}, in batches")
            come = agreeing(
                len(empty), "comes back empty: nothing in {} holds it", "come back empty: nothing in {} holds them"
            )
            parts += [f"{listed(empty)} of {came} {come.format(goes)}"] if empty else []
    parts += [streaming.kept(stream, "contract") for stream in streams(facts.tables)]
    left = [p.move.table for p in facts.tables if p.move is not None]
    dropped = (s.table for s in facts.lowered.phase("contract") if s.operation == "drop_table" and s.table)
    tables = [table.name for table in dropped if table not in left]
    their = agreeing(len(tables), "comes back empty: its rows", "come back empty: their rows")
    parts += [f"{listed(tables)} {their} are lost, as the file says"] if tables else []
    again = [_bare(s.title) for s in facts.lowered.phase("contract") if s.operation == "rebuild"]
    if again:
        parts.append(
            f"made again: {listed(again)}; the way back stops, and names which, where rows have come since "
            "that it would not have let in"
        )
    return _sentence(parts) or f"All data of {_tables(facts)}"


_PROSE = frozenset(["all", "it", "made", "what"])  # names keep their first letter


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts)
    return first_upper(text) if text.partition(" ")[0].rstrip(":") in _PROSE else text


def _dropped(title: str) -> str:
    """`Drop User.email; refused while …` → `User.email`."""
    return re.split("[;,]", title, maxsplit=1)[0].removeprefix("Drop ")


def _bare(title: str) -> str:
    """`On the way back: make x of User again, while …` → `x of User`."""
    return title.removeprefix("On the way back: make ").split(" again,")[0]


def _left_out(operation: ColumnOperation) -> bool:
    """Whether new code may leave out a NOT NULL column that nothing fills for it."""
    return isinstance(operation, DropColumn) and bool(operation.irreversible) and not operation.column.nullable


def _filled(facts: Facts) -> str:
    """What was NULL before, in columns that were there before: nothing remembers where."""
    found = [
        f"{plan.table.entity}.{operation.column.name}"
        for plan in facts.tables
        for operation in facts.column_operations(plan)
        if isinstance(operation, RequireColumn) and operation.filled
    ]
    return f"NULLs of {listed(found)} stay what `from` made of them, all the way back" if found else ""


def _after_expand(facts: Facts) -> str:
    parts = [filled] if (filled := _filled(facts)) else []
    carried = [c.column for p in facts.tables for c in p.comparisons if c.carried_back]
    if carried:
        parts.append(f"what was written to {listed(carried)} stands in the old columns too")
    lost = [c.column for p in facts.tables if p.origin is None for c in p.switched if c.lossy is None]
    parts += [text for p in facts.tables if p.move is None for text in losses.of_a_new_table(facts, p)]
    own = (text for p in facts.tables if p.move is not None for text in losses.of_a_move(p))
    parts += [text.replace("What", "what", 1) for text in own]
    parts += [
        "{1} is dropped, and all that was written there stands in {0} too".format(*sides(p))
        for p in facts.tables
        if p.move
    ]
    for plan in facts.tables:
        for operation in facts.column_operations(plan):
            name = f"{plan.table.entity}.{operation.column.name}"
            if isinstance(operation, AddColumn) and operation.source is None:
                lost.append(name)
            if isinstance(operation, OptionalColumn) and operation.back is not None:
                parts.append(f"NULLs of {name} become what `back` gives")
            elif isinstance(operation, OptionalColumn) or _left_out(operation):
                parts.append(f"it stops, and changes nothing of {name}, while a row holds a NULL there")
    for plan in facts.tables:
        labels = [o for o in facts.change(plan).operations if isinstance(o, ExtendEnum)]
        parts += [f"all data of {plan.table.entity}; the label '{o.label}' of {o.type} stays" for o in labels]
    if lost:
        column = agreeing(len(lost), "the column", "the columns")
        parts.append(f"what was written to {listed(lost)} is lost with {column}")
    return _sentence(parts) or f"All data of {_tables(facts)}"
