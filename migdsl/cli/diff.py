"""Changes that `--check` found become a unified diff for people."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator

from migdsl.cli.changes import Change
from migdsl.cli.output import shown
from migdsl.diagnostics.render_text import without_password

_COLOURS = {"-": "31", "+": "32", "@": "36"}
_AROUND = 3  # lines of context
_FROM = re.compile(r"([-+])(\d+)")
_NO_END = "\\ No newline at end of file"


def render_diff(changes: Iterable[Change], *, colour: bool, becomes: str = "compiled") -> str:
    """What would be done to each file: its diff, or a line for one that is missing or stale. No password is shown."""
    return "".join(f"{line}\n" for change in changes for line in _change(change, colour, becomes))


def _change(change: Change, colour: bool, becomes: str) -> Iterator[str]:
    path = shown(change.path)
    if change.before is None:
        yield _ink(f"missing: {path}", "1;32", colour)
    elif change.after is None:
        yield _ink(f"stale: {path}", "1;31", colour)
    else:
        yield _ink(f"--- {path} (on disk)", "1", colour)
        yield _ink(f"+++ {path} ({becomes})", "1", colour)
        for line in _hunks(_lines(change.before), _lines(change.after)):
            yield _ink(line, _COLOURS.get(line[:1], ""), colour)


def _hunks(before: list[str], after: list[str]) -> Iterator[str]:
    """The hunks of a unified diff. What both begin and end with is left out first: the search takes long over long texts."""
    most = min(len(before), len(after))
    same = next((n for n in range(most) if before[n] != after[n]), most)
    start = max(same - _AROUND, 0)
    rest = next((n for n in range(most - same) if before[-1 - n] != after[-1 - n]), most - same)
    end = max(rest - _AROUND, 0)
    found = difflib.unified_diff(
        before[start : len(before) - end], after[start : len(after) - end], lineterm="", n=_AROUND
    )
    for line in list(found)[2:]:
        yield _moved(line, start) if line.startswith("@@ ") else line


def _moved(header: str, by: int) -> str:
    """A hunk's header where the texts begin `by` lines earlier."""
    return _FROM.sub(lambda found: f"{found[1]}{int(found[2]) + by}", header)


def _lines(data: bytes) -> list[str]:
    """Lines without their ends; what is invisible, or no UTF-8, is spelt out."""
    text = data.decode("utf-8", "backslashreplace")
    lines = ["\t".join(shown(part) for part in without_password(line).split("\t")) for line in text.split("\n")]
    return lines[:-1] if not lines[-1] else [*lines[:-1], f"{lines[-1]}{_NO_END}"]


def _ink(text: str, style: str, colour: bool) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if colour and style else text
