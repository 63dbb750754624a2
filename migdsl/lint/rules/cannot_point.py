"""MIG115: a foreign key that PostgreSQL wouldn't make, for what it points at."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.diagnostics.suggest import did_you_mean
from migdsl.dialect.comparing import may_point
from migdsl.dialect.types import lossless
from migdsl.lint.foreign_keys import Key, column, keys
from migdsl.lint.rules import bound_meanwhile, may_be_alike
from migdsl.semantics import referring
from migdsl.semantics.model import AddColumn, CheckedModule, Column, RetypeColumn
from migdsl.semantics.move_model import Move
from migdsl.semantics.phrases import listed, pointing
from migdsl.semantics.problems import written
from migdsl.semantics.referring import Around
from migdsl.source import Span


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Every foreign key that is there or comes: of an entity, a `change`, a `create`, a `move`."""
    told: set[Span] = set()
    around = Around.of(module)
    for found in bound_meanwhile.renamed(module, around):
        assert found.primary is not None
        if found.primary.span not in told:
            told.add(found.primary.span)
            yield found
    for key in keys(module, around):
        # What moves has its foreign keys from its entity: they are said once.
        problem = None if key.constraint.span in told else _wrong(module, around, key)
        if problem is not None:
            told.add(key.constraint.span)
            yield problem


def _wrong(module: CheckedModule, around: Around, key: Key) -> Diagnostic | None:
    """The first thing that is wrong with it."""
    left = _left_behind(module, key)
    if left is not None:
        return left
    changing = bound_meanwhile.wrong(around, key)
    if changing is not None:
        return changing
    if len(key.theirs) != len(key.constraint.columns):
        return _another_number(key)
    found = _twice(key) or _unknown(around, key) or _unlike(around, key) or _emptied(around, key)
    return found or _retyped_under_it(around, key) or may_be_alike.wrong(module, around, key)


def _left_behind(module: CheckedModule, key: Key) -> Diagnostic | None:
    """Where both tables move: what it points at has to be there too, as it was."""
    target = key.constraint.target
    if target is None or not target.moved:
        return None
    move = next(m for m in module.moves if m.target is key.parent)
    wanted = _in_the_old(key, move)
    # What only the new table has is there too.
    lost = [name for name in wanted if move.copy_of(name) is None and move.table.column(name) is not None]
    if not lost:
        return None
    entity, name = move.table.entity, lost[0]
    title = f"`{key.owner.entity}` points at `{entity}.{name}`, which isn't copied"
    copied = "; ".join(f"{written(n, folds=True)} = {written(n, folds=True)}" for n in lost)
    help_ = f"copy it as it is, in move {written(entity)}: {copied}; or let the key go, in move {written(key.owner.entity)}: "
    help_ += f'omit {written(_in_the_source(key), folds=True)} -> {written(entity)} because "…"'
    places = [Label(move.target.span, f"moves without `{name}`")]
    if key.made is not None and key.made.move is not None:
        places.append(Label(key.made.span, "moves along, and its foreign key too"))
    body = "The new table has no such column, or one with other values in it: no row could point at its row over there."
    return Diagnostic(
        "MIG115",
        Severity.ERROR,
        title,
        Label(key.constraint.span, "points at it"),
        tuple(places),
        body=body,
        help=help_,
    )


def _in_the_old(key: Key, move: Move) -> tuple[str, ...]:
    """The columns that it points at, by the names that the moving table has them under."""
    old = dict(move.copied)
    return tuple(old.get(name, name) for name in key.theirs)


def _in_the_source(key: Key) -> str:
    """The first of its own columns, by the name that the moving table has it under."""
    move = key.made.move if key.made is not None else None
    own = key.constraint.columns[0]
    return dict(move.copied).get(own, own) if move is not None else own


def _another_number(key: Key) -> Diagnostic:
    ours, theirs = key.constraint.columns, key.theirs
    several = f"{len(ours)} column{'s' * (len(ours) > 1)}"
    title = f"{several} of `{key.owner.entity}` can't point at {len(theirs)} of `{key.parent.entity}`"
    help_ = f"name as many on both sides: ({listed(ours)}) -> {written(key.parent.entity)} (…)"
    more = (Label(key.parent.span, f"its key is ({', '.join(key.parent.key)})"),)
    return Diagnostic(
        "MIG115", Severity.ERROR, title, Label(key.constraint.span, f"points at {key.shown}"), more, help=help_
    )


def _twice(key: Key) -> Diagnostic | None:
    """One column to point at, named two times."""
    again = next((name for at, name in enumerate(key.theirs) if name in key.theirs[:at]), None)
    if again is None:
        return None
    title = f"`{key.parent.entity}.{again}` is named twice in what the foreign key points at"
    label = Label(key.constraint.span, f"points at {key.shown}")
    return Diagnostic("MIG115", Severity.ERROR, title, label, help="name each column once, on both sides")


def _unknown(around: Around, key: Key) -> Diagnostic | None:
    """A column to point at that isn't there, or won't be any more when the foreign key comes."""
    if key.phase == referring.BEFORE:
        return None  # entities have been asked
    for name in key.theirs:
        if referring.column_after(around, key.parent, name) is not None:
            continue
        there = [c.name for c in key.parent.columns if referring.column_after(around, key.parent, c.name)]
        near, gone = did_you_mean(name, there), key.parent.column(name)
        if gone is not None:
            return _renamed(around, key, name) or _goes(key, gone, there)
        title = f"there is no column `{name}` in `{key.parent.entity}`"
        help_ = f"did you mean `{near}`?" if near else f"there is: {', '.join(there[:12])}"
        return Diagnostic("MIG102", Severity.ERROR, title, Label(key.constraint.span, "points at it"), help=help_)
    return None


