"""What the parser makes of a text before anything is interpreted: nodes with children, and tokens as the leaves."""

from __future__ import annotations


class Token(str):
    """A piece of the text, and the terminal that it is; it stands at characters `[start, end)`."""

    __slots__ = ("end", "start", "type")

    type: str
    start: int
    end: int


class Tree:
    """A grammar rule that was recognised: `data` is its name. It stands at characters `[start, end)`."""

    __slots__ = ("children", "data", "end", "start")

    def __init__(self, data: str, children: list[Tree | Token], start: int, end: int) -> None:
        self.data = data
        self.children = children
        self.start = start
        self.end = end
