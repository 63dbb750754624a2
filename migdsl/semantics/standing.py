"""What stands on a table that moves stands on its target too: constraints and indexes over copied columns, by their new names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from migdsl.dialect import sql as dialect
from migdsl.dialect.names import quote
from migdsl.dialect.sql import Expression
from migdsl.semantics import relations
from migdsl.semantics.constraints import constraints
from migdsl.semantics.model import AddColumn, Constraint, Table
from migdsl.semantics.problems import Problems, sql_name
from migdsl.semantics.reshape import over
from migdsl.semantics.shapes import Referred
from migdsl.syntax import ast
from migdsl.values import Value, replace

if TYPE_CHECKING:
    from migdsl.semantics.moving import Draft, Surroundings


class Standing(Value):
    """`kept`: what the source has too, and so no write of old code can break. `own`: what only the target has. `behind`: what
    only the source has, since it stands on a column that isn't copied."""

    kept: tuple[Constraint, ...]
    own: tuple[Constraint, ...]
    behind: tuple[Constraint, ...]

    @classmethod
    def of(cls, problems: Problems, draft: Draft, drafts: Mapping[str, Draft], around: Surroundings) -> Standing:
        """What stands on the target of a move."""
        said = tuple(_pointing(c, drafts) for c in _said(problems, draft, drafts, around))
        theirs = [c for c in draft.table.constraints if c.kind not in ("key", "generated")]
        without = {(o.column, o.target) for o in draft.omitted if o.target is not None}
        theirs = [c for c in theirs if c.target is None or (c.columns[0], c.target.entity) not in without]
        along = [(c, _along(draft, c, drafts)) for c in theirs]
        same = {_fact(c): c for c in said}
        # Of what is said again the name is the file's.
        mirrored = tuple(same.pop(_fact(c), c) for _, c in along if c is not None)
        # A row that it points at may come later than the one that points, while batches fill both.
        late = tuple(c for c in mirrored if c.target is not None and c.target.moved)
        kept = tuple(c for c in mirrored if c not in late)
        answered = {c.kind for c in said}
        behind = tuple(c for c, found in along if found is None and c.kind not in answered)
        return cls(kept, (*late, *same.values()), behind)


def generated(expression: Expression, copied: Mapping[str, str]) -> Expression | None:
    """What a column is generated from, by the target's names; None where one of them isn't there."""
    if not expression.names() <= set(copied):
        return None
    return dialect.expression(expression.rewritten(lambda name: quote(copied[name])))


def _said(problems: Problems, draft: Draft, drafts: Mapping[str, Draft], around: Surroundings) -> Iterator[Constraint]:
    """The target's own, as the file says them."""
    node = draft.node
    own = tuple(item.column for item in node.columns if isinstance(item, ast.Moved))
    shown = ast.Entity(node.entity, node.table, (*own, *node.standing), node.span)
    coming = {change.table.entity: change.table for change, _ in around.created}
    called = {**around.entities, **{name: _by_both_names(parent) for name, parent in drafts.items()}}
    relations.check_targets(problems, shown, called, coming, _later(around))
    for pointed in relations.targets(shown):
        _two_of_one_name(problems, pointed, drafts)
    known = {c.name for c in draft.target.columns} if draft.table.complete else None
    made = tuple(c for c in draft.target.columns if c.name not in draft.copied.values())
    yield from constraints(problems, shown, made, known)
    yield from relations.references(shown)


def _by_both_names(draft: Draft) -> Table:
    """A table that moves, with its columns as they are called before and, where that is no other's name, afterwards."""
    new = (c for c in draft.target.columns if draft.table.column(c.name) is None)
    return replace(draft.table, columns=(*draft.table.columns, *new))


def _two_of_one_name(problems: Problems, pointed: ast.Target, drafts: Mapping[str, Draft]) -> None:
    """A name that the old table and the new one have for different columns."""
    parent = drafts.get(pointed.entity.text)
    if parent is None:
        return
    for name in pointed.columns:
        column = sql_name(name)
        new = parent.copied.get(column, column)
        other = parent.target.column(column)
        if new == column or other is None:
            continue
        before = next((ours for ours, theirs in parent.copied.items() if theirs == column), None)
        ways = [f"`{new}`, which `{column}` becomes"] if parent.table.column(new) is None else []
        if before is not None and parent.target.column(before) is None:
            ways.append(f"`{before}`, from which the new table has its `{column}`")
        title = f"`{column}` is one column of `{parent.table.entity}`, and another one of where it moves to"
        help_ = f"say which is meant: {', or '.join(ways)}" if ways else "give one of them another name"
        problems.error("MIG115", name.span, title, "may be either", more=[(other.span, "the other")], help=help_)


def _later(around: Surroundings) -> relations.Later:
    """The columns that tables which stay get in this migration."""
    return {
        change.table.entity: {o.column.name: o.span for o in change.operations if isinstance(o, AddColumn)}
        for change in around.changes
    }


def _along(draft: Draft, constraint: Constraint, drafts: Mapping[str, Draft]) -> Constraint | None:
    """The same over the target's columns; None where one of them isn't copied, or what it points at is elsewhere."""
    if not constraint.uses <= set(draft.copied):
        return None
    found = over(constraint, draft.copied)
    if constraint.target is None:
        return found
    pointed = _pointing(found, drafts)
    assert pointed.target is not None
    parent = drafts.get(constraint.target.entity)
    here = parent.target.database if parent is not None else draft.table.database
    return pointed if here == draft.target.database else None


def _pointing(constraint: Constraint, drafts: Mapping[str, Draft]) -> Constraint:
    """A foreign key to what moves points at where it goes."""
    target = constraint.target
    parent = drafts.get(target.entity) if target is not None else None
    if target is None or parent is None:
        return constraint
    columns = tuple(parent.copied.get(c, c) for c in target.columns)
    return replace(constraint, target=Referred(target.entity, columns, target.on_delete, moved=True))


def _fact(constraint: Constraint) -> tuple[object, ...]:
    """What tells constraints and indexes apart, but for their names."""
    index, check = constraint.index, constraint.check
    shape = index and (
        tuple((p.column, p.expression and _text(p.expression), p.bits, p.operators) for p in index.parts),
        *(index.method, index.include, index.where and _text(index.where), index.unique),
    )
    target = constraint.target.entity if constraint.target else None
    return constraint.kind, constraint.columns, shape, check and _text(check), target


def _text(expression: Expression) -> str:
    return " ".join(expression.text.split())
