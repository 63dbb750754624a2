"""Diagnostics become workflow commands, which GitHub shows as annotations beside the lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from migdsl.diagnostics.model import Diagnostic
from migdsl.diagnostics.render_text import clamp
from migdsl.source import SourceFile

# What ends a command or a property is written as its percent code.
# https://docs.github.com/actions/reference/workflow-commands-for-github-actions
_TEXT = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


def render_github(diagnostics: Iterable[Diagnostic], sources: Mapping[str, SourceFile]) -> str:
    """A line a diagnostic, sorted as in the terminal. Lines and columns count from 1."""
    return "".join(f"{_command(each, sources)}\n" for each in sorted(diagnostics, key=Diagnostic.sort_key))


def _command(each: Diagnostic, sources: Mapping[str, SourceFile]) -> str:
    properties = {**_place(each, sources), "title": f"{each.code} {each.title}"}
    listed = ",".join(f"{name}={value.translate(_PROPERTY)}" for name, value in properties.items())
    label = each.primary.text if each.primary else ""
    parts = [label, each.body, f"help: {each.help}" if each.help else "", f"more: migdsl explain {each.code}"]
    message = "\n\n".join(part for part in parts if part)
    return f"::{each.severity.value} {listed}::{message.translate(_TEXT)}"


def _place(each: Diagnostic, sources: Mapping[str, SourceFile]) -> dict[str, str]:
    if each.primary is None:
        return {}
    span = each.primary.span
    source = sources.get(span.path)
    if source is None:
        return {"file": span.path}
    first, last = clamp(span, len(source.text))
    start, end = source.position(first), source.position(last)
    place = {"file": span.path, "line": str(start.line), "endLine": str(end.line)}
    # GitHub takes columns only where the lines are one.
    return place | {"col": str(start.column), "endColumn": str(end.column)} if start.line == end.line else place
