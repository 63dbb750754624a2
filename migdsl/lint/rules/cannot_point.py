"""MIG115: a foreign key that PostgreSQL wouldn't make, for what it points at."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.diagnostics.suggest import did_you_mean
from migdsl.dialect.comparing import may_point
from migdsl.dialect.types import lossless
from migdsl.lint.foreign_keys import Key, keys, listed
from migdsl.lint.rules import bound_meanwhile
from migdsl.semantics import referring
from migdsl.semantics.model import CheckedModule, Column, RetypeColumn, Table
from migdsl.semantics.move_model import Move
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
    return found or _retyped_under_it(around, key) or _may_be_alike(module, around, key)


def _left_behind(module: CheckedModule, key: Key) -> Diagnostic | None:
    """Where both tables move: what it points at has to be there too, as it was."""
    target = key.constraint.target
    if target is None or not target.moved:
        return None
    move = next(m for m in module.moves if m.target is key.parent)
    wanted = _in_the_old(key, move)
    lost = [name for name in wanted if move.copy_of(name) is None]
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
        title = f"there is no column `{name}` in `{key.parent.entity}`"
        help_ = f"did you mean `{near}`?" if near else f"there is: {', '.join(there[:12])}"
        if gone is not None:
            title = f"`{key.parent.entity}.{name}` goes in this migration, and the foreign key would point at it"
            help_ = f"point at what stays: {', '.join(there[:12])}"
        more = (Label(gone.span, "declared here"),) if gone is not None else ()
        label = Label(key.constraint.span, "points at it")
        return Diagnostic("MIG115" if gone else "MIG102", Severity.ERROR, title, label, more, help=help_)
    return None


def _unlike(around: Around, key: Key) -> Diagnostic | None:
    """Two columns of types that have no equality in common."""
    for ours, theirs in zip(key.constraint.columns, key.theirs, strict=True):
        here, there = _column(around, key, key.owner, ours), _column(around, key, key.parent, theirs)
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


def _column(around: Around, key: Key, table: Table, name: str) -> Column | None:
    return table.column(name) if key.phase == referring.BEFORE else referring.column_after(around, table, name)


def _emptied(around: Around, key: Key) -> Diagnostic | None:
    """`on delete set null` over a column that can't be NULL: each delete would fail."""
    action = key.constraint.target.on_delete if key.constraint.target is not None else None
    if action not in ("SET NULL", "SET DEFAULT"):
        return None
    for name in key.constraint.columns:
        column = _column(around, key, key.owner, name)
        if column is None:
            continue
        why = "generated" if column.generated is not None else "NOT NULL"
        # What stands, and what comes along with a table that moves, is as somebody wanted it.
        able = key.phase == referring.BEFORE or (key.made is not None and key.made.move is not None)
        able = able or action == "SET DEFAULT" or referring.nullable_after(around, key.owner, column)
        if able and column.generated is None:
            continue
        title = f"`on delete {action.lower()}` can't write `{key.owner.entity}.{name}`, which is {why}"
        body = "PostgreSQL refuses such a foreign key." if column.generated is not None else _EMPTIED
        help_ = "leave `on delete` out, and nobody deletes what is pointed at; or say `on delete cascade`"
        label = Label(key.constraint.span, f"on delete {action.lower()}")
        more = (Label(column.span, why),) if column.span != label.span else ()
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


def _may_be_alike(module: CheckedModule, around: Around, key: Key) -> Diagnostic | None:
    """What it points at may be in two rows, or still may when the foreign key comes."""
    if key.phase == referring.BEFORE:
        return None if referring.unique_before(key.parent, key.theirs) else _not_unique(module, around, key)
    since = referring.unique_from(around, key.parent, key.theirs)
    if since is None:
        return _not_unique(module, around, key)
    return _too_late(key, since) if since.order > referring.order(key.phase) else None


def _not_unique(module: CheckedModule, around: Around, key: Key) -> Diagnostic:
    title = f"nothing keeps two rows of `{key.parent.entity}` from having one `{', '.join(key.theirs)}`"
    column = _column(around, key, key.parent, key.theirs[0])
    more = (Label(column.span if column is not None else key.parent.span, "neither the key nor unique"),)
    label = Label(key.constraint.span, f"points at {key.shown}")
    return Diagnostic(
        "MIG115", Severity.ERROR, title, label, more, body=_UNIQUE, help=_made_unique(module, around, key)
    )


def _made_unique(module: CheckedModule, around: Around, key: Key) -> str:
    unique, parent = f"unique ({listed(key.theirs)})", written(key.parent.entity)
    if key.phase == referring.BEFORE:
        why = "the database has a key or a unique there, or it wouldn't have the foreign key"
        return f"{why}: declare it in `{key.parent.entity}`: {unique}"
    instead = (
        f"point at its key: ({listed(key.constraint.columns)}) -> {parent}; or " if _fits_the_key(around, key) else ""
    )
    if key.parent not in module.tables:
        return f"{instead}let the new table have it: {unique}"
    before = ", in a migration of its own, before" if key.phase == "expand" else ""
    return f"{instead}make it unique{before}: change {parent} {{ {unique} }}"


def _fits_the_key(around: Around, key: Key) -> bool:
    """Whether it could point at the parent's key instead."""
    if len(key.parent.key) != len(key.constraint.columns) or set(key.parent.key) == set(key.theirs):
        return False
    pairs = [
        (_column(around, key, key.owner, ours), _column(around, key, key.parent, theirs))
        for ours, theirs in zip(key.constraint.columns, key.parent.key, strict=True)
    ]
    return all(here is not None and there is not None and may_point(here.type, there.type) for here, there in pairs)


def _too_late(key: Key, since: referring.Since) -> Diagnostic:
    title = f"{key.shown} is unique from {since.phase} on, and the foreign key would be made in {key.phase}"
    help_ = "make it unique in a migration of its own, before"
    if key.made is None:
        help_ = (
            'say of the unique, too, that old code keeps it: complies because "…"; or leave that out of the foreign key'
        )
    more = (Label(since.span, f"binds in {since.phase}"),)
    label = Label(key.constraint.span, f"made in {key.phase}")
    return Diagnostic("MIG115", Severity.ERROR, title, label, more, body=_ASKED, help=help_)


_COMPARED = (
    "PostgreSQL makes a foreign key only between types that it compares without a cast that anybody has to ask for."
)
_UNIQUE = (
    "A foreign key points at the key, or at what a unique is over, column for column. An index with a `where`, or over an "
    "expression, is none."
)
_EMPTIED = "Every delete of a row that is pointed at would fail, as it does without."
_ASKED = "PostgreSQL asks for what keeps the rows apart when it makes the foreign key."
