"""Turns the comparisons of a reconciliation into a terminal table, JSON and metrics; keys and counts, never values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Final

from migdsl.runtime import metrics
from migdsl.runtime.metrics import MetricSpec, Sample

_SHOWN_TENANTS: Final = 30
_HEADER: Final = ("tenant", "truth", "rows", "mismatched", "missing", "extra", "violations", "lossy")


@dataclass(frozen=True, slots=True)
class DifferingRow:
    """A row's key, as text, and the columns that differ or the rules that it breaks."""

    key: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One tenant's result. `hash_left` and `hash_right` are sums over all rows; equal sums mean equal sides.

    `invariants` are those that were asked, with how many rows break each; `violations` counts these too.
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

    @property
    def differences(self) -> int:
        """Rows that differ; at least 1 when only the hashes do, while the old is the truth.

        Afterwards a lossy row may rightly differ from what the old gives, and so may the hashes.
        """
        found = self.mismatched + self.missing + self.extra
        hashes_differ = self.truth == "old" and self.hash_left != self.hash_right
        return max(found, 1) if hashes_differ else found

    @property
    def clean(self) -> bool:
        return self.differences == 0 and self.violations == 0

    def columns(self) -> dict[str, str | None]:
        """The columns of migdsl.reconciliation, as text."""
        numbers = {
            name: str(getattr(self, name)) for name in ("rows", "mismatched", "violations", "lossy", "missing", "extra")
        }
        return {
            "tenant": self.tenant,
            "truth": self.truth,
            "hash_left": self.hash_left,
            "hash_right": self.hash_right,
            **numbers,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """A reconciliation of one entity, of all its tenants if `whole`.

    `unlisted` and `old_writes` are None when they weren't read: single tenants, or a job without such a statement.
    """

    migration: str
    entity: str
    tenants: tuple[Comparison, ...]
    unlisted: int | None
    old_writes: int | None
    whole: bool = True

    @property
    def clean(self) -> bool:
        """No difference, no violation, and no tenant that the list leaves out."""
        return not self.unlisted and all(tenant.clean for tenant in self.tenants)

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
        names = ("rows", "differences", "mismatched", "missing", "extra", "violations", "lossy")
        return json.dumps(
            {
                "migration": self.migration,
                "entity": self.entity,
                "clean": self.clean,
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
        lines += [] if self.unlisted is None else [f"tenants unlisted: {self.unlisted:,}"]
        lines += [] if self.old_writes is None else [f"old-code writes so far: {self.old_writes:,}"]
        lines.append("clean" if self.clean else "not clean")
        return "\n".join(lines)


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
    return [f"  tenant {tenant!r} row {', '.join(row.key)} {verb} {', '.join(row.columns) or '?'}" for row in rows]
