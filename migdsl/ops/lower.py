"""A checked module becomes everything that must happen: each operation lowered, table by table, phase by phase."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from migdsl.dialect.names import dollar_tag, literal, qualified, quote
from migdsl.ops import (
    add_column,
    attributes,
    begun,
    claims,
    constraints,
    create_table,
    data,
    deferring,
    demands,
    dependents,
    drop_column,
    drop_constraint,
    drop_table,
    enum_label,
    enum_type,
    gates,
    key,
    late,
    names,
    nullability,
    pairs,
    raw_sql,
    rename_table,
    returning,
    retype,
    subscribers,
    swap,
    sync,
    twins,
    walkable,
)
from migdsl.ops.context import Context
from migdsl.ops.model import Alone, BuildIndex, Cost, Group, Lock, Lowered, Step, TablePlan
from migdsl.ops.stream_model import Moved
from migdsl.semantics.model import (
    PHASES,
    AddColumn,
    AddConstraint,
    Change,
    CheckedModule,
    Comment,
    CreateTable,
    DropColumn,
    DropConstraint,
    DropTable,
    ExtendEnum,
    Operation,
    OptionalColumn,
    RawSql,
    RenameTable,
    ReplicaIdentity,
    RequireColumn,
    RetypeColumn,
    SetDefault,
    Source,
    Table,
)
from migdsl.semantics.move_model import Move
from migdsl.semantics.phrases import known_as
from migdsl.semantics.policy import Order, Pace
from migdsl.semantics.succession import predecessor
from migdsl.values import replace

LEDGER, INDEXES = 0, 5
DEFAULT_SOAK = 14 * 86_400


def lower(module: CheckedModule) -> Lowered:
    """All steps of a migration. The module must be free of errors and have a header."""
    assert module.header is not None
    databases = module.migrated
    parts = [_within(module, name) for name in databases]
    turns = {change.table.entity: n for n, change in enumerate(module.changes)}
    plans = sorted((plan for found, _ in parts for plan in found), key=lambda p: turns[p.table.entity])
    steps = [step for _, found in parts for step in found]
    ordered = sorted(steps, key=lambda s: (PHASES.index(s.phase), databases.index(s.place or ""), s.rank))
    beside, points = _beside(module)
    return Lowered(module.header.name, tuple(plans), tuple(ordered), beside, points, databases)


def _within(whole: CheckedModule, database: str) -> tuple[tuple[TablePlan, ...], list[Step]]:
    """What happens in one database: each has a ledger, gates and procedures of its own."""
    module = replace(whole, changes=tuple(c for c in whole.changes if database in places(c)))
    assert module.header is not None
    migration = module.header.name
    found = tuple(_table(migration, module, change) for change in module.changes if change.operations)
    # What comes from another database is counted there.
    plans = tuple(plan if plan.home == database else replace(plan, fills=()) for plan in found)
    steps = [*swap.steps(migration, module), *(s for plan in plans for s in plan.steps if s.place == database)]
    used = {step.phase for step in steps if step.up or step.down}
    steps = begun.noted(migration, steps)
    extra: list[Step] = [*begun.steps(migration, used)]
    if used or any(plan.fills for plan in plans):
        extra += [_ledger(migration), _unused(migration)]
    swaps = any(_swaps(o) for change in module.changes for o in change.operations)
    if swaps or any(isinstance(o, _STANDING) for change in module.changes for o in change.operations):
        extra.append(dependents.step(migration))
    if swaps:
        extra.append(swap.procedures(migration))
    asked = {**demands.gates(module, plans, frozenset(used), database)}
    if "validate" in used and (moved := [plan for plan in plans if plan.moved is not None]):
        from migdsl.ops import streams  # most migrations stay in one database

        asked["validate"] = (*asked.get("validate", ()), *(streams.agreed(p.moved) for p in moved if p.moved))
    last = (phase for phase in ("enforce", "contract") if phase in used)
    extra += subscribers.lower(migration, module, database, steps)
    extra += [late.step(module, phase, plans, asked.get(phase, ()), database) for phase in last]
    extra += [demands.step(phase, asked[phase]) for phase in ("backfill", "validate", "cutover") if phase in asked]
    where = f", in {database}" if len(whole.migrated) > 1 else ""
    shared = (s for s in (*extra, *steps) if s.place is None)
    named = {id(s): replace(s, database=database, title=f"{s.title}{where}") for s in shared}
    return tuple(p for p in found if p.home == database), [named.get(id(s), s) for s in (*extra, *steps)]


def _beside(module: CheckedModule) -> tuple[tuple[Step, ...], tuple[tuple[int, str], ...]]:
    """The steps of what is no table, in the order of their phases, and what raises the risk."""
    steps: list[Step] = []
    points: list[tuple[int, str]] = []
    if module.apis:
        from migdsl.ops import api  # most migrations have none

        steps += api.steps(module)
        points += api.points(module)
    if module.replacements:
        from migdsl.ops import replacing  # likewise

        steps += replacing.steps(module)
        points += replacing.points(module)
    return tuple(sorted(steps, key=lambda s: PHASES.index(s.phase))), tuple(points)


def _table(migration: str, module: CheckedModule, change: Change) -> TablePlan:
    context = Context(migration, change, module, pairs.pairs(change), pairs.kept(change))
    around = [*sync.lower(context), *retype.around(context)]
    # The trigger goes before the columns that it writes go, and comes after those that it writes have come.
    steps = [s for s in around if s.phase == "contract"]
    # What is computed from columns goes before them.
    for operation in sorted(change.operations, key=lambda o: not (isinstance(o, DropColumn) and o.column.generated)):
        steps += LOWERINGS[type(operation)](context, operation)
    steps += [*returning.lower(context), *enum_type.lower(context)]
    steps += [*dependents.rebuild(context), *retype.way_home(context)]
    steps += [s for s in around if s.phase != "contract"]
    if steps and not _comes(change):
        steps.append(_plain_table(context))
    origin = _origin(change)
    if origin is not None and not any(c.table == origin.table for c in module.changes):
        steps.append(_plain_table(_still(context, origin.table)))
    fills = tuple(data.fills(context))
    if fills:
        steps += _batch_indexes(_walked(context, origin), module.policy.pace(change.table.entity))
    steps += _claimed(context, origin, steps)
    gone = any(s.phase == "contract" for s in steps)
    move = next((o.move for o in change.operations if isinstance(o, CreateTable)), None)
    soaks = [o.soak_seconds for o in change.operations if isinstance(o, _SOAKED)]
    soaks += [o.move.soak_seconds for o in change.operations if isinstance(o, CreateTable) and o.move is not None]
    soak = max(soaks, default=DEFAULT_SOAK) if gone else None
    if soak is not None and module.policy.keep_seconds is not None:
        soak = max(soak, module.policy.keep_seconds)
    return TablePlan(
        change.table,
        tuple(steps),
        fills,
        tuple(data.comparisons(context)),
        tuple(data.violations(context)),
        names.counter(migration, change.table) if _counted(context) else None,
        soak,
        tuple(o.irreversible for o in change.operations if isinstance(o, _FINAL) and o.irreversible),
        leaves=_leaves(change),
        origin=origin,
        move=move,
        moved=_moved(migration, module, move),
    )


def places(change: Change) -> tuple[str, ...]:
    """The databases that a change happens in: two where a table moves to another one."""
    moves = (o.move for o in change.operations if isinstance(o, CreateTable) and o.move is not None)
    return tuple(dict.fromkeys([*(move.table.database for move in moves), change.table.database]))


def _moved(migration: str, module: CheckedModule, move: Move | None) -> Moved | None:
    """What a stream carries, where a table goes to another database."""
    if move is None or not move.across:
        return None
    from migdsl.ops import streams  # most migrations stay in one database

    return streams.moved(migration, module, move)


def _claimed(context: Context, origin: Source | None, steps: list[Step]) -> Iterator[Step]:
    """The names that a table's steps give, each asked for in the database where it is to be."""
    yield from claims.lower(context, [s for s in steps if s.place == context.table.database])
    if origin is not None and origin.table.database != context.table.database:
        beside = _still(context, origin.table)
        yield from claims.lower(beside, [s for s in steps if s.place == origin.table.database])


