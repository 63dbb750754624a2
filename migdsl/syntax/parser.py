"""Text becomes a syntax tree and diagnostics: in one go where it parses, statement by statement where not."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.source import SourceFile, Span
from migdsl.syntax import ast
from migdsl.syntax.build import declarations
from migdsl.syntax.build.nodes import Context, Node
from migdsl.syntax.errors import unexpected
from migdsl.syntax.machine import Progress, Unexpected, run
from migdsl.syntax.outline import Statement, outline

MOST_PROBLEMS = 20
_DECLARED = re.compile(r'\w+\s+("(?:[^"]|"")+"|\w+)')


@dataclass(frozen=True, slots=True)
class Parsed:
    """A file's syntax tree, as far as it could be read.

    `broken` holds the names of declarations that could not: whoever refers to them is not to blame.
    """

    module: ast.Module
    diagnostics: tuple[Diagnostic, ...]
    broken: frozenset[str]


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for garbage meanwhile: trees are large and free of cycles, and it costs a third of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def parse(source: SourceFile) -> Parsed:
    """Parse one file. Never raises."""
    context = Context(source.path)
    with uncollected():
        try:
            found = declarations(run(source.text, 0, len(source.text)), context)
        except Unexpected:
            return _recover(source)
        return Parsed(ast.Module(source.path, found), tuple(context.problems), frozenset())


def _recover(source: SourceFile) -> Parsed:
    shape = outline(source.path, source.text)
    if shape.problems:
        return Parsed(ast.Module(source.path, ()), shape.problems, frozenset())
    context = Context(source.path)
    found: list[ast.Declaration] = []
    broken: set[str] = set()
    for statement in shape.statements:
        room = MOST_PROBLEMS - len(context.problems)
        if room <= 0:
            context.problems.append(_too_many(Span(source.path, statement.start, statement.start + 1)))
            break
        tree, ok = _declaration(source, statement, context, room)
        if tree is not None:
            found.extend(declarations(tree, context))
        if not ok:
            broken.update(_name(source.text[statement.start : statement.end]))
    return Parsed(ast.Module(source.path, tuple(found)), tuple(context.problems), frozenset(broken))


def _declaration(source: SourceFile, whole: Statement, context: Context, room: int) -> tuple[Node | None, bool]:
    """One declaration's tree, without the statements in it that make no sense; and whether it is all there."""
    text, progress, changed = source.text, Progress(), whole.start
    for attempt in range(room):
        try:
            return run(text, whole.start, whole.end, progress, changed), attempt == 0
        except Unexpected as error:
            # At the end of the declaration, if it wanted more.
            bad = _innermost(whole, error.at if whole.start <= error.at < whole.end else whole.end - 1)
            context.problems.append(unexpected(source, error, bad.start, bad is whole))
            if bad is whole:
                return None, False
            text = text[: bad.start] + re.sub(r"[^\n]", " ", text[bad.start : bad.end]) + text[bad.end :]
            changed = bad.start
    return None, False


def _innermost(statement: Statement, at: int) -> Statement:
    for child in statement.children:
        # A mistake is often seen only at the newline that ends its statement.
        if child.start <= at <= child.end:
            return _innermost(child, at)
    return statement


def _name(text: str) -> tuple[str, ...]:
    """What the declaration that begins `text` declares, whatever its first word is."""
    match = _DECLARED.match(text[:400])
    return (match[1].strip('"').replace('""', '"'),) if match else ()


def _too_many(place: Span) -> Diagnostic:
    return Diagnostic(
        "MIG010",
        Severity.WARNING,
        f"more than {MOST_PROBLEMS} problems: the rest of the file was not read",
        Label(place, "not read from here on"),
        help="mend the first ones and run it again",
    )
