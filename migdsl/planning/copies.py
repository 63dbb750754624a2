"""Tables at which a table points once it has moved become what people do: who fills each copy, when, and how it is checked."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import quote
from migdsl.ops import names
from migdsl.ops.needed import Copy, copies
from migdsl.plan.model import Check
from migdsl.plan.phases import ExitCondition
from migdsl.planning.beside import Manual
from migdsl.planning.streams import Stream
from migdsl.planning.words import listed
from migdsl.semantics.model import CheckedModule
from migdsl.semantics.move_model import Move
from migdsl.semantics.phrases import placed


def before(module: CheckedModule, stream: Stream) -> Iterator[str]:
    """What a runbook says of them first."""
    for move, copy in _found(module, stream):
        yield (
            f"Whoever keeps {_called(copy)} has filled it before the backfill begins, and goes on keeping it: "
            f"{_pointing(move, copy)} points at it, and no job of this migration writes it. A row comes there before the one of "
            f"{move.table.entity} that points at it."
        )


def manual(module: CheckedModule, stream: Stream) -> Iterator[Manual]:
    """What is done at the end of expand, with the command that shows whether it is."""
    for move, copy in _found(module, stream):
        if command := _missing(module, move, copy):
            yield Manual(
                "expand", f"{_fill(move, copy)}; the command prints the keys that it lacks", command, asked=False
            )


def exits(module: CheckedModule, stream: Stream) -> Iterator[tuple[str, ExitCondition]]:
    """What keeps the backfill from beginning."""
    for move, copy in _found(module, stream):
        text = (
            f"{_called(copy)} has all rows{_of(copy)} that {_pointing(move, copy)} points at, and somebody keeps it so"
        )
        yield "expand", ExitCondition(id=f"copy_{copy.table.entity}", text=text, kind="manual")


def risks(module: CheckedModule, stream: Stream) -> Iterator[str]:
    """What becomes of a row that points at nothing."""
    for move, copy in _found(module, stream):
        yield (
            f"A row of {move.table.entity} that points at nothing in {_called(copy)} waits as a dead letter, class 23, and keeps "
            "its tenant from being switched; it is tried again by itself, and comes in once the other row is there."
        )


def checks(module: CheckedModule, stream: Stream, job: str) -> Iterator[Check]:
    """What is proven of them."""
    for move, copy in _found(module, stream):
        yield Check(
            id=f"{move.table.entity}.{copy.table.entity}",
            kind="constraint",
            entity=move.table.entity,
            text=f"No row of {move.table.entity} may point at nothing in {_called(copy)}: the foreign key refuses it, and "
            "the row is counted as a dead letter",
            artifact=job,
            threshold="= 0",
        )


def steps(module: CheckedModule, stream: Stream) -> Iterator[str]:
    """The same as steps of expand."""
    return (_fill(*each) for each in _found(module, stream))


def _found(module: CheckedModule, stream: Stream) -> Iterator[tuple[Move, Copy]]:
    return ((move, copy) for move in stream.moves for copy in copies(module, move))


def _fill(move: Move, copy: Copy) -> str:
    return f"Fill {_called(copy)} with the rows{_of(copy)} that {_pointing(move, copy)} points at, and keep it so"


def _called(copy: Copy) -> str:
    return f"{placed(copy.table)} ({copy.table.entity})"


def _of(copy: Copy) -> str:
    return f" of {placed(copy.original)}" if copy.original is not None else ""


def _pointing(move: Move, copy: Copy) -> str:
    return f"{placed(move.target)}.{listed(list(copy.constraint.columns))}"


def _missing(module: CheckedModule, move: Move, copy: Copy) -> str:
    """A command that prints the keys that the old table has and the copy hasn't: those that come once, of one and twice the
    other."""
    from shlex import quote as shell  # most migrations have no copy

    theirs = [move.table.column(dict(move.copied).get(column, "")) for column in copy.constraint.columns]
    if not all(theirs):
        return ""
    columns = [quote(column.name) for column in theirs if column is not None]
    present = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    old = f"SELECT DISTINCT {', '.join(columns)} FROM {names.table(move.table)} WHERE {present}"
    target = copy.constraint.target
    keys = (target.columns if target is not None else ()) or copy.table.key
    new = f"SELECT {', '.join(map(quote, keys))} FROM {names.table(copy.table)}"
    here, there = (module.database(table.database).url_env for table in (move.table, copy.table))
    return f'{{ psql "${here}" -Atc {shell(old)}; psql "${there}" -Atc {shell(new)} | sed p; }} | sort | uniq -u'
