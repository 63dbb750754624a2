"""A syntax tree becomes what the layout needs of it: which statements are columns, and where types stand."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from migdsl.source import Span
from migdsl.syntax import ast


@dataclass(frozen=True, slots=True)
class Facts:
    """`columns`: where a column's name begins → where its type ends. `starts`, `ends`: those of all types, sorted."""

    columns: Mapping[int, int]
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def in_type(self, offset: int) -> bool:
        """Whether the character at `offset` is part of a type."""
        at = bisect_right(self.starts, offset) - 1
        return at >= 0 and offset < self.ends[at]


def facts_of(module: ast.Module) -> Facts:
    """Walk the whole tree."""
    columns: dict[int, int] = {}
    types: list[Span] = []
    for node in nodes(module):
        if isinstance(node, ast.Column):
            columns[node.name.span.start] = node.type.span.end
        elif isinstance(node, ast.Type):
            types.append(node.span)
    types.sort()
    return Facts(columns, tuple(span.start for span in types), tuple(span.end for span in types))


def nodes(root: object) -> Iterator[object]:
    """Every node and value below `root`, itself included; spans are left out."""
    todo = [root]
    while todo:
        node = todo.pop()
        yield node
        todo.extend(children(node))


def children(node: object) -> list[object]:
    """A tuple's elements or a node's fields without its spans; nothing else has any."""
    if isinstance(node, tuple):
        return list(node)
    # The nodes have slots and no bases, so these are their fields; a string's type has none.
    values = (getattr(node, name) for name in getattr(type(node), "__slots__", ()))
    return [value for value in values if not isinstance(value, Span)]


def same_tree(left: object, right: object) -> bool:
    """Whether two syntax trees say the same, wherever they say it."""
    todo = [(left, right)]
    while todo:
        one, other = todo.pop()
        if type(one) is not type(other):
            return False
        mine, theirs = children(one), children(other)
        if len(mine) != len(theirs) or (not mine and one != other and not hasattr(type(one), "__slots__")):
            return False
        todo.extend(zip(mine, theirs, strict=True))
    return True
