"""Problems become the changes that an editor offers, a file becomes one laid out, and operations what is shown beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.diagnostics import Applicability, Diagnostic, Edit
from migdsl.formatting import FormatError, format_source
from migdsl.lsp.becomes import Becomes
from migdsl.lsp.places import differing
from migdsl.lsp.reading import Reading
from migdsl.source import SourceFile
from migdsl.values import Value


class Action(Value):
    """A change that mends a problem. `safe`: nothing else can have been meant."""

    title: str
    edits: tuple[Edit, ...]
    safe: bool
    problem: Diagnostic | None


class Hint(Value):
    """A few words behind a line."""

    at: int
    text: str
    tip: str


class Lens(Value):
    """Something to do above a line: a command with words."""

    start: int
    end: int
    title: str
    command: str


def actions(problems: Iterable[Diagnostic], path: str, start: int, end: int) -> tuple[Action, ...]:
    """What mends the problems that touch `[start, end]`; and, where there are several, all safe ones of the file at once."""
    problems = tuple(problems)
    here = [each for each in problems if _touches(each, path, start, end)]
    found = [_action(each) for each in here if each.fix is not None]
    safe = [each for each in problems if each.fix is not None and each.fix.applicability is Applicability.SAFE]
    together = tuple(_disjoint(edit for each in safe for edit in (each.fix.edits if each.fix else ())))
    if found and len(safe) > 1:
        found.append(Action("mend all that is safe to mend", together, safe=True, problem=None))
    return tuple(sorted(found, key=lambda each: (each.problem is None, not each.safe)))


def _touches(problem: Diagnostic, path: str, start: int, end: int) -> bool:
    label = problem.primary
    return label is not None and label.span.path == path and label.span.start <= end and start <= label.span.end


def _action(problem: Diagnostic) -> Action:
    assert problem.fix is not None
    safe = problem.fix.applicability is Applicability.SAFE
    title = problem.fix.title if safe else f"{problem.fix.title} (look at the result)"
    return Action(title, problem.fix.edits, safe, problem)


def _disjoint(edits: Iterable[Edit]) -> Iterator[Edit]:
    taken: list[Edit] = []
    for edit in edits:
        if not any(_meet(edit, other) for other in taken):
            taken.append(edit)
            yield edit


def _meet(one: Edit, other: Edit) -> bool:
    a, b = one.span, other.span
    return a.path == b.path and ((a.start < b.end and b.start < a.end) or a.start == b.start)


def laid_out(path: str, text: str, first: int = 0, last: int | None = None) -> tuple[Edit, ...]:
    """The edits that lay a file out, or the lines from `first` to `last` of it; none where it doesn't parse."""
    try:
        formatted = format_source(SourceFile(path, text))
    except FormatError:
        return ()  # the file stays as it is, which `migdsl fmt` would say too
    return differing(path, text, formatted.text, first, last) if not formatted.diagnostics else ()


def hints(reading: Reading, path: str, known: Iterable[Becomes]) -> tuple[Hint, ...]:
    """Behind the first line of each operation: the phases in which it does something."""
    found = []
    for each in known:
        if each.span.path == path and each.phases:
            end = reading.text.find("\n", each.span.start)
            end = len(reading.text) if end < 0 else end
            at = len(reading.text[:end].rstrip()) if each.span.end >= end else each.span.end
            found.append(Hint(at, " · ".join(each.phases), "the phases in which this does something"))
    return tuple(found)


def lenses(reading: Reading) -> tuple[Lens, ...]:
    """Above the migration: show the plan, rehearse it."""
    return tuple(
        Lens(line.start, line.pieces[0].end, title, command)
        for line in reading.lines
        if line.rule() == "migration" and line.pieces
        for title, command in (("show the plan", "migdsl.plan"), ("rehearse", "migdsl.rehearse"))
    )
