"""The shape of a diagnostic: code, span, reason, way out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from migdsl.source import Span

# Names have 63 bytes. What is many times as long was never meant as a word, and would bury the sentence that it is quoted in.
_MONSTER = re.compile(r"(\S{100})\S{300,}")
_LONG = 400  # shorter texts have none


class Severity(Enum):
    """How bad it is: an error stops the compiler, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


class Applicability(Enum):
    """Whether a fix may be applied without a look, since the file could have meant nothing else (`SAFE`), or decides
    something that a person might decide otherwise (`UNSAFE`)."""

    SAFE = "safe"
    UNSAFE = "unsafe"


@dataclass(frozen=True, slots=True)
class Label:
    """A place in a source and what is to be seen there."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace what `span` covers by `text`.

    `statement`: a whole statement comes or goes, and what separates it from its neighbours is still to be settled
    (`fixes.settled`); an insertion stands before the statement, or the `}`, that begins at its place.
    """

    span: Span
    text: str
    statement: bool = False


@dataclass(frozen=True, slots=True)
class Fix:
    """A change that mends the problem: edits that don't overlap, and what they do, in a few words."""

    title: str
    edits: tuple[Edit, ...]
    applicability: Applicability


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem with one root cause.

    `title` says the problem in the user's words, `primary` where and why there, `secondary` what else to look at,
    `body` gives the evidence, `help` is a way out that can be pasted. `primary` is None where there is no place to show
    (a file that can't be read).
    """

    code: str
    severity: Severity
    title: str
    primary: Label | None
    secondary: tuple[Label, ...] = ()
    body: str = ""
    help: str = ""
    fix: Fix | None = None

    def __post_init__(self) -> None:
        if len(self.title) + len(self.help) > _LONG:
            object.__setattr__(self, "title", _MONSTER.sub(r"\1…", self.title))
            object.__setattr__(self, "help", _MONSTER.sub(r"\1…", self.help))

    def sort_key(self) -> tuple[str, int, int, str, str]:
        """Files in order, then places, then codes: the same in every renderer."""
        if self.primary is None:
            return ("", 0, 0, self.code, self.title)
        span = self.primary.span
        return (span.path, span.start, span.end, self.code, self.title)
