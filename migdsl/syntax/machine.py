"""Tokens become a tree: the LALR(1) machine that the grammar's tables drive.

It does what Lark's own parser does with the same tables, many times faster; `tests/syntax/test_lexer.py` holds the two against
each other.
"""

from __future__ import annotations

from typing import Any

from migdsl.syntax.grammar import Tables, tables
from migdsl.syntax.lexer import Stumble, lex
from migdsl.syntax.tree import Token, Tree


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


def run(text: str, start: int, end: int) -> Tree:
    """The tree of characters `[start, end)`; raises Unexpected."""
    made = tables()
    rows, gotos, kept = made.actions, made.gotos, made.kept
    rules = [(r.origin, r.data, r.size, r.keep, r.single) for r in made.rules]
    states, values, begins = [made.first], list[Any](), list[int]()
    behind = start  # the last token that was taken
    try:
        for terminal, piece, at, after in lex(text, start, end, states):
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
            token: Token | None = None
            if terminal in kept:
                token = Token(piece)
                token.type, token.start, token.end = terminal, at, after
            values.append(token)
            begins.append(at)
            states.append(action)
            behind = after
    except Stumble as error:
        accepted = _accepted(made, states) if error.terminal else error.allowed
        raise Unexpected(error.terminal, error.text, error.at, accepted) from None
    tree: Tree = values[0]
    return tree


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
