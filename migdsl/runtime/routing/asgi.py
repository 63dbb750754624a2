"""Turns an ASGI application into one whose requests keep their tenant's stages from beginning to end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from migdsl.runtime.routing import pins
from migdsl.runtime.routing.stages import Policy

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SCOPE_KEY: Final = "migdsl.stages"
_KINDS: Final = frozenset({"http", "websocket"})


class _Migration(Protocol):
    @property
    def core(self) -> Any: ...

    async def policy(self, tenant: str) -> Policy: ...


class _Router(Protocol):
    def request(self) -> AbstractContextManager[pins.Pins]: ...


class RoutingMiddleware:
    """Pins the stages of `migrations` for each request; `scope["migdsl.stages"]` tells them by migration.

    `tenant_of(scope)` finds the request's tenant (from a header, a path, a session), or None: such a request is only
    pinned by what it asks for itself. A websocket is one request for as long as it is open: in a long one, ask within
    a task that has a context of its own, or close it before the next stage.
    """

    def __init__(
        self, app: App, router: _Router, migrations: tuple[_Migration, ...], tenant_of: Callable[[Scope], object | None]
    ) -> None:
        self._app = app
        self._router = router
        self._migrations = migrations
        self._tenant_of = tenant_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in _KINDS:
            await self._app(scope, receive, send)
            return
        with self._router.request():
            tenant = self._tenant_of(scope)
            if tenant is not None:
                stages = {each.core.migration: (await each.policy(str(tenant))).stage for each in self._migrations}
                scope = {**scope, SCOPE_KEY: stages}
            await self._app(scope, receive, send)
