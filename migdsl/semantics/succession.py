"""A constraint dropped, and another made under its name in the same change, become predecessor and successor."""

from __future__ import annotations

from migdsl.semantics.model import AddConstraint, Change, Constraint, DropConstraint
from migdsl.semantics.phrases import called

# Names of indexes are their schema's, those of constraints their table's; a unique has a name of both kinds.
_RELATIONS = frozenset(["unique", "index", "exclude"])
_CONSTRAINTS = frozenset(["unique", "check", "reference", "exclude"])


def predecessor(change: Change, operation: AddConstraint) -> Constraint | None:
    """What is dropped in the same change and has the name that this one is to get."""
    if operation.replaces is not None:
        return None
    gone = (o.constraint for o in change.operations if isinstance(o, DropConstraint))
    return next((c for c in gone if _clash(change, c, operation.constraint)), None)


def successor(change: Change, gone: Constraint) -> AddConstraint | None:
    """What gets the name of one that the change drops."""
    found = (o for o in change.operations if isinstance(o, AddConstraint) and o.replaces is None)
    return next((o for o in found if _clash(change, gone, o.constraint)), None)


def _clash(change: Change, one: Constraint, other: Constraint) -> bool:
    shared = any({one.kind, other.kind} <= kinds for kinds in (_RELATIONS, _CONSTRAINTS))
    return shared and called(change.table, one) == called(change.table, other)
