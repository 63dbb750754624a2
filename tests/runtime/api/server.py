"""An ASGI application becomes a server of uvicorn on a free port of the loopback, for as long as a test needs it."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import uvicorn


class Answer(NamedTuple):
    """A status, headers (lists by lower-case name), and the body."""

    status: int
    headers: Mapping[str, list[str]]
    body: bytes


@contextmanager
def served(app: Any) -> Iterator[int]:
    """The port on which it answers; the server is gone afterwards."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_level="warning", ws="none"))
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    try:
        # The listening socket is there already: whoever connects waits until the server accepts.
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
        assert not thread.is_alive()


def ask(port: int, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        answer = connection.getresponse()
        found: dict[str, list[str]] = {}
        for name, value in answer.getheaders():
            found.setdefault(name.lower(), []).append(value)
        return Answer(answer.status, found, answer.read())
    finally:
        connection.close()
