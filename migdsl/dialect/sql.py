"""SQL as users write it becomes something that can be asked: its parameters, columns, functions, and rewritten text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from migdsl.dialect import pgquery
from migdsl.dialect.functions import AGGREGATES, CLOCK, SETS, STABLE, VOLATILE, WINDOW
from migdsl.dialect.pgquery import Lexeme, SqlError, Tree

SUBQUERY = "a subquery"
_TIMES = frozenset("date time timetz timestamp timestamptz".split())
_PREFIX = "SELECT ("
# A text without any of these has no comment, no dollar quote, no escape and no slice, so that a colon is quickly told.
_ODD = re.compile(r"[\\$\[]|--|/\*|\w:[A-Za-z_]")
_COLONS = re.compile(r"""'[^']*'|"[^"]*"|::|:([A-Za-z_]\w*)""")
# A name as most people write it: where it ends can be told without PostgreSQL's scanner. (`U&"…"` is quoted.)
_PLAIN_NAME = re.compile(r'[A-Za-z_][\w$]*+(?!&")', re.ASCII)


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

    @property
    def why(self) -> str:
        """Why it can't be there, in a few words."""
        if self.what.startswith("the parameter"):
            return "has no value where a row is computed"
        return "gives several rows" if self.what.endswith("rows,") else "sees more than the one row"


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression over the columns of one row. Its text keeps the user's layout and comments.

    `slices` are the offsets behind the colons of array slices that no space follows.
    """

    text: str
    columns: tuple[ColumnUse, ...]
    misuses: tuple[Misuse, ...]
    tree: Tree
    slices: tuple[int, ...] = ()

    def names(self) -> frozenset[str]:
        """The columns that it reads."""
        return frozenset(use.name for use in self.columns)

    def rewritten(self, spell: Callable[[str], str]) -> str:
        """The text with every column replaced by what `spell` makes of its name: by position, never by search.

        A slice's colon gets a space behind it: `a[1:n]` would read as the parameter `:n` wherever there are parameters.
        """
        edits = [(use.start, use.end, spell(use.name)) for use in self.columns] + [(at, at, " ") for at in self.slices]
        pieces: list[str] = []
        at = 0
        for start, end, text in sorted(edits):
            pieces += [self.text[at:start], text]
            at = end
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
    """All `:name` of a text, found among PostgreSQL's own tokens: not in strings, comments, casts or array slices."""
    return _colons(text)[0]


def _colons(text: str) -> tuple[tuple[Parameter, ...], tuple[int, ...]]:
    """The parameters of a text, and the offsets behind the colons of its array slices that no space follows.

    Raises SqlError, also for `$1`.
    """
    if text.isascii() and not _ODD.search(text):
        return tuple(Parameter(m[1], *m.span()) for m in _COLONS.finditer(text) if m[1]), ()
    lexemes = [x for x in pgquery.scan(text) if not x.text.startswith(("--", "/*"))]
    found, slices = [], []
    brackets: list[bool] = []  # innermost last: whether a colon in it would be a slice's
    for before, here, after in zip([None, *lexemes], lexemes, [*lexemes[1:], None], strict=False):
        if here.text[0] == "$" and here.text[1:].isdecimal():
            raise SqlError(
                f"parameters have names, such as :tenant_id, and not numbers such as {here.text}", here.start
            )
        if here.text in ("[", "("):
            brackets.append(here.text == "[" and _subscribes(before))
        elif here.text in ("]", ")"):
            brackets[-1:] = []
        elif here.text == ":" and brackets[-1:] == [True]:
            brackets[-1] = False
            if not text[here.end : here.end + 1].isspace():
                slices.append(here.end)
        elif here.text == ":" and after is not None and here.end == after.start and _starts_name(after):
            if (
                before is not None
                and before.end == here.start
                and (before.text[-1].isalnum() or before.text[-1] == "_")
            ):
                raise SqlError(f"a space is missing before :{after.text}", here.start)
            found.append(Parameter(after.text, here.start, after.end))
    return tuple(found), tuple(slices)


def _subscribes(before: Lexeme | None) -> bool:
    """Whether a `[` behind this token takes a part of an array, rather than making one."""
    return before is not None and (
        before.text[-1] in '])"' or (_starts_name(before) and before.text.lower() != "array")
    )


def _starts_name(lexeme: Lexeme) -> bool:
    return lexeme.text[0].isalpha() or lexeme.text[0] == "_"


def statement(text: str) -> Statement:
    """Parse exactly one statement; raises SqlError, also where there are none or several."""
    found, slices = _colons(text)
    for at in slices:
        if text[at : at + 1].isalpha() or text[at : at + 1] == "_":
            raise SqlError("an array slice needs a space behind its colon, or it reads as a parameter", at - 1)
    trees = pgquery.parse(_with_numbers(text, found))
    if len(trees) != 1:
        at = trees[1].get("stmt_location", 0) if len(trees) > 1 else 0
        start = pgquery.character_offsets(text)(at)
        start += len(text[start:]) - len(text[start:].lstrip())
        raise SqlError("exactly one statement is expected", start if len(trees) > 1 else 0)
    (kind, tree), *_ = trees[0]["stmt"].items()
    return Statement(text, kind, tree, found)


def _with_numbers(text: str, found: tuple[Parameter, ...], ahead: int = 0) -> str:
    """The text with `$n` for `:name`, padded so that no offset moves, in bytes either; parameters stand `ahead` later."""
    of = numbers(found)
    pieces: list[str] = []
    at = 0
    for parameter in found:
        start, end = parameter.start + ahead, parameter.end + ahead
        pieces += [text[at:start], f"${of[parameter.name]}".ljust(len(text[start:end].encode()))]
        at = end
    return "".join([*pieces, text[at:]])


