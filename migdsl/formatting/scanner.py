"""Text becomes its tokens, nothing left out: comments, newlines and blanks are tokens too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from migdsl.values import Value

# The terminals of grammar/mig.lark; an operator of two characters is one sign. Any blank of Unicode is a space, since
# the parser puts up with one before a declaration.
_PIECE = re.compile(
    r"(?P<newline>\r?\n\s*)"
    r"|(?P<space>[^\S\n]+)"
    r"|(?P<comment>\#[^\n]*)"
    r'|(?P<string>"[^"\\\n]*+(?:(?:\\.|"")[^"\\\n]*+)*+")'
    r"|(?P<sql>`[^`]*+(?:``[^`]*+)*+`)"
    r"|(?P<number>[0-9]{4}-[0-9]{2}-[0-9]{2}(?!\w)|[0-9][0-9_]*(?:\.[0-9]+)?(?:%|[^\W\d_]+)?)"
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<sign>->|\.\.|[<>!=]=|.)",
    re.DOTALL,
)
_LAYOUT = frozenset(["newline", "space", "comment"])
_GOES_ON = frozenset([",", "and", "or"])


class Token(Value):
    """A piece of text as written, from the offset `start` on.

    `kind` is newline, space, comment, string, sql, number, word or sign.
    """

    kind: str
    text: str
    start: int


def scan(text: str) -> Iterator[Token]:
    """All tokens, in order; their texts together are `text`."""
    seen: dict[str, str] = {}  # a long file says the same words again and again: each is kept once
    for match in _PIECE.finditer(text):
        piece = match[0]
        yield Token(match.lastgroup or "sign", seen.setdefault(piece, piece), match.start())


def read(text: str) -> tuple[Token, ...]:
    """All tokens but blanks, of which only one is of use: the first half of a CRLF."""
    return tuple(token for token in scan(text) if token.kind != "space" or token.text.endswith("\r"))


def goes_on(text: str) -> bool:
    """Whether a statement goes on behind a newline that comes after this token."""
    return text in _GOES_ON


def comments(tokens: Iterable[Token]) -> list[str]:
    """The comments, in order, without the blanks at their ends."""
    return [comment_text(token) for token in tokens if token.kind == "comment"]


def comment_text(token: Token) -> str:
    """A comment without the blanks at its end (and without the first half of a CRLF)."""
    return token.text.rstrip(" \t\f\r")


def said(tokens: Iterable[Token]) -> list[str]:
    """All that means something, as written: without layout, comments, and the `;` that a newline can stand for."""
    return [token.text for token in tokens if token.kind not in _LAYOUT and token.text != ";"]


def line_end(tokens: Iterable[Token]) -> str:
    """How the first line outside a string or SQL ends: CRLF or a newline (also where there is only one line)."""
    before = ""
    for token in tokens:
        if token.kind == "newline":
            return "\r\n" if f"{before}{token.text}".partition("\n")[0].endswith("\r") else "\n"
        before = token.text
    return "\n"
