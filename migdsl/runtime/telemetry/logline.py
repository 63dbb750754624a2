"""Turns fields into one structured log line: `key=value` each, or one JSON object."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

LogFormat = Literal["logfmt", "json"]
FORMATS: Final[tuple[LogFormat, ...]] = ("logfmt", "json")

_PLAIN_MARKS: Final = frozenset("_-.:/+")


def write_line(stream: TextIO, fields: Mapping[str, object], form: LogFormat = "logfmt") -> None:
    """Writes the fields in their order, after the time, in one write, so that lines of several processes stay whole."""
    head = {"at": datetime.now(UTC).isoformat(timespec="milliseconds")}
    stream.write(line_of({**head, **fields}, form) + "\n")
    stream.flush()


def line_of(fields: Mapping[str, object], form: LogFormat = "logfmt") -> str:
    """The fields as one line; numbers and truth values stay what they are in JSON, all else is text."""
    if form == "json":
        return json.dumps({name: _json(value) for name, value in fields.items()}, ensure_ascii=False)
    return " ".join(f"{name}={plain(str(value))}" for name, value in fields.items())


def plain(text: str) -> str:
    """The text as the value of a field: as it is, or as a JSON string."""
    bare = bool(text) and all(character.isalnum() or character in _PLAIN_MARKS for character in text)
    return text if bare else json.dumps(text, ensure_ascii=False)


def _json(value: object) -> object:
    finite = not isinstance(value, float) or math.isfinite(value)
    return value if isinstance(value, bool | int | float) and finite else str(value)
