"""Turns one tenant into its comparison: what differs, what was mended of it, and what breaks a rule to come."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from migdsl.runtime.database import Database, Row, Transaction
from migdsl.runtime.jobs import ReconcileJob
from migdsl.runtime.ledger import Key
from migdsl.runtime.reconcile.between import Between
from migdsl.runtime.reconcile.comparing import Brake, Comparer, Patience
from migdsl.runtime.reconcile.look import Finding, Looker, Tally
from migdsl.runtime.reconcile.mend import Mender
from migdsl.runtime.reconcile.options import ReconcileOptions
from migdsl.runtime.reconcile.report import Comparison, DifferingRow
from migdsl.runtime.reconcile.truth import Side, Stages
from migdsl.runtime.reconcile.within import Within
from migdsl.runtime.routing.mask import Mask
from migdsl.runtime.sql import statement

_STAGES: Final = statement(
    "SELECT subject, value FROM migdsl.event WHERE migration = :migration AND kind = 'stage' ORDER BY id"
)
# Who has no row is where newcomers are.
_SIDE: Final = statement("""
SELECT state FROM migdsl.side
 WHERE migration = :migration AND ((stream = :stream AND tenant = :tenant) OR (stream = :stream || '/newcomers' AND tenant = ''))
 ORDER BY stream <> :stream LIMIT 1""")


@dataclass(frozen=True, slots=True)
class OneTenant:
    """Compares tenants one at a time, on the brake's database and, where there is one, the new side's `other`."""

    job: ReconcileJob
    options: ReconcileOptions
    brake: Brake
    mask: Mask
    other: Database | None = None
    patience: Patience = field(default_factory=lambda: Patience.of(0.0))

    def compare(self, tenant: str) -> Comparison:
        """A tenant; mended first if that was asked for. Raises StoppedError, TimeIsUpError, UsageError, psycopg.Error."""
        truth = self.brake.database.perform(lambda tx: self._truth(tx, tenant))
        mender = self._mender(tenant, truth) if self.options.repair else None
        tally = self._tally(tenant, truth, mender)
        if mender is not None and mender.mended:
            tally = self._tally(tenant, truth, None)
        found = self._comparison(tenant, truth, tally)
        if mender is not None:
            found = replace(found, repaired=mender.mended, unrepaired=tuple(sorted(mender.failed.items())))
        return self._ruled(found)

    def _truth(self, tx: Transaction, tenant: str) -> Side:
        if self.job.stream is not None:
            # Between two databases the switch of a tenant's writes decides, whatever the flag says.
            found = tx.rows(_SIDE, {"migration": self.job.migration, "stream": self.job.stream, "tenant": tenant})
            return "new" if found == [("new",)] else "old"
        return Stages.of(tx.rows(_STAGES, {"migration": self.job.migration})).truth(tenant)

    def _mender(self, tenant: str, truth: Side) -> Mender:
        return Mender.of(self.job, self.brake, tenant, truth, self._truth, delete=self.options.delete, other=self.other)

    def _tally(self, tenant: str, truth: Side, mender: Mender | None) -> Tally:
        looker = self._looker(truth)
        if looker is None:
            return Tally()
        comparer = Comparer(looker, self.brake, tenant, self.job.settle_s, self.options.limit, self.patience)
        if mender is not None:
            comparer.on_found = mender.mend
        return comparer.run()

    def _looker(self, truth: Side) -> Looker | None:
        """None where there is nothing to compare."""
        if self.job.left is not None:
            return Between.of(self.job, self.brake.database, truth, self.other)
        return Within.of(self.job, self.brake.database, truth) if self.job.compare_old is not None else None

    def _comparison(self, tenant: str, truth: Side, tally: Tally) -> Comparison:
        return Comparison(
            tenant=tenant,
            truth=truth,
            rows=tally.rows,
            # PostgreSQL's hashes have no key: one row's is its values for whoever tries enough of them.
            hash_left=str(self.mask.number(tally.hash_left)),
            hash_right=str(self.mask.number(tally.hash_right)),
            mismatched=tally.counts["mismatched"],
            missing=tally.counts["missing"],
            extra=tally.counts["extra"],
            violations=0,
            lossy=tally.lossy,
            unsettled=tally.unsettled,
            unexplained=tally.unexplained,
            differing=tuple(self._row(key, finding) for key, finding in tally.shown.items()),
        )

    def _ruled(self, found: Comparison) -> Comparison:
        """With what breaks a constraint to come, or an invariant."""
        violations = self._count(self.job.violated, found.tenant)
        broken = tuple((text, self._count(sql, found.tenant)) for text, sql in self.job.invariants)
        return replace(
            found,
            violations=violations + sum(number for _, number in broken),
            violating=self._violating(found.tenant) if violations else (),
            invariants=broken,
        )

    def _count(self, sql: str | None, tenant: str) -> int:
        if sql is None:
            return 0
        question = statement(sql)
        # What is asked of rows alone is asked of the new side's.
        work = (self.other or self.brake.database).perform
        rows = work(lambda tx: tx.rows(question, {"tenant_id": tenant}), patient=True, snapshot=True)
        return int(rows[0][0] or 0)

    def _violating(self, tenant: str) -> tuple[DifferingRow, ...]:
        if self.job.violating is None:
            return ()
        question, values = statement(self.job.violating), {"tenant_id": tenant, "limit": str(self.options.limit)}
        database = self.other or self.brake.database
        names, rows = database.perform(lambda tx: tx.named(question, values), patient=True, snapshot=True)
        return tuple(self._broken_row(names, row) for row in rows)

    def _broken_row(self, names: tuple[str, ...], row: Row) -> DifferingRow:
        wide = len(self.job.key)
        # Only the fact that a rule is broken is taken over: a statement gone wrong can't carry a value into a report.
        rules = tuple(name for name, value in zip(names[wide:], row[wide:], strict=True) if value == "t")
        return DifferingRow(self._shown(tuple(value or "" for value in row[:wide])), rules)

    def _row(self, key: Key, finding: Finding) -> DifferingRow:
        return DifferingRow(self._shown(key), finding.columns, finding.kind)

    def _shown(self, key: Key) -> Key:
        """The key as it may be told: what is private in it as a keyed hash."""
        private = self.job.private
        pairs = zip(self.job.key, key, strict=True)
        return tuple(f"#{self.mask.of(value)}" if column in private else value for column, value in pairs)
