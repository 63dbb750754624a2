"""The syntax tree of a `.mig` file: what was written, with a span on every node and nothing interpreted.

Nodes are compared by identity and have no `repr`: making those methods for each class would take twice a bare
interpreter's start.
"""

from __future__ import annotations

from migdsl.source import Span
from migdsl.values import Value


class Name(Value):
    """A name; `quoted` ones are taken literally, others too (no case is folded: SQL's folding is the dialect's)."""

    text: str
    quoted: bool
    span: Span


class Word(Value):
    """One of a fixed set of words (`none`, `shadow`, `expand`), checked by the semantics."""

    text: str
    span: Span


class Text(Value):
    """A string, its escapes resolved."""

    value: str
    span: Span


class Number(Value):
    """A number with its unit as written: `500k`, `0.1%`, `30d`, `2027-01-01`."""

    raw: str
    span: Span


class Sql(Value):
    """SQL as written between the backticks. `body` covers what stands between them."""

    text: str
    span: Span
    body: Span


class Type(Value):
    """An engine's type: `words` joined by blanks (`timestamp with time zone`), or a qualified name, or an enum's labels."""

    name: str
    schema: str | None
    quoted: bool
    args: tuple[str, ...]
    suffix: str
    dimensions: int
    labels: tuple[Text, ...] | None
    span: Span


class Allow(Value):
    """`allow MIG412 because "…"`."""

    code: Word
    reason: Text
    span: Span


# ------------------------------------------------------------------------------------------------ migration


class Setting(Value):
    """One line of a block whose value is a few words, strings or numbers: `ticket "MIG-77"`, `downtime none`."""

    key: str
    words: tuple[Word, ...]
    texts: tuple[Text, ...]
    numbers: tuple[Number, ...]
    span: Span


class Migration(Value):
    """The header of a compiled unit."""

    name: Name
    settings: tuple[Setting, ...]
    allows: tuple[Allow, ...]
    span: Span


class Database(Value):
    """A system that owns data."""

    name: Name
    settings: tuple[Setting, ...]
    schema: Name | None
    span: Span


class TenantKey(Value):
    """`key tenant_id uuid`."""

    name: Name
    type: Type
    span: Span


class TenantList(Value):
    """The statement that lists the tenants, and the database that it is for."""

    database: Name | None
    sql: Sql
    span: Span


class Tenants(Value):
    """The tenant boundary, or the reason why there is none."""

    keys: tuple[TenantKey, ...]
    lists: tuple[TenantList, ...]
    none_because: Text | None
    span: Span


# --------------------------------------------------------------------------------------------------- entity


class Literal(Value):
    """A default: a string, a number or a word as SQL would spell it (`text`), or SQL."""

    text: str
    sql: Sql | None
    span: Span


class Target(Value):
    """What a reference points at: an entity's columns (none named: its key) and the action on delete."""

    entity: Name
    columns: tuple[Name, ...]
    on_delete: str | None
    span: Span


class Mark(Value):
    """A word behind a column's type: `key`, `pii`, `default …`, `-> Other.id`."""

    kind: str
    literal: Literal | None
    sql: Sql | None
    target: Target | None
    always: bool
    span: Span


class Column(Value):
    """A column; NOT NULL unless `nullable`."""

    name: Name
    type: Type
    nullable: bool
    marks: tuple[Mark, ...]
    span: Span


class Key(Value):
    """`key (a, b)`."""

    columns: tuple[Name, ...]
    span: Span


class Unique(Value):
    """`unique (a, b) as name`; `per_tenant` is `unique per tenant` on an added column."""

    columns: tuple[Name, ...]
    name: Name | None
    per_tenant: bool
    span: Span


class IndexPart(Value):
    """A column of an index, or an expression over columns (`function` applied to `column`, or SQL)."""

    column: Name | None
    function: Name | None
    sql: Sql | None
    span: Span


