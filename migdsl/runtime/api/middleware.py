"""An ASGI application becomes one whose old API versions say that they go, are counted by client, and are gone on their day."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from migdsl.runtime.api import answers, meters
from migdsl.runtime.api.clients import Clients, Of, resolver, software
from migdsl.runtime.api.model import Api
from migdsl.runtime.api.requests import Found, Recognizer, Scope, preflight
from migdsl.runtime.telemetry.metrics import Sample

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_CLIENTS: Final = 50


class ApiMiddleware:
    """Wraps `app`; the days are those of `apis`.

    `tenant_of` finds a request's tenant, for whom a grace may hold: a header's name, or a function of the ASGI scope (better:
    what authentication has found, since a header says what its sender wants). `client_of` finds the client that is counted,
    likewise; where nothing is said the software that User-Agent names. It must find programs or organisations, and no
    persons: its names are labels. At most `most_clients` come into metrics, the rest is `other`. `clock` gives Unix time.
    Raises ValueError for an API with a grace and no `tenant_of`.
    """

    def __init__(
        self,
        app: App,
        apis: tuple[Api, ...],
        *,
        tenant_of: str | Of | None = None,
        client_of: str | Of = software,
        clock: Callable[[], float] = time.time,
        most_clients: int = MOST_CLIENTS,
    ) -> None:
        for api in apis:
            if api.grace and tenant_of is None:
                raise ValueError(
                    f"{api.name} has a grace: say tenant_of=, a header or a function that finds the tenant"
                )
        self._app = app
        self._recognizers = tuple(Recognizer(api) for api in apis)
        self._tenant_of = resolver(tenant_of) if tenant_of is not None else None
        self._client_of = resolver(client_of)
        self._clients = Clients(most_clients)
        self._clock = clock
        self._meters = meters.Meters()
        for api in apis:
            self._meters.begin(api)

    def samples(self) -> list[Sample]:
        """What was counted in this process; `migdsl.runtime.api.text` makes Prometheus text of it."""
        return self._meters.samples()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or preflight(scope):
            await self._app(scope, receive, send)
            return
        for each in self._recognizers:
            found = each.find(scope)
            if found is not None:
                await self._answer(each.api, found, scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _answer(self, api: Api, found: Found, scope: Scope, receive: Receive, send: Send) -> None:
        self._meters.count(meters.REQUESTS, api.migration, api.name, found.version.name)
        tenant = self._tenant_of(scope) if self._tenant_of is not None else None
        end = api.ends(found.version, None if tenant is None else str(tenant))
        if end is None:
            await self._app(scope, receive, send)
            return
        now = self._clock()
        client = self._clients.name(self._client_of(scope))
        spec = meters.GONE if now >= end else meters.DEPRECATED
        self._meters.count(spec, api.migration, api.name, found.version.name, found.route, client)
        if now >= end:
            await _gone(api, found, end, scope, send)
        elif api.says(now):
            await self._app(scope, receive, _saying(send, answers.fields(api, found, end)))
        else:
            await self._app(scope, receive, send)


async def _gone(api: Api, found: Found, end: float, scope: Scope, send: Send) -> None:
    headers, body = answers.gone(api, found, end)
    await send({"type": "http.response.start", "status": 410, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _saying(send: Send, added: answers.Headers) -> Send:
    """The same, with the fields at the head of the answer; its body passes as it comes."""

    async def saying(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": answers.merged(list(message.get("headers") or ()), added)}
        await send(message)

    return saying
