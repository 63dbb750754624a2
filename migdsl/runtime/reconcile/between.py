"""Compares two tables, each on a connection of its own or both on one: digests of ranges, and parts of those that differ.

A range whose digests differ is split where the side with more rows has its keys, and again, down to a few rows. Keys must
sort alike on both sides: text in one collation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from migdsl.runtime import jobs
from migdsl.runtime.database import Database, Row, Transaction
from migdsl.runtime.ledger import Key
from migdsl.runtime.reconcile.look import Finding, Found, Range, Segment, Suspect, key_of
from migdsl.runtime.reconcile.truth import Side
from migdsl.runtime.sql import Statement, statement

T = TypeVar("T")

# Rows of a range that is looked at, of one whose rows are compared one by one, and into how many parts a range is split. A
# range that differs is read once more, part by part, and each part costs round trips: so ranges are small, and have one level.
_MOST: Final = 16_000
_FEW: Final = 2_000
_PARTS: Final = 8


@dataclass(frozen=True, slots=True)
class Digest:
    """How many rows a side has in a range, and the sum of their hashes."""

    rows: int
    hash: int


@dataclass(frozen=True, slots=True)
class Source:
    """One side's statements."""

    key: tuple[str, ...]
    digest_of: Statement
    next_bound: Statement
    rows_of: Statement

    @classmethod
    def of(cls, key: tuple[str, ...], side: jobs.Side) -> Source:
        return cls(key, statement(side.digest), statement(side.next_bound), statement(side.rows))

    def digest(self, tx: Transaction, tenant: str, range_: Range) -> Digest:
        """Of a range."""
        rows, hash_ = tx.rows(self.digest_of, self._values(tenant, range_))[0]
        return Digest(int(rows or 0), int(hash_ or 0))

    def bound(self, tx: Transaction, tenant: str, range_: Range, size: int) -> Key | None:
        """The key of a range's row number `size`; None where it has fewer."""
        rows = tx.rows(self.next_bound, {**self._values(tenant, range_), "skip": str(size - 1)})
        return key_of(rows[0]) if rows else None

    def hashes(self, tx: Transaction, tenant: str, range_: Range) -> dict[str | None, Row]:
        """The rows of a range by the hash of their key, which is the same for keys that are equal and spelt otherwise."""
        wide = len(self.key)
        return {row[wide]: row for row in tx.rows(self.rows_of, self._values(tenant, range_))}

    def columns(self, tx: Transaction) -> tuple[str, ...]:
        """The columns whose hashes the last `hashes` gave."""
        return tuple(column.name for column in tx.cursor.description or ())[len(self.key) + 1 :]

    def _values(self, tenant: str, range_: Range) -> dict[str, str | None]:
        return {"tenant_id": tenant, **range_.values(self.key)}


