"""Each kind of operation, with what it makes of the entities: a table that a new kind has to have a line in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from migdsl.folding import columns, constraints, tables
from migdsl.folding.schema import Fold, Schema, Unfoldable
from migdsl.syntax import ast

FOLDS: Mapping[type, Fold] = {
    ast.Add: columns.add,
    ast.Drop: columns.drop,
    ast.Require: columns.require,
    ast.Optional: columns.optional,
    ast.Rename: columns.rename,
    ast.Retype: columns.retype,
    ast.Split: columns.split,
    ast.Merge: columns.merge,
    ast.SetDefault: columns.set_default,
    ast.Constrain: constraints.constrain,
    ast.DropNamed: constraints.drop_named,
    ast.ExtendEnum: tables.extend_enum,
    ast.RenameTable: tables.rename_table,
    ast.Comment: tables.unchanged,
    ast.ReplicaIdentity: tables.unchanged,
    ast.RawSql: tables.raw_sql,
}


def drops(schema: Schema, node: ast.Change, *, force: bool) -> Schema:
    """What goes by name from one entity: found as it was written, and so before anything else changes."""
    return _each(schema, node, [o for o in node.operations if isinstance(o, ast.DropNamed)], force=force)


def change(schema: Schema, node: ast.Change, *, force: bool) -> Schema:
    """All else that becomes of one entity, in its order."""
    return _each(schema, node, [o for o in node.operations if not isinstance(o, ast.DropNamed)], force=force)


def _each(schema: Schema, node: ast.Change, todo: Iterable[ast.Operation], *, force: bool) -> Schema:
    """The operations one by one; with `force` those that can't be folded are left out."""
    for operation in todo:
        fold = FOLDS.get(type(operation))
        try:
            if fold is None:
                word = schema.said(operation.span).split()[0]
                title = f"what `{word}` makes of an entity is not known to this release"
                raise Unfoldable(title, operation.span, "can't be folded", "change the entity by hand, then --force")
            schema = fold(schema, node.entity.text, operation)
        except Unfoldable:
            if not force:
                raise
    return schema
