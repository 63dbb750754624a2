"""A regular expression, or a pattern of LIKE, becomes a text that it is likely to match: whether it does the database says."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

_MOST = 3_000  # characters and parts that may be made of one pattern
_DEEP = 20
_LETTERS = "abcxyz"
_CLASSES = {"d": "0123456789", "w": "abcXYZ019_", "s": " ", "D": _LETTERS, "W": "-", "S": _LETTERS}
_NAMED = {
    "[:alpha:]": "a-zA-Z",
    "[:digit:]": "0-9",
    "[:alnum:]": "a-zA-Z0-9",
    "[:upper:]": "A-Z",
    "[:lower:]": "a-z",
    "[:space:]": " ",
    "[:xdigit:]": "0-9a-f",
    "[:punct:]": "!-/",
}
_TIMES = re.compile(r"([*+?]|\{(\d+)(,(\d*))?\})\??")
_GROUP = re.compile(r"\?[:=!]|\?<[=!]")
_PRINTED = "".join(map(chr, range(33, 127)))


class UnmatchedError(ValueError):
    """A pattern of which nobody here knows what it matches."""


def like(pattern: str, chance: random.Random) -> str:
    """`%` becomes some letters, `_` one."""
    some = re.sub(r"(?<!\\)%", lambda _: "".join(chance.choices(_LETTERS, k=chance.randint(1, 4))), pattern)
    return re.sub(r"\\(.)", r"\1", re.sub(r"(?<!\\)_", lambda _: chance.choice(_LETTERS), some))


def matching(pattern: str, chance: random.Random) -> str:
    """Of a regular expression of PostgreSQL's. Raises UnmatchedError."""
    for name, characters in _NAMED.items():
        pattern = pattern.replace(name, characters)
    reader = _Reader(pattern, chance)
    found = reader.branches(0)
    if reader.at < len(pattern):
        raise UnmatchedError(pattern)
    return found


class _Reader:
    """Reads a pattern and writes what it matches, at once; what is repeated is read again."""

    def __init__(self, pattern: str, chance: random.Random) -> None:
        self._pattern, self._chance, self._left = pattern, chance, _MOST
        self.at = 0

    def branches(self, depth: int) -> str:
        if depth > _DEEP:
            raise UnmatchedError(self._pattern)
        found = [self._sequence(depth)]
        while self._next() == "|":
            self.at += 1
            found.append(self._sequence(depth))
        return self._chance.choice(found)

    def _next(self) -> str:
        return self._pattern[self.at : self.at + 1]

    def _sequence(self, depth: int) -> str:
        found: list[str] = []
        while self._next() not in ("", "|", ")"):
            start = self.at
            found.append(self._atom(depth))
            end = self.at
            times = self._times()
            if times != 1:
                after = self.at
                found[-1:] = [self._again(start, depth) for _ in range(times)]
                self.at = after if end <= after else end
        return "".join(found)

    def _again(self, start: int, depth: int) -> str:
        self.at = start
        return self._atom(depth)

    def _times(self) -> int:
        found = _TIMES.match(self._pattern, self.at)
        if found is None:
            return 1
        self.at = found.end()
        if found[2] is None:
            least, most = {"*": (0, 3), "+": (1, 4), "?": (0, 1)}[found[1][0]]
        else:
            least = int(found[2])
            most = least if found[3] is None else int(found[4]) if found[4] else least + 3
        return self._chance.randint(least, max(least, min(most, least + 8)))

    def _atom(self, depth: int) -> str:
        self._left -= 1
        if self._left < 0:
            raise UnmatchedError(self._pattern)
        here = self._next()
        self.at += 1
        read: dict[str, Callable[[], str]] = {
            "(": lambda: self._group(depth),
            "[": self._bracket,
            "\\": self._escaped,
            ".": lambda: self._chance.choice(_LETTERS),
            "^": str,
            "$": str,
        }
        return read[here]() if here in read else here

    def _group(self, depth: int) -> str:
        ahead = _GROUP.match(self._pattern, self.at)
        self.at = ahead.end() if ahead is not None else self.at
        found = self.branches(depth + 1)
        if self._next() != ")":
            raise UnmatchedError(self._pattern)
        self.at += 1
        return found if ahead is None or ahead[0] == "?:" else ""

    def _escaped(self) -> str:
        here = self._next()
        self.at += 1
        if here in ("A", "Z", "m", "M", "y", "Y", "b"):
            return ""
        return self._chance.choice(_CLASSES.get(here, here or "\\"))

    def _bracket(self) -> str:
        end = self._pattern.find("]", self.at + (2 if self._pattern.startswith("^]", self.at) else 1))
        if end < 0:
            raise UnmatchedError(self._pattern)
        said, self.at = self._pattern[self.at : end], end + 1
        refused, said = said.startswith("^"), said.removeprefix("^")
        found = "".join(_characters(said))
        if refused:
            found = "".join(each for each in _PRINTED if each not in found)
        if not found:
            raise UnmatchedError(self._pattern)
        return self._chance.choice(found)


def _characters(said: str) -> list[str]:
    """Those of a class in brackets."""
    found, at = [], 0
    while at < len(said):
        here = said[at]
        if here == "\\" and at + 1 < len(said):
            found.append(_CLASSES.get(said[at + 1], said[at + 1]))
            at += 2
        elif said[at + 1 : at + 2] == "-" and at + 2 < len(said):
            found += [chr(code) for code in range(ord(here), min(ord(said[at + 2]), ord(here) + 200) + 1)]
            at += 3
        else:
            found.append(here)
            at += 1
    return found
