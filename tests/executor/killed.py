"""Runs the command line and kills this process with SIGKILL at its Nth statement: before it is sent, or after its answer.

python killed.py N before|after WORD...
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from typing import Any

import psycopg

from migdsl.cli import main


def arm(at: int, when: str) -> None:
    """Whatever runs SQL from now on, the executor, the jobs or Alembic, is counted."""
    numbers, execute = count(1), psycopg.Cursor.execute

    def counted(self: Any, *args: Any, **named: Any) -> Any:
        last = next(numbers) == at
        if last and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = execute(self, *args, **named)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    psycopg.Cursor.execute = counted  # type: ignore[method-assign]


if __name__ == "__main__":
    arm(int(sys.argv[1]), sys.argv[2])
    raise SystemExit(main(sys.argv[3:]))
