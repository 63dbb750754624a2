"""A checked change becomes the two ages of code that work on its table: what each writes, and what the other must see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from migdsl.dialect.sql import Expression
from migdsl.ops import names
from migdsl.ops.model import Lowered, TablePlan
from migdsl.rehearsal import making
from migdsl.semantics.model import (
    AddColumn,
    AddConstraint,
    Change,
    CheckedModule,
    Column,
    Constraint,
    DropColumn,
    DropTable,
    ExtendEnum,
    Operation,
    OptionalColumn,
    RenameTable,
    RequireColumn,
    RetypeColumn,
    Source,
    Table,
)
from migdsl.semantics.move_model import Move
from migdsl.values import Value, replace


class Reference(Value):
    """Columns that hold the key of a row of another entity."""

    columns: tuple[str, ...]
    entity: str
    targets: tuple[str, ...]


class Carried(Value):
    """A new table whose rows come from this one's."""

    table: Table
    source: Source


class Shape(Value):
    """A table as old and as new code know it.

    `gone`: columns that new code doesn't know; `made`: those that old code doesn't. `fresh`: columns whose value no other
    row may have. `later`: sets of columns that are to be unique at the end. `tight`: sets that are unique now, or will be, and
    in which there is none of these columns: rows may not be made of what others have. `plan`: what is done to the table, None
    where nothing is. `name`, `new_name`: what old and new code call it, as SQL. `referred`: others point at it. `move`: its rows
    go to another table; then new columns are told by `moving`.
    """

    table: Table
    written: tuple[Column, ...]
    gone: frozenset[str]
    made: tuple[AddColumn, ...]
    required: Mapping[str, RequireColumn]
    optional: Mapping[str, OptionalColumn]
    retyped: Mapping[str, RetypeColumn]
    labels: Mapping[str, tuple[str, ...]]
    fresh: frozenset[str]
    later: tuple[tuple[str, ...], ...]
    references: tuple[Reference, ...]
    carried: tuple[Carried, ...]
    plan: TablePlan | None
    name: str
    new_name: str
    referred: bool
    leaves: bool
    done: tuple[Operation, ...] = ()
    move: Move | None = None
    tight: tuple[frozenset[str], ...] = ()

    @property
    def entity(self) -> str:
        return self.table.entity

    @property
    def key(self) -> tuple[str, ...]:
        return self.table.key

    @property
    def given_key(self) -> bool:
        """Whether the application gives the key, and not the database."""
        return not any(c.name in self.key for c in self.numbered)

    @property
    def numbered(self) -> tuple[Column, ...]:
        """Columns to which the database gives a number."""
        return tuple(c for c in self.table.columns if c.identity is not None or c.type.serial)

    @property
    def answered(self) -> tuple[str, ...]:
        """What the database is asked for of a new row: its key, and numbers beside it."""
        return (*self.key, *(c.name for c in self.numbered if c.name not in self.key))

    def numbers(self, row: Sequence[object], facts: dict[str, str | None]) -> dict[str, str]:
        """What the database has answered to an insert: its numbers become facts; the key."""
        said = dict(zip(self.answered, map(str, row), strict=True))
        facts.update({c.name: said[c.name] for c in self.numbered})
        return {name: said[name] for name in self.key}

    def read_by(self, expression: Expression) -> frozenset[str]:
        """The columns that an expression reads, and those from which the table computes any of them."""
        found = expression.names()
        generated = [c.generated for c in self.table.columns if c.generated is not None and c.name in found]
        return found.union(*(each.names() for each in generated))

    @property
    def still(self) -> frozenset[str]:
        """Columns that traffic leaves as they are: which values are left nobody knows."""
        return frozenset().union(*self.tight)

    def loose(self) -> frozenset[str] | None:
        """Columns that a new row leaves empty, so that it may be there whatever others have; None where that can't be."""
        columns = {c.name: c for c in self.table.columns if c.name not in (*self.key, *self.required)}
        found = [next((n for n in sorted(each) if n in columns and columns[n].nullable), None) for each in self.tight]
        return None if None in found else frozenset(name for name in found if name is not None)

    @property
    def plain(self) -> tuple[AddColumn, ...]:
        """New columns that are computed from nothing."""
        return tuple(o for o in self.made if o.source is None and o.python is None)

    @property
    def paired(self) -> tuple[AddColumn, ...]:
        """New columns that an expression computes."""
        return tuple(o for o in self.made if o.source is not None)

    @property
    def computed(self) -> tuple[AddColumn, ...]:
        """New columns that a Python function computes."""
        return tuple(o for o in self.made if o.python is not None)

    @property
    def inputs(self) -> frozenset[str]:
        """Old columns that any new one is computed from."""
        found = {name for o in self.paired if o.source is not None for name in o.source.names()}
        return frozenset(found | {name for o in self.computed if o.python for name in o.python.inputs})

    @property
    def facts(self) -> tuple[Column, ...]:
        """The columns that a row's facts speak of: what old code writes, numbers that the database gives (of a row that isn't
        there yet: some number), and what only new code knows of itself."""
        return (*self.written, *self.numbered, *(o.column for o in self.plain))


