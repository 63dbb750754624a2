"""A network between a client and its server that can fall silent: nothing arrives any more, and nobody is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

_NAME = ".s.PGSQL.5432"


@dataclass
class Network:
    """`url` leads through it. While it is `silent`, what is sent stays on the way, for as long as the block lasts."""

    url: str
    target: str
    listening: socket.socket
    silent: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    ends: list[socket.socket] = field(default_factory=list)

    def serve(self) -> None:
        while True:
            try:
                near, _ = self.listening.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self.target)
            self.ends += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self.silent.is_set():
                    self.over.wait()
                sink.sendall(data)
            if not self.silent.is_set():
                sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.over.set()
        for each in (self.listening, *self.ends):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@contextmanager
def network(url: str, folder: Path) -> Iterator[Network]:
    """In front of a server that listens on a socket in the file system; `folder` has a short name."""
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / _NAME))
    listening.listen()
    there = urlunsplit(parts._replace(query=f"host={quote(str(folder), safe='/')}&port=5432"))
    made = Network(there, f"{query['host']}/{_NAME}", listening)
    threading.Thread(target=made.serve, daemon=True).start()
    try:
        yield made
    finally:
        made.close()
