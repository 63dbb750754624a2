"""The command line: words become a command's output and an exit code."""

from __future__ import annotations

import gc
import sys

# `typing` and `collections.abc` would cost the fastest commands a good part of bare Python's own start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (default: the process's own) names; never raises.

    0 fine, 1 diagnostics with errors or a failed check, 2 drift or usage, 130 interrupted.
    """
    if argv is not None:
        return _run(list(argv))
    # The process ends with the command: looking for garbage, at the end once more in all that was imported, costs a
    # sixth of a check and finds nothing worth having.
    gc.disable()
    try:
        return _run(sys.argv[1:])
    finally:
        gc.freeze()


def _run(words: list[str]) -> int:
    try:
        from migdsl.cli.run import run  # inside the try: whoever is impatient interrupts an import

        return run(words)
    except KeyboardInterrupt:
        return 130
