"""JSON text becomes nodes that know where they stand, or the first thing that keeps it from being JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from migdsl.source import SourceFile, Span
from migdsl.values import Value

DEEPEST = 64  # nobody nests a document deeper, and a file that does could exhaust the stack
_BLANK = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
_UP_TO = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.])")
_WORD = re.compile(r"[^\s,:\[\]{}\"]+")
_WORDS: Mapping[str, object] = {"true": True, "false": False, "null": None}


class Node(Value):
    """A value and its place. `members` are those of an object by name, `items` those of a list; empty for all else.

    `value` is the plain Python value: dict, list, str, float, bool or None. `key` is the place of the name that the value
    has in its object.
    """

    span: Span
    value: object
    members: Mapping[str, Node] = {}
    items: tuple[Node, ...] = ()
    key: Span | None = None


class NotJson(Exception):  # noqa: N818 - it says what the text is
    """What keeps a text from being JSON: its place, what is to be seen there, a way out, and what else to look at."""

    def __init__(self, span: Span, label: str, help: str = "", first: Span | None = None) -> None:
        super().__init__(label)
        self.span = span
        self.label = label
        self.help = help
        self.first = first


def parse(source: SourceFile) -> Node:
    """The one value of a text. Raises NotJson."""
    reader = _Reader(source)
    found = reader.value(0)
    reader.blank()
    if reader.at < len(source.text):
        raise NotJson(reader.here(), "nothing may follow the document's end", "keep one value: { … }")
    return found


class _Reader:
    """A place in a text."""

    def __init__(self, source: SourceFile) -> None:
        self._path = source.path
        self._text = source.text
        self.at = 0

    def value(self, depth: int) -> Node:
        self.blank()
        if depth > DEEPEST:
            raise NotJson(
                self.here(), f"is nested deeper than {DEEPEST}", "no ticket needs that; is it the right file?"
            )
        sign = self._text[self.at : self.at + 1]
        if sign == "{":
            return self._object(depth)
        if sign == "[":
            return self._list(depth)
        if sign == '"':
            start, text = self.at, self._string()
            return Node(self._from(start), text)
        return self._plain()

    def blank(self) -> None:
        found = _BLANK.match(self._text, self.at)
        self.at = found.end() if found else self.at

    def here(self, start: int | None = None) -> Span:
        """The word or sign at a place; at the end of the text the last character."""
        start = self.at if start is None else start
        start = min(start, max(len(self._text) - 1, 0))
        word = _WORD.match(self._text, start) or _STRING.match(self._text, start)
        return Span(self._path, start, word.end() if word else min(start + 1, len(self._text)))

    def _from(self, start: int) -> Span:
        return Span(self._path, start, self.at)

    def _object(self, depth: int) -> Node:
        start = self.at
        members: dict[str, Node] = {}
        self.at += 1
        while not self._closed("}", first=not members):
            name_at = self.at
            if self._text[self.at : self.at + 1] != '"':
                raise NotJson(self.here(), "a name in double quotes is expected", '"name": "value"')
            name = self._string()
            place = self._from(name_at)
            if name in members:
                raise NotJson(place, "stands here twice", "keep one of them", members[name].key)
            self.blank()
            if self._text[self.at : self.at + 1] != ":":
                raise NotJson(self.here(), "a colon is expected between name and value", '"name": "value"')
            self.at += 1
            found = self.value(depth + 1)
            members[name] = Node(found.span, found.value, found.members, found.items, place)
            self._separated("}")
        return Node(self._from(start), {name: node.value for name, node in members.items()}, members)

    def _list(self, depth: int) -> Node:
        start = self.at
        items: list[Node] = []
        self.at += 1
        while not self._closed("]", first=not items):
            items.append(self.value(depth + 1))
            self._separated("]")
        return Node(self._from(start), [node.value for node in items], {}, tuple(items))

    def _closed(self, sign: str, *, first: bool) -> bool:
        """Whether the object or list ends here."""
        self.blank()
        if self._text[self.at : self.at + 1] != sign:
            return False
        if not first and self._text[: self.at].rstrip(" \t\n\r").endswith(","):
            raise NotJson(self.here(), f"a comma stands before this `{sign}`", "leave the comma out")
        self.at += 1
        return True

    def _separated(self, closing: str) -> None:
        """What stands behind a value: a comma, or the end that `_closed` will see."""
        self.blank()
        sign = self._text[self.at : self.at + 1]
        if sign == ",":
            self.at += 1
        elif sign != closing:
            what = f"a comma or `{closing}` is expected" + ("" if sign else ": the file ends here")
            raise NotJson(self.here(), what, _AFTER.get(sign, ""))

    def _string(self) -> str:
        found = _STRING.match(self._text, self.at)
        if found is None:
            raise self._bad_string()
        try:
            text: str = json.loads(found[0])
            text.encode()
        except UnicodeEncodeError:
            span = Span(self._path, self.at, found.end())
            raise NotJson(span, "holds half a character (a lone surrogate)", "write the character itself") from None
        self.at = found.end()
        return text

    def _bad_string(self) -> NotJson:
        found = _UP_TO.match(self._text, self.at)
        end = found.end() if found else self.at + 1
        sign = self._text[end : end + 1]
        if sign == "\\":
            return NotJson(
                Span(self._path, end, min(end + 2, len(self._text))), "no escape of JSON", "a backslash is written \\\\"
            )
        if sign and sign not in "\r\n":
            return NotJson(
                Span(self._path, end, end + 1), "a control character stands in a text", "write it as an escape: \\t"
            )
        return NotJson(
            Span(self._path, self.at, end), "this text has no closing quote", "a line break in a text is written \\n"
        )

    def _plain(self) -> Node:
        start = self.at
        number = _NUMBER.match(self._text, start)
        if number is not None:
            self.at = number.end()
            return Node(self._from(start), float(number[0]))
        word = _WORD.match(self._text, start)
        if word is not None and word[0] in _WORDS:
            self.at = word.end()
            return Node(self._from(start), _WORDS[word[0]])
        if start >= len(self._text):
            raise NotJson(self.here(), "a value is expected, and the file ends")
        raise NotJson(self.here(), "a value is expected", _INSTEAD.get(self._text[start], _VALUES))


_VALUES = "a text in double quotes, a number, true, false, null, [ … ] or { … }"
_INSTEAD = {
    "/": "JSON has no comments",
    "#": "JSON has no comments",
    "'": "texts have double quotes",
    ",": "leave the comma out",
}
_AFTER = {"/": "JSON has no comments", "#": "JSON has no comments", '"': "is there a comma missing before it?"}
