"""What leads from one table to another, where one of the two moves: foreign keys, and ways to the tenant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from migdsl.semantics.model import AddConstraint, Change, Constraint, CreateTable, DropConstraint, Table
from migdsl.semantics.move_model import Child, Move
from migdsl.semantics.phrases import called
from migdsl.semantics.problems import Problems
from migdsl.semantics.shapes import Referred
from migdsl.values import replace

if TYPE_CHECKING:
    from migdsl.semantics.moving import Draft, Surroundings

_BODY = "The two are in one database now, and PostgreSQL keeps a foreign key in one database only."


def way(problems: Problems, draft: Draft, drafts: Mapping[str, Draft]) -> None:
    """The foreign keys of what moves, and its way to the tenant."""
    table = draft.table
    if table.scope == "via":
        title = f"`{table.entity}` has its tenant by way of another table"
        help_ = "give it a tenant column of its own first, in a migration of its own"
        problems.error("MIG451", draft.node.entity.span, title, "no row of it says whose it is", help=help_)
    without = {(o.column, o.target) for o in draft.omitted if o.target is not None}
    said = [c for c in draft.node.standing if hasattr(c, "target")]
    for constraint in table.constraints if draft.across else ():
        parent = constraint.target.entity if constraint.target else None
        there = drafts.get(parent or "")
        if parent is None or (there is not None and there.target.database == draft.target.database):
            continue
        if (constraint.columns[0], parent) not in without and not said:
            column = constraint.columns[0]
            title = f"`{table.entity}.{column}` would point at a `{parent}` in another database"
            help_ = (
                f"keep a copy of `{parent}` there and let it point at that: ({column}) -> …; or let the target do without: "
                f'omit {column} -> {parent} because "…"; or move both: move {parent} to {draft.target.database}.…'
            )
            more = [(constraint.span, "the foreign key")]
            problems.error(
                "MIG452", draft.node.entity.span, title, "moves away from it", body=_BODY, more=more, help=help_
            )


def children(problems: Problems, draft: Draft, drafts: Mapping[str, Draft], around: Surroundings) -> tuple[Child, ...]:
    """The tables that stay and point at what moves."""
    found: list[Child] = []
    for table in around.entities.values():
        moves = drafts.get(table.entity)
        if table.entity == draft.table.entity or (moves and moves.target.database == draft.target.database):
            continue
        gone = _dropped(around.change(table.entity))
        for constraint in table.constraints:
            target = constraint.target
            if target is not None and target.entity == draft.table.entity and constraint not in gone:
                if draft.across or not set(target.columns) <= set(draft.copied):
                    _left_behind(problems, draft, table, constraint)
                else:
                    found.append(Child(table, constraint))
        if table.via is not None and table.via.hops[0].entity == draft.table.entity:
            found.append(Child(table, None))
            if draft.across:
                title = (
                    f"`{table.entity}` has its tenant by way of `{draft.table.entity}`, which moves to another database"
                )
                help_ = f"move both: move {table.entity} to {draft.target.database}.…; or give it a tenant column first"
                problems.error(
                    "MIG452", draft.node.entity.span, title, "moves away", more=[(table.span, "stays")], help=help_
                )
    return tuple(found)


def _dropped(change: Change | None) -> list[Constraint]:
    return [o.constraint for o in (change.operations if change else ()) if isinstance(o, DropConstraint)]


def _left_behind(problems: Problems, draft: Draft, table: Table, constraint: Constraint) -> None:
    name, target = called(table, constraint), draft.table.entity
    title = f"`{table.entity}` points at `{target}`, and stays"
    help_ = (
        f"move both: move {table.entity} to {draft.target.database}.…; or drop the key, in this migration: "
        f"change {table.entity} {{ drop constraint {name} }}; or keep a copy of `{target}` where it is: leave it there, and "
        "fill the new table from it"
    )
    more = [(constraint.span, "the foreign key")]
    if not draft.across:
        title = f"`{table.entity}` points at a column of `{target}` that isn't copied"
        help_ = f"copy it, or drop the key: change {table.entity} {{ drop constraint {name} }}"
    body = _BODY if draft.across else ""
    problems.error("MIG452", draft.node.entity.span, title, "moves away", body=body, more=more, help=help_)


def pointed_anew(moves: tuple[Change, ...], changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """All changes, with those of the tables that stay and point at what moves within a database: their key follows it."""
    found = list(changes)
    for child, constraint, move in _followers(moves):
        target = constraint.target
        assert target is not None
        columns = tuple(move.copy_of(c) or c for c in target.columns)
        anew = replace(constraint, target=Referred(target.entity, columns, target.on_delete, moved=True))
        more = (
            DropConstraint(constraint, move.soak_seconds, None, move.span),
            AddConstraint(anew, None, None, move.span),
        )
        own = next((n for n, c in enumerate(found) if c.table is child), None)
        if own is None:
            found.append(Change(child, more, move.span))
        else:
            found[own] = replace(found[own], operations=(*found[own].operations, *more))
    return *found[: len(changes)], *moves, *found[len(changes) :]


def _followers(moves: tuple[Change, ...]) -> Iterator[tuple[Table, Constraint, Move]]:
    for change in moves:
        for operation in change.operations:
            move = operation.move if isinstance(operation, CreateTable) else None
            for child in move.children if move is not None and not move.across else ():
                if child.constraint is not None and move is not None:
                    yield child.table, child.constraint, move
