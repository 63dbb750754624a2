"""A syntax tree becomes what the layout needs of it: which statements are columns, and where types stand."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from operator import attrgetter

from migdsl.source import Span
from migdsl.syntax import ast
from migdsl.values import Value

_INNER = (Value, tuple)  # what holds more


class Facts(Value):
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
    types: list[tuple[int, int]] = []
    todo: list[object] = [module]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Column):
            columns[node.name.span.start] = node.type.span.end
        elif isinstance(node, ast.Type):
            types.append((node.span.start, node.span.end))
        todo += [each for each in _fields(node) if isinstance(each, _INNER)]
    types.sort()
    return Facts(columns, tuple(start for start, _ in types), tuple(end for _, end in types))


def nodes(root: object) -> Iterator[object]:
    """Every node and value below `root`, itself included; spans are left out."""
    todo = [root]
    while todo:
        node = todo.pop()
        yield node
        todo.extend(children(node))


def children(node: object) -> list[object]:
    """A tuple's elements or a node's fields without its spans; nothing else has any."""
    return [value for value in _fields(node) if not isinstance(value, Span)]


def _fields(node: object) -> tuple[object, ...]:
    if isinstance(node, Value):
        return _reader(type(node))(node)
    return node if isinstance(node, tuple) else ()


@cache
def _reader(of: type[Value]) -> Callable[[Value], tuple[object, ...]]:
    """What gives all fields of a kind of node at once."""
    if len(of.FIELDS) > 1:
        return attrgetter(*of.FIELDS)
    return lambda node: tuple(getattr(node, name) for name in of.FIELDS)


def same_tree(left: object, right: object) -> bool:
    """Whether two syntax trees say the same, wherever they say it."""
    todo: list[tuple[tuple[object, ...], tuple[object, ...]]] = [((left,), (right,))]
    while todo:
        ours, theirs = todo.pop()
        if len(ours) != len(theirs):
            return False
        for one, other in zip(ours, theirs, strict=True):
            if type(one) is not type(other):
                return False
            if isinstance(one, _INNER):
                todo.append((_fields(one), _fields(other)))
            elif not isinstance(one, Span) and one != other:
                return False
    return True
