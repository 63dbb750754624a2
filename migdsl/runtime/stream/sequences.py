"""Keeps the keys that both sides give out apart: the old side's sequence ends where the new side's begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

import psycopg

from migdsl.runtime.database import Database, Transaction
from migdsl.runtime.errors import DatabaseFailedError, UsageError
from migdsl.runtime.jobs import Retry
from migdsl.runtime.sql import Statement, statement
from migdsl.runtime.stream.jobs import Sequence
from migdsl.runtime.stream.pair import Pair

T = TypeVar("T")

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
# Two first switches at once must not choose two places; the lock goes with the transaction.
_ONE_AT_A_TIME: Final = statement("SELECT pg_advisory_xact_lock(hashtextextended('migdsl ' || :name, 7))")
# What the old side may still give out before its sequence ends: far more than any migration lasts.
_GAP: Final = 1_000_000_000_000
# Whoever wants a number queues behind who waits for the sequence: for a tenth of a second at most, and then not for a while. A
# transaction that has drawn one keeps all others of our kind out until it ends.
_LOCK_MS: Final = 100
_RETRY: Final = Retry(attempts=30, first_s=0.2, longest_s=2.0)


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
            whole = Statement(f"ALTER SEQUENCE {old.name} MAXVALUE {each.most:d}", ())
            _briefly(pair.old, partial(_run, whole), old.name)
            done.append(old.name)
    return tuple(done)


def _run(sql: Statement, tx: Transaction) -> None:
    tx.run(sql)


def _part(pair: Pair, each: Sequence) -> bool:
    old, new = _both(pair, each)
    if disjoint(old, new):
        return False
    if old.step < 1 or new.step < 1:
        raise UsageError(f"{each.old} counts downwards: set disjoint ranges on both sides by hand")
    first = _briefly(pair.old, lambda tx: _cut(tx, each, new.last), each.old)
    _briefly(pair.new, lambda tx: _begin(tx, each, first), each.new)
    return True


def _briefly(database: Database, work: Callable[[Transaction], T], name: str) -> T:
    """The result of `work`, which alters a sequence that is in use. Raises DatabaseFailedError where it can't be had."""
    limits, retry = database.limits, database.retry
    database.limits, database.retry = replace(limits, lock_ms=_LOCK_MS), _RETRY
    try:
        return database.perform(work)
    except psycopg.errors.LockNotAvailable:
        raise DatabaseFailedError(
            f"a transaction that lasts has drawn a number that {name} gives out, so that the range can't be set: wait until "
            "it has ended, or end it (pg_locks says which), then run this again"
        ) from None
    finally:
        database.limits, database.retry = limits, retry


def _cut(tx: Transaction, each: Sequence, given: int) -> int:
    """Ends the old side's sequence; where the new one begins, which is the same for all who cut at once."""
    tx.rows(_ONE_AT_A_TIME, {"name": each.old})
    old = _range(tx, each.old, each.columns[0] if each.columns else None)
    if old.most < each.most:
        return old.most + 1
    first = _first(each, max(old.last, given, _greatest(tx, old)))
    tx.run(Statement(f"ALTER SEQUENCE {old.name} MAXVALUE {first - 1:d}", ()))
    return first


def _begin(tx: Transaction, each: Sequence, first: int) -> None:
    """Has the new side's sequence begin there, unless it has already: it may have given out keys since."""
    tx.rows(_ONE_AT_A_TIME, {"name": each.new})
    new = _range(tx, each.new, each.columns[1] if each.columns else None)
    if new.least < first:
        bounds = f"MINVALUE {first:d} MAXVALUE {each.most:d} START WITH {first:d} RESTART WITH {first:d}"
        tx.run(Statement(f"ALTER SEQUENCE {new.name} {bounds}", ()))


def _greatest(tx: Transaction, old: Range) -> int:
    """The greatest key that is there: a move that was taken back has left keys that only the new side's sequence knew."""
    asked = [Statement(str(sql), ()) for (sql,) in tx.rows(_OWNER, {"name": old.name})]
    rows = (row for each in asked for row in tx.rows(each))
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
    old = pair.old.perform(lambda tx: _range(tx, each.old, columns[0]))
    return old, pair.new.perform(lambda tx: _range(tx, each.new, columns[1]))


def _range(tx: Transaction, name: str, column: str | None) -> Range:
    rows = tx.rows(_READ, {"name": name, "column": column})
    if not rows:
        what = f"sequence {name}" if column is None else f"sequence that belongs to the column {column} of {name}"
        raise DatabaseFailedError(f"there is no {what}: run `alembic upgrade head` first")
    *numbers, sequence = rows[0]
    least, most, step, last = (int(value or 0) for value in numbers)
    return Range(least, most, step, last, sequence or name)
