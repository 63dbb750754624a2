"""What is wrong becomes the edits that mend it, and edits of whole statements become exact ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from migdsl.diagnostics.model import Applicability, Diagnostic, Edit, Fix
from migdsl.diagnostics.suggest import is_sure, word_meant
from migdsl.source import SourceFile, Span

_INDENT = "  "
_BLANKS = re.compile(r"[ \t]*")
_LINE_END = re.compile(r"\r?\n|\Z")


def replacing(span: Span, text: str, title: str, *, safe: bool) -> Fix:
    """`text` in the place of what `span` covers."""
    return Fix(title, (Edit(span, text),), _applicability(safe))


def inserting(at: Span, text: str, title: str, *, safe: bool, statement: bool = False) -> Fix:
    """`text` before what `at` covers; a `statement` gets a line of its own."""
    return Fix(title, (Edit(Span(at.path, at.start, at.start), text, statement),), _applicability(safe))


def removing(span: Span, title: str, *, safe: bool) -> Fix:
    """The whole statement that `span` covers goes."""
    return Fix(title, (Edit(span, "", statement=True),), _applicability(safe))


def respelling(span: Span, word: str, known: Iterable[str]) -> Fix | None:
    """A word of the language for a misspelt one: safe where there is but one that it can have meant."""
    candidates = list(known)
    near = word_meant(word, candidates)
    if near is None:
        return None
    return replacing(span, near, f"`{word}` becomes `{near}`", safe=is_sure(word, candidates))


def settled(found: Diagnostic, sources: Mapping[str, SourceFile]) -> Diagnostic:
    """The diagnostic with a fix whose edits are exact: lines and `;` that would be left over go along."""
    if found.fix is None or not any(edit.statement for edit in found.fix.edits):
        return found
    edits = tuple(
        _exact(edit, sources[edit.span.path].text) if edit.statement and edit.span.path in sources else edit
        for edit in found.fix.edits
    )
    return replace(found, fix=replace(found.fix, edits=edits))


def _applicability(safe: bool) -> Applicability:
    return Applicability.SAFE if safe else Applicability.UNSAFE


def _exact(edit: Edit, text: str) -> Edit:
    return _insertion(edit, text) if edit.text else _removal(edit, text)


def _removal(edit: Edit, text: str) -> Edit:
    start, end = edit.span.start, edit.span.end
    line = text.rfind("\n", 0, start) + 1
    first = not text[line:start].strip()
    rest = _BLANKS.match(text, end)
    assert rest is not None
    if text[rest.end() : rest.end() + 1] == ";":
        end = rest.end() + 1
        rest = _BLANKS.match(text, end)
        assert rest is not None
    ends = _LINE_END.match(text, rest.end())
    if first and ends:
        start, end = line, ends.end()  # it had the line for itself
    elif not first and (ends or text[rest.end() : rest.end() + 1] in ("}", "#")) and text[start - 1] != "{":
        start = len(text[:start].rstrip(" \t"))
        if text[start - 1] == ";" and text[end - 1] != ";":
            start -= 1
    else:
        end = rest.end()
    return Edit(Span(edit.span.path, start, end), "")


def _insertion(edit: Edit, text: str) -> Edit:
    at = edit.span.start
    line = text.rfind("\n", 0, at) + 1
    margin = text[line:at]
    end = "\r\n" if text[line - 2 : line] == "\r\n" else "\n"
    closes = text[at : at + 1] == "}"
    if not margin.strip() and line:
        inner = margin + _INDENT if closes else margin
        return Edit(Span(edit.span.path, line, line), f"{inner}{edit.text}{end}")
    before = text[:at].rstrip(" \t")
    if not closes:
        return Edit(Span(edit.span.path, at, at), f"{edit.text}; ")
    head = "" if before.endswith(("{", ";")) else ";"
    return Edit(Span(edit.span.path, len(before), at), f"{head} {edit.text} ")
