"""Runs Python files as processes of their own, forked from one that has imported what jobs need: most of their time was that.

What runs has its own process, environment, folder, arguments, output and exit code, as if the interpreter had just started.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

ROOT = Path(__file__).resolve().parents[1]
_HEAD = 8


def run_file(
    argv: list[str], *, env: Mapping[str, str], cwd: Path | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """`subprocess.run` of `[python, FILE, *arguments]` with captured text. Raises TimeoutExpired, having killed it."""
    assert argv[0] == sys.executable
    request = {"argv": argv[1:], "env": dict(env), "cwd": str(cwd or Path.cwd())}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with _borrowed() as nursery:
            code = nursery.run(request, out.fileno(), err.fileno(), timeout)
        if code is None:
            raise subprocess.TimeoutExpired(argv, timeout)
        texts = [_text(out), _text(err)]
    return subprocess.CompletedProcess(argv, code, *texts)


def _text(file: Any) -> str:
    file.seek(0)
    return io.TextIOWrapper(file, encoding="utf-8").read()


class _Nursery:
    """The process from which the others are forked, and the line to it."""

    def __init__(self) -> None:
        self.line, other = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked", str(other.fileno())],
            cwd=ROOT,
            pass_fds=[other.fileno()],
            stdin=subprocess.DEVNULL,
        )
        other.close()

    def run(self, request: dict[str, Any], out: int, err: int, timeout: float) -> int | None:
        """The exit code (negative: the signal), or None if it had to be killed after `timeout` seconds."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            body = json.dumps(request).encode()
            socket.send_fds(self.line, [len(body).to_bytes(_HEAD, "big")], [out, err, theirs.fileno()])
            self.line.sendall(body)
            theirs.close()
            pid = int(_exactly(ours, _HEAD))
            ours.settimeout(timeout)
            try:
                return int(_exactly(ours, _HEAD))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                return None

    def close(self) -> None:
        self.line.close()
        self.process.wait()


_FREE: Final[SimpleQueue[_Nursery]] = SimpleQueue()


@contextmanager
def _borrowed() -> Iterator[_Nursery]:
    """One that nobody uses: each waits for its child, and threads may want several at once."""
    try:
        nursery = _FREE.get_nowait()
    except Empty:
        nursery = _Nursery()
        atexit.register(nursery.close)
    yield nursery
    _FREE.put(nursery)


def _exactly(line: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = line.recv(count - len(found))
        if not part:
            raise EOFError("the other end is gone")
        found += part
    return found


def _serve(line: socket.socket) -> dict[str, Any] | None:
    """Forks for each request, and tells how each ended; returns in the child with its request, at the end with None."""
    while True:
        head, files, _, _ = socket.recv_fds(line, _HEAD, 3)
        if not head:
            return None
        out, err, told = files
        request: dict[str, Any] = json.loads(_exactly(line, int.from_bytes(head, "big")))
        pid = os.fork()
        if pid == 0:
            line.close()
            os.close(told)
            os.dup2(out, 1)
            os.dup2(err, 2)
            os.close(out)
            os.close(err)
            return request
        with socket.socket(fileno=told) as teller:
            teller.sendall(b"%*d" % (_HEAD, pid))
            with suppress(OSError):
                teller.sendall(b"%*d" % (_HEAD, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
        os.close(out)
        os.close(err)


def _become(request: dict[str, Any]) -> None:
    """This process as if it had been started with these arguments."""
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    time.tzset()
    file, *arguments = request["argv"]
    sys.argv = [file, *arguments]
    sys.orig_argv[:] = [sys.executable, file, *arguments]
    asked = request["env"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [str(Path(file).resolve().parent), *filter(None, asked)]
    runpy.run_path(file, run_name="__main__")


if __name__ == "__main__":
    import migdsl.runtime.backfill.run
    import migdsl.runtime.cli
    import migdsl.runtime.reconcile.run
    import migdsl.runtime.telemetry.observe  # noqa: F401

    # A terminal's Ctrl-C is for pytest, which ends the line.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _asked = _serve(socket.socket(fileno=int(sys.argv[1])))
    if _asked is not None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _become(_asked)
