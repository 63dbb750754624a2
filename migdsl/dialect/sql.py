"""SQL as users write it becomes something that can be asked: its parameters, columns, functions, and rewritten text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from migdsl.dialect import pgquery
from migdsl.dialect.functions import AGGREGATES, VOLATILE, WINDOW
from migdsl.dialect.pgquery import SqlError, Tree

_COLON = ":"
_PREFIX = "SELECT ("


@dataclass(frozen=True, slots=True)
class Parameter:
    """`:name` at characters `[start, end)` of the text."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """A column's name in an expression, at characters `[start, end)`; `table` where it is qualified."""

    table: str | None
    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Misuse:
    """What an expression over one row can't contain: `what` says it, at `[start, end)`. `volatile`: its value may change."""

    what: str
    volatile: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression over the columns of one row. Its text keeps the user's layout and comments."""

    text: str
    columns: tuple[ColumnUse, ...]
    misuses: tuple[Misuse, ...]
    tree: Tree

    def names(self) -> frozenset[str]:
        """The columns that it reads."""
        return frozenset(use.name for use in self.columns)

    def rewritten(self, spell: Callable[[str], str]) -> str:
        """The text with every column replaced by what `spell` makes of its name: by position, never by search."""
        pieces: list[str] = []
        at = 0
        for use in self.columns:
            pieces += [self.text[at : use.start], spell(use.name)]
            at = use.end
        return "".join([*pieces, self.text[at:]])


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement. `kind` is the parse tree's name of it (`SelectStmt`); parameters are `$n` in the tree."""

    text: str
    kind: str
    tree: Tree
    parameters: tuple[Parameter, ...]

    def number(self, name: str) -> int | None:
        """The `$n` that stands for `:name`, or None where the statement doesn't use it."""
        return numbers(self.parameters).get(name)


def numbers(parameters: tuple[Parameter, ...]) -> Mapping[str, int]:
    """Each parameter's number, in order of first use."""
    found: dict[str, int] = {}
    for parameter in parameters:
        found.setdefault(parameter.name, len(found) + 1)
    return found


def parameters(text: str) -> tuple[Parameter, ...]:
    """All `:name` of a text, found among PostgreSQL's own tokens: not in strings, comments, or casts."""
    lexemes = pgquery.scan(text)
    found = []
    for before, colon, word in zip([None, *lexemes], lexemes, lexemes[1:], strict=False):
        if colon.text != _COLON or colon.end != word.start or not (word.text[0].isalpha() or word.text[0] == "_"):
            continue
        if before is not None and before.end == colon.start and before.text not in ("(", ",", "=", "[", "<", ">"):
            continue  # An array slice: a[lower:upper].
        found.append(Parameter(word.text.lower(), colon.start, word.end))
    return tuple(found)


def statement(text: str) -> Statement:
    """Parse exactly one statement; raises SqlError, also where there are none or several."""
    found = parameters(text)
    trees = pgquery.parse(_with_numbers(text, found))
    if len(trees) != 1:
        at = trees[1].get("stmt_location", 0) if len(trees) > 1 else 0
        raise SqlError("exactly one statement is expected", pgquery.character_offsets(text)(at))
    (kind, tree), *_ = trees[0]["stmt"].items()
    return Statement(text, kind, tree, found)


def _with_numbers(text: str, found: tuple[Parameter, ...]) -> str:
    """The text with `$n` for `:name`, padded so that no offset moves."""
    of = numbers(found)
    pieces: list[str] = []
    at = 0
    for parameter in found:
        pieces += [text[at : parameter.start], f"${of[parameter.name]}".ljust(parameter.end - parameter.start)]
        at = parameter.end
    return "".join([*pieces, text[at:]])


def expression(text: str) -> Expression:
    """Parse an expression over one row; raises SqlError with offsets in `text`."""
    whole = f"{_PREFIX}{text}\n)"
    try:
        found = parameters(text)
        trees = pgquery.parse(
            _with_numbers(whole, tuple(Parameter(p.name, p.start + len(_PREFIX), p.end + len(_PREFIX)) for p in found))
        )
    except SqlError as error:
        raise SqlError(error.message, min(max(error.offset - len(_PREFIX), 0), len(text))) from None
    select = trees[0]["stmt"].get("SelectStmt", {}) if len(trees) == 1 else {}
    targets = select.get("targetList", [])
    if set(select) - {"targetList", "limitOption", "op"} or len(targets) != 1 or "name" in targets[0]["ResTarget"]:
        raise SqlError("an expression is expected, not a statement or a list", 0)
    tree = targets[0]["ResTarget"]["val"]
    if "RowExpr" in tree:
        raise SqlError("one expression is expected, not a list", 0)
    columns = tuple(sorted(_columns(tree, text), key=lambda use: use.start))
    return Expression(text, columns, tuple(_misuses(tree, text, found)), tree)


def walk(node: Any) -> Iterator[tuple[str, Tree]]:
    """Every node of a parse tree with its kind, outermost first; without recursion, since trees can be deep."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if isinstance(here, list):
            waiting.extend(reversed(here))
        elif isinstance(here, dict):
            for kind, value in here.items():
                if isinstance(value, dict) and kind[:1].isupper():
                    yield kind, value
            waiting.extend(reversed(list(here.values())))


def _place(text: str) -> Callable[[int], int]:
    """From byte offsets in the wrapped text to character offsets in the text itself."""
    at = pgquery.character_offsets(text)
    return lambda offset: at(max(offset - len(_PREFIX), 0))


def _columns(tree: Tree, text: str) -> Iterator[ColumnUse]:
    place = _place(text)
    lexemes = pgquery.scan(text)
    ends = {lexeme.start: i for i, lexeme in enumerate(lexemes)}
    for kind, node in walk(tree):
        if kind != "ColumnRef":
            continue
        fields = [f["String"]["sval"] for f in node["fields"] if "String" in f]
        start = place(node.get("location", 0))
        last = lexemes[ends[start] + 2 * (len(node["fields"]) - 1)]
        if len(fields) == len(node["fields"]):
            yield ColumnUse(fields[-2] if len(fields) > 1 else None, fields[-1], start, last.end)


def _misuses(tree: Tree, text: str, found: tuple[Parameter, ...]) -> Iterator[Misuse]:
    place = _place(text)

    def misuse(what: str, node: Tree, volatile: bool = False) -> Misuse:
        start = place(node.get("location", 0))
        end = next((x.end for x in pgquery.scan(text) if x.start >= start), len(text))
        return Misuse(what, volatile, start, max(end, start))

    for parameter in found:
        yield Misuse(f"the parameter `:{parameter.name}`", False, parameter.start, parameter.end)
    for kind, node in walk(tree):
        if kind == "SubLink":
            yield misuse("a subquery", node)
        elif kind == "FuncCall":
            name = node["funcname"][-1]["String"]["sval"]
            if "over" in node or name in WINDOW:
                yield misuse(f"the window function `{name}`", node)
            elif name in AGGREGATES or any(
                node.get(f) for f in ("agg_star", "agg_distinct", "agg_filter", "agg_order")
            ):
                yield misuse(f"the aggregate `{name}`", node)
            elif name in VOLATILE:
                yield misuse(f"`{name}()`", node, volatile=True)
        elif kind == "SQLValueFunction":
            yield misuse(f"`{node['op'].removeprefix('SVFOP_').lower()}`", node, volatile=True)
        elif kind == "ColumnRef" and any("A_Star" in field for field in node["fields"]):
            yield misuse("`*`", node)
