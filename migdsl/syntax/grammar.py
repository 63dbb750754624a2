"""`grammar/mig.lark` becomes the tables that drive the parser: made by Lark once, and kept on disk between runs."""

from __future__ import annotations

import marshal
import os
import sys
from contextlib import suppress
from functools import cache
from typing import Any

from migdsl.resources import cache_folder, read_resource
from migdsl.values import Value

# A newline behind one of these separates nothing, nor does one inside parentheses.
GOES_ON = frozenset(["{", ";", ",", "and", "or"])
# NAME, so that a keyword is always a whole word: `enginee` is no `engine` followed by something else.
ALWAYS = frozenset(["_SEP", "NAME"])
END = "$END"
_FORMAT = 2  # of what is kept on disk; to be raised with each change of what `derive.py` makes


class Terminal(Value):
    """A terminal: `literal` is its text where it is always the same, else empty.

    `hosts` are the terminals that match this literal too, and give way to it where it may stand: NAME for a keyword.
    """

    name: str
    regexp: str
    literal: str
    hosts: tuple[str, ...]


class Rule(Value):
    """What becomes of `size` symbols: `origin` stands for them, and they become a node called `data` (empty: a list).

    `keep` says which of them stay as children, counted from the last (-1), and whether what they hold does instead; None:
    all as they are. `single`: where only one stays, it takes the node's place.
    """

    origin: str
    data: str
    size: int
    keep: tuple[tuple[int, bool], ...] | None
    single: bool


class Tables(Value):
    """An LALR(1) parser. Terminals are in the order in which they are tried; states are numbers.

    `actions` gives for a state and a terminal the state to go to, or `~n`: reduce by rule `n`; `gotos` for a state and an
    `origin` the state to go to. `kept`: the terminals that are a child somewhere.
    """

    terminals: tuple[Terminal, ...]
    ignored: frozenset[str]
    kept: frozenset[str]
    rules: tuple[Rule, ...]
    actions: tuple[dict[str, int], ...]
    gotos: tuple[dict[str, int], ...]
    first: int

    @property
    def names(self) -> tuple[str, ...]:
        """All terminals."""
        return tuple(each.name for each in self.terminals)

    @property
    def literals(self) -> dict[str, str]:
        """Terminals that are always the same text, by name."""
        return {each.name: each.literal for each in self.terminals if each.literal}


@cache
def tables() -> Tables:
    """The tables of this release's grammar; kept in the user's cache folder, since making them takes half a second."""
    text = read_resource("grammar", "mig.lark")
    try:
        path = os.path.join(cache_folder("grammar"), "mig.tables")
    except OSError:
        path = ""  # A cache that can't be had costs time, nothing else.
    found = _kept(path, text)
    if found is None:
        from migdsl.syntax.derive import derive  # Lark, which costs more than parsing a file

        found = derive(text)
        if path:
            _keep(path, text, found)
    return found


def _kept(path: str, text: str) -> Tables | None:
    """What the file holds, if it was made of the same grammar by the same Python.

    The folder is one that nobody else can write; a file that was cut short is none.
    """
    try:
        with open(path, "rb") as file:
            held = marshal.load(file)  # noqa: S302 - see above
    except (OSError, EOFError, ValueError, TypeError):
        return None
    if not isinstance(held, tuple) or held[:1] != (_made_of(text),):
        return None
    _, terminals, ignored, kept, rules, actions, gotos, first = held
    return Tables(
        tuple(Terminal(*each) for each in terminals),
        ignored,
        kept,
        tuple(Rule(*each) for each in rules),
        actions,
        gotos,
        first,
    )


def _keep(path: str, text: str, made: Tables) -> None:
    held = (
        _made_of(text),
        tuple(_plain(each) for each in made.terminals),
        made.ignored,
        made.kept,
        tuple(_plain(each) for each in made.rules),
        made.actions,
        made.gotos,
        made.first,
    )
    aside = f"{path}.{os.getpid()}"
    try:
        with open(aside, "wb") as file:
            marshal.dump(held, file)
        os.replace(aside, path)  # whole or not at all, whoever else is at it
    except OSError:
        with suppress(OSError):
            os.unlink(aside)


def _made_of(text: str) -> tuple[int, tuple[int, ...], str]:
    return _FORMAT, tuple(sys.version_info[:3]), text


def _plain(value: Value) -> tuple[Any, ...]:
    return tuple(getattr(value, field) for field in value.FIELDS)
