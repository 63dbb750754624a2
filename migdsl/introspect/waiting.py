"""Constraints that wait for the end of a transaction become a warning where a table moves to a database that can't see them."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.introspect.model import ForeignKey, Key, Table
from migdsl.semantics import model
from migdsl.semantics.model import CheckedModule


def waiting(module: CheckedModule, table: model.Table, found: Table) -> Iterator[Diagnostic]:
    """Of a table that moves to another database. Within one, expand makes the copies as the originals are."""
    moves = (created.move for created in module.created if created.move is not None and created.move.across)
    move = next((m for m in moves if m.table.entity == table.entity), None)
    if move is None:
        return
    theirs = {name for _, name in move.copied}
    standing: tuple[Key | ForeignKey, ...] = (*found.uniques, *found.references)
    for each in standing:
        if set(each.columns) <= theirs and any(note.startswith("deferrable") for note in each.notes):
            yield Diagnostic(
                "MIG734",
                Severity.WARNING,
                f"`{table.entity}`: {each.name} is deferrable, and what the file makes of it in {move.target.database} is not",
                Label(move.span, "moves to another database"),
                body="Code that writes a child before its parent in one transaction, or lets values change places, fails there.",
                help=f"make it deferrable in {move.target.database} too, between its expand and the first switch "
                "(a foreign key: when validate has made it), or see that code needs it no more",
            )
