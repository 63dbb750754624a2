"""A source file's bytes become its text, or the diagnostic that says why they are none."""

from __future__ import annotations

import os
import posixpath

from migdsl.cli.inputs import Input
from migdsl.diagnostics import Diagnostic, Severity
from migdsl.diagnostics.suggest import did_you_mean


def text_of(source: Input) -> str | Diagnostic:
    """The text of a source file, a byte order mark left out and line ends as they are; MIG004 where it is none."""
    if source.problem:
        return _unreadable(f"`{source.name}` can't be read: {source.problem}", "", _instead(source))
    try:
        return source.data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        byte = source.data[error.start]
        line = source.data.count(b"\n", 0, error.start) + 1
        body = f"The byte at offset {error.start} (line {line}) is 0x{byte:02x}: no UTF-8 character has it there."
        return _unreadable(f"`{source.name}` is not UTF-8 text", body, _converted(source))


def _converted(source: Input) -> str:
    """How the file becomes UTF-8, if it is a text at all."""
    if source.data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return f"save it as UTF-8; it begins as UTF-16 does: iconv -f utf-16 -t utf-8 {source.name}"
    if b"\0" in source.data[:4096]:
        return ""
    return f"save it as UTF-8; if it is Latin-1 now: iconv -f latin1 -t utf-8 {source.name}"


def _unreadable(title: str, body: str, help_: str) -> Diagnostic:
    return Diagnostic("MIG004", Severity.ERROR, title, None, body=body, help=help_)


def _instead(source: Input) -> str:
    """Which file may have been meant: one of the folder, or one with a similar name."""
    folder, name = posixpath.split(source.name)
    is_folder = os.path.isdir(source.name)
    beside = sources_in((source.name if is_folder else folder) or ".")
    if is_folder and beside:
        return f"name the file in it: {posixpath.join(source.name, beside[0])}"
    near = did_you_mean(name, beside)
    return f"did you mean `{posixpath.join(folder, near)}`?" if near else ""


def sources_in(folder: str, ending: str = ".mig") -> list[str]:
    """The names of the files in a folder that end so, source files by default; none where it can't be listed."""
    try:
        return sorted(each for each in os.listdir(folder) if each.endswith(ending))
    except (OSError, ValueError):
        return []
