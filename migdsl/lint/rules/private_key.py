"""MIG305, MIG306: keys and tenants that are personal data, while both stand in the ledger, in logs and in reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.lint.foreign_keys import keys
from migdsl.semantics.model import Change, CheckedModule, Column, CreateTable, Table
from migdsl.semantics.problems import written
from migdsl.semantics.referring import Around
from migdsl.source import Span

_TEXTS = frozenset(["text", "character varying", "character", "citext", "name"])


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Tenants, and the keys of changed tables, that are marked `pii` or `phi`, or might well be such data."""
    yield from _tenants(module)
    told: set[Span] = set()
    for change in module.changes:
        # A new table has the key of what its rows come from, and there the mark is said.
        found = next(filter(None, ([*_keys(module, table)] for table in (*_origins(change), change.table))), [])
        for problem in found:
            assert problem.primary is not None
            if problem.primary.span not in told:
                told.add(problem.primary.span)
                yield problem


def _origins(change: Change) -> Iterator[Table]:
    for operation in change.operations:
        if isinstance(operation, CreateTable):
            yield from (source.table for source in operation.sources)
            if operation.move is not None:
                yield operation.move.table


def _keys(module: CheckedModule, table: Table) -> Iterator[Diagnostic]:
    for column in filter(None, map(table.column, table.key)):
        if column.tenant and table.owned:
            continue  # asked already, and named whatever the key is
        if _personal(column):
            yield _key(module, table, column)
        elif table.sensitivity in ("pii", "phi") and column.type.base in _TEXTS:
            yield _doubtful(table, column)


def _personal(column: Column) -> bool:
    return column.pii or column.phi


def _tenants(module: CheckedModule) -> Iterator[Diagnostic]:
    """All tables have the same tenants: what one of them says of its own holds for the others, and for who is led to it."""
    changed = [change.table for change in module.changes if change.table.owned]
    if not changed:
        return
    found = _marked(module.tables) or _marked(o.table for o in module.created)
    if not found:
        return
    table, column = found[0]
    name = written(column.name, folds=True)
    others = [Label(c.span, f"so is that of `{t.entity}`") for t, c in found[1:]]
    if table not in changed:
        others.append(Label(changed[0].span, "is changed, tenant by tenant"))
    yield Diagnostic(
        "MIG305",
        Severity.ERROR,
        f"the tenant `{table.entity}.{column.name}` is personal data",
        Label(column.span, "the tenant"),
        (*_pointed_at(module, table, column), *others),
        body="Each step is done tenant by tenant, and says whose: in the ledger, in logs, in reports and in messages to workers, "
        "where personal data has no place.",
        help="tell tenants apart by a value that tells nothing of a person: tenants { key id bigint; … }, entity Account in … "
        f"{{ {name} {column.type.sql} key pii; id bigint tenant }}, and in the others tenant via {name} -> Account; "
        "or leave the mark out where tenants may be named",
    )


def _marked(tables: Iterable[Table]) -> list[tuple[Table, Column]]:
    """The tenant columns with personal data."""
    return [(t, c) for t in tables if t.scope == "tenant" for c in t.columns if c.tenant and _personal(c)]


def _key(module: CheckedModule, table: Table, column: Column) -> Diagnostic:
    return Diagnostic(
        "MIG305",
        Severity.ERROR,
        f"the key `{table.entity}.{column.name}` is personal data",
        Label(column.span, "part of the key"),
        _pointed_at(module, table, column),
        body="Rows are named by their key: in the ledger, in logs and in reports, where personal data has no place.",
        help="change the table by a surrogate key, or leave the mark out where the key tells nothing of a person",
    )


def _doubtful(table: Table, column: Column) -> Diagnostic:
    return Diagnostic(
        "MIG306",
        Severity.WARNING,
        f"the key `{table.entity}.{column.name}` may be personal data, as the table's rows are",
        Label(column.span, f"a text, and the table has `sensitivity {table.sensitivity}`"),
        body="Rows are named by their key: in the ledger, in logs and in reports, where personal data has no place.",
        help=f'where it tells nothing of a person, say so in {written(table.entity)}: allow MIG306 because "…"; '
        "where it does, mark it `pii` and change the table by a surrogate key",
    )


def _pointed_at(module: CheckedModule, table: Table, column: Column) -> tuple[Label, ...]:
    """Where the mark comes from, if it is that of a column which this one points at."""
    found = []
    for key in keys(module, Around.of(module)):
        if key.owner is table and column.name in key.constraint.columns:
            theirs = dict(zip(key.constraint.columns, key.theirs, strict=False)).get(column.name, "")
            other = key.parent.column(theirs)
            if other is not None and _personal(other):
                found.append(
                    Label(other.span, f"`{table.entity}.{column.name}` points at it, and has no values but these")
                )
    return tuple(found)
