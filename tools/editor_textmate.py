"""The grammar's words become a TextMate grammar, the one that VS Code, Sublime, JetBrains and GitHub's own engine read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migdsl.syntax.colours import BEGIN, HEAD, LOOSE, NAME, NUMBER, TOP, Block, Start, blocks, types

Pattern = dict[str, Any]
SCOPE = "source.mig"
_ESCAPE = r"""\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})|\"\""""


def textmate() -> Pattern:
    """The grammar as JSON values."""
    top, *others = blocks()
    assert top.name == TOP
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "information_for_contributors": [
            "Made by tools/refresh_editors.py from grammar/: change those, not this file."
        ],
        "name": "migdsl",
        "scopeName": SCOPE,
        "fileTypes": ["mig"],
        "patterns": [{"include": f"#{top.name}"}],
        "repository": {
            **{block.name: {"patterns": list(_block(block))} for block in (top, *others)},
            "common": {"patterns": list(_common())},
            "head": {"patterns": list(_head())},
        },
    }


def _block(block: Block) -> Iterator[Pattern]:
    for start in block.starts:
        yield from _start(start)
    if block.columns:
        yield {"match": rf"{BEGIN}({NAME})(?=[ \t]+[\w\"])", "captures": {"1": {"name": "variable.other.property.mig"}}}
    if block.typed:
        yield _words(types(), "support.type.mig")
    if block.clauses:
        yield _words(block.clauses, "keyword.other.mig")
    if block.values:
        yield _words(block.values, "constant.language.mig")
    yield _braces(r"\{", LOOSE, {})
    yield {"include": "#common"}


def _words(words: tuple[str, ...], scope: str) -> Pattern:
    return {"match": rf"\b(?:{'|'.join(words)})\b", "name": scope}


def _braces(begin: str, inside: str, captures: Pattern) -> Pattern:
    """A block from its brace on."""
    return {
        "begin": begin,
        "end": r"\}",
        "beginCaptures": {"0": {"name": "punctuation.section.block.begin.mig"}} | captures,
        "endCaptures": {"0": {"name": "punctuation.section.block.end.mig"}},
        "patterns": [{"include": f"#{inside}"}],
    }


def _start(start: Start) -> Iterator[Pattern]:
    """A line that begins with a word: with a block, and without; with a name behind it, and without."""
    head = rf"{BEGIN}({start.word})\b"
    but = rf"(?!(?:{'|'.join(start.but)})\b)" if start.but else ""
    captures: Pattern = {"1": {"name": "keyword.control.mig"}}
    named = (rf"{head}[ \t]+{but}({NAME})", captures | {"2": {"name": "entity.name.mig"}})
    for pattern, found in (named, (head, captures)) if start.named else ((head, captures),):
        if start.opens:
            yield _opening(pattern + HEAD, start.opens, found)
        if start.word == "metric":
            yield {"begin": pattern, "end": r"$", "beginCaptures": found, "patterns": [_embedded("promql"), _self(TOP)]}
        yield {"match": pattern, "captures": found}


def _self(inside: str) -> Pattern:
    return {"include": f"#{inside}"}


def _opening(pattern: str, opens: str, captures: Pattern) -> Pattern:
    """From the first word of a construct to the end of its block: its head is one pattern, its block another."""
    return {
        "begin": pattern,
        "end": r"(?<=\})",
        "beginCaptures": captures,
        "name": f"meta.{opens.removeprefix('file-')}.mig",
        "patterns": [_braces(r"\{", opens, {}), {"include": "#head"}],
    }


def _head() -> Iterator[Pattern]:
    """Between a construct's first word and its brace."""
    yield _words(types(), "support.type.mig")
    yield _words(tuple(sorted({word for block in blocks() for word in block.clauses})), "keyword.other.mig")
    yield {"include": "#common"}


def _common() -> Iterator[Pattern]:
    yield {"match": "#.*$", "name": "comment.line.number-sign.mig"}
    yield _embedded("sql")
    string = {"begin": '"', "end": '"(?!")', "name": "string.quoted.double.mig"}
    # A string that ends with its line was never closed; what follows is not to be coloured as one.
    yield {"match": r'"(?:[^"\\\n]|\\.|"")*$', "name": "invalid.illegal.unclosed-string.mig"}
    yield string | {"patterns": [{"match": _ESCAPE, "name": "constant.character.escape.mig"}]}
    yield {"match": NUMBER, "name": "constant.numeric.mig"}
    yield {"match": r"->|\.\.|[<>!]=|[<>=?-]", "name": "keyword.operator.mig"}
    yield {"match": r"[(),;.\[\]]", "name": "punctuation.mig"}
    yield {"match": r"[^\s\w\"`#{}(),;.\[\]<>=?!-]", "name": "invalid.illegal.character.mig"}


def _embedded(language: str) -> Pattern:
    """What stands in backticks, coloured as its own language; where the editor doesn't have that, still by our patterns."""
    return {
        "begin": "`",
        "end": "`(?!`)",
        "name": f"meta.embedded.block.{language}.mig",
        "contentName": f"source.{language}",
        "beginCaptures": {"0": {"name": "punctuation.definition.embedded.begin.mig"}},
        "endCaptures": {"0": {"name": "punctuation.definition.embedded.end.mig"}},
        "patterns": [
            {"match": "``", "name": "constant.character.escape.mig"},
            {"match": r"(?<![\w:]):[A-Za-z_]\w*", "name": "variable.parameter.mig"},
            {"include": f"source.{language}"},
        ],
    }
