"""The syntax tree of a `.mig` file: what was written, with a span on every node and nothing interpreted.

Nodes are compared by identity and have no `repr`: making those methods for each class would take twice a bare
interpreter's start.
"""

from __future__ import annotations

from dataclasses import dataclass

from migdsl.source import Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Name:
    """A name; `quoted` ones are taken literally, others too (no case is folded: SQL's folding is the dialect's)."""

    text: str
    quoted: bool
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Word:
    """One of a fixed set of words (`none`, `shadow`, `expand`), checked by the semantics."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Text:
    """A string, its escapes resolved."""

    value: str
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Number:
    """A number with its unit as written: `500k`, `0.1%`, `30d`, `2027-01-01`."""

    raw: str
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sql:
    """SQL as written between the backticks. `body` covers what stands between them."""

    text: str
    span: Span
    body: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Type:
    """An engine's type: `words` joined by blanks (`timestamp with time zone`), or a qualified name, or an enum's labels."""

    name: str
    schema: str | None
    quoted: bool
    args: tuple[str, ...]
    suffix: str
    dimensions: int
    labels: tuple[Text, ...] | None
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Allow:
    """`allow MIG412 because "…"`."""

    code: Word
    reason: Text
    span: Span


# ------------------------------------------------------------------------------------------------ migration


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Setting:
    """One line of a block whose value is a few words, strings or numbers: `ticket "MIG-77"`, `downtime none`."""

    key: str
    words: tuple[Word, ...]
    texts: tuple[Text, ...]
    numbers: tuple[Number, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Migration:
    """The header of a compiled unit."""

    name: Name
    settings: tuple[Setting, ...]
    allows: tuple[Allow, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Database:
    """A system that owns data."""

    name: Name
    settings: tuple[Setting, ...]
    schema: Name | None
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TenantKey:
    """`key tenant_id uuid`."""

    name: Name
    type: Type
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TenantList:
    """The statement that lists the tenants, and the database that it is for."""

    database: Name | None
    sql: Sql
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Tenants:
    """The tenant boundary, or the reason why there is none."""

    keys: tuple[TenantKey, ...]
    lists: tuple[TenantList, ...]
    none_because: Text | None
    span: Span


# --------------------------------------------------------------------------------------------------- entity


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Literal:
    """A default: a string, a number or a word as SQL would spell it (`text`), or SQL."""

    text: str
    sql: Sql | None
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Target:
    """What a reference points at: an entity's columns (none named: its key) and the action on delete."""

    entity: Name
    columns: tuple[Name, ...]
    on_delete: str | None
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Mark:
    """A word behind a column's type: `key`, `pii`, `default …`, `-> Other.id`."""

    kind: str
    literal: Literal | None
    sql: Sql | None
    target: Target | None
    always: bool
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Column:
    """A column; NOT NULL unless `nullable`."""

    name: Name
    type: Type
    nullable: bool
    marks: tuple[Mark, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Key:
    """`key (a, b)`."""

    columns: tuple[Name, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Unique:
    """`unique (a, b) as name`; `per_tenant` is `unique per tenant` on an added column."""

    columns: tuple[Name, ...]
    name: Name | None
    per_tenant: bool
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IndexPart:
    """A column of an index, or an expression over columns (`function` applied to `column`, or SQL)."""

    column: Name | None
    function: Name | None
    sql: Sql | None
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Index:
    """An index."""

    parts: tuple[IndexPart, ...]
    name: Name | None
    method: Word | None
    include: tuple[Name, ...]
    where: Sql | None
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Check:
    """A check constraint."""

    sql: Sql
    name: Name | None
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Reference:
    """A foreign key over several columns."""

    columns: tuple[Name, ...]
    target: Target
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Legacy:
    """A column whose behaviour nobody is sure of."""

    column: Name
    note: Text
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TenantVia:
    """`tenant via order_id -> Order`."""

    column: Name
    entity: Name
    span: Span


EntityItem = Column | Key | Unique | Index | Check | Reference | Legacy | TenantVia | Setting | Allow


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Entity:
    """A table as it is before the migration. `table` is `database.table` or `database.schema.table`."""

    name: Name
    table: tuple[Name, ...]
    items: tuple[EntityItem, ...]
    span: Span


# --------------------------------------------------------------------------------------------------- change


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Back:
    """`back email = \\`contact_email\\``; `column` is None where the operation itself says which column."""

    column: Name | None
    sql: Sql
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Add:
    """A new column and how it is filled."""

    column: Column
    source: Sql | None
    backs: tuple[Back, ...]
    uniques: tuple[Unique, ...]
    complies: Text | None
    allows: tuple[Allow, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Drop:
    """A column that goes away."""

    column: Name
    after: Number | None
    back: Back | None
    irreversible: Text | None
    allows: tuple[Allow, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Require:
    """A nullable column becomes NOT NULL; `source` fills the NULLs that are there."""

    column: Name
    source: Sql | None
    complies: Text | None
    allows: tuple[Allow, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Optional:
    """A NOT NULL column becomes nullable; `back` says what a NULL is when the column is NOT NULL again."""

    column: Name
    back: Back | None
    allows: tuple[Allow, ...]
    span: Span


Operation = Add | Drop | Require | Optional


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Change:
    """What shall become of an entity's table."""

    entity: Name
    operations: tuple[Operation, ...]
    allows: tuple[Allow, ...]
    span: Span


# -------------------------------------------------------------------------------------------------- rollout


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ramp:
    """`ramp canary, 10%, 100% every 24h`: a step is a percentage, or None for the canary."""

    steps: tuple[Number | None, ...]
    every: Number | None
    by_request: bool
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Canary:
    """The tenants that go first."""

    tenants: tuple[Text, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Cutover:
    """Who goes first and in which steps."""

    canaries: tuple[Canary, ...]
    ramps: tuple[Ramp, ...]
    allows: tuple[Allow, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scope:
    """Whom a flag's line is for: `kind` is all, canary, percent or tenants."""

    kind: str
    percent: Number | None
    tenants: tuple[Text, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Stage:
    """`stage shadow for canary`."""

    stage: Word
    scope: Scope
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Flag:
    """The staged flag: where the rollout stands now."""

    name: Name
    entity: Name | None
    stages: tuple[Stage, ...]
    allows: tuple[Allow, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BooleanFlag:
    """A flag that is on for some."""

    name: Name
    scopes: tuple[Scope, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Phase:
    """`phase contract { after "9c41d7e" }`: the phase's revision follows one of other people."""

    phase: Word
    afters: tuple[Text, ...]
    span: Span


Declaration = Migration | Database | Tenants | Entity | Change | Cutover | Flag | BooleanFlag | Phase


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Module:
    """One file's declarations, in the order in which they stand."""

    path: str
    declarations: tuple[Declaration, ...]
