"""Two ASGI applications become one, which sends each request to the old or the new of them, once."""

from __future__ import annotations

from typing import Any, Final

from migdsl.runtime.strangler.lifespan import both
from migdsl.runtime.strangler.model import App, Message, Receive, Replacement, Scope, Send, Side, path_of
from migdsl.runtime.strangler.outcomes import Outcomes, counted
from migdsl.runtime.strangler.sides import AsyncFlags, Sides
from migdsl.runtime.strangler.subjects import Cookie, Subject

SCOPE_KEY: Final = "migdsl.side"


class Strangler:
    """Sends requests of the replacement's routes to `new` where the flag says so for their tenant or client, and all others
    to `old`. `scope["migdsl.side"]` says which it is.

    A request is sent once: one that the new side fails is never tried on the old one, since nobody knows what it has done.
    Requests without a subject, and those of other paths, are the old side's. `metrics_path` answers with the counters.
    """

    def __init__(
        self,
        replacement: Replacement,
        old: App,
        new: App,
        flags: AsyncFlags,
        subject: Subject | None = None,
        *,
        metrics_path: str | None = None,
        fresh_s: float = 1.0,
        timeout_s: float = 0.25,
    ) -> None:
        """Raises ValueError where tenants have a side and `subject` doesn't say how one is found."""
        if subject is None and replacement.by == "tenant":
            raise ValueError(
                f"{replacement.name} moves tenant by tenant: say how a request's tenant is found, as header('x-tenant')"
            )
        self.replacement = replacement
        self.outcomes = Outcomes(replacement.migration, replacement.name)
        self._apps: dict[Side, App] = {"old": old, "new": new}
        self._states: dict[Side, dict[str, Any]] = {"old": {}, "new": {}}
        self._subject = subject or Cookie(f"migdsl_{replacement.flag}")
        self._sides = Sides(flags, replacement.flag, self.outcomes.unanswered, fresh_s=fresh_s, timeout_s=timeout_s)
        self._metrics_path = metrics_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            parts = tuple((self._apps[side], self._states[side]) for side in self._apps)
            await both(parts, scope, receive, send)
        elif scope["type"] == "http" and self._metrics_path is not None and path_of(scope) == self._metrics_path:
            await _answer(self.outcomes.text(), send)
        elif self.replacement.moves(path_of(scope)):
            await self._routed(scope, receive, send)
        else:
            await self._apps["old"](self._own(scope, "old"), receive, send)

    async def _routed(self, scope: Scope, receive: Receive, send: Send) -> None:
        found, cookie = self._subject(scope), self._subject
        if found is None and isinstance(cookie, Cookie):
            given = cookie.new()
            found, send = given, _handing_over(cookie, given, scope, send)
        side: Side = "old" if found is None else await self._sides.side(str(found))
        await counted(self._apps[side], self.outcomes, side, self._own(scope, side), receive, send)

    def _own(self, scope: Scope, side: Side) -> Scope:
        """The scope as the side's application has it, with the state that it made at its start."""
        state = {"state": {**scope["state"], **self._states[side]}} if "state" in scope else {}
        return {**scope, **state, SCOPE_KEY: side}


def _handing_over(cookie: Cookie, given: str, scope: Scope, send: Send) -> Send:
    async def sends(message: Message) -> None:
        begins = message["type"] in ("http.response.start", "websocket.accept")
        await send(cookie.set(message, given, scope) if begins else message)

    return sends


async def _answer(text: str, send: Send) -> None:
    headers = [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
