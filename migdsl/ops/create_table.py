"""`create`: a new table with all that stands on it, in one short transaction, since nobody uses it yet.

Where its rows come from another table, what old code's rows might break waits for enforce, as with an added column.
"""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import dollar_tag, literal, quote
from migdsl.ops import arriving, claims, constraints, deferring, fill_table, memory, moving, names, numbering
from migdsl.ops.add_column import EXPAND_TABLE
from migdsl.ops.carried import Carried
from migdsl.ops.context import Context
from migdsl.ops.model import Group, Lock, Step
from migdsl.ops.pairs import one_line
from migdsl.semantics import referring
from migdsl.semantics.model import Column, Constraint, CreateTable, Table
from migdsl.semantics.phrases import sides
from migdsl.values import replace


def lower(context: Context, operation: CreateTable) -> Iterator[Step]:
    """The steps of a `create`."""
    table = operation.table
    own = [c for c in table.constraints if c.kind != "generated" and c not in binding(operation)]
    subject = f"create {context.sql}"
    statements = (
        _refuse_another(context, subject),
        memory.remember(context, subject, "'SELECT 1'", "(VALUES (1)) AS made"),
        definition(context, _columns(context, operation), [c for c in own if c.kind != "index"]),
        *(index(context, c) for c in own if c.kind == "index"),
        *(deferring.copied(operation.move, own) if operation.move is not None and not operation.move.across else ()),
    )
    drop = f"-- squawk-ignore ban-drop-table\nDROP TABLE IF EXISTS {context.sql}"
    parents = sorted({_parent(context, c) for c in own if c.kind == "reference"} - {context.sql})
    yield Step(
        "expand",
        "create_table",
        f"Create the table {_called(operation)} ({table.entity}), which nobody uses yet",
        table,
        Lock.SHARE_ROW_EXCLUSIVE if parents else Lock.NONE,
        rank=EXPAND_TABLE,
        makes=tuple(claims.relation(table.schema, name) for name in _indexes(table, own)),
        up=(Group(tuple((p, Lock.SHARE_ROW_EXCLUSIVE) for p in parents), statements),),
        down=(Group(tuple((p, Lock.ACCESS_EXCLUSIVE) for p in parents), (drop, memory.restore(context, subject))),),
    )
    if operation.move is not None:
        yield from _moved(context, operation)
    for source in operation.sources if operation.move is None else ():
        yield from fill_table.lower(context, source)
    late = referring.late_phase(operation)
    for constraint in binding(operation):
        steps = constraints.build(context, constraint, names.constraint(table, constraint), late)
        if operation.move is not None and not operation.move.across:
            steps = deferring.late(steps, operation.move, constraint)
        yield from arriving.patient(steps, table.entity) if late == "validate" else steps


def _called(operation: CreateTable) -> str:
    move = operation.move
    return operation.table.name if move is None else sides(move.table, move.target)[1]


def binding(operation: CreateTable) -> tuple[Constraint, ...]:
    """The constraints that rows of old code might break, where there are such rows."""
    return referring.bound_late(operation)


def _moved(context: Context, operation: CreateTable) -> Iterator[Step]:
    if operation.move is not None and operation.move.across:
        from migdsl.ops import crossing  # most migrations stay in one database

        return crossing.lower(context, operation)
    return moving.lower(context, operation)


def _indexes(table: Table, own: list[Constraint]) -> Iterator[str]:
    """What the indexes are called that come with the table; their names are their schema's."""
    if table.key:
        yield names.key(table)
    yield from (names.constraint(table, c) for c in own if c.kind in ("unique", "index", "exclude"))


def _columns(context: Context, operation: CreateTable) -> tuple[Column, ...]:
    if operation.move is not None and operation.move.across:
        return operation.table.columns
    late = {c for source in operation.sources for c in Carried(context.migration, operation.table, source).late()}
    columns = tuple(replace(c, nullable=True) if c.name in late else c for c in operation.table.columns)
    move = operation.move
    if move is None:
        return columns
    return tuple(replace(c, default=numbering.default(context, move, c.name) or c.default) for c in columns)


def _parent(context: Context, constraint: Constraint) -> str:
    return names.table(constraints.parent_of(context, constraint)[0])


def _refuse_another(context: Context, subject: str) -> str:
    """A table that is there already, and not by this migration, would be taken for the one that is meant."""
    own = f"migration = {literal(context.migration)} AND revision = {literal(subject)}"
    body = f"""
BEGIN
  IF to_regclass({literal(context.sql)}) IS NOT NULL AND NOT EXISTS (SELECT FROM migdsl.snapshot WHERE {own}) THEN
    RAISE EXCEPTION 'there is a table % already', {literal(context.sql)}
      USING ERRCODE = '55000', HINT = 'give the new one another name, or declare the one that is there as an entity';
  END IF;
END"""
    tag = dollar_tag(body, "guard")
    return f"DO {tag}{body}\n{tag}"


def definition(context: Context, columns: tuple[Column, ...], own: list[Constraint]) -> str:
    """CREATE TABLE with the columns, the key and `own` constraints."""
    lines = [_column(column) for column in columns]
    table = context.table
    if table.key:
        key = ", ".join(quote(c) for c in table.key)
        lines.append(f"CONSTRAINT {quote(names.key(table))} PRIMARY KEY ({key})")
    lines += [_constraint(context, c) for c in own if c.kind != "key"]
    body = ",\n  ".join(lines)
    return f"CREATE TABLE IF NOT EXISTS {context.sql} (\n  {body}\n)"


def _column(column: Column) -> str:
    sql = f"{quote(column.name)} {column.type.sql}"
    if column.generated is not None:
        sql += f" GENERATED ALWAYS AS ({one_line(column.generated.text)}) STORED"
    elif column.identity is not None:
        sql += f" GENERATED {column.identity.upper()} AS IDENTITY"
    elif column.default is not None:
        sql += f" DEFAULT {column.default}"
    elif column.type.serial:
        sql += " GENERATED BY DEFAULT AS IDENTITY"
    return sql if column.nullable else f"{sql} NOT NULL"


def _constraint(context: Context, constraint: Constraint) -> str:
    name = quote(names.constraint(context.table, constraint))
    return f"CONSTRAINT {name} {constraints.definition(context, constraint)}"


def index(context: Context, constraint: Constraint) -> str:
    """CREATE INDEX on the table that nobody uses yet."""
    assert constraint.index is not None
    name = quote(names.constraint(context.table, constraint))
    unique = "UNIQUE " if constraint.index.unique else ""
    return f"CREATE {unique}INDEX IF NOT EXISTS {name} ON {context.sql} {constraints.shape(constraint.index)}"
