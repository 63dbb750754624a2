"""The grammar's rules and the sentences of `grammar/words.toml` become what there is to say of each construct."""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from migdsl.resources import read_resource
from migdsl.syntax.notation import PARTS, first_words, is_family, members, rules, statements
from migdsl.syntax.notation import written as _written
from migdsl.values import Value


class Construct(Value):
    """A construct of the language.

    `rule` is its name in the grammar, `syntax` how it is written, `says` a sentence or two, `example` source that the rule
    reads, `words` those that it takes (none: any), `codes` the rules that look at it, `lines` the constructs of its block.
    """

    rule: str
    syntax: tuple[str, ...]
    says: str
    example: str
    words: tuple[str, ...]
    codes: tuple[str, ...]
    lines: tuple[str, ...]


@cache
def texts() -> Mapping[str, Mapping[str, object]]:
    """What `grammar/words.toml` has, by rule."""
    return tomllib.loads(read_resource("grammar", "words.toml"))


def needed() -> frozenset[str]:
    """The rules that a person may ask about: declarations, lines of blocks, whatever begins with a word, and the parts."""
    found = set(PARTS) | set(members("_declaration"))
    for rule, ways in rules().items():
        found |= set(statements(rule))
        begins = [way.items[0].text for way in ways if way.items]
        if not is_family(rule) and any(text.isidentifier() for text in begins):
            found.add(rule)
    return frozenset(found)


@cache
def construct(rule: str) -> Construct:
    """All that there is to say of a rule; KeyError where `grammar/words.toml` says nothing of it."""
    text = texts()[rule]
    syntax = (_spelt(rule),) if not is_family(rule) else tuple(_spelt(each) for each in members(rule))
    return Construct(
        rule,
        syntax,
        str(text["says"]),
        str(text["example"]).strip("\n"),
        _words(text.get("words", ())),
        _strings(text.get("codes", ())),
        statements(rule) if not is_family(rule) else (),
    )


def about(word: str) -> tuple[Construct, ...]:
    """The constructs that begin with a word of the language, or are called so; those with a block first."""
    found = [rule for rule in texts() if rule in rules() and not is_family(rule) and _is_called(rule, word)]
    return tuple(sorted((construct(rule) for rule in found), key=lambda each: not each.lines))


def words() -> frozenset[str]:
    """All words that `about` knows."""
    return frozenset(
        word for rule in texts() if rule in rules() for word in (*first_words(rule), rule) if word.isidentifier()
    )


def declarations() -> tuple[Construct, ...]:
    """The declarations, in the grammar's order."""
    return tuple(construct(rule) for rule in members("_declaration"))


def inner(construct_: Construct) -> Iterator[Construct]:
    """The lines of a construct's block."""
    return (construct(rule) for rule in construct_.lines)


def _is_called(rule: str, word: str) -> bool:
    return word in first_words(rule) or word == rule or PARTS.get(rule, "") == word.upper()


def _spelt(rule: str) -> str:
    return _written(rule, _places())


@cache
def _places() -> Mapping[str, Mapping[str, str]]:
    found = {}
    for rule, text in texts().items():
        places = text.get("places")
        if isinstance(places, Mapping):
            found[rule] = {str(sign): str(name) for sign, name in places.items()}
    return found


def _words(said: object) -> tuple[str, ...]:
    """A list as it stands, or what the compiler itself goes by (`module:NAME`): then no page can be wrong about it."""
    if not isinstance(said, str):
        return _strings(said)
    module, _, name = said.partition(":")
    found = getattr(importlib.import_module(module), name)
    return tuple(sorted(found)) if isinstance(found, frozenset | set) else tuple(str(word) for word in found)


def _strings(said: object) -> tuple[str, ...]:
    return tuple(str(each) for each in said) if isinstance(said, Iterable) else ()
