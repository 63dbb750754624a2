"""Turns Prometheus text into a textfile, an answer to a scrape, or a push to a Pushgateway; standard library alone."""

from __future__ import annotations

import base64
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PUSH_S: Final = 5.0
_READ_S: Final = 5.0


def replace_file(path: str, text: str) -> None:
    """Replaces `path` in one step, since a collector may read it at any instant. Raises OSError."""
    target = Path(path)
    handle, name = tempfile.mkstemp(prefix=".migdsl-", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)  # a collector runs as somebody else
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class MetricsServer:
    """`/metrics` for Prometheus, from a thread of its own; `collect` is asked at each scrape, in that thread.

    Raises OSError where the address can't be had. Nothing but GET and HEAD is answered, and no request body is read.
    """

    def __init__(self, collect: Callable[[], str], address: tuple[str, int]) -> None:
        self._last, self._scraped = threading.Event(), threading.Event()
        self._server = _server(collect, self._last, self._scraped, address)
        self._thread = threading.Thread(target=self._server.serve_forever, name="migdsl-metrics", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, the real one where 0 was asked for."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    @property
    def ending(self) -> bool:
        """Whether the next scrape may be the last."""
        return self._last.is_set()

    def await_scrape(self, seconds: float, stopped: Callable[[], bool] = lambda: False) -> None:
        """Returns when what is so from now on was read, after `seconds`, or when `stopped`."""
        self._last.set()
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not stopped():
            if self._scraped.wait(min(left, 0.1)):
                return

    def close(self) -> None:
        """Closes the port; a scrape that is being answered ends first."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A scraper that hangs up is no matter of the job's, and no traceback among its lines."""


class _Server6(_Server):
    address_family = socket.AF_INET6


def _server(
    collect: Callable[[], str], last: threading.Event, scraped: threading.Event, address: tuple[str, int]
) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "migdsl", ""
        timeout = _READ_S

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, *, body: bool) -> None:
            found = self.path.split("?")[0] == "/metrics"
            final = last.is_set()  # before the numbers are collected: those of a moment ago aren't the last
            text = (collect() if found else "metrics are at /metrics\n").encode("utf-8")
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", CONTENT_TYPE if found else "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if body:
                self.wfile.write(text)
            if found and body and final:
                scraped.set()

        def log_message(self, *_arguments: object) -> None:
            """No line a scrape."""

    return (_Server6 if ":" in address[0] else _Server)(address, Handler)


class _Straight(HTTPRedirectHandler):
    """A push goes where it was told to, and its password nowhere else."""

    def redirect_request(self, *_arguments: object) -> None:
        return None


def push(gateway: str, text: str, grouping: Mapping[str, str], *, seconds: float = _PUSH_S) -> None:
    """Replaces one group of a Pushgateway (PUT). `gateway` is its http or https address, with user and password if need be.

    `grouping` begins with `job`. Raises OSError (urllib's errors are such), ValueError.
    """
    parts = urlsplit(gateway)
    if parts.scheme not in ("http", "https"):
        raise ValueError("a Pushgateway's address begins with http:// or https://")
    host = parts.netloc.rpartition("@")[2]
    path = f"{parts.path.rstrip('/')}/metrics{''.join(_group(name, value) for name, value in grouping.items())}"
    headers = {"Content-Type": CONTENT_TYPE}
    if parts.username is not None:
        given = parts.netloc.rpartition("@")[0]
        headers["Authorization"] = f"Basic {base64.b64encode(unquote_to_bytes(given)).decode('ascii')}"
    # Its scheme is http: no file is read.
    request = Request(  # noqa: S310
        urlunsplit((parts.scheme, host, path, "", "")), data=text.encode("utf-8"), headers=headers, method="PUT"
    )
    with build_opener(_Straight).open(request, timeout=seconds) as answer:
        answer.read(1 << 16)


def _group(name: str, value: str) -> str:
    """A label in the path; what a path can't carry (nothing, slashes) goes in base64, as Pushgateway has it."""
    if value and "/" not in value and value not in (".", ".."):
        return f"/{name}/{quote(value, safe='')}"
    encoded = base64.urlsafe_b64encode(value.encode("utf-8")).decode("ascii").rstrip("=") or "="
    return f"/{name}@base64/{encoded}"
