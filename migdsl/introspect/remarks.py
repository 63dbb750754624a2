"""What the language has no words for becomes remarks: short, and in the database's own terms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
_MOST_NAMED = 8
_UPDATING = {"r": "restrict", "c": "cascade", "n": "set null", "d": "set default"}
_IDENTITY = {"n": "nothing", "f": "full", "i": "an index"}
_KINDS = {"v": "view", "m": "materialized view", "f": "foreign table"}
_TYPES = {"d": "domain", "e": "enum", "c": "composite type", "r": "range type"}


def column_notes(row: Row, sequence: Row | None, *, unproven: bool) -> Iterator[str]:
    """Of a column."""
    if row["collation"]:
        yield f"collate {row['collation']}"
    if row["generated"] == "v":
        yield "virtual: computed when read"
    if row["domain_required"] and not row["required"]:
        yield "its domain is NOT NULL"
    if unproven:
        yield "NOT NULL, not validated"
    if not row["local"]:
        yield "inherited"
    if sequence is not None and (sequence["start"], sequence["increment"], sequence["cycle"]) != (1, 1, False):
        yield f"starts with {sequence['start']}, by {sequence['increment']}{', cycles' if sequence['cycle'] else ''}"


def constraint_notes(row: Row) -> tuple[str, ...]:
    """Of a constraint."""
    notes = []
    if not row["enforced"]:
        notes.append("not enforced")
    elif not row["validated"]:
        notes.append("not valid: rows from before were never checked")
    if row["deferrable"]:
        notes.append("deferrable, initially deferred" if row["deferred"] else "deferrable")
    if row["no_inherit"] and row["kind"] == "c":
        notes.append("no inherit")
    if row["kind"] == "f":
        if row["updating"] in _UPDATING:
            notes.append(f"on update {_UPDATING[row['updating']]}")
        if row["matching"] == "f":
            notes.append("match full")
    if row["kind"] in "pu" and "WITHOUT OVERLAPS" in (row["definition"] or ""):
        notes.append("without overlaps")
    if row["kind"] == "f" and " PERIOD " in (row["definition"] or ""):
        notes.append("period")
    return tuple(notes)


def table_notes(row: Row, parents: Sequence[Row], children: Sequence[Row], extras: Sequence[Row]) -> Iterator[str]:
    """Of a table, a line each; `parents` and `children` by inheritance."""
    if row["partitioned"]:
        yield f"partitioned by {row['partitioned']}: {_named([c['name'] for c in children], 'partition')}"
    elif children:
        yield f"its rows and those of {_named([_place(c) for c in children], 'table')}, which inherit from it, are read together"
    if parents and not row["partition"]:
        yield f"inherits from {', '.join(map(_place, parents))}"
    if row["typed"]:
        yield "made of a composite type"
    if row["unlogged"]:
        yield "unlogged: empty after a crash"
    if row["secured"]:
        forced = ", for its owner too" if row["forced"] else ""
        yield f"row-level security is enabled{forced}: jobs need a role with BYPASSRLS"
    if row["identity"] in _IDENTITY:
        yield f"replica identity is {_IDENTITY[row['identity']]}"
    if row["options"]:
        yield f"stored with {row['options']}"
    for extra in extras:
        yield f"{extra['kind']} {extra['name']}{': ' if extra['words'] else ''}{extra['words']}"


def others(relations: Iterable[Row], types: Iterable[Row]) -> Iterator[str]:
    """What is in the database and no table that could be declared."""
    for row in relations:
        if row["extension"] is not None and row["kind"] in "rp":
            yield f"table {_place(row)} of the extension {row['extension']}"
        elif row["kind"] in _KINDS:
            yield f"{_KINDS[row['kind']]} {_place(row)}"
    for row in types:
        yield f"{_TYPES[row['kind']]} {_place(row)}: {row['words']}"


def _place(row: Row) -> str:
    return f"{row['schema']}.{row['name']}"


def _named(names: Sequence[str], what: str) -> str:
    if not names:
        return f"no {what} yet"
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{what}{'s' if len(names) > 1 else ''} {', '.join(names[:_MOST_NAMED])}{more}"