def _goes(key: Key, gone: Column, there: list[str]) -> Diagnostic:
    title = f"`{key.parent.entity}.{gone.name}` goes in this migration, and the foreign key would point at it"
    more, label = (Label(gone.span, "declared here"),), Label(key.constraint.span, "points at it")
    help_ = f"point at what stays: {', '.join(there[:12])}"
    return Diagnostic("MIG115", Severity.ERROR, title, label, more, help=help_)


def _renamed(around: Around, key: Key, name: str) -> Diagnostic | None:
    """Where the column that it points at only gets another name."""
    operations = around.fate(key.parent)
    rename = next((o for o in operations if isinstance(o, AddColumn) and o.like == name), None)
    if rename is None:
        return None
    new, entity = rename.column.name, key.parent.entity
    title = f"`{entity}.{name}` is called `{new}` after this migration, and the foreign key would point at the old name"
    help_ = "rename the column in a migration of its own, before this one or after it"
    if key.phase == "enforce" and key.made is None:  # the unique of the new name is there by then
        theirs = tuple(new if other == name else other for other in key.theirs)
        help_ = f"say its new name: {pointing(key.constraint, theirs)}"
    more, label = (Label(rename.span, "renamed here"),), Label(key.constraint.span, "points at the old name")
    return Diagnostic("MIG115", Severity.ERROR, title, label, more, help=help_)


def _unlike(around: Around, key: Key) -> Diagnostic | None:
    """Two columns of types that have no equality in common."""
    for ours, theirs in zip(key.constraint.columns, key.theirs, strict=True):
        here, there = column(around, key, key.owner, ours), column(around, key, key.parent, theirs)
        if here is None or there is None or may_point(here.type, there.type):
            continue
        what = f"`{key.parent.entity}.{theirs}`, where it points,"
        title = f"`{key.owner.entity}.{ours}` is {here.type.sql}, and {what} {there.type.sql}"
        help_ = _of_one_type(key, here, there)
        label = Label(key.constraint.span, f"can't compare {here.type.sql} with {there.type.sql}")
        more = (
            Label(there.span, there.type.sql),
            *((Label(here.span, here.type.sql),) if here.span != label.span else ()),
        )
        return Diagnostic("MIG115", Severity.ERROR, title, label, more, body=_COMPARED, help=help_)
    return None


def _of_one_type(key: Key, here: Column, there: Column) -> str:
    name, wanted = written(here.name, folds=True), there.type.sql
    if key.phase == referring.BEFORE:
        return "the database has types that go together, or it wouldn't have the foreign key: declare them as they are there"
    if key.owner.column(here.name) is None or (key.made is not None and key.made.move is None):
        return f"give it the type of what it points at: {name} {wanted}"
    help_ = f"point at a column of the type {here.type.sql}"
    if key.made is None and lossless(here.type, there.type):
        help_ += "; or give it the other type first, in a migration of its own: "
        help_ += f"change {written(key.owner.entity)} {{ retype {name} {wanted} }}"
    return help_


def _emptied(around: Around, key: Key) -> Diagnostic | None:
    """`on delete set null` over a column that can't be NULL: each delete would fail."""
    action = key.constraint.target.on_delete if key.constraint.target is not None else None
    if action not in ("SET NULL", "SET DEFAULT"):
        return None
    for name in key.constraint.columns:
        found = column(around, key, key.owner, name)
        if found is None:
            continue
        why = "generated" if found.generated is not None else "NOT NULL"
        # What stands, and what comes along with a table that moves, is as somebody wanted it.
        able = key.phase == referring.BEFORE or (key.made is not None and key.made.move is not None)
        able = able or action == "SET DEFAULT" or referring.nullable_after(around, key.owner, found)
        if able and found.generated is None:
            continue
        title = f"`on delete {action.lower()}` can't write `{key.owner.entity}.{name}`, which is {why}"
        body = "PostgreSQL refuses such a foreign key." if found.generated is not None else _EMPTIED
        help_ = "leave `on delete` out, and nobody deletes what is pointed at; or say `on delete cascade`"
        label = Label(key.constraint.span, f"on delete {action.lower()}")
        more = (Label(found.span, why),) if found.span != label.span else ()
        return Diagnostic("MIG115", Severity.ERROR, title, label, more, body=body, help=help_)
    return None


def _retyped_under_it(around: Around, key: Key) -> Diagnostic | None:
    """A column that gets another type while the foreign key stands on it already: what isn't declared isn't carried over."""
    if key.phase == referring.BEFORE or referring.order(key.phase) > referring.order("cutover"):
        return None
    both = [(key.owner, name) for name in key.constraint.columns] + [(key.parent, name) for name in key.theirs]
    for table, name in both:
        for operation in around.fate(table):
            if isinstance(operation, RetypeColumn) and not operation.in_place and operation.column.name == name:
                title = f"`{table.entity}.{name}` gets another type in cutover, and the foreign key would be made in {key.phase}"
                help_ = "leave the foreign key out, and make it in a migration of its own, afterwards"
                if key.made is None:
                    help_ = "leave `complies` out, and it is made in enforce; or make it in a migration of its own"
                label = Label(key.constraint.span, f"made in {key.phase}")
                more = (Label(operation.span, "another column takes its place"),)
                return Diagnostic("MIG115", Severity.ERROR, title, label, more, help=help_)
    return None


_COMPARED = (
    "PostgreSQL makes a foreign key only between types that it compares without a cast that anybody has to ask for."
)
_EMPTIED = "Every delete of a row that is pointed at would fail, as it does without."
