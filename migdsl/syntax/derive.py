"""The grammar's text becomes its tables, by way of Lark; here is all that the project asks of Lark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import lark
from lark.parsers.lalr_analysis import Shift

from migdsl.syntax.grammar import ALWAYS, END, GOES_ON, Rule, Tables, Terminal


class Separators:
    """Drops the separators that separate nothing, as Lark's own parser needs it."""

    always_accept = tuple(sorted(ALWAYS))

    def process(self, stream: Iterator[lark.Token]) -> Iterator[lark.Token]:
        """The tokens without such separators."""
        depth = 0
        previous = "{"
        for token in stream:
            if token.type == "_SEP":
                if depth > 0 or previous in GOES_ON:
                    continue
                previous = ";"
            else:
                depth += (token == "(") - (token == ")")
                previous = str(token)
            yield token


def lark_parser(text: str, **options: Any) -> lark.Lark:
    """Lark's own parser of a grammar, with its standard contextual lexer: what the tables are taken from and held against."""
    return lark.Lark(text, parser="lalr", maybe_placeholders=False, postlex=Separators(), **options)


def derive(text: str) -> Tables:
    """The tables of a grammar."""
    made: Any = lark_parser(text)
    table: Any = made.parser.parser._parse_table  # noqa: SLF001 - Lark's own `save` reads it too
    numbers = {rule: number for number, rule in enumerate(made.rules)}
    rows: list[dict[str, Any]] = [table.states[state] for state in range(len(table.states))]
    last = table.end_states["start"]
    rows[last] = {END: (Shift, last)}  # Lark looks at the state instead: the whole text has been taken.
    return Tables(
        _terminals(made),
        frozenset(made.ignore_tokens),
        frozenset(s.name for rule in made.rules for s in rule.expansion if s.is_term and not s.filter_out),
        tuple(_rule(rule) for rule in made.rules),
        tuple({name: _action(found, numbers) for name, found in row.items() if name.isupper()} for row in rows),
        tuple({name: found[1] for name, found in row.items() if not name.isupper()} for row in rows),
        table.start_states["start"],
    )


def _action(found: tuple[Any, Any], numbers: dict[Any, int]) -> int:
    action, of = found
    return int(of) if action is Shift else ~numbers[of]


def _rule(rule: Any) -> Rule:
    """What Lark's tree builder would do: leave out anonymous tokens, put in what a rule `_x` holds instead of the rule."""
    size = len(rule.expansion)
    every = rule.options.keep_all_tokens
    keep = tuple(
        (at - size, not symbol.is_term and symbol.name.startswith("_"))
        for at, symbol in enumerate(rule.expansion)
        if every or not (symbol.is_term and symbol.filter_out)
    )
    as_it_is = len(keep) == size and not any(inside for _, inside in keep)
    data = str(rule.alias or rule.origin.name)
    single = bool(rule.options.expand1 and not rule.alias)
    return Rule(str(rule.origin.name), "" if data.startswith("_") else data, size, None if as_it_is else keep, single)


def _terminals(made: Any) -> tuple[Terminal, ...]:
    """In the order in which Lark's lexer tries them."""
    every = sorted(made.terminals, key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name))
    return tuple(_terminal(each, every) for each in every)


def _terminal(of: Any, every: list[Any]) -> Terminal:
    literal = of.pattern.type == "str"
    assert not (literal and of.pattern.flags), f"{of.name}: a literal that ignores case is not provided for"
    hosts = [
        each.name
        for each in every
        if literal and each.pattern.type == "re" and each.priority == of.priority and _takes(each, of.pattern.value)
    ]
    return Terminal(of.name, of.pattern.to_regexp(), of.pattern.value if literal else "", tuple(hosts))


def _takes(terminal: Any, text: str) -> bool:
    found = re.match(terminal.pattern.to_regexp(), text)
    return found is not None and found[0] == text