def shapes(module: CheckedModule, lowered: Lowered) -> tuple[Shape, ...]:
    """All declared tables, parents before those that point at them."""
    moves = {move.table.entity: move for move in module.moves}
    changes = {change.table.entity: change for change in module.changes}
    plans = {plan.table.entity: plan for plan in lowered.tables}
    found = [
        (
            _shape(module, t, changes.get(t.entity), plans.get(t.entity))
            if t.entity not in moves
            else _moved(module, moves[t.entity], plans.get(t.entity))
        )
        for t in module.tables
    ]
    return tuple(_parents_first(found))


def _moved(module: CheckedModule, move: Move, plan: TablePlan | None) -> Shape:
    """A table that goes to another one: as it is, with what only the new one has."""
    plain = _shape(module, move.table, None, plan)
    computed = {name for name, _ in move.values}
    made = tuple(
        AddColumn(c, None, (), (), None, move.span)
        for c in move.target.columns
        if c.name not in computed and c.generated is None and c.identity is None
    )
    unique = {name for columns in _uniques(move.target) for name in columns}
    sources = {name: value.names() for name, value in move.values}
    fresh = {n for name in unique for n in sources.get(name, frozenset([name]))}
    pointing = {n for c in move.table.constraints if c.kind == "reference" for n in c.columns}
    free = plain.fresh | (fresh - pointing - {move.table.tenant or ""})
    sets = [
        frozenset(n for name in each for n in sources.get(name, frozenset([name]))) for each in _uniques(move.target)
    ]
    return replace(
        plain,
        made=made,
        fresh=free,
        tight=(*plain.tight, *_tight(move.table, sets, free)),
        new_name=names.table(move.target),
        gone=frozenset(),
        carried=(),
        move=move,
    )


def _shape(module: CheckedModule, table: Table, change: Change | None, plan: TablePlan | None) -> Shape:
    done: tuple[Operation, ...] = change.operations if change is not None else ()
    renamed = next((o.to for o in done if isinstance(o, RenameTable)), None)
    made = tuple(o for o in done if isinstance(o, AddColumn))
    written = tuple(c for c in table.columns if c.generated is None and c.identity is None and not c.type.serial)
    name, fresh = names.table(table), _fresh(table, done, made)
    return Shape(
        table=table,
        written=written,
        gone=_gone(module, table, done),
        made=made,
        required={o.column.name: o for o in done if isinstance(o, RequireColumn)},
        optional={o.column.name: o for o in done if isinstance(o, OptionalColumn)},
        retyped={o.column.name: o for o in done if isinstance(o, RetypeColumn)},
        labels=_labels(table, done),
        fresh=fresh,
        later=tuple(_later(done)),
        references=tuple(_references(module, table, done)),
        carried=tuple(
            Carried(o.table, source)
            for o in module.created
            for source in o.sources
            if source.table.entity == table.entity
        ),
        plan=plan,
        name=name,
        new_name=name if renamed is None else names.table(_called(table, renamed)),
        referred=any(
            c.target is not None and c.target.entity == table.entity
            for constraints in _all_constraints(module)
            for c in constraints
        ),
        leaves=any(isinstance(o, DropTable) for o in done),
        done=done,
        tight=_tight(table, [frozenset(origins(made, each)) for each in (*_uniques(table), *_later(done))], fresh),
    )


