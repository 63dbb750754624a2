"""The command line: words become a command's output and an exit code."""

from __future__ import annotations

import sys

# `typing` and `collections.abc` would cost the fastest commands a good part of bare Python's own start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (default: the process's own) names; never raises.

    0 fine, 1 diagnostics with errors or a failed check, 2 drift or usage, 130 interrupted.
    """
    try:
        from migdsl.cli.run import run  # inside the try: whoever is impatient interrupts an import

        return run(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt:
        return 130
