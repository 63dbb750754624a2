"""Text goes out on the standard streams, whatever they are: a terminal, a pipe, a full disk, nothing at all."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # see migdsl/cli/__init__.py
if TYPE_CHECKING:
    from typing import TextIO


class OutputError(Exception):
    """The standard output takes nothing any more; says why."""


def say(text: str) -> None:
    """Write to the standard output. BrokenPipeError where its reader is gone, OutputError where it fails otherwise."""
    _write(sys.stdout, text)


def complain(text: str) -> None:
    """Write to the standard error, as far as that goes: there is no place left to say that it failed."""
    try:
        _write(sys.stderr, text)
        if sys.stderr is not None:
            sys.stderr.flush()
    except (OSError, OutputError, ValueError):
        abandon(sys.stderr)


def flush() -> None:
    """Send out what was said; raises as `say` does."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error.strerror or str(error)) from error


def abandon(stream: TextIO | None) -> None:
    """Let what is still unsaid there go to nowhere, or Python would complain of it once more at its end."""
    if stream is None:
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return


def is_coloured(stream: TextIO | None) -> bool:
    """Whether colours are seen and wanted there: a terminal that can, and no NO_COLOR."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at a terminal there that can do more than print lines."""
    if stream is None or os.environ.get("TERM") == "dumb":
        return False
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def width_of(stream: TextIO | None) -> int:
    """Columns for prose: the terminal's, at most 100 since longer lines are hard to read; 100 where there is none."""
    try:
        return min(os.get_terminal_size(stream.fileno()).columns, 100) if stream is not None else 100
    except (OSError, ValueError, AttributeError):
        return 100


def shown(text: str) -> str:
    """`text` (a path, a word of the command line) on one line, with everything invisible spelt out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def plural(count: int, word: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    try:
        _encode(stream, text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error.strerror or str(error)) from error


def _encode(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:
        # A stream that knows ASCII only, or a file's name that is no text: better spelt out than not said.
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