def _origin(change: Change) -> Source | None:
    """Where the rows of a new table come from."""
    found = (s for o in change.operations if isinstance(o, CreateTable) for s in o.sources)
    return next(found, None)


def _still(context: Context, table: Table) -> Context:
    """The surroundings of a table that is only read."""
    return Context(context.migration, Change(table, (), table.span), context.module, (), ())


def _walked(context: Context, origin: Source | None) -> Context:
    """The table along which the batches walk, with what becomes of it."""
    if origin is None:
        return context
    change = next((c for c in context.module.changes if c.table == origin.table), None)
    still = _still(context, origin.table)
    return still if change is None else Context(context.migration, change, context.module, (), ())


def _swaps(operation: Operation) -> bool:
    """Whether something takes the place of what has its name."""
    return isinstance(operation, RetypeColumn) or (
        isinstance(operation, AddConstraint) and operation.constraint.kind == "key"
    )


def _constrain(context: Context, operation: AddConstraint) -> Iterator[Step]:
    if operation.replaces is not None:
        return twins.lower(context, operation)
    if operation.constraint.kind == "key":
        return key.lower(context, operation)
    succeeds = predecessor(context.change, operation) is not None
    steps = twins.succeed(context, operation) if succeeds else constraints.lower(context, operation)
    return deferring.pointed_anew(context.table, operation.constraint, steps)


def _counted(context: Context) -> bool:
    """Whether writes of old code are counted."""
    if any(isinstance(o, CreateTable) and o.move is not None and o.move.across for o in context.change.operations):
        return False  # who writes on the wrong side is refused
    return bool(context.pairs or context.kept or context.outside or _leaves(context.change) or _origin(context.change))


def _leaves(change: Change) -> bool:
    return any(isinstance(o, DropTable) for o in change.operations)


