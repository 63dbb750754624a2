"""Durations and counts as pages say them."""

from __future__ import annotations

from collections.abc import Sequence

from migdsl.plan import DataMigrationPlan

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_LONG = {"d": "day", "h": "hour", "min": "minute", "s": "second"}


def short(seconds: int) -> str:
    """`30 d`, `1 d 12 h`, `0 s`: the two largest units that it has, and the second only where it counts."""
    parts = _parts(seconds)
    if not parts:
        return "0 s"
    return " ".join(f"{count} {unit}" for count, unit in parts)


def duration(seconds: int) -> str:
    """`30 days`, `1 day 12 hours`."""
    return " ".join(plural(count, _LONG[unit]) for count, unit in _parts(seconds)) or "0 seconds"


def _parts(seconds: int) -> list[tuple[int, str]]:
    """At most two neighbouring units; beside ten or more of one the next is left out."""
    found = []
    for place, (size, unit) in enumerate(_UNITS):
        count, seconds = divmod(seconds, size)
        if count:
            found.append((place, count, unit))
    kept = [each for each in found if each[0] - found[0][0] < 2]
    if len(kept) == 2 and kept[0][1] >= 10:
        kept.pop()
    return [(count, unit) for _, count, unit in kept]


def movers(plan: DataMigrationPlan) -> str:
    """Who moves step by step: `tenants`, or `requests` where no rows belong to any."""
    domains = plan.data_domains
    return "requests" if domains and all(d.tenant_scope.startswith("no tenants") for d in domains) else "tenants"


def plural(count: int, word: str) -> str:
    """`1 deploy`, `2 deploys`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return "".join(parts) if len(parts) < 2 else f"{', '.join(parts[:-1])} and {parts[-1]}"