class Index(Value):
    """An index."""

    parts: tuple[IndexPart, ...]
    name: Name | None
    method: Word | None
    include: tuple[Name, ...]
    where: Sql | None
    span: Span


class Check(Value):
    """A check constraint."""

    sql: Sql
    name: Name | None
    span: Span


class Reference(Value):
    """A foreign key over several columns."""

    columns: tuple[Name, ...]
    target: Target
    span: Span


class Legacy(Value):
    """A column whose behaviour nobody is sure of."""

    column: Name
    note: Text
    span: Span


class TenantVia(Value):
    """`tenant via order_id -> Order`."""

    column: Name
    entity: Name
    span: Span


EntityItem = Column | Key | Unique | Index | Check | Reference | Legacy | TenantVia | Setting | Allow


class Entity(Value):
    """A table as it is before the migration. `table` is `database.table` or `database.schema.table`."""

    name: Name
    table: tuple[Name, ...]
    items: tuple[EntityItem, ...]
    span: Span


# --------------------------------------------------------------------------------------------------- change


class Back(Value):
    """`back email = \\`contact_email\\``; `column` is None where the operation itself says which column."""

    column: Name | None
    sql: Sql
    span: Span


class Add(Value):
    """A new column and how it is filled."""

    column: Column
    source: Sql | None
    backs: tuple[Back, ...]
    uniques: tuple[Unique, ...]
    complies: Text | None
    allows: tuple[Allow, ...]
    span: Span


class Drop(Value):
    """A column that goes away."""

    column: Name
    after: Number | None
    back: Back | None
    irreversible: Text | None
    allows: tuple[Allow, ...]
    span: Span


class Require(Value):
    """A nullable column becomes NOT NULL; `source` fills the NULLs that are there."""

    column: Name
    source: Sql | None
    complies: Text | None
    allows: tuple[Allow, ...]
    span: Span


class Optional(Value):
    """A NOT NULL column becomes nullable; `back` says what a NULL is when the column is NOT NULL again."""

    column: Name
    back: Back | None
    allows: tuple[Allow, ...]
    span: Span


Operation = Add | Drop | Require | Optional


class Change(Value):
    """What shall become of an entity's table."""

    entity: Name
    operations: tuple[Operation, ...]
    allows: tuple[Allow, ...]
    span: Span


# -------------------------------------------------------------------------------------------------- rollout


class Ramp(Value):
    """`ramp canary, 10%, 100% every 24h`: a step is a percentage, or None for the canary."""

    steps: tuple[Number | None, ...]
    every: Number | None
    by_request: bool
    span: Span


class Canary(Value):
    """The tenants that go first."""

    tenants: tuple[Text, ...]
    span: Span


class Cutover(Value):
    """Who goes first and in which steps."""

    canaries: tuple[Canary, ...]
    ramps: tuple[Ramp, ...]
    allows: tuple[Allow, ...]
    span: Span


class Scope(Value):
    """Whom a flag's line is for: `kind` is all, canary, percent or tenants."""

    kind: str
    percent: Number | None
    tenants: tuple[Text, ...]
    span: Span


class Stage(Value):
    """`stage shadow for canary`."""

    stage: Word
    scope: Scope
    span: Span


class Flag(Value):
    """The staged flag: where the rollout stands now."""

    name: Name
    entity: Name | None
    stages: tuple[Stage, ...]
    allows: tuple[Allow, ...]
    span: Span


class BooleanFlag(Value):
    """A flag that is on for some."""

    name: Name
    scopes: tuple[Scope, ...]
    span: Span


class Phase(Value):
    """`phase contract { after "9c41d7e" }`: the phase's revision follows one of other people."""

    phase: Word
    afters: tuple[Text, ...]
    span: Span


Declaration = Migration | Database | Tenants | Entity | Change | Cutover | Flag | BooleanFlag | Phase


class Module(Value):
    """One file's declarations, in the order in which they stand."""

    path: str
    declarations: tuple[Declaration, ...]
