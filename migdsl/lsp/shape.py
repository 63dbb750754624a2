"""A text becomes its outline: symbols, what can be folded, and what each token is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from migdsl.lsp.names import names
from migdsl.lsp.reading import Line, Piece, Reading, flat
from migdsl.lsp.roles import role
from migdsl.syntax.notation import members
from migdsl.values import Value

# In the order in which the protocol numbers them.
TOKENS = (
    "keyword",
    "type",
    "class",
    "property",
    "variable",
    "enumMember",
    "string",
    "number",
    "operator",
    "comment",
    "macro",
)
MODIFIERS = ("declaration", "deprecated")
_DECLARATIONS = frozenset(members("_declaration"))
_KINDS = {"column": "property", "entity": "class", "database": "class", "type": "type", "metric": "variable"}
_SYMBOLS = frozenset(
    "column entity create change add split merge rename retype drop require optional drop_entity".split()
)


class Symbol(Value):
    """A declaration, a column or an operation: its construct, what it is called, its whole place, and its name's."""

    rule: str
    name: str
    start: int
    end: int
    name_start: int
    name_end: int
    inner: tuple[Symbol, ...]


class Fold(Value):
    """A range that can be folded; `comment` where it is one."""

    start: int
    end: int
    comment: bool


class Kind(Value):
    """What a token is, one of TOKENS; `declares`: a name that is declared here."""

    start: int
    end: int
    kind: str
    declares: bool


def symbols(reading: Reading) -> tuple[Symbol, ...]:
    """The declarations, with what stands in their blocks."""
    return tuple(_symbol(line) for line in reading.lines if line.pieces)


def _symbol(line: Line) -> Symbol:
    named = next((p for p in line.pieces if p.leaf is not None and not p.leaf.text and role(p.leaf) is not None), None)
    first = line.pieces[0]
    head = " ".join(piece.text for piece in line.pieces if piece.leaf is not None and piece.leaf.text.isidentifier())
    rule = line.rule()
    name = f"{first.text} {named.text}" if named is not None and named is not first else first.text
    if named is None:
        name = (head or first.text)[:60]
    shown = named or first
    inner = tuple(_symbol(each) for each in line.lines if each.pieces and each.rule() in _SYMBOLS)
    return Symbol(rule, name, line.start, max(line.end, shown.end), shown.start, shown.end, inner)


def folds(reading: Reading) -> tuple[Fold, ...]:
    """Blocks, SQL over several lines, and comments that stand below one another."""
    found = [Fold(line.open, line.end, comment=False) for line in reading.all if line.open >= 0]
    pieces = (piece for line in reading.all for piece in line.pieces)
    found += [Fold(p.start, p.end, comment=False) for p in pieces if p.kind == "sql" and "\n" in p.text]
    return (*(each for each in found if "\n" in reading.text[each.start : each.end]), *_comments(reading))


def _comments(reading: Reading) -> Iterator[Fold]:
    begin = end = -1
    for each in reading.comments:
        between = reading.text[end : each.start] if end >= 0 else ""
        if end >= 0 and between.count("\n") == 1 and not between.strip():
            end = each.end
            continue
        if "\n" in reading.text[max(begin, 0) : max(end, 0)]:
            yield Fold(begin, end, comment=True)
        begin, end = each.start, each.end
    if "\n" in reading.text[max(begin, 0) : max(end, 0)]:
        yield Fold(begin, end, comment=True)


def kinds(reading: Reading) -> tuple[Kind, ...]:
    """What each token is, in order; SQL is left to the editor's own colours, but for the columns in it."""
    found = [Kind(each.start, each.end, "comment", declares=False) for each in reading.comments]
    for line in reading.lines:
        found += _kinds(line)
    found += [
        Kind(n.start, n.end, "property", declares=False)
        for n in names(reading)
        if n.sql and n.kind == "column" and n.entity
    ]
    return tuple(sorted(found, key=lambda each: each.start))


@lru_cache(maxsize=2_000)  # a declaration that stays as it is keeps its lines
def _kinds(line: Line) -> tuple[Kind, ...]:
    found = (_kind(piece) for each in flat(line) for piece in each.pieces)
    return tuple(each for each in found if each is not None)


def _kind(piece: Piece) -> Kind | None:
    read = piece.leaf
    if read is None or piece.kind == "sql":
        return None
    said = role(read)
    if said is not None and piece.kind in ("word", "string") and said.kind != "invariant":
        return Kind(piece.start, piece.end, _KINDS.get(said.kind, "variable"), said.declares)
    if read.terminal == "BOOLEAN" and read.rule != "boolean_flag":
        return Kind(piece.start, piece.end, "type", declares=False)
    kind = {"string": "string", "number": "number", "sign": "operator"}.get(piece.kind)
    if kind is None:
        kind = "keyword" if read.text or read.terminal == "BOOLEAN" else "enumMember"
    return Kind(piece.start, piece.end, kind, declares=False)
