"""What a table is made of: columns, constraints, the table itself."""

from __future__ import annotations

from migdsl.dialect.sql import Expression
from migdsl.dialect.types import SqlType
from migdsl.semantics.shapes import ExcludeShape, IndexShape, Referred
from migdsl.source import Span
from migdsl.values import Value


class Column(Value):
    """A column as it is (or, of an `add`, as it will be). `default` and `generated` are SQL.

    `type_span` and `null_span` are where its type and its `?` stand, for fixes.
    """

    name: str
    type: SqlType
    nullable: bool
    span: Span
    key: bool = False
    tenant: bool = False
    pii: bool = False
    phi: bool = False
    unique: bool = False
    default: str | None = None
    identity: str | None = None
    generated: Expression | None = None
    type_span: Span | None = None
    null_span: Span | None = None


class Back(Value):
    """How an old column is computed from the new ones."""

    column: str
    expression: Expression
    span: Span


class Constraint(Value):
    """What stands on columns: kind is unique, index, check, reference, exclude, key or generated.

    `columns` are those of a key, a unique or a reference, and those that an index begins with; `uses` are all. What more
    there is to an index, a check, a reference or an exclusion stands in the field of that name.
    """

    kind: str
    columns: tuple[str, ...]
    uses: frozenset[str]
    name: str | None
    span: Span
    index: IndexShape | None = None
    check: Expression | None = None
    target: Referred | None = None
    exclude: ExcludeShape | None = None

    @property
    def unique_index(self) -> bool:
        """Whether it is a unique index that is no constraint."""
        return self.index is not None and self.index.unique

    @property
    def binds(self) -> bool:
        """Whether there are rows that it keeps out."""
        return self.kind not in ("index", "key", "generated") or self.unique_index


class Hop(Value):
    """A step from a row to its tenant: its `column` holds the `key` of the one row of another table that it belongs to."""

    column: str
    entity: str
    schema: str
    name: str
    key: str


class Route(Value):
    """The way from a row to its tenant, which the last table of it has in the column `tenant`."""

    hops: tuple[Hop, ...]
    tenant: str


class Table(Value):
    """An entity: a table as it is before the migration. `scope` is tenant, global or via.

    `via`: the way to the tenant, where the scope is via and there is one.

    `span` is its name, `whole` the declaration; `complete` is False where some of it could not be read.
    """

    entity: str
    database: str
    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    scope: str
    scope_reason: str | None
    constraints: tuple[Constraint, ...]
    rows: int | None
    sensitivity: str | None
    legacy: tuple[tuple[str, str], ...]
    complete: bool
    span: Span
    whole: Span
    via: Route | None = None

    @property
    def owned(self) -> bool:
        """Whether each of its rows belongs to a tenant."""
        return self.scope == "tenant" or self.via is not None

    def column(self, name: str) -> Column | None:
        """The column of that name."""
        return next((c for c in self.columns if c.name == name), None)

    @property
    def tenant(self) -> str | None:
        """The tenant column, where the table has one."""
        return next((c.name for c in self.columns if c.tenant), None)

    def type_if_known(self, name: str) -> SqlType | None:
        """The type of a column, if there is one of that name."""
        found = self.column(name)
        return found.type if found is not None else None

    def type_of(self, name: str) -> SqlType:
        """The type of a column that is known to be there."""
        found = self.column(name)
        assert found is not None
        return found.type
