"""The syntax tree of a `.mig` file: what was written, with a span on every node and nothing interpreted.

Nodes are compared by identity and have no `repr`: making those methods for each class would take twice a bare
interpreter's start.
"""

from __future__ import annotations

from migdsl.syntax.ast.base import Allow, Name, Number, Setting, Sql, Text, Type, Word
from migdsl.syntax.ast.change import Add, Back, Change, Drop, Operation, Optional, Require
from migdsl.syntax.ast.entity import (
    Check,
    Column,
    Entity,
    EntityItem,
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
from migdsl.syntax.ast.header import Database, Migration, TenantKey, TenantList, Tenants
from migdsl.syntax.ast.rollout import BooleanFlag, Canary, Cutover, Flag, Phase, Ramp, Scope, Stage
from migdsl.values import Value

__all__ = [
    "Add",
    "Allow",
    "Back",
    "BooleanFlag",
    "Canary",
    "Change",
    "Check",
    "Column",
    "Cutover",
    "Database",
    "Declaration",
    "Drop",
    "Entity",
    "EntityItem",
    "Flag",
    "Index",
    "IndexPart",
    "Key",
    "Legacy",
    "Literal",
    "Mark",
    "Migration",
    "Module",
    "Name",
    "Number",
    "Operation",
    "Optional",
    "Phase",
    "Ramp",
    "Reference",
    "Require",
    "Scope",
    "Setting",
    "Sql",
    "Stage",
    "Target",
    "TenantKey",
    "TenantList",
    "TenantVia",
    "Tenants",
    "Text",
    "Type",
    "Unique",
    "Word",
]

Declaration = Migration | Database | Tenants | Entity | Change | Cutover | Flag | BooleanFlag | Phase


class Module(Value):
    """One file's declarations, in the order in which they stand."""

    path: str
    declarations: tuple[Declaration, ...]
