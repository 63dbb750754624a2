"""An ASGI application becomes what a request is answered, in this process; small ones stand for old and new code."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping
from typing import Any

from migdsl.rehearsal.model import Log
from migdsl.rehearsal.watch import Request
from migdsl.values import Value

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]
_ANSWER_S = 20.0


class Asked(Value):
    """A request: `path` as it is, not encoded; header names are lower case."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()


class Answer(Value):
    """What came back; `body` in one piece."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for key, value in self.headers if key == name]


async def ask(app: App, asked: Asked) -> Answer:
    """One request. Raises what the application raises, and TimeoutError."""
    told: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        told.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": asked.method,
        "path": asked.path,
        "query_string": b"",
        "root_path": "",
        "scheme": "https",
        "headers": [(key.encode("latin-1"), value.encode("utf-8")) for key, value in asked.headers],
    }
    await asyncio.wait_for(app(scope, receive, send), _ANSWER_S)
    head = next(m for m in told if m["type"] == "http.response.start")
    headers = tuple((k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in head.get("headers", ()))
    return Answer(int(head["status"]), headers, b"".join(m.get("body", b"") for m in told))


class Small:
    """A small application that answers each request with its name and the request's path. `seen`: the ids of the requests
    (header `x-request-id`) that reached it; `broken`: the share of them, by every nth, that it fails, 0 for none."""

    def __init__(self, name: str, headers: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.headers = dict(headers or {})
        self.seen: list[str] = []
        self.broken = 0

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:  # noqa: ARG002 - ASGI
        number = next((v.decode() for k, v in scope["headers"] if k == b"x-request-id"), "")
        self.seen.append(number)
        await asyncio.sleep(0)  # others are answered meanwhile
        if self.broken and len(self.seen) % self.broken == 0:
            if len(self.seen) % 2:
                raise RuntimeError("it fails on purpose")
            await _said(send, 503, {}, b"it fails on purpose")
            return
        await _said(send, 200, self.headers, self.body(str(scope["path"])))

    def body(self, path: str) -> bytes:
        """What it says of a path."""
        return f"{self.name} {path}".encode()


async def _said(send: Any, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """In two pieces, as an application that streams does."""
    own = [(key.encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": body[:3], "more_body": True})
    await send({"type": "http.response.body", "body": body[3:], "more_body": False})


class Clients:
    """Requests at a set rate, whether or not those before them have ended."""

    def __init__(self, log: Log, rate: float) -> None:
        self.log, self.rate = log, rate
        self.requests: list[Request] = []

    def work(self, each: Iterable[tuple[str, Callable[[], Coroutine[Any, Any, bool]]]]) -> None:
        """All of them: whose code it is (`old`, `new`), and what it does, which returns whether that was well."""
        asyncio.run(self._all(tuple(each)))

    async def _all(self, each: tuple[tuple[str, Callable[[], Coroutine[Any, Any, bool]]], ...]) -> None:
        begin = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number, (code, act) in enumerate(each):
                due = begin + number / self.rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                group.create_task(self._once(code, act, due))

    async def _once(self, code: str, act: Callable[[], Coroutine[Any, Any, bool]], due: float) -> None:
        try:
            ok = await act()
        except Exception as error:  # noqa: BLE001 (a client that dies would end all others)
            ok = False
            self.log.against(
                "traffic", f"{code} code: {type(error).__name__}: {error}", "", "see the application's own log"
            )
        self.requests.append(Request(due - self.log.began, time.monotonic() - due, code, "request", ok))
