"""The syntax tree of a `.mig` file: what was written, with a span on every node and nothing interpreted.

Nodes are compared by identity and have no `repr`: making those methods for each class would take twice a bare
interpreter's start.
"""

from __future__ import annotations

from migdsl.syntax.ast.api import Api, ApiDate, ApiVersion
from migdsl.syntax.ast.base import Allow, Name, Number, Setting, Sql, Text, Type, Word
from migdsl.syntax.ast.change import (
    Add,
    Back,
    Change,
    Comment,
    Computed,
    Constrain,
    Create,
    Drop,
    DropEntity,
    DropNamed,
    ExtendEnum,
    Filled,
    Merge,
    Operation,
    Optional,
    RawSql,
    Rename,
    RenameTable,
    ReplicaIdentity,
    Require,
    Retype,
    SetDefault,
    Split,
)
from migdsl.syntax.ast.conditions import Comparison, Condition, Held, Joined
from migdsl.syntax.ast.entity import (
    Check,
    Column,
    Entity,
    EntityItem,
    Exclude,
    ExcludePart,
    Index,
    IndexPart,
    Key,
    Legacy,
    Literal,
    Mark,
    Reference,
    Target,
    TenantVia,
    Unique,
)
from migdsl.syntax.ast.header import Database, Finished, Migration, TenantKey, TenantList, Tenants, Use
from migdsl.syntax.ast.move import Copied, Move, Moved, Omit, Sync
from migdsl.syntax.ast.policy import (
    Accept,
    Affects,
    Alert,
    Backfill,
    Gate,
    Impact,
    Invariant,
    ManualStep,
    Metric,
    Order,
    Output,
    OutputPath,
    Proof,
    Retry,
    Rollback,
    Sample,
    Top,
    Using,
    Validate,
    When,
)
from migdsl.syntax.ast.replace import Replace, Service, Verify
from migdsl.syntax.ast.rollout import After, BooleanFlag, Canary, Cutover, Flag, Phase, Ramp, Scope, Stage
from migdsl.values import Value

__all__ = [
    "Accept",
    "Add",
    "Affects",
    "After",
    "Alert",
    "Allow",
    "Api",
    "ApiDate",
    "ApiVersion",
    "Back",
    "Backfill",
    "BooleanFlag",
    "Canary",
    "Change",
    "Check",
    "Column",
    "Comment",
    "Comparison",
    "Computed",
    "Condition",
    "Constrain",
    "Copied",
    "Create",
    "Cutover",
    "Database",
    "Declaration",
    "Drop",
    "DropEntity",
    "DropNamed",
    "Entity",
    "EntityItem",
    "Exclude",
    "ExcludePart",
    "ExtendEnum",
    "Filled",
    "Finished",
    "Flag",
    "Gate",
    "Held",
    "Impact",
    "Index",
    "IndexPart",
    "Invariant",
    "Joined",
    "Key",
    "Legacy",
    "Literal",
    "ManualStep",
    "Mark",
    "Merge",
    "Metric",
    "Migration",
    "Module",
    "Move",
    "Moved",
    "Name",
    "Number",
    "Omit",
    "Operation",
    "Optional",
    "Order",
    "Output",
    "OutputPath",
    "Phase",
    "Proof",
    "Ramp",
    "RawSql",
    "Reference",
    "Rename",
    "RenameTable",
    "Replace",
    "ReplicaIdentity",
    "Require",
    "Retry",
    "Retype",
    "Rollback",
    "Sample",
    "Scope",
    "Service",
    "SetDefault",
    "Setting",
    "Split",
    "Sql",
    "Stage",
    "Sync",
    "Target",
    "TenantKey",
    "TenantList",
    "TenantVia",
    "Tenants",
    "Text",
    "Top",
    "Type",
    "Unique",
    "Use",
    "Using",
    "Validate",
    "Verify",
    "When",
    "Word",
]

Declaration = (
    Use
    | Finished
    | Migration
    | Database
    | Tenants
    | Entity
    | Change
    | Create
    | DropEntity
    | Cutover
    | Flag
    | BooleanFlag
    | Phase
    | Backfill
    | Validate
    | Rollback
    | Metric
    | Alert
    | Gate
    | Accept
    | Impact
    | Output
    | Service
    | Replace
    | Api
    | Move
    | Sync
)


class Module(Value):
    """One file's declarations, in the order in which they stand."""

    path: str
    declarations: tuple[Declaration, ...]
