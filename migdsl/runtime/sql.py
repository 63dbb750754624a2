"""Turns SQL with `:name` parameters into PostgreSQL's `$n` form and the names in that order."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NoReturn

# PostgreSQL's scan.l: an E'' string goes on in the next literal when a newline (and comments) lie between them.
_CONTINUED: Final = r"(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]+|--[^\n\r]*[\n\r])*'"
_LETTER: Final = r"[A-Za-z_\x80-\U0010ffff]"
_ESCAPED_BODY: Final = r"(?:[^'\\]|''|\\.)*+'"

_TOKEN: Final = re.compile(
    rf"""
      (?P<line_comment> --[^\n\r]* )
    | (?P<block_comment> /\* )
    | (?P<escaped> [eE]' {_ESCAPED_BODY} (?: {_CONTINUED} {_ESCAPED_BODY} )*+ )
    | (?P<quoted> ' (?:[^']|'')*+ ' )
    | (?P<identifier> " (?:[^"]|"")*+ " )
    | (?P<open> [eE]?'|" )
    | (?P<dollar> \$ (?: {_LETTER} (?: {_LETTER}|[0-9] )* )? \$ )
    | (?P<positional> \$[0-9]+ )
    | (?P<word> {_LETTER} (?: {_LETTER}|[0-9$] )* )
    | (?P<number> [0-9] [A-Za-z0-9_.]* )
    | (?P<typecast> ::|:= )
    | (?P<parameter> : (?! [eEbBxXnN]' ) (?P<name> [A-Za-z_][A-Za-z0-9_]*+ ) (?! {_LETTER}|\$ ) )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement in `$n` form; `names[i]` is the parameter that `$(i+1)` stands for."""

    text: str
    names: tuple[str, ...]

    def bind(self, values: Mapping[str, str | None]) -> tuple[str | None, ...]:
        """The values in `$n` order; KeyError names a parameter that has none."""
        return tuple(values[name] for name in self.names)

    def inlined(self, values: Mapping[str, str | None], literal: Callable[[str], str]) -> str:
        """The text with `literal` of each value in its place, so that several statements can go in one message.

        A literal of unknown type takes the type that the parameter would have taken.
        """
        given = ["NULL" if value is None else literal(value) for value in self.bind(values)]
        return "".join(piece if isinstance(piece, str) else given[piece] for piece in _pieces(self.text))


def statement(sql: str) -> Statement:
    """A Statement of SQL text with `:name` parameters; errors as `bind_names`."""
    return Statement(*bind_names(sql))


@lru_cache(maxsize=256)  # a job's statements are checked once, and bound by each worker
def bind_names(sql: str) -> tuple[str, tuple[str, ...]]:
    """SQL with each `:name` replaced by `$n`, and the names: one number a name, in order of first use.

    `:name` counts outside strings, quoted identifiers, dollar quotes and (nested) comments; not `::` and `:=`.
    An array slice whose bound is a name needs a space (`a[1: n]`), as in psql. Raises ValueError for an unterminated
    literal or comment, and for a `$n` that is there already, since its number would be taken twice. Source of the
    lexis: PostgreSQL, src/backend/parser/scan.l.
    """
    out: list[str] = []
    names: dict[str, int] = {}
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        if match is None:  # `other` takes any character
            _refuse("unreadable text", at)
        kind, at = _end_of(sql, match)
        if kind == "parameter":
            out.append(f"${names.setdefault(match['name'], len(names) + 1)}")
        else:
            out.append(sql[match.start() : at])
    return "".join(out), tuple(names)


@lru_cache(maxsize=256)
def _pieces(text: str) -> tuple[str | int, ...]:
    """A statement in `$n` form, cut where its parameters stand: text, and the index of a parameter's value."""
    out: list[str | int] = []
    at = begun = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:  # `other` takes any character
            _refuse("unreadable text", at)
        if match.lastgroup == "positional":
            out += [text[begun:at], int(match[0][1:]) - 1]
            at = begun = match.end()
        else:
            _, at = _end_of(text, match)
    return (*out, text[begun:])


def _end_of(sql: str, match: re.Match[str]) -> tuple[str, int]:
    """The token's kind and the offset where it ends, for the two kinds that a regular expression can't close."""
    kind = match.lastgroup or "other"
    if kind == "block_comment":
        return kind, _comment_end(sql, match.start())
    if match["dollar"] is not None:
        close = sql.find(match["dollar"], match.end())
        if close < 0:
            _refuse("a dollar quote", match.start())
        return "dollar", close + len(match["dollar"])
    if kind == "positional":
        raise ValueError(f"{match[0]} at offset {match.start()}: parameters have names here")
    if kind == "open":
        _refuse("a quoted text", match.start())
    return kind, match.end()


def _comment_end(sql: str, start: int) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return _refuse("a comment", start)


def _refuse(what: str, at: int) -> NoReturn:
    raise ValueError(f"{what} that begins at offset {at} is never closed")
