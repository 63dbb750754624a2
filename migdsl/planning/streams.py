"""Tables that move to another database become streams: what one job carries, and one switch turns over."""

from __future__ import annotations

from collections.abc import Iterable

from migdsl.ops.model import TablePlan
from migdsl.ops.stream_model import Moved
from migdsl.semantics.model import Table
from migdsl.semantics.move_model import Move
from migdsl.values import Value

DEFAULT_LAG_S = 30.0
_TEXTS = frozenset(["text", "character varying", "character", "citext", "name"])


class Stream(Value):
    """Tables that are switched together, the first of which gives the stream its name."""

    plans: tuple[TablePlan, ...]

    @property
    def name(self) -> str:
        return self.moved[0].stream

    @property
    def moved(self) -> tuple[Moved, ...]:
        return tuple(plan.moved for plan in self.plans if plan.moved is not None)

    @property
    def moves(self) -> tuple[Move, ...]:
        return tuple(plan.move for plan in self.plans if plan.move is not None)

    @property
    def table(self) -> Table:
        """The first table, as it was."""
        return self.moves[0].table

    @property
    def old(self) -> str:
        """The database that is left."""
        return self.moves[0].table.database

    @property
    def new(self) -> str:
        """The database that the tables go to."""
        return self.moves[0].target.database

    @property
    def by(self) -> str:
        """What carries: outbox, cdc or application."""
        return self.moves[0].sync.by

    @property
    def variant(self) -> str | None:
        """Of cdc: logical or debezium."""
        return self.moves[0].sync.variant

    @property
    def lag_s(self) -> float:
        """How far behind the appliers may be, in seconds: the least that is said of a table."""
        said = [move.sync.lag_seconds for move in self.moves]
        return min((seconds for seconds in said if seconds is not None), default=DEFAULT_LAG_S)

    @property
    def numbered(self) -> bool:
        """Whether both sides give out keys."""
        return any(move.numbered for move in self.moves)

    @property
    def entities(self) -> tuple[str, ...]:
        return tuple(moved.entity for moved in self.moved)


def streams(tables: Iterable[TablePlan]) -> tuple[Stream, ...]:
    """All of them, in the order of their first tables."""
    found: dict[str, list[TablePlan]] = {}
    for plan in tables:
        if plan.moved is not None:
            found.setdefault(plan.moved.stream, []).append(plan)
    return tuple(Stream(tuple(plans)) for plans in found.values())


def texts_of_key(table: Table) -> tuple[str, ...]:
    """The columns of a table's key that are sorted by a collation."""
    columns = (table.column(name) for name in table.key)
    return tuple(c.name for c in columns if c is not None and not c.type.array and c.type.base in _TEXTS)
