"""Durations, numbers and lists as people say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_UNITS = (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def duration(seconds: float) -> str:
    """`86400` → `1 day`; days rather than weeks, since soaks are written so."""
    whole = int(seconds)
    for unit, length in _UNITS[1:]:
        if whole % length == 0 and whole >= length:
            count = whole // length
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{seconds:g} seconds"


def amount(rows: int | None) -> str:
    """`500000` → `~500k rows`."""
    if rows is None:
        return "unknown number of rows"
    for suffix, unit in (("G", 1_000_000_000), ("M", 1_000_000), ("k", 1_000)):
        if rows >= unit:
            return f"~{rows / unit:.3g}{suffix} rows"
    return f"~{rows} rows"


def first_upper(text: str) -> str:
    """The text as a sentence begins."""
    return text[:1].upper() + text[1:]


def agreeing(count: int, one: str, many: str) -> str:
    """The word that goes with so many: `has` or `have`."""
    return one if count == 1 else many


def counted(count: int, what: str) -> str:
    """`1 step`, `4 steps`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def listed(parts: Sequence[str], last: str = "and") -> str:
    """`a, b and c`."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def versions(found: Mapping[str, int]) -> str:
    """Of PostgreSQL, by database: `PostgreSQL 15 or later`, and each of several by its name."""
    if len(set(found.values())) == 1:
        return f"PostgreSQL {next(iter(found.values()))} or later"
    return f"PostgreSQL {listed([f'{version} or later in {name}' for name, version in found.items()])}"
