"""`key (…)`: other columns become the primary key, in one moment; what pointed at the old ones goes on to do so."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import literal, qualified, quote
from migdsl.ops import names, not_null, standing
from migdsl.ops.context import Context
from migdsl.ops.model import Alone, BuildIndex, Cost, Group, Lock, Part, Step, Violation
from migdsl.semantics.model import AddColumn, AddConstraint, Column, RequireColumn
from migdsl.semantics.retypes import Reference, references
from migdsl.values import replace

BUILD, SWAP, PROVE = 11, 12, 13  # after all that makes columns NOT NULL
_AFTER_TABLE = 5


def lower(context: Context, operation: AddConstraint) -> Iterator[Step]:
    """The steps of `key`."""
    phase = _phase(context, operation)
    yield _refuse(context)
    for column in _nullable(context, operation):
        yield from (_first(step) for step in not_null.steps(context, column, phase))
    yield _build(context, operation, phase)
    yield _swap(context, operation, phase)
    if _pointing(context):
        yield _prove(context, phase)
    if leaves(context):
        yield _drop(context)


def violations(context: Context, operation: AddConstraint) -> Iterator[Violation]:
    """What would keep the columns from being the key."""
    columns = operation.constraint.columns
    for column in _nullable(context, operation):
        yield Violation(f"{column} is NULL", f"t.{quote(column)} IS NULL", ())
    if not _known(context, columns):
        yield Violation(f"{', '.join(columns)} twice", None, columns)


def _phase(context: Context, operation: AddConstraint) -> str:
    """Old code may break a new rule; what holds already can't be broken."""
    holds = _known(context, operation.constraint.columns) and not _nullable(context, operation)
    return "cutover" if holds or operation.complies else "enforce"


def _known(context: Context, columns: tuple[str, ...]) -> bool:
    """Whether the columns are unique together already: they hold all of the key, or of a declared unique."""
    table = context.table
    unique = (table.key, *(c.columns for c in table.constraints if c.kind == "unique"))
    return any(set(found) <= set(columns) for found in unique if found)


def _nullable(context: Context, operation: AddConstraint) -> list[str]:
    """The columns that may be NULL and that nothing else in this migration makes NOT NULL."""
    made = {
        o.column.name
        for o in context.change.operations
        if isinstance(o, RequireColumn) or (isinstance(o, AddColumn) and not o.column.nullable)
    }
    found: list[Column | None] = [context.table.column(c) for c in operation.constraint.columns]
    return [c.name for c in found if c is not None and c.nullable and c.name not in made]


def _first(step: Step) -> Step:
    return replace(step, rank=step.rank + 5)


def _pointing(context: Context) -> list[Reference]:
    """Declared foreign keys that point at the key as it is."""
    table = context.table
    every = references(context.module.tables)
    return [found for found in every if found.parent is table and set(found.theirs) == set(table.key)]


def leaves(context: Context) -> bool:
    """Whether something keeps the old key unique until contract, and goes then."""
    return _kept(context) is not None and not _pointing(context)


def _kept(context: Context) -> str | None:
    """The unique constraint that the old key becomes; None where the entity has one on these columns."""
    table = context.table
    twin = any(c.kind == "unique" and set(c.columns) == set(table.key) for c in table.constraints)
    return None if twin else names.unique(table, table.key)


def _refuse(context: Context) -> Step:
    table = context.table
    call = f"CALL migdsl.swap_key_refuse({literal(context.sql)}, {_array(table.key)}, {_expected(context)})"
    title = f"Refuse where {table.entity}'s key is another than the entity says, or something else points at it"
    return Step("expand", "check_dependents", title, table, rank=0, up=(Group((), (call,)),))


def _expected(context: Context) -> str:
    return standing.jsonb([standing.said(found.table, found.constraint) for found in _pointing(context)])


