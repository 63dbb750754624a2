"""Code that knows two databases, and the sync job between them: requests to the side that the flag says, rows carried over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from migdsl.executor.model import Project
from migdsl.executor.streams import Carried
from migdsl.rehearsal.clients import Client, Wrong
from migdsl.rehearsal.journal import Connection
from migdsl.rehearsal.model import Stuck
from migdsl.rehearsal.rights import Rights
from migdsl.rehearsal.shapes import Shape

_OLD = ("off", "dualwrite", "shadow")
_PATIENCE_S = 60.0
# What a fence says while a tenant is on its way, or has gone; and a foreign key, before it, to what was born on the other side.
_ELSEWHERE = ("55000", "40001", "23503")


@dataclass(slots=True)
class Turning:
    """Whether tenants are being switched: then the flag and the fences may say two different things."""

    on: bool = False
    refused: int = 0


@dataclass(slots=True)
class Crosser(Client):
    """Code that writes one side, the one that the flag says; old code knows the old one alone."""

    anew: bool = True
    far: Connection | None = None
    near: Connection | None = None
    turning: Turning = field(default_factory=Turning)
    # What it writes is left to the sync job, whatever else it could do.
    plain: bool = False

    @contextmanager
    def alone(self, side: str) -> Iterator[None]:
        """What is written in this block is one transaction on that side, and left to the sync job."""
        here = self.near if side == "old" else self.far
        assert here is not None
        self.connection, self.plain = here, True
        try:
            with here.transaction():
                yield
        finally:
            self.plain = False

    def ready(self) -> None:
        """Both connections are there."""

    def act(self) -> tuple[str, bool]:
        """A request that meets a tenant on its way is no request that was acknowledged. Raises psycopg.Error, Wrong."""
        before = self.turning.on
        try:
            return Client.act(self)
        except psycopg.Error as error:
            if not (before or self.turning.on) or error.sqlstate not in _ELSEWHERE:
                raise
        except Wrong:
            if not (before or self.turning.on):
                raise
        self.turning.refused += 1
        return "refused", False

    def _reads(self, tenant: str) -> str:
        side = "old" if self.code == "old" or self.rules.stages[tenant] in _OLD else "new"
        here = self.near if side == "old" else self.far
        assert here is not None
        self.connection = here
        return side

    def _write(
        self,
        shape: Shape,  # noqa: ARG002 - as of any client
        tenant: str,
        run: Callable[[str], Callable[[object], None]],
        key: tuple[str, ...] = (),  # noqa: ARG002
    ) -> str:
        side = self._reads(tenant)
        with self.connection.transaction():
            run(side)(self.connection)
        return side


def crossers(
    url: str, stack: ExitStack, turning: Turning, rights: Rights, kind: Callable[..., Crosser] = Crosser
) -> Callable[..., Client]:
    """Makes clients that know both databases; `url` is that of the new side."""

    def made(code: str, connection: Connection, *rest: Any) -> Client:
        name, options = f"rehearsal code {code} far", rights.options(code)
        far = stack.enter_context(
            psycopg.connect(url, autocommit=True, prepare_threshold=None, application_name=name, options=options)
        )
        client = kind(code, connection, *rest)
        client.near, client.far, client.turning = connection, far, turning
        client.ready()
        return client

    return made


class Relay:
    """The sync job, in a process of its own."""

    def __init__(self, carried: Carried, project: Project) -> None:
        self._carried = carried
        urls = ("--old-url", carried.urls.old, "--new-url", carried.urls.new)
        self._argv = [sys.executable, str(Path(project.folder, carried.path)), *urls, "run", "--workers", "2"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it is heard of. Raises Stuck."""
        self.kill()
        since = time.monotonic()
        paths = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen(
            self._argv,
            env={**os.environ, "PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while self._carried.absent() or self._age() > time.monotonic() - since + 1:
            if self._process.poll() is not None or time.monotonic() - since > _PATIENCE_S:
                raise Stuck
            time.sleep(0.05)

    def _age(self) -> float:
        events = self._carried.old.ledger.newest()
        found = [events.get(("reading", f"sync_lag:{entity}")) for entity in self._carried.entities]
        return max((each.age for each in found if each is not None), default=1e9)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
