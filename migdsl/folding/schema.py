"""Entities as they stand in their files become declarations apart, each a text with its tree, that folding changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from migdsl.folding.text import Edit, edited
from migdsl.semantics.model import CheckedModule
from migdsl.semantics.problems import sql_name
from migdsl.source import SourceFile, Span
from migdsl.syntax import ast, parse
from migdsl.values import Value, replace


class Unfoldable(Exception):  # noqa: N818 - it says what an operation is
    """An operation whose result the file doesn't tell: why, where, and what to do instead."""

    def __init__(self, title: str, span: Span, label: str, help: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.span = span
        self.label = label
        self.help = help


class Sheet(Value):
    """One entity's declaration: its text, the tree of that text, and the file that it is from."""

    path: str
    text: str
    node: ast.Entity

    def said(self, span: Span) -> str:
        """What stands at a place of this text."""
        return self.text[span.start : span.end]

    @property
    def columns(self) -> tuple[ast.Column, ...]:
        """The columns, in their order."""
        return tuple(item for item in self.node.items if isinstance(item, ast.Column))

    def column(self, name: ast.Name) -> ast.Column:
        """The column of that name, which is known to be there."""
        return next(c for c in self.columns if sql_name(c.name) == sql_name(name))

    def edited(self, edits: Iterable[Edit]) -> Sheet | None:
        """The declaration with its text edited, or None where that is none."""
        return sheet(self.path, edited(self.text, edits))


class Schema(Value):
    """All entities by name, and the texts that the migration's own spans are places of."""

    sheets: Mapping[str, Sheet]
    sources: Mapping[str, SourceFile]
    module: CheckedModule

    def said(self, span: Span) -> str:
        """What the migration says at a place."""
        return self.sources[span.path].slice(span)

    def having(self, entity: str, changed: Sheet) -> Schema:
        """The same with another declaration of an entity."""
        return replace(self, sheets={**self.sheets, entity: changed})

    def edited(self, entity: str, edits: Iterable[Edit], place: Span) -> Schema:
        """The same with an entity's text edited; `place` is what asks for it."""
        changed = self.sheets[entity].edited(edits)
        if changed is None:
            raise Unfoldable(f"`{entity}` can't be written down as this leaves it", place, "the result doesn't parse")
        return self.having(entity, changed)

    def without(self, entity: str) -> Schema:
        """The same without an entity."""
        return replace(self, sheets={name: each for name, each in self.sheets.items() if name != entity})


def sheet(path: str, text: str) -> Sheet | None:
    """A declaration's sheet; None where the text is not one entity."""
    parsed = parse(SourceFile(path, text))
    found = parsed.module.declarations
    if parsed.diagnostics or len(found) != 1 or not isinstance(found[0], ast.Entity):
        return None
    return Sheet(path, text, found[0])


def schema(sources: Mapping[str, SourceFile], declarations: Iterable[ast.Declaration], module: CheckedModule) -> Schema:
    """The entities of a unit without errors."""
    sheets = {}
    for node in declarations:
        if isinstance(node, ast.Entity):
            found = sheet(node.span.path, sources[node.span.path].slice(node.span))
            assert found is not None, "what parses among others parses alone"
            sheets[node.name.text] = found
    return Schema(sheets, sources, module)


# What an operation makes of the schema; it is one on the entity of that name.
Fold = Callable[[Schema, str, Any], Schema]


def plain_or_quoted(sheet_: Sheet, name: ast.Name, said: str, make: Callable[[str], list[Edit]]) -> list[Edit]:
    """The edits with a column's name as it was said, or quoted where the line would begin a directive instead."""
    quoted = '"' + sql_name(name).replace('"', '""') + '"'
    for spelling in (said, quoted):
        edits = make(spelling)
        changed = sheet_.edited(edits)
        if changed is not None and any(sql_name(c.name) == sql_name(name) for c in changed.columns):
            return edits
    return make(said)
