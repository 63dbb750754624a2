"""Turns a pair of functions, one for each side, into one that goes by the tenant's stage."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Literal

from migdsl.runtime.routing.errors import RoutingError

Kind = Literal["read", "write"]


def routed(
    at: Callable[..., Any], kind: Kind, new: Callable[..., Any], *, tenant: str = "tenant", key: str = "", on: str = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator of the old side's function; `tenant`, `key` and `on` name arguments of it. Async where it is async.

    Raises RoutingError where an argument of that name is missing, or a write names no key.
    """

    def around(old: Callable[..., Any]) -> Callable[..., Any]:
        call = _Call(inspect.signature(old), old, new, kind, (tenant, key, on))
        if inspect.iscoroutinefunction(old):

            @functools.wraps(old)
            async def run_async(*args: Any, **named: Any) -> Any:
                where, sides = call.bind(args, named)
                async with at(where[0], on=where[2]) as place:
                    return await getattr(place, kind)(**sides, key=where[1])

            return run_async

        @functools.wraps(old)
        def run(*args: Any, **named: Any) -> Any:
            where, sides = call.bind(args, named)
            with at(where[0], on=where[2]) as place:
                return getattr(place, kind)(**sides, key=where[1])

        return run

    return around


class _Call:
    """How a call of the decorated function becomes one of either side."""

    def __init__(
        self,
        signature: inspect.Signature,
        old: Callable[..., Any],
        new: Callable[..., Any],
        kind: Kind,
        names: tuple[str, str, str],
    ) -> None:
        missing = [name for name in names if name and name not in signature.parameters]
        if missing or not names[0]:
            raise RoutingError(f"{old.__qualname__} has no argument {', '.join(missing)}")
        if kind == "write" and not names[1]:
            raise RoutingError(f"{old.__qualname__} writes: say key='…', the argument that a repair finds the row by")
        self._signature, self._old, self._new, self._names = signature, old, new, names

    def bind(
        self, args: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, Any, Any], dict[str, Callable[..., Any]]]:
        """(tenant, key, connection), and the two sides."""
        bound = self._signature.bind(*args, **named)
        bound.apply_defaults()
        tenant, key, on = (bound.arguments[name] if name else None for name in self._names)

        def side(run: Callable[..., Any]) -> Callable[..., Any]:
            def call(*connection: Any) -> Any:
                # A comparison brings a connection of its own.
                again = inspect.BoundArguments(self._signature, bound.arguments.copy())
                if connection:
                    again.arguments[self._names[2]] = connection[0]
                return run(*again.args, **again.kwargs)

            return call

        return (tenant, key, on), {"old": side(self._old), "new": side(self._new)}
