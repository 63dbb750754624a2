"""What a migration does beside its tables, its APIs and replacements, becomes plays of their own, each with its verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from migdsl.executor.model import Project
from migdsl.rehearsal.asgi import Clients
from migdsl.rehearsal.model import REPLACED, SERVED, TABLES, VERDICTS, Log, Mark, Settings, Stuck
from migdsl.rehearsal.replaced import Replaced
from migdsl.rehearsal.resolved import Deployed
from migdsl.rehearsal.served import Served
from migdsl.rehearsal.watch import Request
from migdsl.semantics.model import CheckedModule

STAGE = "small applications in one process, with a clock and a flag of their own"
Say = Callable[[str], None]


def about(module: CheckedModule, *, tables: bool) -> tuple[str, ...]:
    """The verdicts that a rehearsal of a module comes to."""
    asked = {*(TABLES if tables else ()), *(SERVED if module.apis else ()), *(REPLACED if module.replacements else ())}
    return tuple(each for each in VERDICTS if each in asked)


def play(project: Project, settings: Settings, log: Log, say: Say) -> list[Request]:
    """All of them, one after the other; the requests that there were. Raises Undoable."""
    module, clients = project.planned.module, Clients(log, settings.rate * _FASTER)

    @contextmanager
    def step(name: str) -> Iterator[None]:
        log.step, start = name, log.now()
        try:
            yield
        finally:
            log.marks.append(Mark("step", name, start, log.now()))
            say(f"{name}  {log.now() - start:.1f} s")

    if module.apis:
        with suppress(Stuck):
            Served(project, module, settings, log, step, clients).play()
    for each in module.replacements:
        with suppress(Stuck):
            Replaced(project, module, each, settings, log, step, clients, Deployed(project, log, module)).play()
    return clients.requests


# Nothing here takes as long as a database does.
_FASTER = 4.0
