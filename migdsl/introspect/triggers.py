"""Rows of pg_trigger become triggers in words, with the columns that their functions set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from migdsl.introspect.model import Trigger

_EVENTS = ((4, "insert"), (16, "update"), (8, "delete"), (32, "truncate"))
_ASSIGNED = re.compile(r'\bnew\.("(?:[^"]|"")+"|[a-z_]\w*)\s*:?=(?!=)', re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_STATE = {"D": " (disabled)", "R": " (on replicas only)", "A": " (always)"}


def triggers(rows: Iterable[Mapping[str, Any]]) -> Iterator[Trigger]:
    """Each trigger; `assigns` is read off the function's text, so it is a hint and no proof."""
    for row in rows:
        bits = row["bits"]
        when = "instead of" if bits & 64 else "before" if bits & 2 else "after"
        events = " or ".join(word for bit, word in _EVENTS if bits & bit)
        only = f" of {', '.join(row['columns'])}" if row["columns"] else ""
        each = "row" if bits & 1 else "statement"
        state = _STATE.get(row["enabled"], "")
        yield Trigger(
            row["name"], f"{when} {events}{only}, each {each}{state}", row["function"], _assigned(row["body"])
        )


def _assigned(body: str) -> tuple[str, ...]:
    """The columns of NEW that the text of a function sets, in order."""
    found = (m[1] for m in _ASSIGNED.finditer(_COMMENT.sub("", body or "")))
    names = (name[1:-1].replace('""', '"') if name.startswith('"') else name.lower() for name in found)
    return tuple(dict.fromkeys(names))
