"""What one way rounds or merges stays as it was written on the side that takes a row: both ways become SQL that tells it.

A column takes what it is given unless all that this is computed from is what the row that is there gives itself: status 4 and
'refunded' agree, and so do 1.239 and 124 cents. As within one database, where the two triggers ask the same of each other.
"""

from __future__ import annotations

from migdsl.dialect.names import quote
from migdsl.ops.pairs import column_name, operand
from migdsl.ops.stream_model import Column, Moved, Place, Side, other
from migdsl.values import Value

_UNHASHED = frozenset(["bit", "bit varying", "money", "tsvector", "tsquery"])


class Asked(Value):
    """A column of the side where rows come from: its name in the stage, where it comes as it is, beside what it gives."""

    staged: str
    column: Column


class Kept(Value):
    """A column of the side that takes rows, with what its value is computed from; nothing: from the key alone."""

    name: str
    inputs: tuple[Asked, ...]


def kept(moved: Moved, origin: Side) -> tuple[Kept, ...]:
    """The columns across from a side that may stay as they are where a row is there."""
    source, target = moved.at(origin), moved.at(other(origin))
    numbers: dict[str, int] = {}
    found = []
    for column in target.columns:
        read = agreeing(source, target, column)
        # What the new side has made of nothing that can change is compared with what it would be made now.
        if read is not None and (read or origin == "new"):
            asked = (Asked(f"migdsl_{numbers.setdefault(each.name, len(numbers) + 1)}", each) for each in read)
            found.append(Kept(column.name, tuple(asked)))
    return tuple(found)


def agreeing(source: Place, target: Place, column: Column) -> tuple[Column, ...] | None:
    """The columns of the source that one of the target is computed from, and that can be computed back; None: it is a copy of
    one, or something that it is computed from can't be told from the target."""
    given = {each.name: each for each in source.columns}
    if column.name in target.key or column.inputs is None or _copied(given, column):
        return None
    read = [name for name in column.inputs if name not in source.key]
    return tuple(given[name] for name in read) if set(read) <= set(given) else None


def _copied(given: dict[str, Column], column: Column) -> bool:
    for name in column.inputs or ():
        there = given.get(name)
        if column.value == f"t.{column_name(name)}" and there is not None and there.type.sql == column.type.sql:
            return there.value == f"t.{column_name(column.name)}"
    return False


def inputs(found: tuple[Kept, ...]) -> tuple[Asked, ...]:
    """What the stage has besides the target's own columns."""
    return tuple(dict.fromkeys(asked for each in found for asked in each.inputs))


def beside(found: tuple[Kept, ...], target: Place, matched: str) -> str:
    """The row that is there beside a staged one `s`, by its key: as `was`, with what is kept of it and whether."""
    if not found:
        return ""
    shown = ",\n              ".join(
        f"t.{quote(each.name)} AS kept_{number}, {_agrees(each)} AS agrees_{number}"
        for number, each in enumerate(found, 1)
    )
    # OFFSET 0: looked up one by one. A stage has no statistics, and joined, all of the target might be read.
    return f"""
  LEFT JOIN LATERAL (
       SELECT {shown}
         FROM {target.table} AS t
        WHERE {matched}
       OFFSET 0) AS was ON TRUE"""


def taken(found: tuple[Kept, ...], name: str, given: str) -> str:
    """What a column takes: what it is `given`, or what it has."""
    number = next((n for n, each in enumerate(found, 1) if each.name == name), None)
    return given if number is None else f"CASE WHEN was.agrees_{number} THEN was.kept_{number} ELSE {given} END"


def _agrees(each: Kept) -> str:
    return " AND ".join(_same(asked) for asked in each.inputs) or "TRUE"


def _same(asked: Asked) -> str:
    """Whether what the row `t` gives is what the other side has."""
    column, sent = asked.column, f"s.{asked.staged}"
    # Byte by byte: for a collation that knows no case 'a' written as 'A' would be the same.
    exact = ' COLLATE "C"' if column.wire.removesuffix("[]") in ("text", "character varying") else ""
    given = f"CAST({sent} AS text)" if _spelt(column) and column.wire != "text" else sent
    return f"{held(column, operand(column.value))}{exact} IS NOT DISTINCT FROM {given}"


def held(column: Column, sql: str) -> str:
    """A value as a column of the other side would hold it, as something that can be compared and hashed: rounded, and not cut."""
    if _spelt(column):
        return f"CAST({sql} AS text)"
    cuts = column.type.base in ("character", "character varying")
    return f"CAST({sql} AS {column.wire if cuts else column.type.sql})"


def _spelt(column: Column) -> bool:
    """Whether it is compared by its text: the type isn't known on the other side, or has no equality, or no hash."""
    return column.own or not column.type.known or not column.comparable or column.type.base in _UNHASHED
