"""Keys, constraints and indexes of an entity and of its table become what differs between them, by what they do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.introspect import lines
from migdsl.introspect.declared import Declared, Item, constraints
from migdsl.introspect.matching import items, matches, points_alike
from migdsl.introspect.model import Check, Exclusion, ForeignKey, Index, Key, Table
from migdsl.introspect.underway import Underway
from migdsl.introspect.words import WordlessError
from migdsl.ops.names import batch_index, not_null_check, order_index
from migdsl.semantics import model

Entities = Mapping[str, model.Table]


def differences(table: model.Table, found: Table, entities: Entities, underway: Underway) -> Iterator[Diagnostic]:
    """Of the key, of what the file declares, and of what only the database has."""
    yield from _key(table, found)
    declared = list(constraints(table, entities))
    actual = [*items(found), *([found.key] if found.key else [])]
    for each in declared:
        if not any(matches(each.item, other) for other in actual):
            yield _missing(table, each, actual, found, entities)
    ours, coming = _own(table, underway), underway.coming(table)
    for other in items(found):
        if any(matches(each.item, other) for each in declared) or other.name in ours:
            continue
        if not _columns(other) & coming:
            yield _unknown(table, found, other, entities)


def _own(table: model.Table, underway: Underway) -> frozenset[str]:
    """What the migration itself makes on its way."""
    header = underway.module.header
    if header is None:
        return frozenset()
    checks = (not_null_check(table, column.name) for column in table.columns)
    indexes = (batch_index(header.name, table), order_index(header.name, table))
    return frozenset([*indexes, *checks, *underway.given(table)])


def _key(table: model.Table, found: Table) -> Iterator[Diagnostic]:
    real = found.key.columns if found.key else ()
    if table.key and set(table.key) != set(real):
        title = f"the key of `{table.entity}` is another one in the database"
        body = f"The file says: {_list(table.key)}. The database says: {_list(real) if real else 'no primary key'}."
        spans = [c.span for c in table.columns if c.name in table.key]
        help_ = _written(found, found.key, {}) if found.key else "give the table a primary key first"
        yield Diagnostic(
            "MIG733",
            Severity.ERROR,
            title,
            Label(spans[0] if spans else table.span, "part of the key"),
            body=body,
            help=help_,
        )


def _list(columns: tuple[str, ...]) -> str:
    return f"({', '.join(columns)})"


def _missing(
    table: model.Table, declared: Declared, actual: Collection[Item], found: Table, entities: Entities
) -> Diagnostic:
    text = _written(found, declared.item, entities)
    near = _nearest(declared.item, actual)
    body = f"The database says: {_written(found, near, entities)}" if near else "Nothing in the database does that."
    help_ = "write it as the database has it, or leave the line out and add it by a migration"
    title = f"`{table.entity}` has no such {_kind(declared.item)} in the database: {text}"
    return Diagnostic("MIG733", Severity.ERROR, title, Label(declared.span, "declared here"), body=body, help=help_)


def _nearest(declared: Item, actual: Collection[Item]) -> Item | None:
    """What the declared one was probably meant to be: of the same name, or over the same columns."""
    for other in actual:
        if isinstance(declared, ForeignKey) and isinstance(other, ForeignKey) and points_alike(declared, other):
            return other
    named = [other for other in actual if declared.name is not None and other.name == declared.name]
    alike = [o for o in actual if type(o) is type(declared) and _columns(o) and _columns(o) == _columns(declared)]
    return next(iter([*named, *alike]), None)


def _unknown(table: model.Table, found: Table, actual: Item, entities: Entities) -> Diagnostic:
    title = f"`{table.entity}` doesn't declare this {_kind(actual)} of the database: {actual.name}"
    label = Label(table.span, "says nothing of it")
    help_ = _written(found, actual, entities)
    if isinstance(actual, Index) and not actual.valid:
        help_ = f"it is not valid: drop {actual.name} and make it anew, unless CREATE INDEX CONCURRENTLY is at work"
    return Diagnostic("MIG734", Severity.WARNING, title, label, help=help_)


def _kind(item: Item) -> str:
    if isinstance(item, Index):
        return "unique index" if item.unique else "index"
    return _KINDS[type(item)]


_KINDS: dict[type, str] = {
    Key: "unique constraint",
    Check: "check",
    ForeignKey: "foreign key",
    Exclusion: "exclusion constraint",
}


def _columns(item: Item) -> frozenset[str]:
    """The columns that it is made of, as far as they are named apart from SQL."""
    if isinstance(item, Key | ForeignKey):
        return frozenset(item.columns)
    if isinstance(item, Index):
        return frozenset(p.column for p in item.parts if p.column) | frozenset(item.include)
    if isinstance(item, Exclusion):
        return frozenset(part.column for part, _ in item.parts if part.column)
    return frozenset()


def _written(found: Table, item: Item, entities: Entities) -> str:
    """The line that declares it."""
    try:
        if isinstance(item, Key):
            return str(lines.key(item) if item is found.key else lines.unique(item))
        if isinstance(item, ForeignKey):
            return str(lines.reference(item, {(t.schema, t.name): name for name, t in entities.items()}))
        if isinstance(item, Index):
            return str(lines.index(item, found))
        return str(lines.check(item) if isinstance(item, Check) else lines.exclusion(item))
    except WordlessError as error:
        return f"{item.name}, which can't be declared: {error}"
