"""What checking one operation needs to know of its surroundings, and the small pieces that several operations share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from migdsl.dialect import sql as dialect
from migdsl.dialect.names import quote
from migdsl.dialect.sql import Expression
from migdsl.semantics.expressions import expression
from migdsl.semantics.header import bad_number
from migdsl.semantics.model import Back, Column, Table
from migdsl.semantics.problems import Problems, sql_name
from migdsl.syntax import ast, lexis
from migdsl.values import Value

DEFAULT_SOAK = 14 * 86400


class Scene(Value):
    """One table's change. `before` and `after` are its columns, None where they aren't all known.

    `renamed`: columns that are only called something else from now on, with their new names.
    """

    problems: Problems
    table: Table
    before: Collection[str] | None
    after: Collection[str] | None
    entities: Mapping[str, Table]
    renamed: Mapping[str, str] = MappingProxyType({})

    def existing(self, name: ast.Name) -> Column | None:
        """The column of that name, or None where there is none (and that was reported)."""
        found = self.table.column(sql_name(name))
        if found is None and self.table.complete:
            known = [c.name for c in self.table.columns]
            where = f"in `{self.table.entity}`"
            self.problems.unknown("MIG102", "column", sql_name(name), name.span, known, where)
        return found

    def free(self, name: ast.Name) -> None:
        """Report a new column whose name is taken."""
        twin = self.table.column(sql_name(name))
        if twin is not None:
            title = f"`{self.table.entity}` already has a column `{twin.name}`"
            more = [(twin.span, "declared here")]
            help_ = "an entity says what is there before"
            self.problems.error("MIG110", name.span, title, "can't be added", more=more, help=help_)

    def source(self, sql: ast.Sql | None) -> Expression | None:
        """`from`: over the columns before."""
        return expression(self.problems, sql, "from", self.before) if sql else None

    def own_back(self, node: ast.Back | None, column: Column) -> Back | None:
        """`back` of the operation's own column: over the columns after."""
        found = expression(self.problems, node.sql, "back", self.after) if node else None
        return Back(column.name, found, node.span) if node and found else None

    def back(self, node: ast.Back) -> Back | None:
        """`back a = …`: a column that can be written, over the columns after."""
        assert node.column is not None
        column = self.existing(node.column)
        found = expression(self.problems, node.sql, "back", self.after)
        if column is None or found is None:
            return None
        if (
            column.tenant
            or column.name in self.table.key
            or column.generated is not None
            or column.identity == "always"
        ):
            code, title = "MIG312" if column.tenant else "MIG412", f"`{column.name}` can't be computed back"
            what, body, help_ = _unwritable(column, self.table.key)
            self.problems.error(code, node.column.span, title, f"is {what}", body=body, help=help_)
            return None
        return Back(column.name, found, node.span)

    def soak(self, after: ast.Number | None) -> int:
        """How long the old stays, in seconds."""
        if after is None:
            return DEFAULT_SOAK
        found = lexis.seconds(after.raw)
        if found is None:
            bad_number(self.problems, after, "duration", "30d")
        return int(found if found is not None else DEFAULT_SOAK)


def _unwritable(column: Column, key: tuple[str, ...]) -> tuple[str, str, str]:
    """What a column is that no `back` can write, why that is, and what to write instead."""
    if column.tenant:
        why = "A row that changes its tenant on the way would be filled, checked and brought back under the wrong one."
        return "the tenant column", why, "leave this `back` out: the tenant column stays as it is beside the new one"
    if column.name in key:
        why = "The way back finds a row by its key: if the key were computed too, nothing could say which row that is."
        return "the key", why, "leave this `back` out: the key stays as it is, and of a `move` it is copied"
    why = "PostgreSQL gives it its value, and refuses any other."
    return "generated", why, "leave this `back` out, or write the columns that the value comes from"


def said(text: ast.Text | None) -> str | None:
    """A reason, where there is one."""
    return text.value if text else None


def just(column: str) -> Expression:
    """The expression that is a column's value."""
    return dialect.expression(quote(column))


def cast(column: str, sql_type: str) -> Expression:
    """The expression that is a column's value in another type."""
    return dialect.expression(f"CAST({quote(column)} AS {sql_type})")
