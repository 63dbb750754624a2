"""Tokens become a tree: the LALR(1) machine that the grammar's tables drive.

It does what Lark's own parser does with the same tables, many times faster; `tests/syntax/test_lexer.py` holds the two against
each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from migdsl.syntax.grammar import Tables, tables
from migdsl.syntax.lexer import Found, Stumble, lex
from migdsl.syntax.tree import Token, Tree

_BRACES = frozenset("{}")


class Unexpected(Exception):  # noqa: N818 - the parser's verdict on a text, which becomes a diagnostic
    """The text goes on at `at` in a way that the grammar doesn't.

    `terminal` is what stands there (END: nothing more; empty: characters of no token) and `text` the token's text;
    `accepted` are the terminals that could have.
    """

    def __init__(self, terminal: str, text: str, at: int, accepted: frozenset[str]) -> None:
        super().__init__(at)
        self.terminal = terminal
        self.text = text
        self.at = at
        self.accepted = accepted


class _Stacks(NamedTuple):
    """The machine's stacks: its states, what was made of the symbols that led to them, and where those begin."""

    states: list[int]
    values: list[Any]
    begins: list[int]


class Progress:
    """How far a parse had come at the last boundary of statements in each block that was open.

    A text that differs only behind such a place is parsed from there on: a file with many mistakes is read once, not
    once a mistake.
    """

    def __init__(self) -> None:
        self._marks: list[_Mark] = []

    def note(self, piece: str, after: int, stacks: _Stacks) -> None:
        """Remember that a `{`, `}` or separator was taken, which ends at `after`."""
        if piece == "{":
            self._marks.append(_Mark(after, *stacks))
        elif piece == "}":
            self._marks.pop()
        elif self._marks:
            self._marks[-1] = _Mark(after, *stacks)

    def back(self, to: int) -> _Mark | None:
        """The last place that is not behind `to`; what came later is forgotten."""
        while self._marks and self._marks[-1].at > to:
            self._marks.pop()
        return self._marks[-1] if self._marks else None


class _Mark:
    """The machine's stacks at a place. Lists among the values only ever grow, so their lengths are enough."""

    def __init__(self, at: int, states: list[int], values: list[Any], begins: list[int]) -> None:
        self.at = at
        self.states = tuple(states)
        self.values = tuple(values)
        self.begins = tuple(begins)
        self.lengths = tuple(len(value) if isinstance(value, list) else 0 for value in values)

    def restore(self, states: list[int], values: list[Any], begins: list[int]) -> int:
        """Put the stacks back; where to go on."""
        for value, length in zip(self.values, self.lengths, strict=True):
            if isinstance(value, list):
                del value[length:]
        states[:], values[:], begins[:] = self.states, self.values, self.begins
        return self.at


def run(text: str, start: int, end: int, progress: Progress | None = None, changed: int = 0) -> Tree:
    """The tree of characters `[start, end)`; raises Unexpected.

    With `progress` of an earlier run: of a text that was the same before `changed`.
    """
    made = tables()
    stacks = _Stacks([made.first], [], [])
    mark = progress.back(changed) if progress is not None else None
    if mark is not None:
        start = mark.restore(*stacks)
    try:
        return _drive(made, stacks, lex(text, start, end, stacks.states), start, progress)
    except Stumble as error:
        accepted = _accepted(made, stacks.states) if error.terminal else error.allowed
        raise Unexpected(error.terminal, error.text, error.at, accepted) from None


def _drive(made: Tables, stacks: _Stacks, tokens: Iterator[Found], behind: int, progress: Progress | None) -> Tree:
    """Shift and reduce until all is taken; `behind` is the end of the last token that was."""
    rows, gotos, kept = made.actions, made.gotos, made.kept
    rules = [(r.origin, r.data, r.size, r.keep, r.single) for r in made.rules]
    states, values, begins = stacks
    for terminal, piece, at, after in tokens:
        action = rows[states[-1]].get(terminal)
        while action is not None and action < 0:
            origin, data, size, keep, single = rules[~action]
            children = _children(values, keep) if keep is not None else values[-size:] if size else []
            if size > 1:
                del values[1 - size :], begins[1 - size :], states[1 - size :]
            elif not size:  # What is empty begins where the next thing does.
                values.append(None)
                begins.append(at)
                states.append(0)
            if not data:
                values[-1] = children
            elif single and len(children) == 1:
                values[-1] = children[0]
            else:
                values[-1] = Tree(data, children, begins[-1], behind)
            states[-1] = gotos[states[-2]][origin]
            action = rows[states[-1]].get(terminal)
        if action is None:
            raise Unexpected(terminal, piece, at, _accepted(made, states))
        values.append(_token(terminal, piece, at, after) if terminal in kept else None)
        begins.append(at)
        states.append(action)
        behind = after
        if progress is not None and (terminal == "_SEP" or piece in _BRACES):
            progress.note(piece, after, stacks)
    tree: Tree = values[0]
    return tree


def _token(terminal: str, piece: str, at: int, after: int) -> Token:
    token = Token(piece)
    token.type, token.start, token.end = terminal, at, after
    return token


def _children(values: list[Any], keep: tuple[tuple[int, bool], ...]) -> list[Any]:
    """What a rule keeps of its symbols' values; of those that are lists, what they hold."""
    found: list[Any] | None = None
    for index, inside in keep:
        value = values[index]
        if not inside:
            value = [value]
        if found is None:
            found = value  # Nobody else has it: a list that grows item by item is not copied each time.
        else:
            found += value
    return [] if found is None else found


def _accepted(made: Tables, states: list[int]) -> frozenset[str]:
    """The terminals that could be taken: reduced as far as needed, and then there is a place for them."""
    row = made.actions[states[-1]]
    return frozenset(each for each in row if _takes(made, list(states), each)) or frozenset(row)


def _takes(made: Tables, states: list[int], terminal: str) -> bool:
    while True:
        action = made.actions[states[-1]].get(terminal)
        if action is None or action >= 0:
            return action is not None
        rule = made.rules[~action]
        if rule.size:
            del states[-rule.size :]
        states.append(made.gotos[states[-1]][rule.origin])
