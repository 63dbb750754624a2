"""Tables of the new database that a moved table points at become filled ones: by whom `apply` asks, in real life.

Those that are copies get the rows of what they are a copy of; of others the moved table's rows point at what is made up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migdsl.executor.model import Project
from migdsl.ops.needed import Copy, copies
from migdsl.rehearsal import several
from migdsl.rehearsal.journal import Connection, Journal, Row
from migdsl.rehearsal.model import Log, Undoable
from migdsl.rehearsal.rows import Maker, Tenancy, seeded
from migdsl.rehearsal.shapes import Reference, Shape, shapes
from migdsl.semantics.model import CheckedModule
from migdsl.semantics.move_model import Move
from migdsl.values import Value, replace


class Pointed(Value):
    """A key of a moved table's that points at a table over there: by the old table's `columns` at `targets`, which in what
    that is a copy of are `origins`."""

    move: Move
    copy: Copy
    columns: tuple[str, ...]
    targets: tuple[str, ...]
    origins: tuple[str, ...]


def pointed(module: CheckedModule) -> tuple[Pointed, ...]:
    """All of them. Raises Undoable where a copy would have to follow what moves itself."""
    found = tuple(_pointed(move, copy) for move in module.moves for copy in copies(module, move))
    moved = {move.table.entity for move in module.moves}
    for each in found:
        original = each.copy.original
        if original is not None and original.entity in moved:
            why = f"{each.copy.table.entity} is a copy of {original.entity}, which moves too: somebody has to keep it up to date"
            raise Undoable(why, f"let the key point at the table that {original.entity} moves to")
    return found


def _pointed(move: Move, copy: Copy) -> Pointed:
    of, target = dict(move.copied), copy.constraint.target
    columns = tuple(of.get(name, name) for name in copy.constraint.columns)
    targets = (target.columns if target is not None else ()) or copy.table.key
    same = (c.target for c in move.table.constraints if c.target is not None and c.columns == columns)
    origins = next(((t.columns for t in same)), ()) or (copy.original.key if copy.original is not None else ())
    return Pointed(move, copy, columns, targets, origins)


class Copies:
    """What is over there before anything moves."""

    def __init__(
        self, project: Project, far: str, connection: Connection, tenants: Tenancy, seed: int, log: Log
    ) -> None:
        self.found, self._tenants = pointed(project.planned.module), tenants
        module = several.part(project, far).planned.module
        wanted = {each.copy.table.entity for each in self.found}
        self._shapes = tuple(_reached(shapes(module, project.planned.lowered), wanted)) if wanted else ()
        self.journals: Mapping[str, Journal] = {shape.entity: Journal(shape) for shape in self._shapes}
        self._maker = Maker(module, self._shapes, self.journals, connection, seeded(seed), log)

    def first(self) -> None:
        """Tables that are no copies: whatever points there points at made-up rows. Raises Undoable."""
        copied = {each.copy.table.entity for each in self.found if each.copy.original is not None}
        for shape in (s for s in self._shapes if s.entity not in copied):
            self._maker.fill_one(shape, self._tenants)

    def pointing(self, shape: Shape) -> Shape:
        """A moved table whose rows point at such."""
        more = [e for e in self.found if e.copy.original is None and e.move is shape.move]
        also = tuple(Reference(each.columns, each.copy.table.entity, each.targets) for each in more)
        return replace(shape, references=(*shape.references, *also)) if also else shape

    def then(self, journals: Mapping[str, Journal]) -> None:
        """The copies, of what there is by now. Raises Undoable."""
        done: set[str] = set()
        for each in (e for e in self.found if e.copy.original is not None):
            assert each.copy.original is not None
            if each.copy.table.entity not in done:
                self._copied(each, journals[each.copy.original.entity].rows)
            done.add(each.copy.table.entity)

    def _copied(self, each: Pointed, rows: list[Row]) -> None:
        shape = self.journals[each.copy.table.entity].shape
        same = [c.name for c in shape.facts if each.copy.original is not None and each.copy.original.column(c.name)]
        for number, row in enumerate(rows, 1):
            known: dict[str, str | None] = {**row.facts, **row.key}
            values = {name: known[name] for name in same if name in known}
            values |= {name: known.get(of) for name, of in zip(each.targets, each.origins, strict=True)}
            self._maker.put(shape, row.tenant, number, values)
        if len(self.journals[shape.entity].rows) < len(rows):
            why = f"{shape.entity} can't hold the rows that the keys of {each.move.table.entity} point at"
            raise Undoable(why, "see its columns and rules: somebody has to fill it before the backfill begins")


def _reached(found: tuple[Shape, ...], wanted: set[str]) -> Iterator[Shape]:
    """These, and all that they point at; parents first, as they come."""
    of = {shape.entity: shape for shape in found}
    waiting, reached = list(wanted), set[str]()
    while waiting:
        name = waiting.pop()
        if name in of and name not in reached:
            reached.add(name)
            waiting += [reference.entity for reference in of[name].references]
    return (shape for shape in found if shape.entity in reached)
