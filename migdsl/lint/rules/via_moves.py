"""MIG429, MIG304: a table whose tenant is known by way of another, when that way is unknown, unsure, or changes."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Fix, Label, Severity, fixes
from migdsl.semantics.model import (
    AddColumn,
    Change,
    CheckedModule,
    ColumnOperation,
    DropTable,
    RenameTable,
    RequireColumn,
    RetypeColumn,
    SetDefault,
    Table,
)
from migdsl.source import Span

_HARMLESS = RequireColumn | SetDefault


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Every change of such a table."""
    for change in module.changes:
        table = change.table
        if table.scope != "via" or any(isinstance(o, DropTable) for o in change.operations):
            continue
        if table.via is None:
            yield _error(
                table.span,
                f"whose the rows of `{table.entity}` are can't be told",
                "`tenant via` leads to no tenant column",
                "it leads to an entity of the same database with a tenant column, over keys of one column each; a foreign key to "
                "a column that isn't the key is none",
            )
            continue
        yield from _unsure(module, table)
        yield from _moving(module, change)


def _unsure(module: CheckedModule, table: Table) -> Iterator[Diagnostic]:
    """A row that leads nowhere belongs to nobody."""
    assert table.via is not None
    here: Table | None = table
    for hop in table.via.hops:
        column = here.column(hop.column) if here is not None else None
        if here is not None and column is not None and column.nullable:
            title = f"`{here.entity}.{column.name}` says whose a row is, and may be NULL"
            body = "A row whose tenant can't be told is filled by no batch and seen by no check."
            help_ = (
                f"if the database has it NOT NULL already: {column.name} {column.type.sql}; if not, make it so first"
            )
            label = Label(column.span, "leads to the tenant")
            yield Diagnostic(
                "MIG304", Severity.ERROR, title, label, body=body, help=help_, fix=_required(column.null_span)
            )
        here = next((t for t in module.every if t.entity == hop.entity), None)


def _required(null: Span | None) -> Fix | None:
    return fixes.replacing(null, "", "the `?` goes, if the column is NOT NULL already", safe=False) if null else None


def _moving(module: CheckedModule, change: Change) -> Iterator[Diagnostic]:
    """Jobs and revisions go by the columns and the names of all tables on the way."""
    assert change.table.via is not None
    owner = change.table.entity
    used = {(owner, change.table.via.hops[0].column)}
    for hop, after in zip(change.table.via.hops, (*change.table.via.hops[1:], None), strict=True):
        used |= {(hop.entity, hop.key), (hop.entity, after.column if after is not None else change.table.via.tenant)}
    for other in module.changes:
        for operation in other.operations:
            entity = other.table.entity
            if isinstance(operation, RenameTable | DropTable) and entity != owner and entity in {e for e, _ in used}:
                yield _said(operation.span, f"the table of `{entity}`", change)
            elif isinstance(operation, ColumnOperation) and not isinstance(operation, _HARMLESS):
                for column in sorted({c for e, c in used if e == entity and c in _columns(operation)}):
                    yield _said(operation.span, f"`{entity}.{column}`", change)


def _columns(operation: ColumnOperation) -> set[str]:
    if isinstance(operation, AddColumn):
        return {operation.like or "", *(back.column for back in operation.backs)}
    # Its name stays, and what points at it gets the same type in the same moment.
    return set() if isinstance(operation, RetypeColumn) else {operation.column.name}


def _said(span: Span, what: str, change: Change) -> Diagnostic:
    title = f"{what} tells whose the rows of `{change.table.entity}` are, and can't change at the same time"
    more = (
        () if change.span.start <= span.start < change.span.end else (Label(change.table.span, "belongs by way of it"),)
    )
    help_ = "do the one in a migration of its own, and the other in the next"
    return Diagnostic("MIG429", Severity.ERROR, title, Label(span, "changed here"), more, help=help_)


def _error(span: Span, title: str, label: str, help_: str) -> Diagnostic:
    return Diagnostic("MIG429", Severity.ERROR, title, Label(span, label), help=help_)
