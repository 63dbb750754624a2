"""The grammar's words become a Pygments lexer: `.mig` in documentation, in a terminal, wherever Pygments is."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from pygments.lexer import RegexLexer, bygroups, include, using, words
from pygments.lexers.sql import PostgresLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

from migdsl.syntax.colours import BEGIN, HEAD, LOOSE, NAME, NUMBER, TOP, Block, Start, blocks, types

_Rules = list[Any]


def _states() -> dict[str, _Rules]:
    """The lexer's states: one for the file, and one a block."""
    return {"common": _common()} | {"root" if b.name == TOP else b.name: _block(b) for b in blocks()}


def _common() -> _Rules:
    return [
        (r"\n", Whitespace),
        (r"[^\S\n]+", Whitespace),
        (r"#[^\n]*", Comment.Single),
        (r"(`)((?:[^`]|``)*)(`)", bygroups(String.Backtick, using(PostgresLexer), String.Backtick)),
        (r'"(?:[^"\\\n]|\\.|"")*"', String.Double),
        (NUMBER, Number),
        (r"->|\.\.|[<>!]=|[<>=?-]", Operator),
        (r"[(),;.\[\]]", Punctuation),
    ]


def _block(block: Block) -> _Rules:
    found: _Rules = [rule for start in block.starts for rule in _start(start)]
    if block.columns:
        found.append((rf"({BEGIN})({NAME})(?=[ \t]+[\w\"])", bygroups(Whitespace, Name.Variable)))
    for wanted, kind in ((types() if block.typed else (), Keyword.Type), (block.clauses, Keyword.Reserved)):
        if wanted:
            found.append((words(wanted, prefix=r"\b", suffix=r"\b"), kind))
    if block.values:
        found.append((words(block.values, prefix=r"\b", suffix=r"\b"), Name.Constant))
    # The brace of a block's own head is behind the word that opened it; any other one opens a block of no name.
    own = [(r"\}", Punctuation, "#pop")] if block.name != TOP else [(r"\}", Punctuation)]
    return [*found, (r"[^\W\d]\w*", Name), (r"\{", Punctuation, LOOSE), *own, include("common")]


def _start(start: Start) -> _Rules:
    """A line that begins with a word: with a block, and without; with a name behind it, and without."""
    found: _Rules = []
    head = rf"({BEGIN})({start.word})\b"
    but = rf"(?!(?:{'|'.join(start.but)})\b)" if start.but else ""
    named = (rf"{head}([ \t]+){but}({NAME})", bygroups(Whitespace, Keyword, Whitespace, Name.Class))
    plain = (head, bygroups(Whitespace, Keyword))
    for pattern, kinds in (named, plain) if start.named else (plain,):
        if start.opens:
            found.append((pattern + HEAD, kinds, (start.opens, "head")))
        found.append((pattern, kinds))
    return found


def _head() -> _Rules:
    """Between a construct's first word and its brace."""
    clauses = sorted({word for block in blocks() for word in block.clauses})
    rules: _Rules = [(r"\{", Punctuation, "#pop"), (words(clauses, prefix=r"\b", suffix=r"\b"), Keyword.Reserved)]
    return [
        *rules,
        (words(types(), prefix=r"\b", suffix=r"\b"), Keyword.Type),
        (r"[^\W\d]\w*", Name),
        include("common"),
    ]


class MigLexer(RegexLexer):  # type: ignore[misc]  # Pygments has no types
    """Lexer of the migdsl language."""

    name = "migdsl"
    url = "https://pypi.org/project/migdsl/"
    aliases: ClassVar[list[str]] = ["mig", "migdsl"]
    filenames: ClassVar[list[str]] = ["*.mig"]
    flags = re.MULTILINE
    tokens: ClassVar[dict[str, _Rules]] = _states() | {"head": _head()}
