"""Turns the comparisons of a reconciliation into a terminal table, JSON and metrics; keys and counts, never values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from migdsl.runtime.telemetry import metrics
from migdsl.runtime.telemetry.metrics import MetricSpec, Sample

_SHOWN_TENANTS: Final = 30
_COUNTED: Final = ("rows", "mismatched", "missing", "extra", "violations", "lossy")
_MORE: Final = frozenset("differing violating invariants unsettled unexplained repaired unrepaired".split())
_KINDS: Final = {"missing": "is missing", "extra": "is there, and nothing gives it"}
_HEADER: Final = ("tenant", "truth", "rows", "mismatched", "missing", "extra", "violations", "lossy")


@dataclass(frozen=True, slots=True)
class DifferingRow:
    """A row's key, as text, and the columns that differ or the rules that it breaks.

    `kind` is mismatched, missing or extra; broken for a row that breaks a rule.
    """

    key: tuple[str, ...]
    columns: tuple[str, ...]
    kind: str = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One tenant's result. `hash_left` and `hash_right` are keyed hashes of a sum over all rows; equal ones mean equal sides.

    `invariants` are those that were asked, with how many rows break each; `violations` counts these too. `unsettled` rows
    differed when they were seen first and no more when they were looked at again, which doesn't count; `unexplained` are
    ranges whose hashes differ, and no row of which does. `repaired` rows were made right before this was compared,
    `unrepaired` are reasons for which rows were not, with their number.
    """

    tenant: str
    truth: str
    rows: int
    hash_left: str | None
    hash_right: str | None
    mismatched: int
    violations: int
    lossy: int
    missing: int
    extra: int
    differing: tuple[DifferingRow, ...] = ()
    violating: tuple[DifferingRow, ...] = ()
    invariants: tuple[tuple[str, int], ...] = ()
    unsettled: int = 0
    unexplained: int = 0
    repaired: int = 0
    unrepaired: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of_ledger(cls, row: Mapping[str, str | None]) -> Comparison:
        """From a row of migdsl.reconciliation, as text."""
        more = json.loads(row["found"] or "{}")

        def number(name: str) -> int:
            return int(row[name] or 0)

        return cls(
            tenant=row["tenant"] or "",
            truth=row["truth"] or "",
            hash_left=row["hash_left"],
            hash_right=row["hash_right"],
            rows=number("rows"),
            mismatched=number("mismatched"),
            missing=number("missing"),
            extra=number("extra"),
            violations=number("violations"),
            lossy=number("lossy"),
            differing=_rows(more.get("differing", ())),
            violating=_rows(more.get("violating", ())),
            invariants=_pairs(more.get("invariants", ())),
            unsettled=int(more.get("unsettled", 0)),
            unexplained=int(more.get("unexplained", 0)),
            repaired=int(more.get("repaired", 0)),
            unrepaired=_pairs(more.get("unrepaired", ())),
        )

    @property
    def differences(self) -> int:
        """Rows that differ, and ranges of which only the hashes do."""
        return self.mismatched + self.missing + self.extra + self.unexplained

    @property
    def clean(self) -> bool:
        return self.differences == 0 and self.violations == 0

    def columns(self) -> dict[str, str | None]:
        """The columns of migdsl.reconciliation, as text."""
        numbers = {name: str(getattr(self, name)) for name in _COUNTED}
        more = {name: value for name, value in asdict(self).items() if name in _MORE and value}
        return {
            "tenant": self.tenant,
            "truth": self.truth,
            "hash_left": self.hash_left,
            "hash_right": self.hash_right,
            "found": json.dumps(more, ensure_ascii=False) if more else None,
            **numbers,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """A reconciliation of one entity, of all its tenants if `whole`.

    `unlisted` and `old_writes` are None when they weren't read: single tenants, or a job without such a statement.
    `run` is the correlation id; `resumed` tenants were compared by an earlier part of the run, `left` ones not at all,
    since the time was up.
    """

    migration: str
    entity: str
    tenants: tuple[Comparison, ...]
    unlisted: int | None
    old_writes: int | None
    whole: bool = True
    run: str = ""
    resumed: int = 0
    left: int = 0

    @property
    def clean(self) -> bool:
        """No difference, no violation, no tenant that the list leaves out, and none that wasn't compared."""
        return not self.left and not self.wrong

    @property
    def wrong(self) -> bool:
        """Whether something was found that mustn't be."""
        return bool(self.unlisted) or not all(tenant.clean for tenant in self.tenants)

    @property
    def problems(self) -> int:
        """How many differences and violations there are; 0 is what gates want. Unlisted tenants have a gate of their own."""
        return self.total("differences") + self.total("violations")

    def broken(self, invariant: str) -> int:
        """How many rows break an invariant, in all tenants."""
        return sum(n for tenant in self.tenants for text, n in tenant.invariants if text == invariant)

    def total(self, column: str) -> int:
        """The sum of a number over all tenants."""
        return sum(int(getattr(tenant, column)) for tenant in self.tenants)

    @property
    def drift(self) -> float:
        """Differing rows of all rows, from 0 to 1."""
        return self.total("differences") / max(self.total("rows"), 1)

    def to_json(self) -> str:
        """All tenants, one object; hashes as strings, since they exceed what JSON readers keep exact."""
        names = ("rows", "differences", *_COUNTED[1:], "unsettled", "unexplained", "repaired")
        return json.dumps(
            {
                "migration": self.migration,
                "entity": self.entity,
                "run": self.run,
                "clean": self.clean,
                "complete": not self.left,
                "tenants_compared": len(self.tenants) - self.resumed,
                "tenants_resumed": self.resumed,
                "tenants_left": self.left,
                "totals": {name: self.total(name) for name in names},
                "drift_ratio": self.drift,
                "tenants_unlisted": self.unlisted,
                "old_writes": self.old_writes,
                "tenants": [asdict(tenant) for tenant in self.tenants],
            },
            indent=2,
            sort_keys=True,
        )

    def to_text(self) -> str:
        """Totals, then the tenants that aren't clean with the keys of their rows."""
        unclean = [tenant for tenant in self.tenants if not tenant.clean]
        lines = [f"{self.migration} {self.entity}: {len(self.tenants):,} tenants, {self.total('rows'):,} rows compared"]
        lines += _table(
            [_cells("all", "", self.total), *(_tenant_cells(tenant) for tenant in unclean[:_SHOWN_TENANTS])]
        )
        if len(unclean) > _SHOWN_TENANTS:
            lines.append(f"and {len(unclean) - _SHOWN_TENANTS:,} more tenants; --json lists all")
        for tenant in unclean[:_SHOWN_TENANTS]:
            lines += _keys(tenant.tenant, "differs in", tenant.differing)
            lines += _keys(tenant.tenant, "breaks", tenant.violating)
            lines += [f"  tenant {tenant.tenant!r} breaks {text!r}: {n:,} rows" for text, n in tenant.invariants if n]
            lines += [f"  tenant {tenant.tenant!r}: {why}, {n:,} rows not repaired" for why, n in tenant.unrepaired]
        lines += self._remarks()
        lines += [] if self.unlisted is None else [f"tenants unlisted: {self.unlisted:,}"]
        lines += [] if self.old_writes is None else [f"old-code writes so far: {self.old_writes:,}"]
        lines.append("clean" if self.clean else "not clean" if self.wrong else "clean so far, which proves nothing yet")
        return "\n".join(lines)

    def _remarks(self) -> list[str]:
        repaired, unsettled, unexplained = (self.total(name) for name in ("repaired", "unsettled", "unexplained"))
        found = [f"repaired, and compared again: {repaired:,} rows"] if repaired else []
        found += [f"differed at first and agree now, so they don't count: {unsettled:,} rows"] if unsettled else []
        found += [f"ranges whose hashes differ though no row does: {unexplained:,}"] if unexplained else []
        found += [f"taken over from the part of this run before: {self.resumed:,} tenants"] if self.resumed else []
        found += [f"the time was up: {self.left:,} tenants left; go on with --resume"] if self.left else []
        return found


def samples(report: Report, now: float) -> list[Sample]:
    """The metrics of a report; `now` as a Unix time. A run over single tenants has none."""
    if not report.whole:
        return []
    labels = {"migration": report.migration, "entity": report.entity}
    numbers: list[tuple[MetricSpec, float | None]] = [
        (metrics.RECONCILE_MISMATCHED, report.total("mismatched")),
        (metrics.RECONCILE_MISSING, report.total("missing")),
        (metrics.RECONCILE_EXTRA, report.total("extra")),
        (metrics.RECONCILE_VIOLATIONS, report.total("violations")),
        (metrics.RECONCILE_DRIFT, report.drift),
        (metrics.RECONCILE_LAST_RUN, now),
        (metrics.TENANTS_UNLISTED, report.unlisted),
        (metrics.OLD_WRITES, report.old_writes),
    ]
    return [Sample(spec, labels, value) for spec, value in numbers if value is not None]


def _cells(name: str, truth: str, number: Callable[[str], int]) -> tuple[str, ...]:
    return (name, truth, *(f"{number(column):,}" for column in _HEADER[2:]))


def _tenant_cells(tenant: Comparison) -> tuple[str, ...]:
    return _cells(tenant.tenant, tenant.truth, lambda column: getattr(tenant, column))


def _table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    cells = [_HEADER, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADER))]
    return [
        "  ".join(
            cell.ljust(w) if n < 2 else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]


def _keys(tenant: str, verb: str, rows: tuple[DifferingRow, ...]) -> list[str]:
    return [f"  tenant {tenant!r} row {', '.join(row.key)} {_said(verb, row)}" for row in rows]


def _said(verb: str, row: DifferingRow) -> str:
    if row.kind in _KINDS:
        return _KINDS[row.kind]
    return f"{verb} {', '.join(row.columns) or '?'}"


def _rows(found: Iterable[Mapping[str, Any]]) -> tuple[DifferingRow, ...]:
    return tuple(DifferingRow(tuple(row["key"]), tuple(row["columns"]), row["kind"]) for row in found)


def _pairs(found: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    return tuple((text, number) for text, number in found)
