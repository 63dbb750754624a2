"""A move's columns are held to account: each of the source has a place in the target and a way home, or the file says why not."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from migdsl.diagnostics.suggest import did_you_mean
from migdsl.semantics.model import Column, Table
from migdsl.semantics.problems import Problems, sql_name, written
from migdsl.syntax import ast

if TYPE_CHECKING:
    from migdsl.semantics.moving import Draft


def account(problems: Problems, draft: Draft, home: Collection[str]) -> None:
    """Every column of the source has a place in the target and a way home, or the file says why not."""
    table = draft.table
    left = {o.column: o for o in draft.omitted if o.target is None}
    read = {name for _, value in draft.values for name in value.names()}
    told = _told(problems, draft)
    unsaid = [
        c for c in table.columns if not (c.generated or c.name in {*home, *told, *left, *read} or _known_by(table, c))
    ]
    if len(unsaid) > 1:
        _all_lost(problems, draft, unsaid)
        told |= {c.name for c in unsaid}
    for column in table.columns:
        omit = left.get(column.name)
        if omit is not None and column.name in draft.copied:
            more = [(omit.span, "omitted here")]
            title = f"`{table.entity}.{column.name}` is copied and omitted"
            problems.error("MIG450", dict(draft.places)[draft.copied[column.name]], title, "copied here", more=more)
        if column.generated is not None or column.name in home or column.name in told:
            continue
        if _known_by(table, column):
            _not_copied(problems, draft, column)
        elif omit is None:
            _lost(problems, draft, column, column.name in read)
        elif not (column.nullable or column.default or column.identity or column.type.serial):
            title = f"a row that new code writes gets no `{table.entity}.{column.name}`"
            body = "Until contract each new row goes back to the old table, for old code to read; there the column is NOT NULL."
            help_ = f"say what such a row gets: back {column.name} = `…`"
            more = [(column.span, "NOT NULL, without a default")]
            problems.error("MIG450", omit.span, title, "omitted, without a way home", body=body, more=more, help=help_)


def _known_by(table: Table, column: Column) -> bool:
    """Whether rows are told by it: it is of the key, the tenant's, or on the way to the tenant."""
    leads = table.via.hops[0].column if table.via is not None else None
    return column.name in table.key or column.tenant or column.name == leads


def _all_lost(problems: Problems, draft: Draft, columns: list[Column]) -> None:
    """Several columns that the file doesn't speak of are one thing to tell."""
    names = [written(c.name, folds=True) for c in columns]
    keyless = {o.column: o for o in draft.omitted if o.target is not None}
    free = [written(c.name, folds=True) for c in columns if c.name not in keyless]
    title = f"{len(names)} columns of `{draft.table.entity}` don't move along: {', '.join(names)}"
    body = "The old table goes at the end, with everything that nobody has named."
    help_ = "copy them:\n  " + "; ".join(f"{name} = {name}" for name in names)
    help_ += f'\nor say of each that nobody needs any more why:\n  omit {free[0]} because "…"' if free else ""
    more = [(columns[0].span, "the first of them")]
    more += [(keyless[c.name].span, _KEY_ALONE) for c in columns if c.name in keyless]
    problems.error("MIG450", draft.node.entity.span, title, "says nothing of them", body=body, more=more, help=help_)


def _told(problems: Problems, draft: Draft) -> set[str]:
    """Columns of the source that a misspelt line is about, or one that can't be read."""
    columns = {c.name for c in draft.table.columns}
    if draft.node.entity.text in problems.broken:
        return columns
    lines = [item for item in draft.node.columns if isinstance(item, ast.Copied)]
    astray = [item for item in lines if sql_name(item.source) not in columns]
    return {name for i in astray for name in (did_you_mean(sql_name(i.source), columns), sql_name(i.column)) if name}


def _not_copied(problems: Problems, draft: Draft, column: Column) -> None:
    table, tenant = draft.table, column.tenant
    what = "tenant" if tenant else "key" if column.name in table.key else "way to the tenant"
    title = f"the {what} of `{table.entity}` doesn't move along"
    body = "Triggers, batches and reconciliation tell by the key which row is which, and by the tenant whose it is."
    help_ = f"copy it as it is: {column.name} = {column.name}"
    role = {"tenant": "the tenant column", "key": "part of the key"}.get(what, "the way to the tenant")
    more = [(column.span, f"is {role}")]
    problems.error(
        "MIG451", draft.node.entity.span, title, f"`{column.name}` is not copied", body=body, more=more, help=help_
    )


def _lost(problems: Problems, draft: Draft, column: Column, read: bool) -> None:
    table, name = draft.table, column.name
    title = f"`{table.entity}.{name}` has no way home" if read else f"`{table.entity}.{name}` doesn't move along"
    body = "The old table goes at the end, with everything that nobody has named." + (
        " Until then new code's rows go back there, so that a rollback loses no write." if read else ""
    )
    ways = f"back {name} = `…`" if read else f"{name} = {name}"
    more = [(column.span, "declared here")]
    keyless = next((o for o in draft.omitted if o.column == name and o.target is not None), None)
    if keyless is not None:
        more.append((keyless.span, _KEY_ALONE))
        help_ = f"{ways}, on a line beside it"
    else:
        help_ = f'{ways}; or say why nobody needs it any more: omit {name} because "…"'
    label = "is only read" if read else "says nothing of it"
    problems.error("MIG450", draft.node.entity.span, title, label, body=body, more=more, help=help_)


_KEY_ALONE = "leaves out the foreign key alone"
