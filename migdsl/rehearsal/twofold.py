"""Code that writes a moving table through the generated module: it finds each tenant's side itself, and carries over at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from migdsl.executor.model import Project
from migdsl.executor.streams import Carried
from migdsl.rehearsal.clients import Client, Wrong
from migdsl.rehearsal.crosser import Crosser
from migdsl.rehearsal.journal import Connection, Row
from migdsl.rehearsal.model import Undoable
from migdsl.rehearsal.shapes import Shape
from migdsl.runtime.stream.carriers import Carriers
from migdsl.runtime.stream.dual import DualWrites
from migdsl.runtime.stream.jobs import Dual
from migdsl.runtime.stream.letting import RefusedError
from migdsl.runtime.stream.pair import Urls

# Shorter than an application's, so that a rehearsal sees it go on by itself.
_PAUSE_S = 1.0
_PATIENCE_S = 20.0
_CARRIED = ("carried", "part")
_LEFT = ("late", "failed", "paused", "full")
_DIRECTIONS = ("old_to_new", "new_to_old")


@dataclass(slots=True)
class Module:
    """A generated module of dual writes, as one process of an application has it. `made` as it says of itself."""

    dual: Dual
    made: Callable[..., DualWrites]
    carriers: Carriers

    @property
    def entities(self) -> tuple[str, ...]:
        """The tables that are written through it."""
        return tuple(move.entity for move in self.dual.stream.moves)


@contextmanager
def modules(project: Project, streams: tuple[Carried, ...], urls: Urls) -> Iterator[tuple[Module, ...]]:
    """Those of a project, loaded as files; none where the application carries nothing. Raises Undoable."""
    found: list[Module] = []
    paths = project.planned.paths
    of = {move.table.entity: paths.dual_writes(move.table) for move in project.planned.module.moves}
    for carried in streams:
        path = next((of[each] for each in carried.entities if of[each] in project.texts), None)
        if path is not None:
            found.append(_loaded(project.texts[path], path, urls))
    try:
        yield tuple(found)
    finally:
        for module in found:
            module.carriers.close()


def _loaded(text: str, path: str, urls: Urls) -> Module:
    space: dict[str, Any] = {"__name__": "migdsl_dual_writes"}
    try:
        exec(compile(text, path, "exec"), space)  # noqa: S102 - the file that is rehearsed
        return Module(space["DUAL"], space["dual_writes"], Carriers(space["STREAM"], urls, pause_s=_PAUSE_S))
    except Exception as error:  # noqa: BLE001 (whatever an edited file raises)
        raise Undoable(f"{path} can't be loaded: {type(error).__name__}: {error}", "compile again") from None


@dataclass(slots=True)
class Twofold(Crosser):
    """New code neither knows nor asks where its tenants are; old code knows the old side alone, and goes as before."""

    modules: tuple[Module, ...] = ()
    _of: Mapping[str, DualWrites] = field(default_factory=dict)

    def ready(self) -> None:
        """What is written through a module goes through it from now on, on the connections of this client."""
        self._of = {entity: self._dual(each) for each in self.modules for entity in each.entities}

    def _dual(self, module: Module) -> DualWrites:
        assert self.near is not None
        assert self.far is not None
        old, new = partial(nullcontext, self.near), partial(nullcontext, self.far)
        return module.made(self.routed, old=old, new=new, carriers=module.carriers, patience_s=_PATIENCE_S)

    def act(self) -> tuple[str, bool]:
        """While tenants are turned over a read may lack what has not been carried over; what is written must be found.

        Raises psycopg.Error, Wrong.
        """
        if self.code == "old":
            return Crosser.act(self)
        before = self.turning.on
        try:
            return Client.act(self)
        except RefusedError:
            if not (before or self.turning.on):
                raise
        except Wrong as wrong:
            if not (before or self.turning.on) or not wrong.read:
                raise
        self.turning.refused += 1
        return "refused", False

    def _write(
        self,
        shape: Shape,
        tenant: str,
        run: Callable[[str], Callable[[object], None]],
        key: tuple[str, ...] = (),
    ) -> str:
        dual = self._through(shape)
        if dual is None:
            return super(Twofold, self)._write(shape, tenant, run, key)

        def on(side: str, connection: Connection) -> str:
            self.connection = connection
            run(side)(connection)
            return side

        return dual.write(tenant, old=partial(on, "old"), new=partial(on, "new"))

    def _away(self, shape: Shape, row: Row) -> object:
        dual = self._through(shape)
        if dual is None:
            return super(Twofold, self)._away(shape, row)

        def on(side: str, connection: Connection) -> object:
            self.connection = connection
            return self._gone(shape, row, side)

        return dual.write(row.tenant, old=partial(on, "old"), new=partial(on, "new"))

    def _look(self, shape: Shape, row: Row) -> None:
        dual = self._through(shape)
        if dual is None:
            super(Twofold, self)._look(shape, row)
            return

        def on(side: str, connection: Connection) -> None:
            self.connection = connection
            self._found(shape, row, side)

        dual.read(row.tenant, old=partial(on, "old"), new=partial(on, "new"))

    def _through(self, shape: Shape) -> DualWrites | None:
        return self._of.get(shape.entity) if self.code == "new" and not self.plain else None
