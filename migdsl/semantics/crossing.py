"""What leads from one table to another, where one of the two moves: foreign keys, and ways to the tenant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from migdsl.semantics import belonging
from migdsl.semantics.model import (
    AddColumn,
    AddConstraint,
    Change,
    Constraint,
    CreateTable,
    DropConstraint,
    DropTable,
    Table,
)
from migdsl.semantics.move_model import Child, Move
from migdsl.semantics.phrases import called
from migdsl.semantics.problems import Problems, sql_name, written
from migdsl.semantics.shapes import Referred
from migdsl.source import Span
from migdsl.syntax import ast
from migdsl.values import replace

if TYPE_CHECKING:
    from migdsl.semantics.moving import Draft, Surroundings

_STAYS, _ELSEWHERE, _DROPPED = "stays", "goes elsewhere", "is dropped"
_BODY = "The two are in one database now, and PostgreSQL keeps a foreign key in one database only."


def way(problems: Problems, draft: Draft, drafts: Mapping[str, Draft]) -> None:
    """The foreign keys of what moves, and its way to the tenant."""
    table = draft.table
    if not belonging.way(problems, draft, drafts):
        return
    without = {(o.column, o.target) for o in draft.omitted if o.target is not None}
    said = _said(draft)
    for constraint in table.constraints if draft.across else ():
        parent = constraint.target.entity if constraint.target else None
        there = drafts.get(parent or "")
        if parent is None or (there is not None and there.target.database == draft.target.database):
            continue
        answered = tuple(draft.copied.get(c, "") for c in constraint.columns) in said or not constraint.uses <= set(
            draft.copied
        )
        if (constraint.columns[0], parent) not in without and not answered:
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


def _said(draft: Draft) -> set[tuple[str, ...]]:
    """The columns of the foreign keys that the file gives the target."""
    return {tuple(map(sql_name, item.columns)) for item in draft.node.standing if isinstance(item, ast.Reference)}


def one_direction(problems: Problems, moves: tuple[Move, ...]) -> None:
    """Tables don't go round in a circle: of two databases the one that is left contracts first."""
    ways: dict[tuple[str, str], Move] = {}
    for move in (m for m in moves if m.across):
        here, there = move.table.database, move.target.database
        back = _path(ways, there, here)
        if not back:
            ways.setdefault((here, there), move)
            continue
        other = back[0]
        title = f"`{move.table.entity}` would go from `{here}` to `{there}`, and `{other.table.entity}` away from there"
        body = "The database that is left contracts first, and here each of them would have to be the first."
        help_ = f"move {move.table.entity} in a migration of its own, once this one is finished"
        more = [(each.target.span, f"from `{each.table.database}` to `{each.target.database}`") for each in back]
        problems.error(
            "MIG456", move.target.span, title, f"from `{here}` to `{there}`", body=body, more=more, help=help_
        )


def _path(ways: Mapping[tuple[str, str], Move], start: str, end: str) -> tuple[Move, ...]:
    """Moves that lead from one database to another, the first of each; none where nothing does."""
    found: dict[str, tuple[Move, ...]] = {start: ()}
    waiting = [start]
    while waiting:
        here = waiting.pop(0)
        for (of, to), move in ways.items():
            if of == here and to not in found:
                found[to] = (*found[here], move)
                waiting.append(to)
    return found.get(end, ())


def children(problems: Problems, draft: Draft, drafts: Mapping[str, Draft], around: Surroundings) -> tuple[Child, ...]:
    """The tables that stay and point at what moves."""
    found: list[Child] = []
    _pointed_at_meanwhile(problems, draft, around)
    for table in around.entities.values():
        moves = drafts.get(table.entity)
        if table.entity == draft.table.entity or (moves and moves.target.database == draft.target.database):
            continue
        gone = _dropped(problems, draft, around.change(table.entity))
        belongs = table.via is not None and table.via.hops[0].entity == draft.table.entity
        for constraint in table.constraints:
            target = constraint.target
            if target is not None and target.entity == draft.table.entity and constraint not in gone:
                fate = _ELSEWHERE if moves is not None else _fate(around, table)
                if not draft.across and fate != _DROPPED and set(target.columns) <= set(draft.copied):
                    found.append(Child(table, constraint))
                elif not (draft.across and belongs):  # that is told once, below
                    _left_behind(problems, draft, table, constraint, fate)
        if belongs:
            found.append(Child(table, None))
            if draft.across and not (moves and moves.across):  # where it goes elsewhere, that is told of it
                _belongs_here(problems, draft, table, moves)
    return tuple(found)


def _fate(around: Surroundings, table: Table) -> str:
    change = around.change(table.entity)
    gone = change is not None and any(isinstance(o, DropTable) for o in change.operations)
    return _DROPPED if gone else _STAYS


