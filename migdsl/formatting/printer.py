"""Statements with their blocks and comments become the text of a file."""

from __future__ import annotations

from collections.abc import Sequence

from migdsl.formatting.align import Stops, stops_of, style_of
from migdsl.formatting.facts import Facts
from migdsl.formatting.lines import Line, fits, lay, own_line, render
from migdsl.formatting.scanner import Token, line_end
from migdsl.formatting.spacing import Placed, joined
from migdsl.formatting.tree import Block, Comment, Item, Statement, build
from migdsl.values import replace

WIDTH = 100  # columns: a block that was written on one line stays there if it fits
_INDENT = 2


def layout(tokens: Sequence[Token], facts: Facts) -> str:
    """A text that parses, laid out; `facts` are of its own syntax tree. Its line ends stay what the first one is."""
    end = line_end(tokens)
    lines = _file(build(tokens), facts)
    return "".join(f"{line}{end}" for line in render(lines))


def _file(items: Sequence[Item], facts: Facts) -> list[Line]:
    """Declarations, with an empty line between two of them; where each is of one line, that is the author's choice."""
    out: list[Line] = []
    since: list[Line] = []  # comments behind the last declaration
    before = 0  # how many lines that one has
    for item, lines in zip(items, _lines(items, "plain", 0, facts), strict=True):
        since += lines
        if isinstance(item, Statement):
            crowded = not any(line.blank for line in since[: len(since) - len(lines) + 1])
            if before and crowded and not before == len(lines) == 1:
                since[0] = replace(since[0], blank=True)
            out += since
            since, before = [], len(lines)
    return _unspaced([*out, *since])


def _unspaced(lines: list[Line]) -> list[Line]:
    """Without an empty line at the start."""
    return [replace(lines[0], blank=False), *lines[1:]] if lines and lines[0].blank else lines


def _block(block: Block, style: str, indent: int, facts: Facts) -> list[Line]:
    return _unspaced([line for lines in _lines(block.items, style, indent, facts) for line in lines])


def _lines(items: Sequence[Item], style: str, indent: int, facts: Facts) -> list[list[Line]]:
    """The lines of each item."""
    statements = [item for item in items if isinstance(item, Statement)]
    found = iter(stops_of(statements, style, indent, facts))
    return [
        [own_line(item, indent)] if isinstance(item, Comment) else _statement(item, indent, *next(found), facts)
        for item in items
    ]


def _statement(statement: Statement, indent: int, words: Sequence[Placed], stops: Stops, facts: Facts) -> list[Line]:
    head = lay(words, indent, stops)
    if statement.blank:
        head[0] = replace(head[0], blank=True)
    block, last = statement.block, head[-1]
    if block is None:
        return [*head[:-1], replace(last, comment=statement.comment)] if statement.comment else head
    flat = f"{last.text} {_flat(block, facts)}" if block.inline or _is_empty(block) else ""
    if flat and (_is_empty(block) or fits(flat, WIDTH)):
        return [*head[:-1], replace(last, text=flat, comment=statement.comment)]
    opening = replace(last, text=f"{last.text} {{", comment=block.opening)
    inside = _block(block, style_of(statement.words), indent + _INDENT, facts)
    return [*head[:-1], opening, *inside, Line(indent, " " * indent + "}", statement.comment)]


def _is_empty(block: Block) -> bool:
    return not block.items and not block.opening


def _flat(block: Block, facts: Facts) -> str:
    """A block on one line; it holds no comment, as that would end the line."""
    inside = "; ".join(_flat_statement(item, facts) for item in block.items if isinstance(item, Statement))
    return f"{{ {inside} }}" if inside else "{}"


def _flat_statement(statement: Statement, facts: Facts) -> str:
    head = joined(statement.words, facts)
    return f"{head} {_flat(statement.block, facts)}" if statement.block else head
