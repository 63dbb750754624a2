"""An ASGI application is asked in this process, and applications that say who they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass
class Answer:
    """What came back: the status (None: nothing), the body, the headers, and what was raised."""

    status: int | None = None
    body: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    raised: BaseException | None = None

    def header(self, name: bytes) -> list[str]:
        return [value.decode() for key, value in self.headers if key == name]


async def asking(app: App, path: str, headers: dict[str, str] | None = None, **scope: Any) -> Answer:
    """One HTTP request."""
    found = Answer()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            found.status, found.headers = message["status"], list(message.get("headers", ()))
        else:
            found.body += message.get("body", b"")

    sent = [(key.lower().encode(), value.encode()) for key, value in (headers or {}).items()]
    whole = {"type": "http", "method": "GET", "path": path, "headers": sent, "scheme": "http", **scope}
    try:
        await app(whole, receive, send)
    except Exception as error:  # noqa: BLE001 (a server would see it too)
        found.raised = error
    return found


def ask(app: App, path: str, headers: dict[str, str] | None = None, **scope: Any) -> Answer:
    return asyncio.run(asking(app, path, headers, **scope))


@dataclass
class Named:
    """An application that answers with its name; it fails as `fails` says: an exception, or a status."""

    name: str
    fails: Exception | int | None = None
    scopes: list[Any] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 (it reads no body)
        self.scopes.append(scope)
        if isinstance(self.fails, Exception):
            raise self.fails
        status = self.fails or 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"x-app", b"own")]})
        await send({"type": "http.response.body", "body": self.name.encode()})
