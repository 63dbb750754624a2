"""MIG404: a column goes away and nothing can bring its values back."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Fix, Label, Severity, fixes
from migdsl.dialect.names import quote
from migdsl.semantics.model import AddColumn, Change, CheckedModule, Column, DropColumn, DropTable
from migdsl.semantics.problems import written
from migdsl.source import Span


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A `drop` for which nothing computes the column back, and that doesn't say `irreversible because`."""
    for change in module.changes:
        returned = {b.column for o in change.operations if isinstance(o, AddColumn) for b in o.backs}
        for operation in change.operations:
            if isinstance(operation, DropTable) and not operation.irreversible:
                yield _table(change, operation)
            if not isinstance(operation, DropColumn) or operation.back or operation.irreversible:
                continue
            if operation.column.generated is not None:
                continue  # it comes back as it was, and computes its values itself
            name = operation.column.name
            if name not in returned:
                yield Diagnostic(
                    "MIG404",
                    Severity.ERROR,
                    f"`{change.table.entity}.{name}` is dropped, and there is no way back",
                    Label(operation.span, "nothing computes it back"),
                    body="Rollback after the first write of new code needs the value that old code would look for.",
                    help=f"back {name} = `…` in the operation that replaces it; or drop {name} {{ back `…` }}; "
                    f'or drop {name} irreversible because "…"',
                    fix=_back(change, operation.column),
                )


def _table(change: Change, operation: DropTable) -> Diagnostic:
    return Diagnostic(
        "MIG404",
        Severity.ERROR,
        f"the table of `{change.table.entity}` is dropped, and there is no way back for its rows",
        Label(operation.span, "nothing brings the rows back"),
        body="The way back makes the table again as it was, without a row in it.",
        help=f'say why they may go: drop entity {change.table.entity} irreversible because "…"',
    )


def _back(change: Change, old: Column) -> Fix | None:
    """The way back of the one new column that takes over the values of the old one as they are."""
    heirs = [o for o in change.operations if isinstance(o, AddColumn) and o.source is not None and _inherits(o, old)]
    if len(heirs) != 1 or not heirs[0].column.type_span:
        return None
    new = heirs[0].column
    line = f"back {written(old.name, folds=True)} = `{quote(new.name).replace('`', '``')}`"
    end = Span(heirs[0].span.path, heirs[0].span.end - 1, heirs[0].span.end)
    return fixes.inserting(end, line, f"`{new.name}` goes back into `{old.name}`", safe=False, statement=True)


def _inherits(operation: AddColumn, old: Column) -> bool:
    """Whether `from` is the old column, or the old column with something in the place of NULL."""
    new, source = operation.column, operation.source
    assert source is not None
    if new.type.sql != old.type.sql or (new.nullable and not old.nullable):
        return False
    tree = source.tree
    if "CoalesceExpr" in tree and not new.nullable:
        tree = tree["CoalesceExpr"]["args"][0]
    return [field.get("String", {}).get("sval") for field in tree.get("ColumnRef", {}).get("fields", [])] == [old.name]
