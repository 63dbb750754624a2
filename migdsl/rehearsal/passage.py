"""Two databases and what is between them become what a play of a move asks of them: a walk, a job, a look at both sides."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from migdsl.executor.chain import Failed
from migdsl.executor.model import Outcome, Refused
from migdsl.executor.streams import Carried, stands, streams
from migdsl.rehearsal import moving
from migdsl.rehearsal.clients import Client, Wrong
from migdsl.rehearsal.company import Company
from migdsl.rehearsal.crosser import Crosser, Relay, Turning
from migdsl.rehearsal.journal import Connection, Row
from migdsl.rehearsal.model import Mark, Stuck
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.stage import Stage
from migdsl.rehearsal.troupe import quiet
from migdsl.rehearsal.watch import Watch, statement
from migdsl.runtime import ReconcileJob, main
from migdsl.runtime.errors import JobError, safe_text
from migdsl.runtime.stream.jobs import Side

Say = Callable[[str], None]
WAY = "see what the sync job carries over, and in which order: nothing that is older may arrive after something newer"
_MANY = 3


@dataclass(slots=True)
class Passage(Company):
    """All that takes part in a move to another database."""

    stages: Mapping[str, Stage]
    say: Say
    desks: Mapping[str, Connection]
    watch: Watch
    turning: Turning
    # What is written through a module that carries it over at once.
    twofold: frozenset[str] = frozenset()
    filled: bool = False
    standing: str = "off"
    relays: list[Relay] = field(default_factory=list)

    @property
    def stage(self) -> Stage:
        """The database that is left: there the jobs keep their progress."""
        return self.stages[self._left]

    @property
    def desk(self) -> Connection:
        """The same."""
        return self.desks[self._left]

    @property
    def _left(self) -> str:
        return moving.move_of(self.shapes[0]).table.database

    def end(self, shape: Shape, side: str) -> tuple[Connection, str]:
        """A connection to one side of a table, and its name there."""
        move = moving.move_of(shape)
        return (
            (self.desks[move.table.database], shape.name)
            if side == "old"
            else (self.desks[move.target.database], shape.new_name)
        )

    def client(self, code: str) -> Client:
        """One of those at work; nobody may be at work in what it is used for."""
        return next(client for client in self.traffic.clients if client.code == code)

    @contextmanager
    def writing(self, side: Side) -> Iterator[Callable[[Shape, Row], None]]:
        """Gives rows other values, in one transaction on that side, where all of their tenants write; while all rest. Nothing of
        it is carried over at once. Raises Stuck."""
        client = self.client("old" if side == "old" else "new")
        assert isinstance(client, Crosser)
        with client.alone(side):
            yield lambda shape, row: self._rewritten(client, shape, row)

    def rewrite(self, shape: Shape, row: Row) -> None:
        """Old code gives a row other values, while all rest. Raises Stuck."""
        with self.writing("old") as write:
            write(shape, row)

    def _rewritten(self, client: Client, shape: Shape, row: Row) -> None:
        try:
            client.rewrite(shape, row)
        except Wrong as wrong:
            self.log.against("acknowledged_writes", f"{client.code} code: {wrong.what}", statement(client.said), WAY)
        except psycopg.Error as error:
            self.log.against("traffic", f"{client.code} code: {safe_text(error)}", statement(client.said))
        else:
            return
        raise Stuck

    # ------------------------------------------------------------------------------------------- what is run

    def tried(self, what: str, run: Callable[[], Outcome]) -> Outcome:
        """A walk. Raises Stuck."""
        try:
            with quiet():
                return run()
        except (Failed, Refused) as error:
            self.log.against("revisions", f"{what} failed: {error.why}", "", getattr(error, "help", ""))
        except psycopg.Error as error:
            self.log.against("revisions", f"{what} failed: {safe_text(error)}")
        except JobError as error:
            self.log.against("revisions", f"{what} failed: {error}")
        raise Stuck

    def run(self, carried: Carried, *words: str) -> None:
        """A command of the sync job. Raises Stuck."""
        with quiet():
            code = carried.run(*words)
        if code:
            self.log.against("both_sides", f"{carried.path} {' '.join(words)} ended with {code}", carried.path, WAY)
            raise Stuck

    def started(self, relay: Relay) -> None:
        """The sync job, until it is heard of. Raises Stuck."""
        try:
            relay.start()
        except Stuck:
            self.log.against("both_sides", "the sync job doesn't run", "", "run it by hand: it says why")
            raise

    def job(self, path: str, *words: str) -> int:
        """A generated reconciliation's exit code."""
        space: dict[str, object] = {"__name__": "migdsl_job"}
        exec(compile(self.project.texts[path], path, "exec"), space)  # noqa: S102 - the file that is rehearsed
        job = space["JOB"]
        assert isinstance(job, ReconcileJob)
        job = dataclasses.replace(job, patience_s=0.2, settle_s=0.05)  # nobody writes, and nothing is on its way
        site = self.sites.site(self.project.planned.place(path))
        listed = ["--tenants-url", site.listing] if site.listing is not None else []
        with quiet():
            return main(
                job, ["--url", site.ledger.conninfo, *listed, "--other-url", site.others[job.other_env or ""], *words]
            )

    def spawned(self, path: str, *words: str, said: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """A generated backfill in a process of its own, whose session has the name that it gives itself."""
        place = self.project.planned.place(path)
        site = self.sites.site(place)
        listed = ["--tenants-url", site.listing] if site.listing is not None else []
        return subprocess.Popen(
            [sys.executable, str(Path(self.project.folder, path)), "--url", self.stages[place].url, *listed, *words],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )

    # ------------------------------------------------------------------------------------------- looks

    def drained(self) -> None:
        """All that was written is on the other side, while both are there."""
        for carried in streams(self.sites):
            if self.relays and stands(carried):
                self.run(carried, "drain", "--seconds", "60")

    def look(self) -> None:
        """The journal against both databases, once all is carried over, while all rest."""
        told: list[tuple[str, str]] = []
        with self.traffic.resting():
            self.drained()
            for shape in self.shapes:
                move = moving.move_of(shape)
                old, new = self.desks[move.table.database], self.desks[move.target.database]
                rows = self.journals[shape.entity].told()
                told += moving.apart(old, new, shape, rows, filled=self.filled, home=self.rules.home, early=False)
        count = sum(1 for j in self.journals.values() for row in j.rows if row.alive)
        for verdict in ("acknowledged_writes", "both_sides"):
            self.log.saw(verdict, f"{self.log.step}: {count} rows, {self.turning.refused} requests sent across")
            found = [what for each, what in told if each == verdict]
            for what in found[:_MANY]:
                self.log.against(verdict, what, "", WAY)
            if len(found) > _MANY:
                self.log.against(verdict, f"and {len(found) - _MANY} rows more", "", WAY)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A part of the play, with its name for findings and the time it took."""
        self.log.step, start = name, self.log.now()
        try:
            yield
        finally:
            self.log.marks.append(Mark("step", name, start, self.log.now()))
            self.say(f"{name}  {self.log.now() - start:.1f} s")
