"""MIG428: a new table whose rows can't be told from those that they come from, or can't be kept in step with them."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.types import WHOLE, SqlType, in_place, lossless
from migdsl.ops import carried
from migdsl.semantics.model import CheckedModule, CreateTable, DropTable, RenameTable, RetypeColumn, Source, Table
from migdsl.semantics.problems import written
from migdsl.source import Span

_TRUTH = SqlType("boolean", "boolean")


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Every `create` with a `from`."""
    for operation in module.created:
        for more in operation.sources[1:]:
            title = f"the rows of `{operation.table.entity}` come from two tables"
            help_ = "fill it from one of them; what comes from the other is written by the application"
            first = (Label(operation.sources[0].span, "the first one"),)
            yield _error(more.span, title, "the second one", help_, first)
        for source in operation.sources[:1]:
            yield from _source(module, operation, source)


def _source(module: CheckedModule, operation: CreateTable, source: Source) -> Iterator[Diagnostic]:
    table = operation.table
    # A move is told where it may go when its columns are looked at.
    found = next(_apart(table, source), None) if operation.move is None else None
    if found is not None:
        yield found
        return
    yield from _leaving(module, table, source)
    yield from _tenant(table, source)
    yield from _key(table, source)
    across = operation.move is not None and operation.move.across
    yield from _values(table, source, numbered=across)


def _apart(table: Table, source: Source) -> Iterator[Diagnostic]:
    """What makes all other questions idle."""
    theirs = source.table
    if theirs.database != table.database:
        title = f"`{theirs.entity}` is in another database than `{table.entity}`"
        help_ = (
            f"rows go to another database by a move: move {theirs.entity} to {table.database}.{table.name} {{ … }}; or "
        )
        help_ += "create the table empty, and let the application fill it"
        yield _error(source.span, title, f"is in `{theirs.database}`", help_)
    label = "no row of it says whose it is"
    if theirs.scope == "via":
        title = f"`{theirs.entity}` has its tenant by way of another table"
        yield _error(source.span, title, label, "give it a tenant column of its own first, in a migration of its own")
    if table.scope == "via":
        title = f"`{table.entity}` has its tenant by way of another table"
        yield _error(table.span, title, label, _own_tenant(theirs), (Label(source.span, "filled from here"),))
    if theirs.scope != table.scope:
        shared = table if table.scope == "global" else theirs
        title = f"`{shared.entity}` is shared by all, and the other table has tenants"
        yield _error(source.span, title, "filled from here", "rows of a tenant come from rows of that tenant")


def _own_tenant(theirs: Table) -> str:
    """How a new table has the tenant itself: as the rows have it that it is filled from."""
    if theirs.tenant is None:
        return "give it a tenant column of its own in place of `tenant via`, and say in `from` what is in it"
    name, type_ = written(theirs.tenant, folds=True), theirs.type_of(theirs.tenant).sql
    help_ = f"give it a tenant column of its own in place of `tenant via`:\n  {name} {type_} tenant\n"
    return f"{help_}and its value in `from {written(theirs.entity)}`:\n  {name} = {name}"


def _leaving(module: CheckedModule, table: Table, source: Source) -> Iterator[Diagnostic]:
    """The trigger goes by the names and types of the source, until contract."""
    read = {name for _, expression in source.values for name in expression.names()}
    read |= source.where.names() if source.where else set()
    for change in module.changes:
        for other in change.operations if change.table == source.table else ():
            title = None
            if isinstance(other, DropTable | RenameTable):
                title = f"`{source.table.entity}` {'goes' if isinstance(other, DropTable) else 'gets another name'}"
            elif isinstance(other, RetypeColumn) and not other.in_place and other.column.name in read:
                title = f"`{source.table.entity}.{other.column.name}` gets another type"
            if title is not None:
                help_ = "do that in a migration of its own, once this one is finished"
                label = (Label(source.span, f"fills `{table.entity}`"),)
                yield _error(
                    other.span, f"{title} while `{table.entity}` is filled from it", "at the same time", help_, label
                )


def _tenant(table: Table, source: Source) -> Iterator[Diagnostic]:
    column, theirs = carried.tenant(table), carried.tenant(source.table)
    given = dict(source.values).get(column or "")
    if column is None or (given is not None and carried.copied(given) == theirs):
        return
    title = f"a row of `{table.entity}` might belong to another tenant than the row that it comes from"
    label = "not said here" if given is None else f"is not `{theirs}`"
    yield _error(source.place(column), title, label, f"{column} = {theirs}")


def _key(table: Table, source: Source) -> Iterator[Diagnostic]:
    """Each row of the source gives one row at most, and it can be told which."""
    given = dict(source.values)
    allowed = {*source.table.key, *filter(None, [carried.tenant(source.table)])}
    ours: dict[str, str] = {}
    for name in table.key:
        of = carried.copied(given[name]) if name in given else None
        if of not in allowed:
            title = f"which row of `{table.entity}` comes from which row of `{source.table.entity}` can't be told by `{name}`"
            label = "not said here" if name not in given else "is no column of the key there"
            theirs = ", ".join(f"{c} {source.table.type_of(c).sql}" for c in source.table.key)
            help_ = (
                f"let `{table.entity}` have the key of `{source.table.entity}` ({theirs}), each column as it is there"
            )
            yield _error(source.place(name), title, label, help_)
            return
        assert of is not None
        ours[name] = of
        if not _fits(source.table.type_of(of), table.type_of(name)):
            title = f"`{table.entity}.{name}` can't hold every `{source.table.entity}.{of}`"
            label = f"{source.table.type_of(of).sql} into {table.type_of(name).sql}"
            yield _error(source.place(name), title, label, f"make it {source.table.type_of(of).sql}")
    unused = [c for c in source.table.key if c not in ours.values()]
    if unused:
        title = f"two rows of `{source.table.entity}` might give the same row of `{table.entity}`"
        help_ = f"let the key of `{table.entity}` have all of {', '.join(source.table.key)}"
        yield _error(source.span, title, f"its key has `{unused[0]}` too", help_)


def _fits(old: SqlType, new: SqlType) -> bool:
    """Whether every value has its own place, and is found there by an index."""
    return in_place(old, new) or (old.base in WHOLE and new.base in WHOLE and lossless(old, new))


def _values(table: Table, source: Source, *, numbered: bool) -> Iterator[Diagnostic]:
    """`numbered`: columns that number their rows take numbers, too, from a range of their own."""
    for name, _ in source.values:
        column = table.column(name)
        counts = column is not None and column.identity is not None and not numbered
        if column is not None and (column.generated is not None or counts):
            what = "is generated" if column.generated is not None else "numbers its rows itself"
            title = f"`{table.entity}.{name}` {what}, and can't be filled"
            help_ = "leave one of the two out: new rows would get numbers that filled ones have"
            yield _error(source.place(name), title, "is given a value", help_, (Label(column.span, what),))
    why = carried.failure(source, source.where, _TRUTH) if source.where is not None else None
    if why is not None:
        title = f"whether a row of `{source.table.entity}` gives one may have no answer"
        help_ = "write `where` so that it can't fail: CASE WHEN … THEN … END, nullif(x, 0)"
        yield _error(source.span, title, why, help_)


def _error(span: Span, title: str, label: str, help_: str, more: tuple[Label, ...] = ()) -> Diagnostic:
    return Diagnostic("MIG428", Severity.ERROR, title, Label(span, label), more, help=help_)
