"""Each kind of operation, with what it makes of the entities: a table that a new kind has to have a line in."""

from __future__ import annotations

from collections.abc import Mapping

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


def change(schema: Schema, node: ast.Change, *, force: bool) -> Schema:
    """All operations on one entity, in their order; with `force` those that can't be folded are left out."""
    for operation in node.operations:
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
