"""Inputs become the pure driver's files, and its diagnostics become output and a verdict."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from migdsl.cli import output
from migdsl.cli.inputs import Input
from migdsl.cli.reading import text_of
from migdsl.diagnostics import Diagnostic, Severity
from migdsl.diagnostics.render_text import render_text
from migdsl.source import SourceFile


@dataclass(frozen=True, slots=True)
class Loaded:
    """The files that could be read, by name, and a diagnostic for each that could not.

    `files` knows those that they use as well, and `inputs` gives all that were read so far.
    """

    files: Mapping[str, str]
    problems: tuple[Diagnostic, ...]
    inputs: Mapping[str, Input]


def load(inputs: Iterable[Input], root: str | None = None, attached: Mapping[str, str] | None = None) -> Loaded:
    """Decode all inputs; used files are to be below `root`, or below the project's folder.

    `attached` are paths of documents that go with the one migration, by kind.
    """
    known = {each.name: each for each in inputs}
    texts = {name: text_of(each) for name, each in known.items()}
    problems = tuple(found for found in texts.values() if isinstance(found, Diagnostic))
    files = {name: text for name, text in texts.items() if isinstance(text, str)}
    if not files:
        return Loaded({}, problems, known)
    from migdsl.cli.files import DiskFiles  # it knows the parser, which a wrong path doesn't need

    found = DiskFiles(files, known.values(), root)
    unread = tuple(problem for kind, path in (attached or {}).items() for problem in found.attach(kind, path))
    return Loaded(found, (*problems, *unread), found.inputs)


def unique(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Each once, in the order of all renderers: files that share a third report its problems once."""
    return tuple(sorted(dict.fromkeys(diagnostics), key=Diagnostic.sort_key))


def failed(diagnostics: Iterable[Diagnostic], *, strict: bool) -> bool:
    """Whether they stop the command: an error does, and with `strict` a warning too."""
    return any(strict or each.severity is Severity.ERROR for each in diagnostics)


def complain(diagnostics: Sequence[Diagnostic], sources: Mapping[str, SourceFile]) -> None:
    """Show them on the standard error, with their count below."""
    if not diagnostics:
        return
    colour, width = output.is_coloured(sys.stderr), output.width_of(sys.stderr)
    output.complain(f"{render_text(diagnostics, sources, colour=colour, width=width)}\n{count(diagnostics)}\n")


def count(diagnostics: Iterable[Diagnostic]) -> str:
    """`2 errors, 1 warning`, or `no problems`."""
    found = [each.severity for each in diagnostics]
    numbers = [(severity, found.count(severity)) for severity in Severity]
    return ", ".join(output.plural(number, severity.value) for severity, number in numbers if number) or "no problems"
