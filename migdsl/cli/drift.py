"""Compiled files that are on disk otherwise become MIG704: each with what is otherwise, and what compiling anew would undo."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Sequence

from migdsl.cli.changes import Change, Comparison
from migdsl.cli.problems import drifted
from migdsl.diagnostics import Diagnostic


def drift(
    out: str, comparisons: Iterable[Comparison], changes: Sequence[Change], command: str, then: str = ""
) -> Diagnostic:
    """MIG704 of some of the `changes`; `command` compiles anew, and `then` is what comes after that."""
    edited = {each.path for comparison in comparisons for each in comparison.conflicts if each.reason == "edited"}
    by_hand = any(change.path in edited for change in changes)
    return drifted(out, [_line(change, change.path in edited) for change in changes], _way_out(command, then, by_hand))


def _way_out(command: str, then: str, by_hand: bool) -> str:
    """A compile alone would refuse to overwrite what somebody changed."""
    last = f"; {then}" if then else ""
    if not by_hand:
        return f"{command}{last}"
    what = "overwrites what was changed by hand: bring that into the source first (`migdsl compile --check` shows it)"
    return f"{command} --force, which {what}{last}"


def _line(change: Change, by_hand: bool) -> str:
    state = "missing" if change.state == "new" else change.state
    said = f"{change.path} ({state}{' by hand' if by_hand else ''}"
    fault = unparsed(change.before) if change.path.endswith(".py") and change.before is not None else None
    return f"{said}, and Python can't read it: {fault})" if fault else f"{said})"


def unparsed(data: bytes) -> str | None:
    """Where and why Python can't parse a file; None where it can."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(data)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}" if error.lineno else error.msg
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or type(error).__name__
    return None
