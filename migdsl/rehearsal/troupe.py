"""A checked file becomes all that a rehearsal is played with: its project, files, flag by stage, tables, rows and traffic."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from migdsl.executor.apply import Walk
from migdsl.executor.chain import Chain
from migdsl.executor.ledger import Ledger
from migdsl.executor.model import Answer, Outcome, Wishes
from migdsl.executor.rollback import Return
from migdsl.planning.release import stage_rows
from migdsl.rehearsal.company import Company
from migdsl.rehearsal.flag import Flag, skipping
from migdsl.rehearsal.gauge import Gauge
from migdsl.rehearsal.journal import Connection
from migdsl.rehearsal.model import Mark, Stuck
from migdsl.rehearsal.stage import Stage
from migdsl.rehearsal.watch import Watch
from migdsl.runtime import BackfillJob, ReconcileJob, main
from migdsl.semantics.model import StageLine
from migdsl.values import replace

_STOPPED = 130
# What a generated file may raise that somebody has edited.
UNLOADABLE = (ValueError, TypeError, NameError, SyntaxError, ImportError, AssertionError)


class Desk:
    """Hears what the executor does, and says yes to what only people know."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def confirm(self, answer: Answer) -> bool:  # noqa: ARG002 - the executor's protocol
        return True


@dataclass(slots=True)
class Troupe(Company):
    """All that takes part. `home` has the user's own modules."""

    home: Path
    stage: Stage
    desk: Connection
    watch: Watch
    gauge: Gauge
    hears: Desk = field(default_factory=Desk)
    stood: dict[str, str] = field(default_factory=dict)
    shares: tuple[StageLine, ...] = ()
    spoken: str = ""

    @property
    def phases(self) -> tuple[str, ...]:
        return self.project.phases

    @property
    def ledger(self) -> Ledger:
        return self.sites.all[0].ledger

    @property
    def chain(self) -> Chain:
        return self.sites.all[0].chain

    def forward(self, phase: str) -> Outcome:
        """`migdsl apply --to PHASE`. Raises Failed, psycopg.Error."""
        with quiet() as said:
            found = Walk(self.sites, self.hears, Wishes()).to(phase)
        self.spoken = said.getvalue()
        return _going_on(found)

    def backward(self, phase: str) -> Outcome:
        """`migdsl rollback --to PHASE --lose`. Raises Refused, Failed, psycopg.Error."""
        with quiet() as said:
            found = Return(self.sites, self.hears, Wishes(lose=True)).to(phase)
        self.spoken = said.getvalue()
        return _going_on(found)

    def job(self, path: str, *words: str, still: bool = False) -> tuple[int, str]:
        """A generated job, run in this process; its exit code, and what it said. `still`: nobody writes, so that there is
        nothing to wait for before what differs is looked at again."""
        space: dict[str, object] = {"__name__": "migdsl_job"}
        try:
            exec(compile(self.project.texts[path], path, "exec"), space)  # noqa: S102 - the file that is rehearsed
        except UNLOADABLE as error:
            verdict = "backfill" if path == self._is_backfill(path) else "reconciliation"
            self.log.against(verdict, f"it can't be loaded: {error}", path, "compile again")
            raise Stuck from None
        job = space["JOB"]
        assert isinstance(job, BackfillJob | ReconcileJob)
        if still and isinstance(job, ReconcileJob):
            job = dataclasses.replace(job, settle_s=0.0)
        with quiet() as said:
            code = main(job, ["--url", self.ledger.conninfo, *self._listing(), *words])
        if code == _STOPPED:
            raise KeyboardInterrupt
        return code, said.getvalue()

    def _listing(self) -> list[str]:
        """Where the list of tenants is, if it is in another database."""
        listing = self.sites.all[0].listing
        return ["--tenants-url", listing] if listing is not None else []

    def _is_backfill(self, path: str) -> str | None:
        planned = self.project.planned
        return next((p for plan in planned.lowered.tables if (p := planned.paths.backfill(plan.table)) == path), None)

    def spawned(self, path: str, *words: str, said: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """A generated job in a process of its own, whose session has the name that it gives itself."""
        paths = os.pathsep.join([str(self.home), *filter(None, sys.path)])
        return subprocess.Popen(
            [
                sys.executable,
                str(Path(self.project.folder, path)),
                "--url",
                self.stage.url,
                *self._listing(),
                *words,
            ],
            env={**os.environ, "PYTHONPATH": paths},
            stdout=subprocess.DEVNULL,
            stderr=said,
        )

    # ------------------------------------------------------------------------------------------- the flag

    def move(self, stage: str, who: str = "all") -> None:
        """The flag as it stands once the file says so and is deployed: for everybody, or for one tenant more."""
        if who == "all":
            self.stood, self.shares = {"all": stage}, ()
        else:
            self.stood[who] = stage
        self._deployed(f"{stage} for {'all' if who == 'all' else 'the canary'}", self.tenants.ids)

    def ramp(self, stage: str, percent: str, asked: Sequence[str]) -> Mapping[str, str]:
        """The same for a share of the tenants more; the stage of those that are asked for. Raises RoutingError."""
        self.shares = (StageLine("percent", stage, percent, ()),)
        return self._deployed(f"{stage} for {percent}%", asked)

    def _deployed(self, name: str, asked: Sequence[str]) -> Mapping[str, str]:
        everybody = StageLine("all", self.stood.get("all", "off"), None, ())
        rest = tuple(StageLine("tenants", at, None, (name,)) for name, at in self.stood.items() if name != "all")
        module = replace(self.module, stages=(everybody, *self.shares, *rest))
        said = {tenant: self.stood.get(tenant, everybody.stage) for tenant in asked}
        found = Flag(self.project, self.log).resolved(module, said)
        before, self.rules.stages = self.rules.stages, {tenant: found[tenant] for tenant in self.tenants.ids}
        skipping(self.log, before, self.rules.stages)
        self.traffic.heard()
        if self.ledger.there:
            self.ledger.record_all(("stage", subject, at) for subject, at in stage_rows(module))
        self.log.marks.append(Mark("stage", name, self.log.now(), self.log.now()))
        return found


def _going_on(found: Outcome) -> Outcome:
    """Ctrl-C reaches whatever runs in this process, which then ends in order: so do we."""
    if found.exit == _STOPPED:
        raise KeyboardInterrupt
    return found


@contextmanager
def quiet() -> Iterator[io.StringIO]:
    """What jobs and Alembic print is kept."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield said
