"""Operations on whole tables and types become the declarations as they are afterwards."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import quote
from migdsl.folding.schema import Schema, Sheet, Unfoldable
from migdsl.folding.schema import sheet as sheet_of
from migdsl.folding.text import Edit, edited, inserted, removed, unmarked
from migdsl.semantics.model import Constraint
from migdsl.semantics.phrases import called
from migdsl.semantics.problems import sql_name
from migdsl.syntax import ast


def rename_table(schema: Schema, entity: str, operation: ast.RenameTable) -> Schema:
    """The table's new name; the entity keeps its own, by which others refer to it.

    What stands on the table without a name is still called after the old one, which then has to be said.
    """
    sheet, table = schema.sheets[entity], next(c.table for c in schema.module.changes if c.table.entity == entity)
    span = sheet.node.table[-1].span
    edits = [(span.start, span.end, schema.said(operation.to.span))]
    for constraint in (c for c in table.constraints if c.name is None and _is_called(c)):
        edits += _named(sheet, schema.said(constraint.span), constraint, quote(called(table, constraint)))
    return schema.edited(entity, edits, operation.span)


def _is_called(constraint: Constraint) -> bool:
    """Whether the name is known that PostgreSQL gave: of expressions it depends on more than the file tells."""
    if constraint.kind == "index":
        index = constraint.index
        return index is not None and not index.include and len(constraint.columns) == len(index.parts)
    return constraint.kind in ("unique", "reference") or (constraint.kind == "check" and len(constraint.uses) == 1)


def _named(sheet: Sheet, said: str, constraint: Constraint, name: str) -> Iterator[Edit]:
    """The edits that say a constraint's name: a line's own, or a line in the place of a mark."""
    for item in sheet.node.items:
        if not isinstance(item, ast.Column) and sheet.said(item.span) == said:
            yield item.span.end, item.span.end, f" as {name}"
            return
    columns = [c for c in sheet.columns if (sql_name(c.name),) == constraint.columns]
    for column in columns:
        for mark in (m for m in column.marks if m.kind == constraint.kind):
            yield unmarked(sheet.text, mark.span.start, mark.span.end)
            last, own = sheet.columns[-1].span, sheet.said(column.name.span)
            line = f"unique ({own})" if mark.target is None else f"({own}) {_target(sheet, mark)}"
            yield inserted(sheet.text, last.start, last.end, f"{line} as {name}")


def _target(sheet: Sheet, mark: ast.Mark) -> str:
    """A mark's `-> User.id on delete cascade` as a line has it: `-> User (id) on delete cascade`."""
    assert mark.target is not None
    entity, column = mark.target.entity, mark.target.columns[0]
    rest = sheet.text[column.span.end : mark.span.end]
    return f"-> {sheet.said(entity.span)} ({sheet.said(column.span)}){rest}"


def extend_enum(schema: Schema, entity: str, operation: ast.ExtendEnum) -> Schema:
    """A label more, in every column that spells the type's labels out."""
    own = schema.sheets[entity]
    column = next((c for c in own.columns if sql_name(c.name) == sql_name(operation.name)), None)
    name = column.type.name if column else operation.name.text
    label = schema.said(operation.label.span)
    for other, each in schema.sheets.items():
        edits = [e for c in each.columns if c.type.name == name and (e := _label(c.type, operation, label))]
        if edits:
            schema = schema.edited(other, edits, operation.span)
    return schema


def _label(type_: ast.Type, operation: ast.ExtendEnum, label: str) -> Edit | None:
    labels = type_.labels
    if not labels or any(known.value == operation.label.value for known in labels):
        return None
    beside = operation.neighbour.value if operation.neighbour else None
    place = next((known.span for known in labels if known.value == beside), labels[-1].span)
    if operation.side == "before":
        return place.start, place.start, f"{label}, "
    return place.end, place.end, f", {label}"


def unchanged(schema: Schema, _: str, __: ast.Comment | ast.ReplicaIdentity) -> Schema:
    """What an entity says nothing of."""
    return schema


def raw_sql(_: Schema, entity: str, operation: ast.RawSql) -> Schema:
    """Only its author knows."""
    title = f"what `{operation.why.value}` made of `{entity}` is not told by the file"
    help_ = "change the entity by hand where it is needed, then: migdsl finish --force"
    raise Unfoldable(title, operation.span, "statements of your own", help_)


def create(schema: Schema, node: ast.Create, home: str) -> Schema:
    """A declaration more, in the file `home`: without where its rows come from."""
    text, start = schema.said(node.span), node.span.start
    gone = [*(each.span for each in node.sources), *(each.span for each in node.allows)]
    edits = [removed(text, span.start - start, span.end - start) for span in gone]
    made = sheet_of(home, edited(text, [(0, len("create"), "entity"), *edits]))
    if made is None:
        title = f"`{node.entity.name.text}` can't be written down as an entity"
        raise Unfoldable(title, node.span, "the result doesn't parse")
    return schema.having(node.entity.name.text, made)


def drop_entity(schema: Schema, node: ast.DropEntity) -> Schema:
    """A declaration less."""
    return schema.without(node.entity.text)
