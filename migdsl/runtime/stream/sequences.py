"""Keeps the keys that both sides give out apart: the old side's sequence ends where the new side's begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from migdsl.runtime.database import Database
from migdsl.runtime.errors import DatabaseFailedError, UsageError
from migdsl.runtime.sql import Statement, statement
from migdsl.runtime.stream.jobs import Sequence
from migdsl.runtime.stream.pair import Pair

_READ: Final = statement("""
SELECT seqmin, seqmax, seqincrement, coalesce(pg_sequence_last_value(seqrelid), seqstart - 1)
  FROM pg_catalog.pg_sequence WHERE seqrelid = to_regclass(:name)""")
# What the old side may still give out before its sequence ends: far more than any migration lasts.
_GAP: Final = 1_000_000_000_000


@dataclass(frozen=True, slots=True)
class Range:
    """What a sequence may give out, and the last value that it gave."""

    least: int
    most: int
    step: int
    last: int


def apart(pair: Pair) -> tuple[str, ...]:
    """Makes the ranges disjoint where they aren't; the names of the sequences that were set. Raises JobError."""
    return tuple(each.new for move in pair.stream.moves for each in move.sequences if _part(pair, each))


def ranges(pair: Pair) -> tuple[tuple[Sequence, Range, Range], ...]:
    """Each sequence with its range on the old and the new side."""
    return tuple(
        (each, _range(pair.old, each.old), _range(pair.new, each.new))
        for move in pair.stream.moves
        for each in move.sequences
    )


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
            _alter(pair.old, f"ALTER SEQUENCE {each.old} MAXVALUE {each.most:d}")
            done.append(each.old)
    return tuple(done)


def _part(pair: Pair, each: Sequence) -> bool:
    old, new = _range(pair.old, each.old), _range(pair.new, each.new)
    if disjoint(old, new):
        return False
    if old.step < 1 or new.step < 1:
        raise UsageError(f"{each.old} counts downwards: set disjoint ranges on both sides by hand")
    # One that was cut already says where the other begins.
    first = old.most + 1 if old.most < each.most else _first(each, max(old.last, new.last))
    _alter(pair.old, f"ALTER SEQUENCE {each.old} MAXVALUE {first - 1:d}")
    bounds = f"MINVALUE {first:d} MAXVALUE {each.most:d} START WITH {first:d} RESTART WITH {first:d}"
    _alter(pair.new, f"ALTER SEQUENCE {each.new} {bounds}")
    return True


def _first(each: Sequence, last: int) -> int:
    """Where the new side begins: a round number far above, or half of what is left."""
    gap = min(_GAP, (each.most - last) // 2)
    if gap < 1_000:
        raise UsageError(f"{each.old} has given out nearly all keys up to {each.most}: make the key a bigint first")
    digits = 10 ** (len(str(gap)) - 1)
    return -(-(last + gap) // digits) * digits if gap == _GAP else last + gap


def _range(database: Database, name: str) -> Range:
    rows = database.perform(lambda tx: tx.rows(_READ, {"name": name}))
    if not rows:
        raise DatabaseFailedError(f"there is no sequence {name}: run `alembic upgrade head` first")
    least, most, step, last = (int(value or 0) for value in rows[0])
    return Range(least, most, step, last)


def _alter(database: Database, sql: str) -> None:
    database.perform(lambda tx: tx.run(Statement(sql, ())))
