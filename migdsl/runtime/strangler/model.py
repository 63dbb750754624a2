"""What is swapped, and by which requests: a generated description becomes the answer whether a path is one of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal

Side = Literal["old", "new"]
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Replacement:
    """One replacement. `routes` are paths, which stand for all that is below them too: `{id}` is any one part of a path;
    none: every path. `by` says who has a side: a tenant, or each client by itself."""

    migration: str
    name: str
    flag: str
    routes: tuple[str, ...]
    by: Literal["tenant", "request"]

    def moves(self, path: str) -> bool:
        """Whether requests of this path are among those that move."""
        parts = path.split("/")[1:]
        return not self.routes or any(_below(route, parts) for route in self.routes)


def _below(route: str, parts: list[str]) -> bool:
    wanted = [part for part in route.split("/") if part]
    if len(parts) < len(wanted):
        return False
    return all(want == part or (want[0] == "{" and part) for want, part in zip(wanted, parts, strict=False))


def path_of(scope: Scope) -> str:
    """The path below where the application is mounted."""
    path, root = str(scope.get("path", "")), str(scope.get("root_path", ""))
    return path[len(root) :] if root and (path == root or path.startswith(f"{root}/")) else path
