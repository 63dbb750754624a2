"""What the executor speaks of: a migration and its files, conditions and their answers, and how a walk ended."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote
from typing import Protocol

from migdsl.planning.model import Planned
from migdsl.values import Value


class Refused(Exception):  # noqa: N818 - it says what became of the command
    """Nothing can be done as things are: a diagnostic's code, why, and a way out. `exit` is the process's exit code."""

    def __init__(self, code: str, why: str, help: str = "", exits: int = 1) -> None:
        super().__init__(why)
        self.code = code
        self.why = why
        self.help = help
        self.exit = exits


class Project(Value):
    """A migration as it is compiled. `file` is how commands name its source, `texts` all its artifacts by path, and
    `folder` where they stand. `said` is what commands that look at its databases are told besides, with a blank before it.
    """

    planned: Planned
    file: str
    folder: str
    texts: Mapping[str, str]
    said: str = ""

    @property
    def named(self) -> str:
        """The file as words of a command, with what was said besides."""
        return f"{quote(self.file)}{self.said}"

    @property
    def name(self) -> str:
        return self.planned.plan.migration

    @property
    def phases(self) -> tuple[str, ...]:
        """All phases that the plan has, in order."""
        return tuple(phase.id for phase in self.planned.plan.phases)


class Condition(Value):
    """What must hold before a phase is left.

    `kind` is ledger (`question` is SQL that answers what is missing, or NULL), monitored (`question` is PromQL that
    yields a sample while it holds) or manual (`question` is the path of a snapshot that shows it, or empty). `window` is for how
    long it must have held, in seconds, 0 for not at all.
    `database` is the one whose ledger is asked; empty where there is one. `needs` and `gone` as of a gate.
    """

    id: str
    phase: str
    text: str
    kind: str
    question: str = ""
    window: int = 0
    database: str = ""
    needs: tuple[str, ...] = ()
    gone: str = ""


class Answer(Value):
    """A condition, whether it holds, and where it doesn't why not, and since when it would (a time as text)."""

    condition: Condition
    met: bool
    reason: str = ""
    until: str = ""


class Wishes(Value):
    """What the command line says besides the phase: conditions that a person confirms, Prometheus's address, whether the way
    back may lose what the plan says it loses, and whether a walk carries rows to another database itself, while it lasts.
    """

    confirmed: frozenset[str] = frozenset()
    prometheus: str | None = None
    lose: bool = False
    carry: bool = False


class Desk(Protocol):
    """Who runs the command: hears what happens, and is asked what no database knows."""

    def say(self, line: str) -> None:
        """One line of progress."""

    def confirm(self, answer: Answer) -> bool:
        """Whether a person says that the condition holds."""


class Outcome(Value):
    """How a walk ended: `code` is reached, waiting, failed or stopped. `exit` is the process's exit code."""

    code: str
    phase: str
    reasons: tuple[str, ...] = ()
    way_out: str = ""
    exit: int = 0


WAITING = 4  # the exit code of a walk that has to be taken up again later
