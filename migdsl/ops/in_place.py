"""`retype` where PostgreSQL changes the catalog alone: at once, and back where every value still fits."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import literal, quote
from migdsl.ops import names, standing
from migdsl.ops.add_column import EXPAND_TABLE
from migdsl.ops.context import Context
from migdsl.ops.model import Alone, Cost, Gate, Group, Lock, Step
from migdsl.semantics.model import Constraint, RetypeColumn
from migdsl.semantics.retypes import references

PROVE = EXPAND_TABLE + 2


def lower(context: Context, operation: RetypeColumn) -> Iterator[Step]:
    """The steps of a `retype` without a rewrite."""
    table, column = context.table, operation.column
    shown = f"{table.entity}.{column.name}"
    yield Step(
        "expand",
        "check_dependents",
        f"Refuse where anything stands on {shown} that would not follow its type",
        table,
        rank=0,
        up=(Group((), (_refuse(context, operation),)),),
    )
    lock = tuple((sql, Lock.ACCESS_EXCLUSIVE) for sql in sorted({context.sql, *_neighbours(context, column.name)}))
    checks = _checks(context, column.name)
    yield Step(
        "expand",
        "alter_type",
        f"Change {shown} to {operation.to.type.sql}: the catalog alone, no row is written",
        table,
        Lock.ACCESS_EXCLUSIVE,
        rank=EXPAND_TABLE,
        up=(Group(lock, (_alter(context, operation.to.type.sql, column.name, checks),)),),
        down=(
            _fits(context, operation),
            Group(lock, (_alter(context, column.type.sql, column.name, checks),)),
            *(part for part in _prove(context, checks).up if checks),
        ),
        precondition=f"pools reconnect, or prepare no statement that returns {shown}: its type changes under them (0A000)",
    )
    if checks:
        yield _prove(context, checks)


def _checks(context: Context, column: str) -> tuple[Constraint, ...]:
    return tuple(c for c in context.table.constraints if c.kind == "check" and column in c.uses)


def _neighbours(context: Context, column: str) -> Iterator[str]:
    """Tables that a foreign key on the column ties to this one: PostgreSQL makes it anew, and locks both."""
    for found in references(context.module.tables):
        if found.table is context.table and column in found.constraint.columns:
            yield names.table(found.parent)
        if found.parent is context.table and column in found.theirs:
            yield names.table(found.table)


def _refuse(context: Context, operation: RetypeColumn) -> str:
    name = operation.column.name
    expected = [
        standing.said(found.table, found.constraint)
        for found in references(context.module.tables)
        if (found.table is context.table and name in found.constraint.columns)
        or (found.parent is context.table and name in found.theirs)
    ]
    kinds = ("unique", "index", "check")
    expected += [
        standing.said(context.table, c) for c in context.table.constraints if c.kind in kinds and name in c.uses
    ]
    column, type_ = literal(name), literal(operation.column.type.sql)
    return f"CALL migdsl.swap_refuse({literal(context.sql)}, {column}, {type_}, {standing.jsonb(expected)}, TRUE)"


def _alter(context: Context, type_: str, column: str, checks: tuple[Constraint, ...]) -> str:
    """PostgreSQL would prove a CHECK again under the lock: it is made anew, unproven, and proven afterwards."""
    said = standing.jsonb([standing.said(context.table, c) for c in checks])
    return f"CALL migdsl.swap_in_place({literal(context.sql)}, {literal(column)}, {literal(type_)}, {said})"


def _prove(context: Context, checks: tuple[Constraint, ...]) -> Step:
    shown = ", ".join(names.constraint(context.table, check) for check in checks)
    part = Alone(f"CALL migdsl.swap_prove({standing.jsonb([standing.said(context.table, c) for c in checks])})")
    title = f"Prove {shown} of {context.table.entity} again, while reads and writes go on"
    lock, scan = Lock.SHARE_UPDATE_EXCLUSIVE, Cost.SCAN
    return Step("expand", "validate_check", title, context.table, lock, scan, rank=PROVE, up=(part,))


def _fits(context: Context, operation: RetypeColumn) -> Gate:
    column, old = operation.column, operation.column.type.sql
    shown, name = f"{context.table.entity}.{column.name}", quote(column.name)
    return Gate(
        f"fits_{context.table.entity}_{column.name}",
        f"every {shown} fits into {old}",
        f"""SELECT {literal(f"{shown} has values that {old} can not hold: ")} || count(*) || ' rows'
  FROM {context.sql} AS t WHERE {_misfit(f"t.{name}", operation)} HAVING count(*) > 0""",
    )


def _misfit(value: str, operation: RetypeColumn) -> str:
    """Whether a value would be cut, rounded or refused."""
    old = operation.column.type
    arguments = old.sql.partition("(")[2].rstrip(")").split(",")
    if old.base in ("character varying", "bit varying") and arguments[0]:
        return f"length({value}) > {int(arguments[0])}"
    if old.base == "numeric" and arguments[0]:
        digits, scale = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0
        return f"({value} <> round({value}, {scale}) OR abs({value}) >= 10::numeric ^ {digits - scale})"
    return "FALSE"