def _belongs_here(problems: Problems, draft: Draft, table: Table, moves: Draft | None) -> None:
    """A table that has its tenant by way of what moves, and doesn't go to that database."""
    owner = draft.table.entity
    title = f"`{table.entity}` has its tenant by way of `{owner}`, which moves to another database"
    body = f"Where `{owner}` is gone, nobody could tell whose its rows are."
    help_ = f"move both: move {written(table.entity)} to {draft.target.database}.… {{ … }}"
    more = [(moves.node.entity.span, f"stays in `{table.database}`") if moves else (table.span, "stays")]
    problems.error("MIG452", draft.node.entity.span, title, "moves away", body=body, more=more, help=help_)


def _pointed_at_meanwhile(problems: Problems, draft: Draft, around: Surroundings) -> None:
    """New foreign keys to the table that goes: nothing would take them away again before it."""
    entity = draft.table.entity
    for change in around.changes:
        for operation in change.operations:
            renamed = None
            if isinstance(operation, CreateTable):
                owner, made = operation.table, operation.table.constraints
            elif isinstance(operation, AddConstraint):
                owner, made = change.table, (operation.constraint,)
                renamed = _renamed(change, operation)
            else:
                continue
            for constraint in made:
                if constraint.target is not None and constraint.target.entity == entity and not constraint.target.moved:
                    _made_anew(problems, draft, owner, constraint, renamed)


def _renamed(change: Change, operation: AddConstraint) -> Span | None:
    """Where the file renames a column, so that what stands on it is made again over the new name."""
    over = operation.replaces.uses if operation.replaces is not None else frozenset[str]()
    return next((o.span for o in change.operations if isinstance(o, AddColumn) and o.like in over), None)


def _made_anew(problems: Problems, draft: Draft, owner: Table, constraint: Constraint, renamed: Span | None) -> None:
    """`renamed`: where a column gets another name over which a foreign key would be made again that is there."""
    entity, moves = draft.table.entity, (draft.node.entity.span, "moves away")
    title = f"`{owner.entity}` would point at `{entity}`, which moves away"
    body = "The old table goes in contract, and couldn't while a foreign key points at it."
    help_ = "leave the foreign key out; where both are in one database in the end, make it in a migration of its own"
    if renamed is None:
        problems.error("MIG452", constraint.span, title, "made anew here", body=body, more=[moves], help=help_)
        return
    title = f"a column of `{owner.entity}` gets another name while `{entity}`, which it points at, moves"
    body = "The foreign key would be made twice in one migration: over the new name, and to the new table."
    help_ = "rename the column in a migration of its own, before this one or after it"
    more = [(constraint.span, f"points at `{entity}`"), moves]
    problems.error("MIG452", renamed, title, "renamed here", body=body, more=more, help=help_)


def _dropped(problems: Problems, draft: Draft, change: Change | None) -> list[Constraint]:
    """The constraints of a table that stays and that this migration drops."""
    found = [o for o in (change.operations if change else ()) if isinstance(o, DropConstraint)]
    for operation in found if draft.across else ():
        target = operation.constraint.target
        if target is not None and target.entity == draft.table.entity:
            _as_it_must(problems, draft, operation)
    return [o.constraint for o in found]


def _as_it_must(problems: Problems, draft: Draft, operation: DropConstraint) -> None:
    """When a foreign key to what goes elsewhere is dropped, and that it comes back, follows from the move."""
    entity, what = draft.table.entity, None
    if operation.after_span is not None:
        what, span = "after …", operation.after_span
        title = f"this foreign key to `{entity}` can't stay that long"
        body = f"It goes in validate, when all rows of `{entity}` have come over: from the first switch on, the row that it asks "
        body += "for may be missing here."
    elif operation.irreversible is not None:
        what, span = 'irreversible because "…"', operation.span
        title = f"this foreign key to `{entity}` comes back where the migration is rolled back"
        body = (
            f"Until contract `{entity}` may be written here again, and old code counts on the key: the way back out of "
        )
        body += "validate makes it again, and proves it."
    if what is not None:
        more = [(draft.node.entity.span, f"moves to `{draft.target.database}`")]
        problems.error("MIG452", span, title, "says otherwise", body=body, more=more, help=f"leave `{what}` out")


def _left_behind(problems: Problems, draft: Draft, table: Table, constraint: Constraint, fate: str) -> None:
    """`fate`: what becomes of the table itself, which can't be changed in this migration unless it stays."""
    name, target = called(table, constraint), draft.table.entity
    title = f"`{table.entity}` points at `{target}`, and {fate}"
    drop = f"change {written(table.entity)} {{ drop constraint {written(name, folds=True)} }}"
    help_ = f"move both: move {written(table.entity)} to {draft.target.database}.…; or drop the key, "
    help_ += f"in this migration: {drop}" if fate == _STAYS else f"in a migration of its own, before: {drop}"
    more = [(constraint.span, "the foreign key")]
    if fate == _DROPPED:
        title = f"`{table.entity}` points at `{target}`, and is dropped in this migration, where it can't follow it any more"
        help_ = f"drop `{table.entity}` in a migration of its own, before; or only the key: {drop}"
    elif not draft.across:
        title = f"`{table.entity}` points at a column of `{target}` that isn't copied"
        help_ = f"copy it, or drop the key: {drop}"
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