@lru_cache(maxsize=1024)  # a schema says `now()` and the like hundreds of times
def expression(text: str) -> Expression:
    """Parse an expression over one row; raises SqlError with offsets in `text`."""
    found, slices = _colons(text)
    try:
        trees = pgquery.parse(_with_numbers(f"{_PREFIX}{text}\n)", found, len(_PREFIX)))
    except SqlError as error:
        raise type(error)(error.message, min(max(error.offset - len(_PREFIX), 0), len(text))) from None
    select = trees[0]["stmt"].get("SelectStmt", {}) if len(trees) == 1 else {}
    targets = select.get("targetList", [])
    if set(select) - {"targetList", "limitOption", "op"} or len(targets) != 1 or "name" in targets[0]["ResTarget"]:
        raise SqlError("an expression is expected, not a statement or a list", 0)
    tree = targets[0]["ResTarget"]["val"]
    if "RowExpr" in tree:
        raise SqlError("one expression is expected, not a list", 0)
    nodes = list(walk(tree))
    columns = tuple(sorted(_columns(nodes, text), key=lambda use: use.start))
    return Expression(text, columns, tuple(_misuses(nodes, text, found)), tree, slices)


def varies_by_row(expression: Expression) -> str | None:
    """A function in an expression that gives each row another value, even within one statement; None where there is none."""
    for kind, node in walk(expression.tree):
        if kind == "FuncCall" and (name := node["funcname"][-1]["String"]["sval"]) in VOLATILE - STABLE:
            return str(name)
    return None


def walk(node: Any) -> Iterator[tuple[str, Tree]]:
    """Every node of a parse tree with its kind, outermost first; without recursion, since trees can be deep."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if isinstance(here, list):
            waiting += reversed(here)
        elif isinstance(here, dict):
            for kind, value in here.items():
                if isinstance(value, dict) and "A" <= kind[:1] <= "Z":
                    yield kind, value
            waiting += [value for value in reversed(here.values()) if isinstance(value, dict | list)]


def _place(text: str) -> Callable[[int], int]:
    """From byte offsets in the wrapped text to character offsets in the text itself."""
    at = pgquery.character_offsets(text)
    return lambda offset: at(max(offset - len(_PREFIX), 0))


def _columns(nodes: list[tuple[str, Tree]], text: str) -> Iterator[ColumnUse]:
    place = _place(text)
    found = [(node["fields"], place(node.get("location", 0))) for kind, node in nodes if kind == "ColumnRef"]
    plain = [_PLAIN_NAME.match(text, start) if len(fields) == 1 else None for fields, start in found]
    ends = [each.end() for each in plain if each] if text.isascii() and all(plain) else _ends(text, found)
    for (fields, start), end in zip(found, ends, strict=True):
        names = [field["String"]["sval"] for field in fields if "String" in field]
        if len(names) == len(fields):
            yield ColumnUse(names[-2] if len(names) > 1 else None, names[-1], start, end)


def _ends(text: str, names: list[tuple[list[Tree], int]]) -> list[int]:
    """Where names end, from their parts and where they begin."""
    lexemes = [x for x in pgquery.scan(text) if not x.text.startswith(("--", "/*"))]
    places = {lexeme.start: i for i, lexeme in enumerate(lexemes)}
    return [lexemes[places[start] + 2 * (len(parts) - 1)].end for parts, start in names]


def _misuses(nodes: list[tuple[str, Tree]], text: str, found: tuple[Parameter, ...]) -> Iterator[Misuse]:
    place = _place(text)

    def misuse(what: str, node: Tree, volatile: bool = False) -> Misuse:
        start = place(node.get("location", 0))
        end = next((x.end for x in pgquery.scan(text) if x.start >= start), len(text))
        return Misuse(what, volatile, start, max(end, start))

    for parameter in found:
        yield Misuse(f"the parameter `:{parameter.name}`", False, parameter.start, parameter.end)
    for kind, node in nodes:
        if kind not in _SUSPECT:
            continue
        what, volatile = _misused(kind, node)
        if what:
            yield misuse(what, node.get("arg", {}).get("A_Const", node) if kind == "TypeCast" else node, volatile)


_SUSPECT = frozenset("SubLink FuncCall SQLValueFunction TypeCast ColumnRef".split())


def _misused(kind: str, node: Tree) -> tuple[str, bool]:
    """What has no place in an expression over one row, in words (else empty), and whether that is for its changing value."""
    if kind == "SubLink":
        return SUBQUERY, False
    if kind == "FuncCall":
        return _misused_call(node)
    if kind == "SQLValueFunction":
        return f"`{node['op'].removeprefix('SVFOP_').lower()}`", True
    if kind == "TypeCast" and node["typeName"]["names"][-1]["String"]["sval"] in _TIMES:
        constant = node["arg"].get("A_Const", {}).get("sval", {}).get("sval", "")
        return (f"`'{constant}'` as a time", True) if constant.strip().lower() in CLOCK else ("", False)
    if kind == "ColumnRef" and any("A_Star" in field for field in node["fields"]):
        return "`*`", False
    return "", False


def _misused_call(node: Tree) -> tuple[str, bool]:
    name = node["funcname"][-1]["String"]["sval"]
    if "over" in node or name in WINDOW:
        return f"the window function `{name}`", False
    if name in AGGREGATES or any(node.get(f) for f in ("agg_star", "agg_distinct", "agg_filter", "agg_order")):
        return f"the aggregate `{name}`", False
    if name in SETS:
        return f"`{name}()`, which returns several rows,", False
    now = name == "age" and len(node.get("args", [])) == 1  # the age as of today
    return (f"`{name}()`", True) if name in VOLATILE or now else ("", False)
