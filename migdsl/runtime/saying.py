"""An error becomes one line on stderr and an exit code; standard library alone."""

from __future__ import annotations

import sys


def complain(text: str, code: int) -> int:
    """Say what is wrong; returns `code`."""
    sys.stderr.write(f"error: {text}\n")
    return code
