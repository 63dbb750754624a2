"""Writes each tenant where it is written, and carries the write over to the other database before it returns; for threads.

The outbox is the net below: its trigger tells of the keys in the writer's own transaction. What a crash, a silent database or
a lack of time leaves there is carried over by the sync job. A second write that fails never fails the first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as Late
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from migdsl.runtime.database import Transaction
from migdsl.runtime.routing.errors import RoutingError
from migdsl.runtime.routing.mask import Key
from migdsl.runtime.routing.router import Migration
from migdsl.runtime.routing.stages import Policy
from migdsl.runtime.sql import Statement, statement
from migdsl.runtime.stream import letting
from migdsl.runtime.stream.carriers import Carried, Carriers, Told
from migdsl.runtime.stream.jobs import Dual, Side
from migdsl.runtime.stream.letting import Believed, Search

T = TypeVar("T")
Lease = Callable[[], AbstractContextManager[Any]]
SIDES: tuple[Side, Side] = ("old", "new")


@dataclass(slots=True)
class DualWrites:
    """The rows of one stream, as an application of threads reads and writes them. Close it at the end.

    `routes` is the router's migration, whose flag says where a tenant is read, and where to try a write first. `old` and
    `new` lease a connection of psycopg's to each side (a pool's `connection`), in no transaction. `carriers` do the second
    writes. `patience_s` is how long a write that the fence refuses, while its tenant is switched, is tried again.
    """

    dual: Dual
    routes: Migration
    old: Lease
    new: Lease
    carriers: Carriers
    patience_s: float = 10.0
    _enter: dict[Side, Statement] = field(init=False)
    _believed: Believed = field(init=False, default_factory=Believed)

    def __post_init__(self) -> None:
        self._enter = {side: statement(self.dual.enter(side)) for side in SIDES}

    def write(self, tenant: object, *, old: Callable[[Any], T], new: Callable[[Any], T]) -> T:
        """Calls the function of the side where the tenant is written, in a transaction that ends before this returns.

        It is called with the connection, once more in a new transaction when the fence or PostgreSQL says so (40001), and
        writes that one side alone. What it raises, is raised. Raises RefusedError once `patience_s` is over.
        """
        run: dict[Side, Callable[[Any], T]] = {"old": old, "new": new}
        with self.routes.at(tenant) as at:
            result, told = self._first(at.tenant, at.policy, run)
            if told is not None:
                self._second(at.policy, told)
            return result

    def read(self, tenant: object, *, old: Callable[[Any], T], new: Callable[[Any], T], key: Key | None = None) -> T:
        """What the side that the flag names reads; in shadow and live the other one is read later and compared.

        While the flag names another side than the one that is written, it lacks what its second write left in the outbox.
        """
        with self.routes.at(tenant) as at:
            return at.read(old=partial(_leased, self.old, old), new=partial(_leased, self.new, new), key=key)

    def close(self) -> None:
        """Ends the second writes, after those that were asked for."""
        self.carriers.close()

    def __enter__(self) -> DualWrites:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _first(self, tenant: str, policy: Policy, run: dict[Side, Callable[[Any], T]]) -> tuple[T, Told | None]:
        core = self.routes.core
        search = self._believed.search(tenant, policy, core.clock, self.patience_s)
        while True:
            try:
                result, told = self._tried(search, tenant, run[search.side])
            except Exception as error:
                wait = search.again(error)
                if wait is None:
                    core.failed(policy, search.side, "write")
                    raise
                time.sleep(wait)
                continue
            core.wrote(policy, search.side, "first")
            self._believed.keep(tenant, search)
            return result, told if policy.stage != "off" else None

    def _tried(self, search: Search, tenant: str, run: Callable[[Any], T]) -> tuple[T, Told | None]:
        with (self.old if search.side == "old" else self.new)() as connection:
            idle(connection)
            with connection.transaction():
                told = None if search.plain else self._let_in(connection, search.side, tenant)
                return run(connection), told

    def _let_in(self, connection: Any, side: Side, tenant: str) -> Told:
        """Passes the fence: a write that meets no row would be refused by no trigger."""
        try:
            with psycopg.RawCursor(connection, row_factory=tuple_row) as cursor:
                return letting.told(side, Transaction(cursor).rows(self._enter[side], {"tenant": tenant})[0])
        except psycopg.Error as error:
            raise letting.refusal(error, tenant) from error

    def _second(self, policy: Policy, told: Told) -> None:
        clock = self.routes.core.clock
        began = clock()
        answer = self.carriers.submit(told)
        try:
            done: Carried = answer.result(self.carriers.timeout_s)
        except Late:
            done = self.carriers.late(answer)
        letting.note(self.routes.core, policy, told, done, clock() - began)


def idle(connection: Any) -> None:
    """Raises RoutingError where a transaction is open: what is inside of another isn't committed when it ends."""
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise RoutingError(
            "the connection has a transaction open already; lease one that nobody uses, as a pool gives them"
        )


def _leased(lease: Lease, run: Callable[[Any], T]) -> T:
    with lease() as connection:
        return run(connection)