_STANDING = (DropColumn, DropConstraint)  # a rename and the like drop a column too
_SOAKED = (DropColumn, DropConstraint, RetypeColumn, RenameTable, DropTable)
_FINAL = (DropColumn, RetypeColumn, DropTable, DropConstraint, RawSql)
LOWERINGS: Mapping[type, Callable[[Context, Any], Iterator[Step]]] = {
    AddColumn: add_column.lower,
    DropColumn: drop_column.lower,
    RequireColumn: nullability.require,
    OptionalColumn: nullability.optional,
    AddConstraint: _constrain,
    DropConstraint: drop_constraint.lower,
    SetDefault: attributes.default,
    Comment: attributes.comment,
    ReplicaIdentity: attributes.replica_identity,
    ExtendEnum: enum_label.lower,
    RawSql: raw_sql.lower,
    CreateTable: create_table.lower,
    RenameTable: rename_table.lower,
    DropTable: drop_table.lower,
    RetypeColumn: retype.lower,
}


def _comes(change: Change) -> bool:
    """Whether the table isn't there before."""
    return any(isinstance(o, CreateTable) for o in change.operations)


def _plain_table(context: Context) -> Step:
    """Partitioned tables can't have an index built CONCURRENTLY: better to know before anything has changed."""
    body = f"""
BEGIN
  IF (SELECT relkind FROM pg_class WHERE oid = {literal(context.sql)}::regclass) = 'p' THEN
    RAISE EXCEPTION 'table % is partitioned, which this release can not migrate', {literal(context.sql)}
      USING ERRCODE = '55000', HINT = 'write its revision by hand; its entity may stay declared, without a change';
  END IF;
END"""
    tag = dollar_tag(body, "plain")
    return Step(
        "expand",
        "check_table",
        f"Refuse where {_table_of(context)} is partitioned",
        context.table,
        rank=LEDGER,
        up=(Group((), (f"DO {tag}{body}\n{tag}",)),),
    )


def _table_of(context: Context) -> str:
    shown = known_as(context.table, context.module.moves)
    return shown if shown != context.table.entity else f"{shown}'s table"


def _batch_indexes(context: Context, pace: Pace | None) -> Iterator[Step]:
    if not walkable.walkable(context):
        yield from _batch_index(context)
    order = pace.order if pace else None
    # Beside the one along the key, which serves the way back.
    if order and walkable.wanted(context, order) != walkable.wanted(context) and not walkable.walkable(context, order):
        yield from _batch_index(context, order)


def _batch_index(context: Context, order: Order | None = None) -> Iterator[Step]:
    table = context.table
    name = (names.order_index if order else names.batch_index)(context.migration, table)
    wanted = walkable.wanted(context, order)
    columns = ", ".join(quote(c) for c in wanted)
    create = f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {quote(name)} ON {context.sql} ({columns})"
    drop = Alone(f"DROP INDEX CONCURRENTLY IF EXISTS {qualified(table.schema, name)}")
    build = BuildIndex(table.schema, name, create, drop.statement)
    shown = f"{table.entity} ({', '.join(wanted)})"
    lock, scan = Lock.SHARE_UPDATE_EXCLUSIVE, Cost.SCAN
    title = f"Build an index of {shown} for the batches to walk along; contract drops it again"
    yield Step("expand", "build_index", title, table, lock, scan, rank=INDEXES, up=(build,), down=(drop,))
    title = f"Drop the index of {shown} that only the batches needed"
    yield Step("contract", "drop_index", title, table, lock, rank=INDEXES, up=(drop,), down=(build,))


def _ledger(migration: str) -> Step:
    columns = "migration, kind, subject, value"
    stage = f"INSERT INTO migdsl.event ({columns}) VALUES ({literal(migration)}, 'stage', 'all', 'off')"
    return Step(
        "expand",
        "create_ledger",
        f"Create the ledger (schema migdsl) where progress, differences and stages of {migration} are recorded",
        None,
        rank=LEDGER,
        up=(Group((), (stage,)),),
        down=(Group((), (_leave(migration),)),),
    )


def _unused(migration: str) -> Step:
    title = f"On the way back: refuse while somebody's stage in {migration} is beyond off"
    return begun.asked("expand", title, (gates.unused(migration),))


def _leave(migration: str) -> str:
    """Takes what is the migration's out of the ledger; where a killed downgrade is repeated it may be gone already."""
    own = f"migration = {literal(migration)}"
    body = f"""
BEGIN
  IF to_regclass('migdsl.event') IS NULL THEN
    RETURN;
  END IF;
  DELETE FROM migdsl.slice WHERE {own};
  DELETE FROM migdsl.quarantine WHERE {own};
  DELETE FROM migdsl.snapshot WHERE {own};
  INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ({literal(migration)}, 'left', 'all', '');
  -- The last migration that leaves takes the ledger with it.
  IF NOT EXISTS (SELECT FROM (SELECT DISTINCT ON (migration) kind FROM migdsl.event
                               WHERE kind IN ('stage', 'left') ORDER BY migration, id DESC) AS newest
                  WHERE kind = 'stage') THEN
    DROP SCHEMA migdsl CASCADE;
  END IF;
END"""
    tag = dollar_tag(body, "leave")
    return f"DO {tag}{body}\n{tag}"
