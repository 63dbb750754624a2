"""`add mood enum mood("sad", "ok")`: the enum type itself, where the database doesn't have it yet."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import dollar_tag, literal
from migdsl.dialect.types import SqlType
from migdsl.ops import memory
from migdsl.ops.context import Context
from migdsl.ops.enum_label import LABELS
from migdsl.ops.model import Group, Step
from migdsl.semantics.model import AddColumn, CreateTable, Operation, RetypeColumn


def lower(context: Context) -> Iterator[Step]:
    """A step for each enum type that a new column spells out with its labels."""
    found = {t.base: t for o in context.change.operations for t in _types(o) if t.labels}
    for type_ in found.values():
        subject = f"type {type_.base}"
        missing = f"(VALUES (1)) AS one WHERE to_regtype({literal(type_.base)}) IS NULL"
        # Only what this migration made goes with it.
        keep = memory.remember(context, subject, literal(f"DROP TYPE IF EXISTS {type_.base}"), missing)
        yield Step(
            "expand",
            "create_type",
            f"Create the enum type {type_.base}, where it isn't there",
            context.table,
            rank=LABELS,
            up=(Group((), (keep, _create(type_))),),
            down=(Group((), (memory.restore(context, subject),)),),
        )


def _types(operation: Operation) -> Iterator[SqlType]:
    if isinstance(operation, AddColumn):
        yield operation.column.type
    elif isinstance(operation, RetypeColumn):
        yield operation.to.type
    elif isinstance(operation, CreateTable):
        yield from (c.type for c in operation.table.columns)


def _create(type_: SqlType) -> str:
    labels = ", ".join(literal(label) for label in type_.labels)
    body = f"""
DECLARE
  there text[];
BEGIN
  IF to_regtype({literal(type_.base)}) IS NULL THEN
    CREATE TYPE {type_.base} AS ENUM ({labels});
    RETURN;
  END IF;
  there := ARRAY(SELECT e.enumlabel::text FROM pg_enum AS e
                  WHERE e.enumtypid = to_regtype({literal(type_.base)}) ORDER BY e.enumsortorder);
  IF there <> ARRAY[{labels}]::text[] THEN
    RAISE EXCEPTION 'the type % is there with other labels: %', {literal(type_.base)}, array_to_string(there, ', ')
      USING ERRCODE = '55000', HINT = 'write the labels that it has, or give the new type another name';
  END IF;
END"""
    tag = dollar_tag(body, "type")
    return f"DO {tag}{body}\n{tag}"
