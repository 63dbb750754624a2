"""Clients of both ages of code become traffic at a set rate, whatever the database does, and a list of requests."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import psycopg

from migdsl.rehearsal.binding import Binding
from migdsl.rehearsal.clients import Client, Rules, Wrong
from migdsl.rehearsal.journal import Journal
from migdsl.rehearsal.model import Log
from migdsl.rehearsal.moving import MovedCodes
from migdsl.rehearsal.rights import Rights, lacking
from migdsl.rehearsal.router import Recorder, routed
from migdsl.rehearsal.rows import Maker
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.watch import Request, statement
from migdsl.rehearsal.writing import Codes
from migdsl.runtime.errors import safe_text

_CLIENTS = ("old", "new", "old", "new")
# A statement that takes longer was stalled, and is an error.
_OPTIONS = "-c statement_timeout=20s -c timezone=UTC -c datestyle=ISO,YMD -c intervalstyle=postgres"
_FEW = 4  # refused writes: that may happen by chance
_LAST_S = 30.0  # longer than a statement may take
_MANY = 5  # of one kind of error; the rest is counted


@dataclass(slots=True)
class Traffic:
    """Old and new code at work. `rate`: requests a second, half of them of each age."""

    url: str
    migration: str
    shapes: tuple[Shape, ...]
    journals: Mapping[str, Journal]
    maker: Maker
    rules: Rules
    log: Log
    rate: float
    seed: int
    recorder: Recorder = field(default_factory=Recorder)
    requests: list[Request] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    binding: Binding = field(default_factory=lambda: Binding(()))
    refused: int = 0
    through: int = 0
    client: Callable[..., Client] = Client
    clients: list[Client] = field(default_factory=list)
    rights: Rights = field(default_factory=Rights)
    over: threading.Event = field(default_factory=threading.Event)
    _queues: dict[str, queue.SimpleQueue[float]] = field(default_factory=dict)
    _rested: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Traffic until the block ends."""
        making = threading.Lock()
        router = routed(self.migration, self.rules, self.recorder)
        codes = {shape.entity: MovedCodes(shape) if shape.move else Codes(shape) for shape in self.shapes}
        self._queues = {code: queue.SimpleQueue() for code in set(_CLIENTS)}
        with ExitStack() as stack:
            for number, code in enumerate(_CLIENTS):
                name, options = f"rehearsal code {code} {number}", _OPTIONS + self.rights.options(code)
                connection = stack.enter_context(
                    psycopg.connect(
                        self.url, autocommit=True, prepare_threshold=None, application_name=name, options=options
                    )
                )
                chance = random.Random(f"{self.seed} {number}")  # noqa: S311 (nothing here is secret)
                client = self.client(
                    code, connection, self.shapes, codes, self.journals, self.maker, making, self.rules, router, chance
                )
                self.clients.append(client)
            threads = [threading.Thread(target=self._work, args=(c,), name=c.code, daemon=True) for c in self.clients]
            threads.append(threading.Thread(target=self._pace, name="rehearsal pace", daemon=True))
            for thread in threads:
                thread.start()
            try:
                yield
            finally:
                self.over.set()
                router.router.close()
                for each in self._queues.values():
                    for _ in _CLIENTS:
                        each.put(-1.0)
                for thread in threads:
                    thread.join(_LAST_S)

    def heard(self) -> None:
        """New code has heard of where the flag stands, for each tenant: whoever hears of two moves at once walks both, and would
        be a stage behind with the first request of a tenant that had none for long."""
        for client in self.clients[:1]:
            for tenant in self.rules.tenants:
                with client.routed.at(tenant):
                    pass

    def swap(self, swapped: frozenset[str]) -> None:
        """These columns are of their new type (or of their old one again, where they are left out)."""
        for client in self.clients:
            for shape in (s for s in self.shapes if s.move is None):
                client.codes[shape.entity] = Codes(shape, swapped & shape.retyped.keys())

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Nobody writes in this block, and no write is under way."""
        held: list[Client] = []
        try:
            for client in self.clients:  # Ctrl-C in between must leave nobody waiting
                client.busy.acquire()
                held.append(client)
            yield
        finally:
            # What became due meanwhile was kept waiting by us, and not by the migration.
            self._rested = time.monotonic()
            for client in held:
                client.busy.release()

    def work(self, count: int = 25, most_s: float = 30.0) -> None:
        """Waits until so many more requests of each age that may work have ended."""
        ages = [code for code, on in (("old", self.rules.old), ("new", self.rules.new)) if on and self._may(code)]
        before = len(self.requests)
        until = time.monotonic() + most_s
        while time.monotonic() < until and not self.over.is_set():
            now = Counter(r.code for r in self.requests[before:])
            if all(now[code] >= count for code in ages):
                return
            time.sleep(0.01)

    def bound(self, phase: str) -> None:
        """The same, while rules bind: not all of what new code writes may be refused."""
        refused, through = self.refused, self.through
        self.work()
        tried = self.refused - refused
        if self.rules.bound and self.through == through and tried > _FEW:
            self.log.against(
                "traffic", f"new code: at {phase} {tried} writes were refused, and none got through", "", _BOUND
            )

    def _may(self, code: str) -> bool:
        if code == "new":
            return not all(shape.leaves for shape in self.shapes)
        return any(self.rules.stages[t] in ("off", "dualwrite", "shadow") for t in self.rules.tenants)

    def _pace(self) -> None:
        """One request after the other becomes due, whether or not those before it have ended."""
        pause, turn = 1 / self.rate, 0
        due = time.monotonic()
        while not self.over.is_set():
            due = max(due + pause, time.monotonic() - 5)
            time.sleep(max(0.0, due - time.monotonic()))
            code = ("old", "new")[turn % 2]
            turn += 1
            if (self.rules.old if code == "old" else self.rules.new) and self._queues[code].qsize() < 60:
                self._queues[code].put(due)

    def _work(self, client: Client) -> None:
        due = self._queues[client.code].get()
        while due >= 0 and not self.over.is_set():
            with client.busy:
                if due > self._rested:
                    self._once(client, due)
            due = self._queues[client.code].get()

    def _once(self, client: Client, due: float) -> None:
        ok, act = True, "nothing"
        try:
            act, done = client.act()
            if not done:
                return
        except Wrong as wrong:
            ok = False
            self._against(client, "acknowledged_writes", wrong.what, "")
        except psycopg.Error as error:
            ok = self.rules.bound and client.code == "new" and self.binding.refuse(error)
            self.refused += ok
            if not ok:
                self._against(client, "traffic", *(lacking(error) or (f"{safe_text(error)}{_rule(error)}", _WAY)))
        except Exception as error:  # noqa: BLE001 (a client that dies silently would prove nothing)
            ok = False
            self._against(client, "traffic", f"{type(error).__name__}: {error}", "")
        self.through += client.code == "new" and act in ("insert", "update")
        now = time.monotonic()
        self.requests.append(Request(due - self.log.began, now - due, client.code, act, ok))

    def _against(self, client: Client, verdict: str, what: str, way_out: str) -> None:
        self.errors[f"{verdict} {client.code} {what}"] += 1
        if self.errors[f"{verdict} {client.code} {what}"] <= _MANY:
            self.log.against(verdict, f"{client.code} code: {what}", statement(client.said), way_out)


def _rule(error: psycopg.Error) -> str:
    """The constraint that a write breaks: a name, and no value."""
    return f" ({error.diag.constraint_name})" if error.diag.constraint_name else ""


_BOUND = "what binds at the end must permit what the file's new code writes: see what this phase's revision adds"
_WAY = "code that is deployed while the migration runs must go on working: see what this phase's revision changes"
