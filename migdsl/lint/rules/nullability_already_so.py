"""MIG410: a column already is what `require` or `optional` would make it."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity, fixes
from migdsl.semantics.model import CheckedModule, OptionalColumn, RequireColumn


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """`require` of a NOT NULL column, `optional` of a nullable one, and `optional` of a key."""
    for change in module.changes:
        for operation in change.operations:
            if not isinstance(operation, RequireColumn | OptionalColumn):
                continue
            name = f"{change.table.entity}.{operation.column.name}"
            required = isinstance(operation, RequireColumn)
            if required != operation.column.nullable:
                state = "NOT NULL" if required else "nullable"
                yield Diagnostic(
                    "MIG410",
                    Severity.WARNING,
                    f"`{name}` already is {state}",
                    Label(operation.span, "changes nothing"),
                    (Label(operation.column.span, "declared here"),),
                    help="an entity says what is there before the migration: mend the entity, or leave this line out",
                    fix=fixes.removing(operation.span, "the line goes, if the entity is right", safe=False),
                )
            elif not required and (operation.column.tenant or operation.column.name in change.table.key):
                yield Diagnostic(
                    "MIG410",
                    Severity.ERROR,
                    f"`{name}` can't be NULL: it is {'the tenant column' if operation.column.tenant else 'the key'}",
                    Label(operation.span, "not possible"),
                )
