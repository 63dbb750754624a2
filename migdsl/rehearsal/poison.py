"""A row that can't be filled, on purpose: it is set aside by its key and nothing else is, until it can be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from migdsl.dialect.names import literal, quote
from migdsl.executor.chain import Failed
from migdsl.executor.model import Refused
from migdsl.ops import names
from migdsl.ops.demands import backfill_name
from migdsl.ops.model import TablePlan
from migdsl.rehearsal import scrutiny
from migdsl.rehearsal.model import Mark, Stuck
from migdsl.rehearsal.troupe import Troupe
from migdsl.rehearsal.unfilled import Key, wanting
from migdsl.runtime import Budget

_ERRORS = "MigdslBackfillErrors"
_RULE = '"migdsl rehearsal: a row that can\'t be filled"'
_MANY = 40  # of more rows than that a budget isn't exceeded here
_ASIDE = b"""
SELECT tenant, row_key::text, error_class || ' ' || template FROM migdsl.quarantine
 WHERE migration = %s AND backfill = %s ORDER BY tenant, row_key::text"""
_SPENT = b"""
SELECT count(*) FROM migdsl.slice
 WHERE migration = %s AND backfill = %s AND state = 'failed' AND error LIKE 'error budget%%'"""
_PLANNED = b"SELECT coalesce(sum(rows_planned), 0)::int FROM migdsl.slice WHERE migration = %s AND backfill = %s"
_WAY = "see what the job makes of a row that the database refuses: `errors at most` and migdsl.quarantine"


class Poison:
    """Rows of the tenant that nobody writes, which the database refuses for as long as `put` says."""

    def __init__(self, troupe: Troupe, plan: TablePlan) -> None:
        self._troupe, self._plan = troupe, plan
        self._path = troupe.project.planned.paths.backfill(plan.table)
        self._tenant = troupe.tenants.quiet or ""
        self._rows = wanting(troupe, plan, self._tenant)[:_MANY] if self._tenant else []
        self._put: list[tuple[Key, Key]] = []
        self._start = troupe.log.now()

    @property
    def courses(self) -> tuple[tuple[int, bool], ...]:
        """How many rows are refused at a time, and whether those are more than may be set aside: first, where so many can be
        had, one row too many, then one."""
        if not self._rows:
            return ()
        said = self._troupe.module.policy.pace(self._plan.table.entity)
        budget = Budget(said.budget.rows, said.budget.share) if said and said.budget else Budget()
        own = (self._troupe.project.name, backfill_name(self._plan))
        row = self._troupe.desk.execute(_PLANNED, own).fetchone()
        planned = int(str(row[0])) if row is not None else 0
        most = next((n for n in range(len(self._rows)) if not budget.allows(n + 1, planned)), None)
        one = ((1, most == 0),)
        return one if not most else ((most + 1, True), *one)

    def put(self, count: int) -> None:
        """The database refuses these rows, and takes those back that were mended."""
        self.away()
        self._put = self._rows[:count]
        columns = [f"{quote(name)}::text" for name in self._plan.table.key]
        rows = [" AND ".join(f"{c} = {literal(v)}" for c, v in zip(columns, key, strict=True)) for _, key in self._put]
        refused = " OR ".join(f"({row})" for row in rows)
        with self._troupe.traffic.resting():
            self._alter(f"ADD CONSTRAINT {_RULE} CHECK (NOT ({refused})) NOT VALID")

    def away(self) -> None:
        """Their owners have mended them."""
        if self._put:
            with self._troupe.traffic.resting():
                self._alter(f"DROP CONSTRAINT {_RULE}")
        self._put = []

    def _alter(self, what: str) -> None:
        self._troupe.desk.execute(f"ALTER TABLE {names.table(self._plan.table)} {what}".encode())

    # --------------------------------------------------------------------------------------- looks

    def judged(self, code: int, metrics: Path, *, spent: bool) -> None:
        """What became of them. `spent`: there are more of them than may be set aside."""
        log, own = self._troupe.log, (self._troupe.project.name, backfill_name(self._plan))
        told = (
            f"{len(self._put)} rows of {self._plan.table.entity} that can't be filled"
            if len(self._put) > 1
            else (f"a row of {self._plan.table.entity} that can't be filled")
        )
        aside = self._troupe.desk.execute(_ASIDE, own).fetchall()
        stopped = self._troupe.desk.execute(_SPENT, own).fetchone() != (0,)
        if code == 0:
            log.against("quarantine", f"{told}, and the job ended with 0", self._path, _WAY)
        if spent and not stopped:
            log.against("quarantine", f"{told}, more than `errors at most` says, and the job went on", self._path, _WAY)
        elif stopped and not spent:
            log.against(
                "quarantine", f"{told}, as many as `errors at most` says, and the job stopped", self._path, _WAY
            )
        if not spent:
            self._by_key(aside, told)
        self._values(aside)
        what = "more than may be set aside: the job stopped" if spent else "set aside by its key, and the rest went on"
        log.saw("quarantine", f"{told}: {what}")
        text = metrics.read_text(encoding="utf-8") if metrics.exists() else ""
        scrutiny.fire(self._troupe, text, frozenset([_ERRORS]), told)
        log.marks.append(Mark("fault", told, self._start, log.now()))
        self._start = log.now()

    def _by_key(self, aside: Sequence[tuple[object, ...]], told: str) -> None:
        found = {(str(tenant), tuple(map(str, json.loads(str(key))))) for tenant, key, _ in aside}
        wanted = {(self._tenant, key) for key, _ in self._put}
        if _ends(found, self._plan) != _ends(wanted, self._plan):
            what = f"{told}, and set aside are {len(found)} rows, not that one by its key"
            self._troupe.log.against("quarantine", what, self._path, _WAY)
        left = len(wanting(self._troupe, self._plan, self._tenant))
        if left > len(self._put):
            what = f"{told} kept {left - len(self._put)} other rows of its tenant from being filled"
            self._troupe.log.against("quarantine", what, self._path, _WAY)

    def _values(self, aside: Sequence[tuple[object, ...]]) -> None:
        """What is kept of an error quotes no value of the row."""
        rows = [row for j in self._troupe.journals.values() for row in j.of(self._tenant)]
        values = {v for row in rows for v in row.facts.values() if v is not None and len(v) > 8 and v != self._tenant}
        said = " ".join(str(text) for _, _, text in aside)
        if any(value in said for value in values):
            self._troupe.log.against(
                "quarantine", "what is kept of an error quotes a value of the row", self._path, _WAY
            )

    def waited(self) -> None:
        """The phase can't be reached while any of them is there."""
        log = self._troupe.log
        try:
            outcome = self._troupe.forward("backfill")
        except (Failed, Refused) as error:
            log.against("revisions", f"backfill failed: {error.why}")
            raise Stuck from None
        if outcome.code == "reached":
            what = f"backfill was reached while a row of {self._plan.table.entity} could not be filled"
            log.against("gates", what, self._path, "its gate must ask for migdsl.quarantine and for slices that failed")
        else:
            log.saw("gates", f"backfill waits for a row of {self._plan.table.entity} that can't be filled")

    def healed(self) -> None:
        """Once they are mended and the job was run again, nothing is left of them."""
        own = (self._troupe.project.name, backfill_name(self._plan))
        if self._troupe.desk.execute(_ASIDE, own).fetchall():
            what = f"a row of {self._plan.table.entity} stays in quarantine although it can be filled by now"
            self._troupe.log.against("quarantine", what, self._path, "the job must try it again")
        elif self._rows:
            self._troupe.log.saw("quarantine", f"{self._plan.table.entity}: once mended it was filled")


def _ends(found: set[tuple[str, Key]], plan: TablePlan) -> set[tuple[str, Key]]:
    """Without what rows are ordered by, whose text depends on who asks."""
    count = len((plan.origin.table if plan.origin is not None else plan.table).key)
    return {(tenant, key[-count:]) for tenant, key in found}
