"""A file's text becomes the same text laid out: blanks, newlines and `;` between statements change, nothing else."""

from __future__ import annotations

from migdsl.diagnostics import Diagnostic
from migdsl.formatting.facts import facts_of, same_tree
from migdsl.formatting.printer import layout
from migdsl.formatting.scanner import Token, comments, read, said
from migdsl.source import SourceFile
from migdsl.syntax import Parsed, parse
from migdsl.syntax.parser import uncollected
from migdsl.values import Value

__all__ = ["FormatError", "Formatted", "assert_equivalent", "assert_stable", "format_source"]


class Formatted(Value):
    """The text laid out; or, where it doesn't parse, the text as it was and what is wrong with it."""

    text: str
    diagnostics: tuple[Diagnostic, ...]


class FormatError(Exception):
    """The formatter's own mistake: its result would not say what the file says. Holds no text of the file."""


def format_source(source: SourceFile) -> Formatted:
    """Lay out a file. Raises FormatError where the result would mean something else, or would be laid out anew.

    Strings, SQL, names, numbers and comments stay as they are, byte by byte, but for blanks at a comment's end. All
    lines outside SQL end as the first one does, with LF or CRLF.
    """
    with uncollected():
        return _formatted(source)


def _formatted(source: SourceFile) -> Formatted:
    before = parse(source)
    if before.diagnostics:
        return Formatted(source.text, before.diagnostics)
    old = read(source.text)
    text = layout(old, facts_of(before.module))
    if text != source.text:
        after, new = parse(SourceFile(source.path, text)), read(text)
        _compare(old, before, new, after)
        del before, old
        if layout(new, facts_of(after.module)) != text:
            raise FormatError("formatting it again would change it again")
    return Formatted(text, ())


def assert_equivalent(before: str, after: str) -> None:
    """Raise FormatError unless both texts parse to the same tree and hold the same tokens and comments, in order."""
    old, new = (parse(SourceFile("", text)) for text in (before, after))
    _compare(read(before), old, read(after), new)


def assert_stable(text: str) -> None:
    """Raise FormatError unless formatting the text changes nothing."""
    if format_source(SourceFile("", text)).text != text:
        raise FormatError("formatting it again would change it again")


def _compare(old: tuple[Token, ...], before: Parsed, new: tuple[Token, ...], after: Parsed) -> None:
    if before.diagnostics or after.diagnostics:
        raise FormatError("it would no longer parse")
    if not same_tree(before.module, after.module) or said(old) != said(new):
        raise FormatError("it would no longer mean the same")
    if comments(old) != comments(new):
        raise FormatError("a comment would be lost or moved past another")
