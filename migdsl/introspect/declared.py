"""A checked entity becomes what the catalogue would say of such a table, each part with its place in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from migdsl.dialect.sql import Expression
from migdsl.introspect.model import Check, Exclusion, ForeignKey, Index, Key, Part
from migdsl.semantics.model import Constraint, Table
from migdsl.semantics.shapes import IndexPart, Referred
from migdsl.source import Span

Item = Key | Check | ForeignKey | Index | Exclusion


@dataclass(frozen=True, slots=True)
class Declared:
    """A constraint or an index of an entity, and where it is said."""

    item: Item
    span: Span


def constraints(table: Table, entities: Mapping[str, Table]) -> Iterator[Declared]:
    """All that stands on the table's columns, but for its key."""
    for constraint in table.constraints:
        found = _item(constraint, entities)
        if found is not None:
            yield Declared(found, constraint.span)


def _item(of: Constraint, entities: Mapping[str, Table]) -> Item | None:
    if of.check is not None:
        return Check(of.name, of.check.text)
    if of.target is not None:
        return _reference(of, of.target, entities.get(of.target.entity))
    if of.index is not None:
        shape, parts = of.index, tuple(_part(p) for p in of.index.parts)
        return Index(of.name, parts, shape.method or "btree", shape.unique, shape.include, _text(shape.where))
    if of.exclude is not None:
        pairs = tuple((Part(p.column, _text(p.expression)), p.operator) for p in of.exclude.parts)
        return Exclusion(of.name, of.exclude.method, pairs, _text(of.exclude.where))
    return Key(of.name, of.columns) if of.kind == "unique" else None


def _part(of: IndexPart) -> Part:
    return Part(of.column, _text(of.expression), of.descending, of.nulls_first, of.operators)


def _reference(of: Constraint, to: Referred, target: Table | None) -> ForeignKey | None:
    if target is None:
        return None
    deleting = (to.on_delete or "").lower()
    acting = None if deleting in ("", "no action") else deleting
    return ForeignKey(of.name, of.columns, target.schema, target.name, to.columns or target.key, acting)


def _text(of: Expression | None) -> str | None:
    return of.text if of is not None else None
