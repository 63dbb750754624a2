"""A transaction of old code that is open while its tenant is moved on becomes a write that is lost nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

import psycopg

from migdsl.executor.streams import streams
from migdsl.executor.turning import turned as switched
from migdsl.rehearsal.clients import Client, Wrong
from migdsl.rehearsal.company import Company
from migdsl.rehearsal.crosser import Crosser
from migdsl.rehearsal.journal import Row
from migdsl.rehearsal.model import Mark
from migdsl.rehearsal.passage import Passage
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.troupe import Troupe
from migdsl.rehearsal.waiting import until
from migdsl.runtime.errors import safe_text

_BEHIND = b"""
SELECT count(*) FROM pg_catalog.pg_stat_activity
 WHERE datname = current_database() AND pg_catalog.pg_blocking_pids(pid) @> ARRAY[%s::integer]"""
_WAY = "code that is deployed while the migration runs must go on working: see what its trigger does at the end"
_SOON_S = 20.0  # a switch first carries over what waits


def moved(troupe: Troupe, tenant: str, move: Callable[[], None]) -> None:
    """Within a database the flag moves at once, and whoever writes by the old one is followed by the trigger."""
    client = next(client for client in troupe.traffic.clients if client.code == "old")
    with troupe.traffic.resting(), _committed(troupe):
        with _open(troupe, client, tenant) as written:
            move()
        _noted(troupe, written)


def turned(passage: Passage, tenant: str) -> None:
    """Between two databases the switch has to wait for it: what is committed on the old side afterwards nobody would find. Who
    is turned over here is so before the flag says it."""
    client, heard = passage.client("old"), list[str]()
    assert isinstance(client, Crosser)
    for carried in streams(passage.sites):
        with ThreadPoolExecutor(1) as pool, passage.traffic.resting(), _committed(passage):
            with client.alone("old"), _open(passage, client, tenant) as written:
                # Refused, since the machine is slow, it is turned over when the flag says so.
                moving = pool.submit(switched, carried, {tenant: "new"}, heard.append)
                until(lambda now=moving: now.done() or not written or _behind(passage, client), _SOON_S)  # type: ignore[misc]
            moving.result()
            _noted(passage, written)


@contextmanager
def _open(company: Company, client: Client, tenant: str) -> Iterator[list[str]]:
    """A row of each table that changes is written, and committed at the end of the block; the names of those tables."""
    start, written = company.log.now(), list[str]()
    with client.connection.transaction() if not isinstance(client, Crosser) else nullcontext():
        for shape in (s for s in company.shapes if not s.leaves and not s.computed):
            row = next(iter(company.journals[shape.entity].of(tenant)), None)
            if row is not None and _rewritten(client, shape, row):
                written.append(shape.entity)
        yield written
    company.log.marks.append(Mark("fault", "old code commits after its tenant was moved on", start, company.log.now()))


@contextmanager
def _committed(company: Company) -> Iterator[None]:
    """What keeps old code from committing is a finding."""
    try:
        yield
    except psycopg.Error as error:
        what = f"old code can't commit what it had open while its tenant was moved on: {safe_text(error)}"
        company.log.against("traffic", what, "", _WAY)


def _rewritten(client: Client, shape: Shape, row: Row) -> bool:
    try:
        with client.connection.transaction():
            return client.rewrite(shape, row)
    except (psycopg.Error, Wrong):
        return False  # which the traffic tells


def _behind(passage: Passage, client: Client) -> bool:
    """Whether anybody waits for the open transaction."""
    row = passage.desk.execute(_BEHIND, (client.connection.info.backend_pid,)).fetchone()
    return row != (0,)


def _noted(company: Company, written: list[str]) -> None:
    if written:
        told = f"{', '.join(written)}: what old code committed after its tenant was moved on is looked for"
        company.log.saw("acknowledged_writes", told)
