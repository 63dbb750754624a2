"""A lowered migration becomes the rules that it makes, so that whoever is refused by one of them is told from any other error."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg

from migdsl.dialect.names import literal, quote
from migdsl.ops.model import Alone, BuildIndex, Group, Lowered
from migdsl.values import Value

_REQUIRED = r"[^,;]*?(?<!IS )NOT NULL"  # in the definition of a column, and after `ALTER COLUMN`


class Binding(Value):
    """The statements that make them."""

    statements: tuple[str, ...]

    def refuse(self, error: psycopg.Error) -> bool:
        """Whether one of them is why a write was refused: a constraint or a unique index by its name, NOT NULL by its column."""
        if (error.sqlstate or "")[:2] != "23":
            return False
        said = error.diag
        if said.constraint_name:
            return any(_names(text, said.constraint_name) for text in self.statements)
        column, table = said.column_name or "", said.table_name or ""
        return bool(column and table) and any(
            _names(text, table) and _names(text, column, _REQUIRED) for text in self.statements
        )


def binding(lowered: Lowered) -> Binding:
    """Of all phases."""
    return Binding(tuple(_statements(lowered)))


def _statements(lowered: Lowered) -> Iterator[str]:
    for part in (part for step in lowered.steps for part in step.up):
        if isinstance(part, Group):
            yield from part.statements
        elif isinstance(part, BuildIndex):
            yield part.create
        elif isinstance(part, Alone):
            yield part.statement


def _names(text: str, name: str, more: str = "") -> bool:
    """Whether a name stands in a statement, as it is, in double quotes, or as a literal; `more`: and what follows it."""
    found = (re.search(rf"(?<![\w$]){re.escape(n)}(?![\w$]){more}", text) for n in (name, quote(name), literal(name)))
    return any(found)
