"""Two constraints or indexes become whether they amount to the same, whatever they are called."""

from __future__ import annotations

from collections.abc import Sequence

from migdsl.dialect.sameness import same
from migdsl.introspect.declared import Item
from migdsl.introspect.model import Check, Exclusion, ForeignKey, Index, Key, Part, Table


def items(table: Table) -> tuple[Item, ...]:
    """All constraints and indexes of a table, but for its key."""
    return (*table.uniques, *table.references, *table.indexes, *table.checks, *table.exclusions)


def matches(declared: Item, actual: Item) -> bool:
    """Whether the database's `actual` does what the file's `declared` says."""
    if isinstance(declared, Key):
        return set(declared.columns) == set(unique_columns(actual) or ())
    if isinstance(declared, Index):
        return _serves(declared, actual)
    if isinstance(declared, Check):
        return isinstance(actual, Check) and same(declared.expression, actual.expression)
    if isinstance(declared, ForeignKey):
        return (
            isinstance(actual, ForeignKey) and points_alike(declared, actual) and declared.on_delete == actual.on_delete
        )
    return isinstance(actual, Exclusion) and _excludes_alike(declared, actual)


def points_alike(one: ForeignKey, other: ForeignKey) -> bool:
    """Whether two foreign keys lead from the same columns to the same, whatever happens on delete."""
    pairs = [set(zip(k.columns, k.targets, strict=False)) for k in (one, other)]
    return pairs[0] == pairs[1] and (one.schema, one.table) == (other.schema, other.table)


def unique_columns(of: Item) -> tuple[str, ...] | None:
    """The columns that a constraint or an index keeps unique in every row, or None where it doesn't."""
    if isinstance(of, Key):
        return of.columns
    if isinstance(of, Index) and of.unique and of.valid and of.where is None:
        columns = tuple(part.column for part in of.parts if part.column is not None)
        return columns if len(columns) == len(of.parts) else None
    return None


def _serves(declared: Index, actual: Item) -> bool:
    """Whether there is such an index; that of a constraint is as good."""
    if isinstance(actual, Key):
        plain = declared.where is None and declared.method == "btree" and not declared.include and not declared.unique
        return plain and declared.parts == tuple(Part(column, None) for column in actual.columns)
    return (
        isinstance(actual, Index)
        and actual.valid
        # Where rows are found alone, one that keeps them apart as well is as good.
        and (actual.unique or not declared.unique)
        and declared.method == actual.method
        and set(declared.include) == set(actual.include)
        and _same_parts(declared.parts, actual.parts)
        and all(_sorted_alike(a, b) for a, b in zip(declared.parts, actual.parts, strict=True))
        and same_sql(declared.where, actual.where)
    )


def _sorted_alike(one: Part, other: Part) -> bool:
    """Whether two parts have one order and one operator class, whose schema need not be said."""
    size = min(len(one.operators), len(other.operators))
    alike = one.operators[-size:] == other.operators[-size:] if size else one.operators == other.operators
    return alike and (one.descending, one.nulls_first) == (other.descending, other.nulls_first)


def _excludes_alike(one: Exclusion, other: Exclusion) -> bool:
    operators = [[operator for _, operator in each.parts] for each in (one, other)]
    parts = [[part for part, _ in each.parts] for each in (one, other)]
    alike = one.method == other.method and operators[0] == operators[1]
    return alike and _same_parts(*parts) and same_sql(one.where, other.where)


def _same_parts(one: Sequence[Part], other: Sequence[Part]) -> bool:
    return len(one) == len(other) and all(
        a.column == b.column and same_sql(a.expression, b.expression) for a, b in zip(one, other, strict=True)
    )


def same_sql(one: str | None, other: str | None) -> bool:
    """Whether two expressions mean the same, or neither is there."""
    return one == other if one is None or other is None else same(one, other)
