"""The ASGI example behind a real server, as its README starts it: over HTTP, in every stage, with a flag that moves."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from tests.ops.support import T1
from tests.runtime.routing.test_apps import ROOT, Example, example

pytest.importorskip("uvicorn", reason="uvicorn is not installed")
__all__ = ["example"]

README = (ROOT / "examples/apps/README.md").read_text(encoding="utf-8")
STAGE = 'migdsl_router_tenants{migration="users_email",stage="%s"} 1'


def ask(base: str, path: str, body: bytes | None = None) -> tuple[int, str]:
    request = Request(base + path, data=body, headers={"x-tenant": T1}, method="PUT" if body else "GET")
    try:
        with urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


@contextmanager
def served(example: Example) -> Iterator[str]:
    """The README's own command, on a free port of the loopback."""
    command = re.search(r"^(uvicorn .*)$", README, re.MULTILINE)
    assert command
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [sys.executable, "-m", *command[1].split(), "--port", str(port), "--log-level", "warning"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FLAGS": str(example.flags),
        "DATABASE_URL": example.story.url,
    }
    process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield await_answer(process, f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        said, _ = process.communicate(timeout=60)
    assert b"Traceback" not in said, said
    assert process.returncode in (0, -15), said


def await_answer(process: subprocess.Popen[bytes], base: str) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        try:
            if ask(base, "/metrics")[0] == 200:
                return base
        except (URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError("it doesn't come up")


def test_the_application_behind_a_server(example: Example):
    with served(example) as base:
        assert ask(base, "/users/1/contact") == (200, "ada@example.com")
        assert ask(base, "/users/2/contact") == (404, "")
        assert STAGE % "off" in ask(base, "/metrics")[1]
        assert ask(base, "/users/1/contact", b"first@x") == (200, "first@x")
        example.stage("dualwrite")
        until = time.monotonic() + 60
        # The flag is asked again after the router's five seconds, and the file is read each second.
        while STAGE % "dualwrite" not in ask(base, "/metrics")[1]:
            assert time.monotonic() < until
            assert ask(base, "/users/1/contact", b"again@x") == (200, "again@x")
            time.sleep(0.2)
        assert ask(base, "/users/1/contact", b"second@x") == (200, "second@x")
        assert example.row() == ("second@x", "second@x")
        text = ask(base, "/metrics")[1]
        assert 'writes_total{migration="users_email",stage="dualwrite",side="new",order="second"}' in text
        assert "@x" not in text
