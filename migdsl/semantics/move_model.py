"""What a checked `move` is made of: the table that rows go to, the ways there and back, and what carries them."""

from __future__ import annotations

from migdsl.dialect.sql import Expression
from migdsl.semantics.table_model import Back, Constraint, Table
from migdsl.source import Span
from migdsl.values import Value

CARRIERS = ("trigger", "outbox", "cdc", "application")
VARIANTS = ("logical", "debezium")
CONFLICTS = ("truth", "newest")


class Omitted(Value):
    """A column that stays behind and why; with `target` it is only its foreign key to that entity that does."""

    column: str
    target: str | None
    because: str
    span: Span


class Child(Value):
    """A table that stays and refers to the one that moves: by a foreign key (`constraint`), or on the way to its tenant."""

    table: Table
    constraint: Constraint | None


class Sync(Value):
    """What keeps both sides equal: one of CARRIERS; of `cdc` one of VARIANTS. `lag_seconds`: the most that it may be behind."""

    entity: str
    by: str
    variant: str | None
    lag_seconds: float | None
    conflict: str
    span: Span


class Move(Value):
    """Rows of `table` that go to `target`, which has that entity's name too.

    `copied` are pairs of a target's column and the source's that it is, unchanged. `values` has each of the target's columns
    that the source gives, over the row of the source; `backs` each of the source's columns that the target gives, over the row
    of the target: the copied ones are in both. `numbered`: copied columns (pairs as above) that give out numbers.
    `kept`: the target's constraints that the source has too, so that no write of old code can break them. `behind`: the source's
    that have no counterpart. `across`: the two are in different databases.
    """

    table: Table
    target: Table
    copied: tuple[tuple[str, str], ...]
    values: tuple[tuple[str, Expression], ...]
    backs: tuple[Back, ...]
    omitted: tuple[Omitted, ...]
    numbered: tuple[tuple[str, str], ...]
    kept: tuple[Constraint, ...]
    behind: tuple[Constraint, ...]
    children: tuple[Child, ...]
    sync: Sync
    soak_seconds: int
    across: bool
    span: Span

    def copy_of(self, source: str) -> str | None:
        """The target's column that a column of the source is copied to."""
        return next((ours for ours, theirs in self.copied if theirs == source), None)
