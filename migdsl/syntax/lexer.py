"""Text becomes the grammar's tokens, one at a time: what a word is depends on what the parser can take at that point."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import chain

from migdsl.syntax.grammar import ALWAYS, END, GOES_ON, Tables, Terminal, tables
from migdsl.values import Value

Found = tuple[str, str, int, int]  # terminal, text, first character, character behind the last
_OTHER = "OTHER_CHARACTER"  # what no terminal begins with
_PARENTHESES = frozenset("()")
ENDLESS = "ENDLESS"  # what stands where a statement has gone on for too long
MOST_WORDS = 50_000  # of one statement; ten megabytes of one list would take gigabytes


class Stumble(Exception):  # noqa: N818 - it ends the parse, and becomes a diagnostic
    """Nothing that the parser can take stands at `at`: a token of another kind does, or (`terminal` empty) none at all.

    `allowed`: the terminals that were tried there.
    """

    def __init__(self, terminal: str, text: str, at: int, allowed: frozenset[str]) -> None:
        super().__init__(at)
        self.terminal = terminal
        self.text = text
        self.at = at
        self.allowed = allowed


class Scanner(Value):
    """One pattern for several terminals, a group each. `words` are the literals that take another terminal's place:
    by that terminal, then by text."""

    pattern: re.Pattern[str]
    names: frozenset[str]
    words: dict[str, dict[str, str]]


def scanner(terminals: tuple[Terminal, ...], rest: str = "") -> Scanner:
    """A scanner of these terminals; with `rest`, of any other character too, under that name."""
    regexps = {each.name for each in terminals if not each.literal}
    words: dict[str, dict[str, str]] = {}
    alone = []
    for each in terminals:
        hosts = regexps.intersection(each.hosts)
        for host in hosts:
            words.setdefault(host, {})[each.literal] = each.name
        if not hosts:
            alone.append(each)
    parts = [f"(?P<{each.name}>{each.regexp})" for each in alone]
    if rest:
        parts.append(f"(?P<{rest}>(?s:.))")
    return Scanner(re.compile("|".join(parts)), frozenset(each.name for each in alone), words)


@cache
def _whole() -> Scanner:
    return scanner(tables().terminals, _OTHER)


@cache
def _narrow(accepted: frozenset[str]) -> Scanner:
    """Where the first terminal that fits is not to be had, another may be: Lark's contextual lexer tries those alone."""
    made = tables()
    names = accepted | made.ignored | ALWAYS
    return scanner(tuple(each for each in made.terminals if each.name in names))


def lex(text: str, start: int, end: int, states: list[int]) -> Iterator[Found]:
    """The tokens of characters `[start, end)`, without what is ignored and what separates nothing; END at last.

    `states` is the parser's stack, which changes from token to token. Raises Stumble.
    """
    made, whole = tables(), _whole()
    rows = made.actions
    words = {name: None if name in made.ignored else whole.words.get(name, {}) for name in (*made.names, _OTHER)}
    depth, previous, at, behind, room = 0, "{", 0, 0, MOST_WORDS
    matches = whole.pattern.finditer(text, start, end)
    while (match := next(matches, None)) is not None:
        name = match.lastgroup or _OTHER
        mine = words[name]
        if mine is None:
            continue
        piece = match[0]
        row = rows[states[-1]]
        if name in row or name in ALWAYS:
            word = mine.get(piece)
            if word in row:
                name = word
        else:
            found = _another(made, match, end, row)
            matches = chain((found,), whole.pattern.finditer(text, found.end(), end))
            continue
        if name == "_SEP":
            if depth > 0 or previous in GOES_ON:
                continue
            previous, room = ";", MOST_WORDS
        else:
            if piece in _PARENTHESES:
                depth += 1 if piece == "(" else -1
            previous = piece
            room = MOST_WORDS if piece == "{" else room - 1
            if not room:
                raise Stumble(ENDLESS, piece, match.start(), frozenset())
        at, behind = match.span()
        yield name, piece, at, behind
    yield END, "", at, behind


def _another(made: Tables, match: re.Match[str], end: int, row: dict[str, int]) -> re.Match[str]:
    """The terminal of this state that stands where the first one that fits has no place."""
    narrow = _narrow(frozenset(row))
    found = narrow.pattern.match(match.string, match.start(), end)
    if found is not None:
        return found
    allowed = narrow.names - made.ignored
    name = match.lastgroup or _OTHER
    if name == _OTHER:
        raise Stumble("", "", match.start(), allowed)
    raise Stumble(_whole().words.get(name, {}).get(match[0], name), match[0], match.start(), allowed)
