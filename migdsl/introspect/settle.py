"""A file that was made from a database loses the lines in which a check finds errors: they become remarks with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterable

from migdsl.diagnostics import Diagnostic, Severity
from migdsl.introspect.words import comment
from migdsl.semantics import check
from migdsl.source import SourceFile, Span
from migdsl.syntax import Parsed, ast, parse

_MOST_ROUNDS = 50
_LINE_END = re.compile(r"[^\n]*")


def settled(text: str) -> str:
    """The text without errors. A line that goes may take others along, so it is checked until nothing is found."""
    for _ in range(_MOST_ROUNDS):
        source = SourceFile("", text)
        parsed = parse(source)
        _, found = check(parsed)
        errors = [d for d in (*parsed.diagnostics, *found) if d.severity is Severity.ERROR]
        if not errors:
            return text
        text = _without(text, parsed, errors)
    raise RuntimeError("what was read from the database can't be written so that it checks")


def _without(text: str, parsed: Parsed, errors: Iterable[Diagnostic]) -> str:
    """The text with the statements that the errors are in commented out."""
    reasons: dict[Span, str] = {}
    for error in errors:
        place = _unread(text, error) if error in parsed.diagnostics else _statement(parsed, error)
        if place is None:
            raise RuntimeError(f"{error.code}: {error.title}")
        reasons.setdefault(place, f"{error.title} ({error.code})")
    whole = [place for place in reasons if any(_inside(other, place) for other in reasons)]
    for place in sorted(reasons, key=lambda span: span.start, reverse=True):
        if not any(_inside(place, other) for other in whole):
            text = _commented(text, place, reasons[place])
    return text


def _unread(text: str, error: Diagnostic) -> Span | None:
    """The line that can't be parsed: it is no part of the tree."""
    if error.primary is None:
        return None
    start = text.rfind("\n", 0, error.primary.span.start) + 1
    return Span("", start, start)


def _statement(parsed: Parsed, error: Diagnostic) -> Span | None:
    """The line of an entity that an error is in, or the whole entity."""
    if error.primary is None:
        return None
    at = error.primary.span.start
    for entity in parsed.module.declarations:
        if isinstance(entity, ast.Entity) and entity.span.start <= at < entity.span.end:
            items = (item.span for item in entity.items if item.span.start <= at < item.span.end)
            return next(items, entity.span)
    return None


def _inside(inner: Span, outer: Span) -> bool:
    return inner != outer and outer.start <= inner.start and inner.end <= outer.end


def _commented(text: str, place: Span, reason: str) -> str:
    behind = _LINE_END.match(text, place.end)
    end = behind.end() if behind else place.end
    statement = text[place.start : end]
    if "\n" in statement and statement.startswith("entity"):
        lines = [f"#   {line}" if line else "#" for line in statement.splitlines()]
    else:
        lines = [comment(statement)]
    start = text.rfind("\n", 0, place.start) + 1
    return text[:start] + "\n".join([comment(f"not declared: {reason}"), *lines]) + text[end:]
