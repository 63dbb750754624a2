"""What a look at a range of keys finds: how many rows, their hashes, and which rows differ in what; never a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from migdsl.runtime.database import Row
from migdsl.runtime.errors import DatabaseFailedError
from migdsl.runtime.jobs import parameter_names
from migdsl.runtime.ledger import Key

Kind = Literal["mismatched", "missing", "extra"]


@dataclass(frozen=True, slots=True)
class Range:
    """The keys of `(after, upto]`; None is no bound."""

    after: Key | None = None
    upto: Key | None = None

    def values(self, columns: tuple[str, ...]) -> dict[str, str | None]:
        """The parameters that carry the bounds."""
        nothing: tuple[str | None, ...] = (None,) * len(columns)
        after = zip(parameter_names("after", columns), self.after or nothing, strict=True)
        upto = zip(parameter_names("upto", columns), self.upto or nothing, strict=True)
        return {**dict(after), **dict(upto)}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a row, and for one that is on both sides, in which columns."""

    kind: Kind
    columns: tuple[str, ...] = ()


Found = Mapping[Key, Finding]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A range that isn't clean, and the rows seen in it. Without any, its hashes differ and nobody knows why."""

    range: Range
    found: Found


@dataclass(frozen=True, slots=True)
class Segment:
    """A range of a tenant, looked at; hashes are sums over its rows, 0 without any. `upto` None: it was the last.

    Of two tables `rows` are those of the left. `suspects` may be asked for once.
    """

    upto: Key | None
    rows: int
    hash_left: int
    hash_right: int
    lossy: int = 0
    suspects: Iterable[Suspect] = ()


class Looker(Protocol):
    """Looks at the rows of a tenant on both sides, one range after another."""

    def look(self, tenant: str, after: Key | None, size: int) -> Segment:
        """The next `size` rows behind `after`."""

    def again(self, tenant: str, range_: Range) -> Found:
        """The rows of a range that differ now."""

    def unequal(self, tenant: str, range_: Range) -> bool:
        """Whether the hashes of a range differ now, though no row may."""


@dataclass(slots=True)
class Tally:
    """A tenant's numbers as they add up. `shown` are the first rows that differ.

    `unsettled` rows differed in one look and no more in the next, `unexplained` ranges have hashes that differ, and no row
    that does.
    """

    rows: int = 0
    hash_left: int = 0
    hash_right: int = 0
    lossy: int = 0
    counts: dict[Kind, int] = field(default_factory=lambda: {"mismatched": 0, "missing": 0, "extra": 0})
    unsettled: int = 0
    unexplained: int = 0
    shown: dict[Key, Finding] = field(default_factory=dict)

    def add(self, segment: Segment) -> None:
        """One more range."""
        self.rows += segment.rows
        self.hash_left += segment.hash_left
        self.hash_right += segment.hash_right
        self.lossy += segment.lossy

    def confirm(self, found: Found, limit: int) -> None:
        """Rows that differ for good."""
        for key, finding in found.items():
            self.counts[finding.kind] += 1
            self.rows += finding.kind == "extra"
            if len(self.shown) < limit:
                self.shown[key] = finding

    @property
    def differing(self) -> int:
        return sum(self.counts.values())


def key_of(row: Row) -> Key:
    """A row of key columns as a key. Raises DatabaseFailedError for a NULL in it."""
    key = tuple(value for value in row if value is not None)
    if len(key) != len(row):
        raise DatabaseFailedError(
            "a column of the key is NULL in some row: such a row has no place in the order of keys"
        )
    return key
