"""Text that anybody may have written becomes GitHub-flavoured Markdown that shows it and does nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from migdsl.cli.output import shown
from migdsl.diagnostics.render_text import without_password

_BREAK = "<!-- -->"  # an empty comment: what GitHub makes of plain text after Markdown is read finds two texts
_PLAIN_CODE = re.compile(r"[\w.,:/()=+%<>'\"@#{}\[\]*-]+(?: [\w.,:/()=+%<>'\"@#{}\[\]*-]+)*")
_START = re.compile(r"\d+[.)]|[-+=#]")  # a list, a heading, or a line under one
_SPECIAL = re.compile(
    r"(?P<breaks>@(?=\w)|#(?=\d)|\b(?i:GH-)(?=\d)|\b(?i:www)(?=\.)|:(?=[\w+-]+:)|:(?=//)|/(?=/))"
    r"|[\\`*\[\]<>&|~$]|(?<![^\W_])_|_(?![^\W_])"
)


def text(said: str) -> str:
    """`said` as prose on one line: no link, mention, reference, formula or emoji comes of it, and code of backticks only."""
    pieces = _line(said).split("`")
    if len(pieces) % 2 == 0:
        return _prose("`".join(pieces))
    # Two spans side by side would be read as one.
    between = range(1, len(pieces) - 1)
    return "".join(code(p) if n % 2 else _prose(p) or (_BREAK if n in between else "") for n, p in enumerate(pieces))


def _prose(line: str) -> str:
    head = ""
    start = _START.match(line)
    if start is not None:
        head, line = f"{start[0][:-1]}{_entity(start[0][-1])}{_BREAK}", line[start.end() :]
    return head + _SPECIAL.sub(lambda each: f"{each[0]}{_BREAK}" if each["breaks"] else _entity(each[0]), line)


def code(said: str) -> str:
    """`said` in the type of code, wherever it stands: in prose, in a heading, in a table's cell."""
    line = _line(said)
    if not line:
        return ""
    if _PLAIN_CODE.fullmatch(line):
        return f"`{line}`"
    return f"<code>{''.join(each if each.isalnum() or each == ' ' else _entity(each) for each in line)}</code>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; a column in which nothing stands is left out."""
    rows = list(rows)
    keep = [any(row[column] for row in rows) for column in range(len(head))]
    lines = [[cell for cell, kept in zip(row, keep, strict=True) if kept] for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(f"| {' | '.join(cell or ' ' for cell in line)} |" for line in lines)


def folded(title: str, body: str) -> str:
    """A part that opens on demand; `title` is text, `body` Markdown."""
    return f"<details>\n<summary>{text(title)}</summary>\n\n{body}\n\n</details>"


def bullets(items: Iterable[str]) -> str:
    """A list of what is Markdown already."""
    return "\n".join(f"- {item}" for item in items)


def _entity(character: str) -> str:
    return f"&#{ord(character)};"


def _line(said: str) -> str:
    return shown(without_password(" ".join(said.split())))