@dataclass(frozen=True, slots=True)
class Between:
    """Looks at two tables. `there` is the right side's database, None where it is the left one's: then both are seen in
    one snapshot. `strict`: what differs counts; otherwise rows and hashes are taken down alone.
    """

    left: Source
    right: Source
    here: Database
    there: Database | None = None
    strict: bool = True
    # Its thread starts when it is first needed, which is with two databases.
    pool: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, 1))

    @classmethod
    def of(cls, job: jobs.ReconcileJob, database: Database, truth: Side, other: Database | None = None) -> Between:
        """What is to be compared while `truth` is the side that is right; `other` is the new side's database, where it is
        another one. Raises ValueError for a job of one table."""
        here, there = database, other
        left, right = job.left, job.right
        strict = truth == "old"
        if not strict and job.left_new is not None:
            left, right, strict = job.left_new, job.right_new, True
            here, there = other or database, database if other is not None else None
        if left is None or right is None:
            raise ValueError("this job doesn't compare two tables")
        return cls(Source.of(job.key, left), Source.of(job.key, right), here, there, strict)

    def look(self, tenant: str, after: Key | None, size: int) -> Segment:
        """The next `size` rows of the left behind `after`, and what the right has among their keys."""
        bound = _read(self.here, lambda tx: self.left.bound(tx, tenant, Range(after), min(size, _MOST)))
        range_ = Range(after, bound)
        left, right = self._digests(tenant, range_)
        # They are looked for as they are asked for: of a side that is far too long not all are in memory at once.
        suspects = self._suspects(tenant, range_, left, right) if self.strict and left != right else ()
        rows = left.rows if self.strict else max(left.rows, right.rows)
        return Segment(bound, rows, left.hash, right.hash, suspects=suspects)

    def again(self, tenant: str, range_: Range) -> Found:
        """The rows of a range that differ now, in the order of their keys on either side."""
        return self._compared(tenant, range_)[0]

    def _compared(self, tenant: str, range_: Range) -> tuple[Found, bool]:
        """The same, and whether there are others whose hashes differ: each side has what the other one gives, one way."""
        (left, columns), (right, _) = self._both(
            lambda tx: (self.left.hashes(tx, tenant, range_), self.left.columns(tx)),
            lambda tx: (self.right.hashes(tx, tenant, range_), self.right.columns(tx)),
        )
        wide = len(self.left.key)
        found: dict[Key, Finding] = {}
        agree = False
        for hash_, row in left.items():
            other = right.get(hash_)
            if other is None:
                found[key_of(row[:wide])] = Finding("missing")
            elif row[wide + 1 :] != other[wide + 1 :]:
                pairs = zip(columns, row[wide + 1 :], other[wide + 1 :], strict=True)
                if apart := tuple(name for name, a, b in pairs if not same(a, b)):
                    found[key_of(other[:wide])] = Finding("mismatched", apart)
                else:
                    agree = True
        found |= {key_of(row[:wide]): Finding("extra") for hash_, row in right.items() if hash_ not in left}
        return found, agree

    def unequal(self, tenant: str, range_: Range) -> bool:
        """Whether the hashes of a range differ now, and no row explains it."""
        left, right = self._digests(tenant, range_)
        return left != right and not self._compared(tenant, range_)[1]

    def _suspects(self, tenant: str, range_: Range, left: Digest, right: Digest) -> Iterator[Suspect]:
        rows = max(left.rows, right.rows)
        if rows <= _FEW:
            # Nothing found may mean that it has been mended meanwhile: the second look tells.
            yield Suspect(range_, self.again(tenant, range_))
            return
        for part in self._parts(tenant, range_, of_left=left.rows == rows, size=max(_FEW, rows // _PARTS)):
            digests = self._digests(tenant, part)
            if digests[0] != digests[1]:
                yield from self._suspects(tenant, part, *digests)

    def _parts(self, tenant: str, range_: Range, *, of_left: bool, size: int) -> Iterator[Range]:
        """A range in parts of `size` rows of one side."""
        source, database = (self.left, self.here) if of_left else (self.right, self.there or self.here)
        after = range_.after
        while True:
            rest = Range(after, range_.upto)
            bound = _read(database, partial(source.bound, tenant=tenant, range_=rest, size=size))
            if bound is None or bound == range_.upto:
                yield rest
                return
            yield Range(after, bound)
            after = bound

    def _digests(self, tenant: str, range_: Range) -> tuple[Digest, Digest]:
        return self._both(
            lambda tx: self.left.digest(tx, tenant, range_), lambda tx: self.right.digest(tx, tenant, range_)
        )

    def _both(self, left: Callable[[Transaction], T], right: Callable[[Transaction], T]) -> tuple[T, T]:
        """Both sides: in one snapshot where they are in one database, else side by side."""
        there = self.there
        if there is None:
            return _read(self.here, lambda tx: (left(tx), right(tx)))
        other = self.pool.submit(_read, there, right)
        return _read(self.here, left), other.result()


def same(left: str | None, right: str | None) -> bool:
    """Whether two columns agree by one of their hashes."""
    return left == right or any(a == b for a, b in zip((left or "").split(), (right or "").split(), strict=False))


def _read(database: Database, work: Callable[[Transaction], T]) -> T:
    return database.perform(work, patient=True, snapshot=True)
