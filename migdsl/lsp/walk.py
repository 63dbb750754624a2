"""The grammar's rules become an automaton that says of each token which rule it was read by, and what may come next.

The parser's tables know whether a text is right. An editor asks of a text that isn't yet: each statement is walked on its
own, so that one with a mistake leaves the others alone, and a state keeps the way through the rules that led to it.
States are made when they are first reached, and kept: walking a file is a look-up a token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from migdsl.syntax.grammar import tables
from migdsl.syntax.notation import Item, rules
from migdsl.values import Value

# A rule, the pieces of one of its ways (or of a group in it), and which of them is next.
Frame = tuple[str, tuple[Item, ...], int]
# From the file down to a piece that is a word, a sign or a terminal; empty: nothing more is needed.
Place = tuple[Frame, ...]
_DEEPEST = 120  # frames; conditions in parentheses are the only thing that nests, and nobody nests them so deep


class Leaf(Value):
    """A piece that may come next: `text` is a keyword or sign, else `terminal` is what stands there.

    `path` are the rules on the way down, and `at` which piece of the innermost rule with a meaning of its own it is.
    """

    text: str
    terminal: str
    path: tuple[str, ...]
    rule: str
    at: int


class State:
    """Where a walk may be: all places that fit what was read so far."""

    __slots__ = ("_next", "places")

    def __init__(self, places: tuple[Place, ...]) -> None:
        self.places = places
        self._next: dict[tuple[str, str], tuple[State, dict[Place, Place]] | None] = {}

    def step(self, kind: str, text: str) -> tuple[State, dict[Place, Place]] | None:
        """The state behind a token, and from which place each of its places was reached; None where it doesn't fit."""
        key = (kind, text if kind == "sign" or text in _words() else "")
        if key not in self._next:
            self._next[key] = self._made(*key)
        return self._next[key]

    def _made(self, kind: str, text: str) -> tuple[State, dict[Place, Place]] | None:
        fitting = _fitting(self.places, kind, text)
        came: dict[Place, Place] = {}
        for place in fitting:
            for found in _after(place):
                came.setdefault(found, place)
        return (_state(tuple(came)), came) if came else None

    def leaves(self) -> Iterator[Leaf]:
        """What may come next."""
        yield from (leaf(place) for place in self.places if place)

    @property
    def complete(self) -> bool:
        """Whether it may end here."""
        return () in self.places


@cache
def _state(places: tuple[Place, ...]) -> State:
    return State(places)


@cache
def beginning() -> State:
    """The state before a declaration."""
    top: Frame = ("start", (Item("", "_declaration", (), ""),), 0)
    return _state(tuple(dict.fromkeys(_open((top,), set()))))


@cache
def leaf(place: Place) -> Leaf:
    """The piece that a place is at."""
    rule, items, at = place[-1]
    item = items[at]
    path = tuple(dict.fromkeys(name for name, _, _ in place if name != "start"))
    named = [each for each in place if each[0] not in _PLAIN]
    meant = named[-1][0] if named else rule
    first = next((each for each in place if each[0] == meant), place[-1])
    for each in place:  # the outermost frame of the innermost run: a rule may stand within itself
        if each[0] == meant and each[1] in {way.items for way in rules().get(meant, ())}:
            first = each
    return Leaf(item.text, "" if item.text else item.rule, path, meant, first[2])


# What is but a way to write a name, a word or several names.
_PLAIN = frozenset(["name", "word", "names", "quoted", "type_word", "operator"])


@cache
def _words() -> frozenset[str]:
    return frozenset(text for text in tables().literals.values() if text.isidentifier())


def _fitting(places: Sequence[Place], kind: str, text: str) -> list[Place]:
    """The places that take a token: a word is a keyword wherever one is expected, and a name only where none is."""
    items = [(place, place[-1][1][place[-1][2]]) for place in places if place]
    found = [place for place, item in items if text and item.text == text]
    if found:
        return found
    for terminal in _terminals(kind, text):
        found = [place for place, item in items if item.rule == terminal]
        if found:
            return found
    return []


def _terminals(kind: str, text: str) -> tuple[str, ...]:
    if kind == "word":
        return ("BOOLEAN", "NAME") if text == "boolean" else ("NAME",)
    if kind == "sign":
        return (_SIGNS.get(text, ""),)
    return (kind.upper(),)


_SIGNS = {"-": "MINUS", "=": "EQUAL", "..": "RANGE"} | dict.fromkeys(["<", ">", "<=", ">=", "!="], "COMPARED")


def _after(place: Place) -> Iterator[Place]:
    """The places behind the piece that a place is at."""
    *above, (rule, items, at) = place
    if items[at].times in ("*", "+"):
        yield from _enter(place, set())
    yield from _open((*above, (rule, items, at + 1)), set())


def _open(place: Place, seen: set[Place]) -> Iterator[Place]:
    """The leaves that may come at a place: what may be left out is also skipped, what has ended goes on above."""
    if place in seen or len(place) > _DEEPEST:
        return
    seen.add(place)
    *above, (rule, items, at) = place
    if at == len(items):
        yield from _after(tuple(above)) if above else iter(((),))
        return
    if items[at].times in ("?", "*"):
        yield from _open((*above, (rule, items, at + 1)), seen)
    yield from _enter(place, seen)


def _enter(place: Place, seen: set[Place]) -> Iterator[Place]:
    rule, items, at = place[-1]
    item = items[at]
    for way in item.ways:
        yield from _open((*place, (rule, way.items, 0)), seen)
    if item.text or (item.rule and item.rule not in rules()):
        yield place
    elif item.rule:
        for way in rules()[item.rule]:
            yield from _open((*place, (item.rule, way.items, 0)), seen)
