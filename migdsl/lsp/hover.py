"""A place in a text becomes what there is to say of it: the construct, what an operation becomes, what a name is."""

from __future__ import annotations

import re

from migdsl.lsp.becomes import Becomes, told
from migdsl.lsp.names import Name
from migdsl.lsp.navigate import declarations, name_at, reading_of, unit_of
from migdsl.lsp.pages import code_page, page
from migdsl.lsp.reading import Line, Piece
from migdsl.semantics.conditions import BUILT_IN
from migdsl.source import Span
from migdsl.syntax.unit import Files
from migdsl.syntax.vocabulary import texts
from migdsl.values import Value

_CODE = re.compile(r"MIG\d{3}")


class Hover(Value):
    """Markdown, and what it speaks of."""

    text: str
    span: Span


def hover(files: Files, path: str, offset: int, known: tuple[Becomes, ...] = ()) -> Hover | None:
    """What there is to say of a place; None where there is nothing. `known`: what the operations become."""
    text = files[path]
    found = reading_of(text).piece(offset)
    if found is None:
        return None
    line, piece = found
    parts = [_code(piece), _name(files, path, offset), _operation(path, line, piece, known), page(rule_of(line, piece))]
    said = "\n\n---\n\n".join(part for part in parts if part)
    return Hover(said, Span(path, piece.start, piece.end)) if said else None


def rule_of(line: Line, piece: Piece) -> str:
    """The innermost construct that a token belongs to and that there is something to say of; of a line's first token, the
    line itself: what is a constraint in an entity is an operation in a change."""
    if piece.leaf is None:
        return ""
    if piece is line.pieces[0] and line.rule() in texts():
        return line.rule()
    if piece.leaf.rule in texts():
        return piece.leaf.rule
    return next((rule for rule in reversed(piece.leaf.path) if rule in texts()), "")


def _code(piece: Piece) -> str:
    return code_page(piece.text) if _CODE.fullmatch(piece.text) else ""


def _operation(path: str, line: Line, piece: Piece, known: tuple[Becomes, ...]) -> str:
    """On the first word of an operation: its steps."""
    if not line.pieces or piece is not line.pieces[0]:
        return ""
    place = (path, line.start)
    return next((told(each) for each in known if (each.span.path, each.span.start) == place), "")


def _name(files: Files, path: str, offset: int) -> str:
    name = name_at(files[path], offset)
    if name is None:
        return ""
    texts_ = unit_of(files, path)
    lines = [_declared(texts_[each.path], each.name, each.path, path) for each in declarations(texts_, name)]
    if not lines and name.kind == "metric" and name.text in BUILT_IN:
        return f"`{name.text}`: a built-in metric, in {BUILT_IN[name.text]}"
    whose = f" of {name.entity}" if name.entity else ""
    return "\n\n".join([f"{name.kind} `{name.text}`{whose}", *lines]) if lines else ""


def _declared(text: str, name: Name, home: str, path: str) -> str:
    begin = text.rfind("\n", 0, name.start) + 1
    end = text.find("\n", name.end)
    line = text[begin : len(text) if end < 0 else end].strip()
    where = "" if home == path else f"\n\nin {home}"
    return f"```mig\n{line}\n```{where}"
