"""Keeps the keys that both sides give out apart: the old side's sequence ends where the new side's begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from migdsl.runtime.database import Database
from migdsl.runtime.errors import DatabaseFailedError, UsageError
from migdsl.runtime.sql import Statement, statement
from migdsl.runtime.stream.jobs import Sequence
from migdsl.runtime.stream.pair import Pair

_READ: Final = statement(
    """
SELECT seqmin, seqmax, seqincrement, coalesce(pg_sequence_last_value(seqrelid), seqstart - 1), seqrelid::regclass::text
  FROM pg_catalog.pg_sequence
 WHERE seqrelid = to_regclass(CASE WHEN :column::text IS NULL THEN :name ELSE pg_get_serial_sequence(:name, :column) END)"""
)
# The column that a sequence belongs to.
_OWNER: Final = statement("""
SELECT format('SELECT max(%I)::text FROM %s', a.attname, a.attrelid::regclass)
  FROM pg_catalog.pg_depend AS d
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
 WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = d.classid AND d.objid = to_regclass(:name)
   AND d.deptype IN ('a', 'i')""")
# What the old side may still give out before its sequence ends: far more than any migration lasts.
_GAP: Final = 1_000_000_000_000


@dataclass(frozen=True, slots=True)
class Range:
    """What the sequence `name` may give out, and the last value that it gave."""

    least: int
    most: int
    step: int
    last: int
    name: str = ""


def apart(pair: Pair) -> tuple[str, ...]:
    """Makes the ranges disjoint where they aren't; the names of the sequences that were set. Raises JobError."""
    return tuple(each.new for move in pair.stream.moves for each in move.sequences if _part(pair, each))


def ranges(pair: Pair) -> tuple[tuple[Sequence, Range, Range], ...]:
    """Each sequence with its range on the old and the new side."""
    return tuple((each, *_both(pair, each)) for move in pair.stream.moves for each in move.sequences)


def disjoint(old: Range, new: Range) -> bool:
    """Whether no value can come from both."""
    return new.least > old.most


def together(pair: Pair) -> tuple[str, ...]:
    """Gives the old side its whole range back, where the new side has given out nothing; the names. Raises UsageError."""
    done = []
    for each, old, new in ranges(pair):
        if new.last >= new.least:
            raise UsageError(
                f"{each.new} has given out keys on the new side, whose rows the old side has by now: it keeps its range"
            )
        if old.most < each.most:
            _alter(pair.old, f"ALTER SEQUENCE {old.name} MAXVALUE {each.most:d}")
            done.append(old.name)
    return tuple(done)


def _part(pair: Pair, each: Sequence) -> bool:
    old, new = _both(pair, each)
    if disjoint(old, new):
        return False
    if old.step < 1 or new.step < 1:
        raise UsageError(f"{each.old} counts downwards: set disjoint ranges on both sides by hand")
    # One that was cut already says where the other begins.
    first = old.most + 1 if old.most < each.most else _first(each, max(old.last, new.last, _greatest(pair, old)))
    _alter(pair.old, f"ALTER SEQUENCE {old.name} MAXVALUE {first - 1:d}")
    bounds = f"MINVALUE {first:d} MAXVALUE {each.most:d} START WITH {first:d} RESTART WITH {first:d}"
    _alter(pair.new, f"ALTER SEQUENCE {new.name} {bounds}")
    return True


def _greatest(pair: Pair, old: Range) -> int:
    """The greatest key that is there: a move that was taken back has left keys that only the new side's sequence knew."""
    found = pair.old.perform(lambda tx: tx.rows(_OWNER, {"name": old.name}))
    asked = (Statement(str(sql), ()) for (sql,) in found)
    rows = (row for each in asked for row in pair.old.perform(lambda tx: tx.rows(each, {})))  # noqa: B023 - run at once
    return max((int(str(value)) for (value,) in rows if value is not None), default=0)


def _first(each: Sequence, last: int) -> int:
    """Where the new side begins: a round number far above, or half of what is left."""
    gap = min(_GAP, (each.most - last) // 2)
    if gap < 1_000:
        raise UsageError(f"{each.old} has given out nearly all keys up to {each.most}: make the key a bigint first")
    digits = 10 ** (len(str(gap)) - 1)
    return -(-(last + gap) // digits) * digits if gap == _GAP else last + gap


def _both(pair: Pair, each: Sequence) -> tuple[Range, Range]:
    columns = each.columns or (None, None)
    return _range(pair.old, each.old, columns[0]), _range(pair.new, each.new, columns[1])


def _range(database: Database, name: str, column: str | None) -> Range:
    asked: dict[str, str | None] = {"name": name, "column": column}
    rows = database.perform(lambda tx: tx.rows(_READ, asked))
    if not rows:
        what = f"sequence {name}" if column is None else f"sequence that belongs to the column {column} of {name}"
        raise DatabaseFailedError(f"there is no {what}: run `alembic upgrade head` first")
    *numbers, sequence = rows[0]
    least, most, step, last = (int(value or 0) for value in numbers)
    return Range(least, most, step, last, sequence or name)


def _alter(database: Database, sql: str) -> None:
    database.perform(lambda tx: tx.run(Statement(sql, ())))
