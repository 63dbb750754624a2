"""Constructs become what an editor types for one: their required pieces, with places to fill in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from migdsl.syntax.notation import Item, rules
from migdsl.syntax.vocabulary import construct, texts

_EXAMPLES = {"DURATION": "24h", "PERCENT": "10%", "COUNT": "100", "DATE": "2027-01-31", "VERSION": "15"}
_HEAD = re.compile(r"[a-z_]+")
_DEEPEST = 12


@cache
def heading(rule: str) -> str:
    """The words that a construct begins with: `drop index`, `flag`."""
    words = []
    for word in construct(rule).syntax[0].split(" "):
        if not _HEAD.fullmatch(word):
            break
        words.append(word)
    return " ".join(words) or rule


def number(rule: str) -> str:
    """A number that may stand in a construct, as its own syntax calls it."""
    if rule not in texts():
        return "1"
    called = " ".join(construct(rule).syntax)
    return next((example for name, example in _EXAMPLES.items() if name in called), "1")


@cache
def snippet(rule: str) -> str:
    """A construct with its places: `${1:name}`, `"$2"`; its block, if it needs one, is open."""
    places = iter(range(1, 100))
    return " ".join(_rule(rule, places, 0)).replace(" ,", ",").replace("( ", "(").replace(" )", ")").replace(" . ", ".")


def _rule(rule: str, places: Iterator[int], depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if rule == "type":
        yield f"${{{next(places)}:text}}"
        return
    for item in rules()[rule][0].items:
        if item.text == "{":
            yield "{\n\t$0\n}"
            return
        if item.times not in ("?", "*"):
            yield from _piece(item, rule, places, depth)


def _piece(item: Item, rule: str, places: Iterator[int], depth: int) -> Iterator[str]:
    if item.text:
        yield item.text
    elif item.ways:
        for inner in item.ways[0].items:
            yield from _piece(inner, rule, places, depth + 1) if inner.times not in ("?", "*") else ()
    elif item.rule in ("name", "word", "NAME"):
        words = construct(rule).words if rule in texts() else ()
        yield (
            f"${{{next(places)}|{','.join(words)}|}}"
            if item.rule == "word" and 0 < len(words) < 20
            else (f"${{{next(places)}:{'name' if item.rule == 'name' else 'word'}}}")
        )
    elif item.rule == "STRING":
        yield f'"${next(places)}"'
    elif item.rule == "SQL":
        yield f"`${next(places)}`"
    elif item.rule == "NUMBER":
        yield f"${{{next(places)}:{number(rule)}}}"
    elif item.rule in ("EQUAL", "COMPARED"):
        yield "=" if item.rule == "EQUAL" else "<"
    elif item.rule in rules():
        yield from _rule(item.rule, places, depth + 1)
