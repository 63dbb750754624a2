"""Literals of the language: the text of a token becomes a value, or None where it is none."""

from __future__ import annotations

import json
import re

_COUNT = re.compile(r"(\d[\d_]*(?:\.\d+)?)(k|M|G)?")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")
_DURATION = re.compile(r"(\d+)(ms|s|m|h|d|w)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_WITH_UNIT = re.compile(r"(\d[\d_]*(?:\.\d+)?)([^\W\d_]+)")
_SPELT_OUT = {
    **dict.fromkeys("millis millisecond milliseconds msec".split(), "ms"),
    **dict.fromkeys("s sec secs second seconds".split(), "s"),
    **dict.fromkeys("min mins minute minutes".split(), "m"),
    **dict.fromkeys("h hr hrs hour hours".split(), "h"),
    **dict.fromkeys("d day days".split(), "d"),
    **dict.fromkeys("w week weeks".split(), "w"),
}
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MOST_DIGITS = 30  # nothing is as many; and of more than 4,300, Python makes no number
MULTIPLES = {None: 1, "k": 1000, "M": 1_000_000, "G": 1_000_000_000}


def count(raw: str) -> int | None:
    """`500k` → 500000; None where the text is no whole number."""
    match = _COUNT.fullmatch(raw)
    if match is None or len(match[1]) > _MOST_DIGITS:
        return None
    value = float(match[1].replace("_", "")) * MULTIPLES[match[2]]
    if "." not in match[1]:
        return int(match[1].replace("_", "")) * MULTIPLES[match[2]]
    return int(value) if value.is_integer() else None


def percent(raw: str) -> float | None:
    """`0.1%` → 0.1; None where the text is no percentage from 0 to 100."""
    match = _PERCENT.fullmatch(raw)
    if match is None or float(match[1]) > 100:
        return None
    return float(match[1])


def seconds(raw: str) -> float | None:
    """`30d` → 2592000.0 seconds; None where the text is no duration."""
    match = _DURATION.fullmatch(raw)
    # Beyond 10 digits nothing is meant, and an interval of PostgreSQL would overflow.
    return int(match[1]) * UNITS[match[2]] if match and len(match[1]) <= 10 else None


def respelt(raw: str, example: str) -> str | None:
    """A number whose unit is spelt out or in the wrong case, as it is written where `example` would do; None where
    there is no telling what was meant: `30days` → `30d`, `0.5h` → `30m`, `500K` → `500k`."""
    match = _WITH_UNIT.fullmatch(raw)
    if match is None:
        return None
    whole, unit = match[1], match[2]
    if seconds(example) is not None and "." in whole and unit in UNITS:
        return _in_whole_units(float(whole.replace("_", "")) * UNITS[unit])
    if seconds(example) is not None and "." not in whole:
        unit = _SPELT_OUT.get(unit.lower(), "")
        return f"{whole.replace('_', '')}{unit}" if unit else None
    if count(example) is not None:
        unit = {"K": "k", "g": "G", "mio": "M", "m": "M"}.get(unit, "")
        return f"{whole}{unit}" if unit else None
    return None


def _in_whole_units(length: float) -> str | None:
    """`0.1` seconds → `100ms`, in the largest unit of which it is a whole number of."""
    for unit, one in sorted(UNITS.items(), key=lambda each: -each[1]):
        number = round(length / one, 6)
        if number >= 1 and number.is_integer():
            return f"{number:.0f}{unit}"
    return None


def string(raw: str) -> str | None:
    """A JSON string's value; None where an escape in it is none of JSON's, or stands for half a character."""
    try:
        value = json.loads(raw)
    except ValueError:
        return None
    return value if isinstance(value, str) and _encodable(value) else None


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in value


def quoted_name(raw: str) -> str:
    """`"a""b"` → `a"b`, SQL's rule."""
    return raw[1:-1].replace('""', '"')


def dedent(text: str) -> str:
    """SQL between backticks without the margin that its lines share (the first line has none of its own)."""
    lines = text.split("\n")
    margins = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
    margin = min(margins, default=0)
    return "\n".join(
        [lines[0].strip() if len(lines) == 1 else lines[0], *(line[margin:] for line in lines[1:])]
    ).strip()
