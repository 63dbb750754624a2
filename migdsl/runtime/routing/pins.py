"""Keeps a tenant's stage the same for a whole request: pins in the context of a thread or task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from migdsl.runtime.routing.stages import Policy

Pins = dict[tuple[int, str], Policy]

# Tasks that a request starts get a copy of its context, and so the same dictionary.
_PINS: Final[ContextVar[Pins | None]] = ContextVar("migdsl_pins", default=None)


def pinned(of: int, tenant: str) -> Policy | None:
    """What stands for a tenant in this request; `of` tells migrations apart."""
    pins = _PINS.get()
    return None if pins is None else pins.get((of, tenant))


def pin(of: int, tenant: str, policy: Policy) -> Policy:
    """Keeps what stands until the request ends; what already stands stays."""
    pins = _PINS.get()
    return policy if pins is None else pins.setdefault((of, tenant), policy)


@contextmanager
def request() -> Iterator[Pins]:
    """One request. Within another one it is a part of that."""
    outer = _PINS.get()
    if outer is not None:
        yield outer
        return
    pins: Pins = {}
    token = _PINS.set(pins)
    try:
        yield pins
    finally:
        _PINS.reset(token)
