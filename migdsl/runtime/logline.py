"""Turns fields into one structured log line, `key=value` each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, TextIO

_PLAIN_MARKS: Final = frozenset("_-.:/+")


def write_line(stream: TextIO, fields: Mapping[str, object]) -> None:
    """Writes the fields in their order; a value with spaces or quotes is a JSON string."""
    stream.write(" ".join(f"{name}={plain(str(value))}" for name, value in fields.items()) + "\n")
    stream.flush()


def plain(text: str) -> str:
    """The text as the value of a field: as it is, or as a JSON string."""
    bare = bool(text) and all(character.isalnum() or character in _PLAIN_MARKS for character in text)
    return text if bare else json.dumps(text, ensure_ascii=False)
