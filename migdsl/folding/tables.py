"""Operations on whole tables and types become the declarations as they are afterwards."""

from __future__ import annotations

from migdsl.folding.schema import Schema, Unfoldable, sheet
from migdsl.folding.text import Edit, edited, removed
from migdsl.semantics.problems import sql_name
from migdsl.syntax import ast


def rename_table(schema: Schema, entity: str, operation: ast.RenameTable) -> Schema:
    """The table's new name; the entity keeps its own, by which others refer to it."""
    span = schema.sheets[entity].node.table[-1].span
    return schema.edited(entity, [(span.start, span.end, schema.said(operation.to.span))], operation.span)


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
    made = sheet(home, edited(text, [(0, len("create"), "entity"), *edits]))
    if made is None:
        title = f"`{node.entity.name.text}` can't be written down as an entity"
        raise Unfoldable(title, node.span, "the result doesn't parse")
    return schema.having(node.entity.name.text, made)


def drop_entity(schema: Schema, node: ast.DropEntity) -> Schema:
    """A declaration less."""
    return schema.without(node.entity.text)