def _index(context: Context, name: str, columns: tuple[str, ...], when: str) -> BuildIndex:
    listed = ", ".join(quote(c) for c in columns)
    create = f"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {quote(name)} ON {context.sql} ({listed})"
    drop = f"DROP INDEX CONCURRENTLY IF EXISTS {qualified(context.table.schema, name)}"
    return BuildIndex(context.table.schema, name, create, drop, when)


def _is_key(context: Context, columns: tuple[str, ...]) -> str:
    """Asks whether these columns are the key; once others are, there is nothing left to build for them."""
    return f"SELECT 'the key' WHERE migdsl.swap_key_is({literal(context.sql)}, {_array(columns)})"


def _build(context: Context, operation: AddConstraint, phase: str) -> Step:
    table, columns = context.table, operation.constraint.columns
    base, old = names.key(table), _is_key(context, table.key)
    parts: tuple[Part, ...] = (_index(context, names.incoming(base), columns, old),)
    kept = _kept(context)
    if kept is not None:
        parts += (_index(context, names.incoming(kept), table.key, old),)
    title = f"Build the unique index of {table.entity} ({', '.join(columns)}), and one that the old key's columns keep"
    lock = Lock.SHARE_UPDATE_EXCLUSIVE
    return Step(phase, "build_unique_index", title, table, lock, Cost.SCAN, rank=BUILD, up=parts)


def _swap(context: Context, operation: AddConstraint, phase: str) -> Step:
    table, columns = context.table, operation.constraint.columns
    tables = [context.sql, *dict.fromkeys(names.table(f.table) for f in _pointing(context))]
    lock = tuple((sql, Lock.ACCESS_EXCLUSIVE) for sql in dict.fromkeys(tables))
    base, kept = names.key(table), _kept(context)
    unique = "NULL, NULL" if kept is None else f"{literal(kept)}, {literal(names.incoming(kept))}"
    gone = "NULL, NULL" if kept is None else f"{literal(kept)}, NULL"
    own, expected = literal(context.sql), _expected(context)
    up = f"CALL migdsl.swap_key({own}, {literal(names.incoming(base))}, {unique}, {expected})"
    down = f"CALL migdsl.swap_key({own}, {literal(names.outgoing(base))}, {gone}, {expected})"
    build = _index(context, names.outgoing(base), table.key, _is_key(context, columns))
    prove = (_proof(context),) if _pointing(context) else ()
    return Step(
        phase,
        "swap_key",
        f"Make ({', '.join(columns)}) the key of {table.entity}; ({', '.join(table.key)}) stays unique",
        table,
        Lock.ACCESS_EXCLUSIVE,
        rank=SWAP,
        up=(Group(lock, (up,)),),
        down=(build, Group(lock, (down,)), *prove),
    )


def _proof(context: Context) -> Alone:
    return Alone(f"CALL migdsl.swap_prove({_expected(context)})")


def _prove(context: Context, phase: str) -> Step:
    title = f"Prove the foreign keys that point at {context.table.entity} again, while reads and writes go on"
    lock = Lock.SHARE_UPDATE_EXCLUSIVE
    return Step(phase, "validate_constraint", title, context.table, lock, Cost.SCAN, rank=PROVE, up=(_proof(context),))


def _drop(context: Context) -> Step:
    """`ON CONFLICT` of old code went by it; nothing points at it."""
    table, kept = context.table, _kept(context)
    assert kept is not None
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    twin = names.incoming(kept)
    build = _index(context, twin, table.key, "SELECT 'always'")
    attach = f"CALL migdsl.swap_key_unique({literal(context.sql)}, {literal(kept)}, {literal(twin)})"
    return Step(
        "contract",
        "drop_constraint",
        f"Drop {kept}, which kept the old key of {table.entity} unique",
        table,
        Lock.ACCESS_EXCLUSIVE,
        rank=_AFTER_TABLE,
        up=(Group(lock, (f"ALTER TABLE {context.sql} DROP CONSTRAINT IF EXISTS {quote(kept)}",)),),
        down=(build, Group(lock, (attach,))),
    )


def _array(columns: tuple[str, ...]) -> str:
    return f"ARRAY[{', '.join(literal(c) for c in columns)}]"
