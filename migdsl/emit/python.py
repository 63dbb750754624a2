"""Values and SQL become Python source text, formatted by black."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path

from migdsl.resources import cache_folder

_ODD = re.compile(r"[^\n\t -\[\]-~]")  # all but what is surely printable, and no backslash
_ESCAPES = {"\\": "\\\\", "\r": "\\r", "\x0b": "\\x0b", "\x0c": "\\x0c"}


def quoted(text: str) -> str:
    """A text as a one-line Python string in double quotes."""
    return '"' + _escaped(text).replace("\n", "\\n").replace('"', '\\"') + '"'


def block(text: str) -> str:
    """A text of several lines as a triple-quoted Python string, each line as it is."""
    body = _escaped(text.strip("\n")).replace('"""', '\\"\\"\\"')
    return f'"""\n{body}\n"""'


def docstring(text: str) -> str:
    """A text as a module's docstring."""
    body = _escaped(text.strip()).replace('"""', '\\"\\"\\"')
    if "\n" not in body:
        return f'"""{body}"""' if not body.endswith('"') else f'"""{body} """'
    return f'"""{body}\n"""'


def names(values: tuple[str, ...]) -> str:
    """A tuple of texts as Python."""
    return "(" + "".join(f"{quoted(v)}, " for v in values) + ")"


def _escaped(text: str) -> str:
    return _ODD.sub(lambda found: _escape(found[0]), text)


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable() or char in "\n\t":
        return char
    return (
        f"\\x{ord(char):02x}"
        if ord(char) < 256
        else f"\\u{ord(char):04x}" if ord(char) < 65536 else f"\\U{ord(char):08x}"
    )


def formatted(text: str) -> str:
    """The text as black formats it. What was formatted once is remembered in the user's cache folder, by its digest."""
    path = _remembered(text)
    if path is not None and path.exists():
        return path.read_text(encoding="utf-8")
    import black  # takes twelve times a bare interpreter's start, so only for what black has not seen

    result = black.format_str(text, mode=black.Mode())
    if path is not None:
        _remember(path, result)
    return result


def _remembered(text: str) -> Path | None:
    try:
        return Path(cache_folder("black"), hashlib.sha256(text.encode()).hexdigest())
    except OSError:
        return None


def _remember(path: Path, text: str) -> None:
    # A cache that can't be written costs time, nothing else.
    with suppress(OSError):
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
