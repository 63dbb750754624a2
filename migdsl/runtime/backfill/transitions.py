"""The states of a slice, and the moves between them that a ledger allows."""

from __future__ import annotations

from typing import Final, Literal

State = Literal["pending", "running", "succeeded", "failed", "paused", "cancelled"]

STATES: Final[tuple[State, ...]] = ("pending", "running", "succeeded", "failed", "paused", "cancelled")

# A tenant without rows has nothing to wait for, and gates must still see that tenant.
INITIAL: Final[frozenset[State]] = frozenset({"pending", "succeeded"})

# The trigger migdsl.slice_moves holds the same table; a test tries every pair against it.
TRANSITIONS: Final[frozenset[tuple[State, State]]] = frozenset(
    {
        ("pending", "running"),
        ("pending", "paused"),
        ("pending", "cancelled"),
        ("running", "succeeded"),
        ("running", "failed"),
        ("running", "paused"),
        ("running", "pending"),  # the lease was given back, or taken from a worker that died
        ("running", "cancelled"),
        ("failed", "pending"),
        ("failed", "cancelled"),
        ("paused", "pending"),
        ("paused", "cancelled"),
        ("succeeded", "pending"),  # another pass (`--again`)
        ("cancelled", "pending"),  # another pass (`--again`)
    }
)


def allowed(before: State, after: State) -> bool:
    """Whether a slice may go from `before` to `after`; staying where it is is always allowed."""
    return before == after or (before, after) in TRANSITIONS
