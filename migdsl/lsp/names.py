"""A reading becomes the names in it: of entities, columns, metrics and the like, declared, or referred to, in SQL too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from migdsl.dialect.names import quote
from migdsl.dialect.pgquery import SqlError
from migdsl.dialect.sql import expression
from migdsl.lsp.reading import Line, Piece, Reading, flat
from migdsl.lsp.roles import ROWS, Role, role
from migdsl.syntax.errors import parser_keywords
from migdsl.values import Value

# Names that follow SQL: unquoted ones fold to lower case.
_FOLDED = frozenset(["column", "constraint", "table", "schema", "tenant key"])
RENAMED = frozenset(
    [
        "entity",
        "column",
        "database",
        "metric",
        "gate",
        "alert",
        "flag",
        "migration",
        "constraint",
        "invariant",
        "api",
        "version",
        "service",
        "replacement",
    ]
)
_PLAIN = re.compile(r"[^\W\d]\w*")
_WORD = re.compile(r"'(?:[^']|'')*'|--[^\n]*|\"(?P<quoted>(?:[^\"]|\"\")*)\"|(?<![\w:$])(?P<word>[^\W\d]\w*)")


class Name(Value):
    """A name at `[start, end)`: what it is, its text by the rules of its kind, and of which entity it is (else empty).

    `sql`: it stands in SQL, where it is spelt as SQL spells it.
    """

    kind: str
    text: str
    entity: str
    declares: bool
    start: int
    end: int
    sql: bool

    @property
    def key(self) -> tuple[str, str, str]:
        """What it has in common with all that mean the same."""
        return self.kind, self.entity, self.text


def names(reading: Reading) -> tuple[Name, ...]:
    """All names of a text, in order. Never raises."""
    return tuple(each for line in reading.lines for each in _of_declaration(line))


@lru_cache(maxsize=2_000)  # a declaration that stays as it is keeps its lines
def _of_declaration(line: Line) -> tuple[Name, ...]:
    found = [each for inner in flat(line) for each in _of_line(inner)]
    return tuple(sorted(found, key=lambda each: each.start))


def entity_of(line: Line) -> str:
    """The entity that a line's columns belong to, or the API of its versions: that of the declaration around it, else empty."""
    top = list(line.upward())[-1]
    if (
        top.rule() not in ("entity", "create", "change", "move", "sync", "backfill", "validate", "api")
        or len(top.pieces) < 2
    ):
        return ""
    return _text("entity", top.pieces[1])


def rows_of(line: Line) -> str:
    """The entity whose rows SQL in a line speaks of: where a table is filled, the one that its rows come from."""
    for each in line.upward():
        if each.rule() == "filled" and len(each.pieces) > 1:
            return _text("entity", each.pieces[1])
    return entity_of(line)


def _of_line(line: Line) -> Iterator[Name]:
    target = ""
    for piece in line.pieces:
        if piece.leaf is None:
            continue
        if piece.kind == "sql" and piece.leaf.terminal == "SQL":
            yield from _in_sql(line, piece)
            continue
        said = role(piece.leaf) if piece.kind in ("word", "string") else None
        if said is None or (said.kind == "type" and piece.kind == "word"):
            continue
        name = _name(said, piece, _whose(said, line, target))
        if said.kind == "entity":
            target = name.text
        if not (said.kind == "database" and not _first_of_table(line, piece)):
            yield name


def _first_of_table(line: Line, piece: Piece) -> bool:
    """Whether `app` in `app.public.users` is meant; `users` alone is a table."""
    if piece.leaf is None or piece.leaf.rule != "table":
        return True
    at = line.pieces.index(piece)
    return at + 1 < len(line.pieces) and line.pieces[at + 1].text == "."


def _whose(said: Role, line: Line, target: str) -> str:
    if said.of == "own":
        return entity_of(line)
    return rows_of(line) if said.of == "filled" else target if said.of == "target" else ""


def _name(said: Role, piece: Piece, entity: str) -> Name:
    text = _text(said.kind, piece)
    return Name(said.kind, text, entity, said.declares, piece.start, piece.end, sql=False)


def _text(kind: str, piece: Piece) -> str:
    if piece.kind == "string":
        return piece.text[1:-1] if kind == "invariant" else piece.text[1:-1].replace('""', '"')
    return piece.text.lower() if kind in _FOLDED else piece.text


def _in_sql(line: Line, piece: Piece) -> Iterator[Name]:
    assert piece.leaf is not None
    entity = rows_of(line)
    if not entity:
        return
    begin, body = piece.start + 1, piece.text[1:-1]
    if piece.leaf.rule in ROWS or "sql_part" in piece.leaf.path:
        uses = _columns(body)
    elif piece.leaf.rule == "invariant":
        uses = _identifiers(body)
    else:
        return
    for text, start, end in uses:
        yield Name("column", text, entity, declares=False, start=begin + start, end=begin + end, sql=True)


@lru_cache(maxsize=4_000)
def _columns(body: str) -> tuple[tuple[str, int, int], ...]:
    """The columns in an expression; none where it can't be parsed."""
    if "``" in body:
        return ()  # a doubled backtick moves all that follows; nobody names a column there
    try:
        return tuple((use.name, use.start, use.end) for use in expression(body).columns)
    except (SqlError, ValueError, RecursionError):
        return ()


@lru_cache(maxsize=1_000)
def _identifiers(body: str) -> tuple[tuple[str, int, int], ...]:
    """The words of a query that aren't in texts or comments: which of them are columns, the entity says."""
    found = []
    for match in _WORD.finditer(body):
        if match["quoted"] is not None:
            found.append((match["quoted"].replace('""', '"'), match.start(), match.end()))
        elif match["word"]:
            found.append((match["word"].lower(), match.start(), match.end()))
    return tuple(found)


def spelt(name: Name, new: str) -> str:
    """Another name in the place of one, quoted where it must be."""
    if name.sql:
        return quote(new)
    if name.kind == "invariant":
        return '"' + new.replace("\\", "\\\\").replace('"', '\\"') + '"'
    plain = _PLAIN.fullmatch(new) is not None and (name.kind not in _FOLDED or new == new.lower())
    return new if plain and new not in parser_keywords() else '"' + new.replace('"', '""') + '"'