def _gone(module: CheckedModule, table: Table, done: tuple[Operation, ...]) -> frozenset[str]:
    """What goes away, and what moves to another table: new code writes it there."""
    found = {o.column.name for o in done if isinstance(o, DropColumn)}
    for source in (s for o in module.created for s in o.sources if s.table.entity == table.entity):
        read = {name for _, expression in source.values for name in expression.names()}
        read |= source.where.names() if source.where is not None else set()
        found |= {c.name for c in table.columns if c.name in read and c.nullable and not c.key and not c.tenant}
    return frozenset(found)


def _called(table: Table, name: str) -> Table:
    return replace(table, name=name)


def _labels(table: Table, done: tuple[Operation, ...]) -> Mapping[str, tuple[str, ...]]:
    """The labels that only new code knows, by column."""
    found: dict[str, tuple[str, ...]] = {}
    for operation in (o for o in done if isinstance(o, ExtendEnum)):
        for column in (c for c in table.columns if c.type.base == operation.type):
            found[column.name] = (*found.get(column.name, ()), operation.label)
    return found


def _all_constraints(module: CheckedModule) -> Iterator[tuple[Constraint, ...]]:
    yield from (table.constraints for table in module.tables)
    for change in module.changes:
        yield tuple(o.constraint for o in change.operations if isinstance(o, AddConstraint))


def _uniques(table: Table) -> Iterator[tuple[str, ...]]:
    yield table.key
    yield from ((c.name,) for c in table.columns if c.unique)
    yield from (c.columns for c in table.constraints if c.kind in ("unique", "key"))
    yield from (tuple(sorted(c.uses)) for c in table.constraints if c.unique_index or c.kind == "exclude")


def _later(done: tuple[Operation, ...]) -> Iterator[tuple[str, ...]]:
    for operation in done:
        if isinstance(operation, AddColumn):
            yield from (each.columns for each in operation.uniques)
            if operation.column.unique:
                yield (operation.column.name,)
        elif isinstance(operation, AddConstraint) and (
            operation.constraint.kind in ("unique", "key", "exclude") or operation.constraint.unique_index
        ):
            yield operation.constraint.columns or tuple(sorted(operation.constraint.uses))


def _fresh(table: Table, done: tuple[Operation, ...], made: tuple[AddColumn, ...]) -> frozenset[str]:
    """All that any unique set stands on; of a new column that is computed, what it is computed from."""
    pointing = {name for c in table.constraints if c.kind == "reference" for name in c.columns}
    found = {name for columns in (*_uniques(table), *_later(done)) for name in origins(made, columns)}
    return frozenset(found - pointing - {table.tenant or ""})


def origins(made: tuple[AddColumn, ...], columns: Iterable[str]) -> Iterator[str]:
    """Columns, and of new ones what they are computed from."""
    sources = {o.column.name: o.source.names() for o in made if o.source is not None}
    sources |= {o.column.name: frozenset(o.python.inputs) for o in made if o.python is not None}
    return (n for name in columns for n in sources.get(name, frozenset([name])))


def _tight(table: Table, sets: Iterable[frozenset[str]], fresh: frozenset[str]) -> tuple[frozenset[str], ...]:
    """Those in which no column has values enough, or may have any."""
    many = {c.name for c in table.columns if c.name in fresh and making.freshable(c.type)}
    many |= {c.name for c in table.columns if c.identity is not None}
    return tuple(dict.fromkeys(each - {table.tenant or ""} for each in sets if each and not each & many))


def _references(module: CheckedModule, table: Table, done: tuple[Operation, ...]) -> Iterator[Reference]:
    """Those that are there, and those to come: code keeps them already."""
    entities = {t.entity: t for t in module.tables}
    coming = tuple(o.constraint for o in done if isinstance(o, AddConstraint))
    for found in (*table.constraints, *coming):
        # What follows a table that moves holds the same rows' keys, which may be called otherwise there.
        if found.target is not None and not found.target.moved and found.target.entity in entities:
            parent = entities[found.target.entity]
            yield Reference(found.columns, parent.entity, found.target.columns or parent.key)


def _parents_first(found: list[Shape]) -> Iterator[Shape]:
    left, done = list(found), set[str]()
    while left:
        ready = [s for s in left if all(r.entity in done or r.entity == s.entity for r in s.references)]
        for shape in ready or left[:1]:
            yield shape
            done.add(shape.entity)
            left.remove(shape)
