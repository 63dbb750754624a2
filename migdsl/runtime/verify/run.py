"""A command becomes a run with an end: its exit code, or that it took too long, couldn't be started, or was interrupted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from migdsl.runtime.verify.model import Verification

Outcome = Literal["passed", "failed", "timed out", "not started", "interrupted"]
_GRACE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Ran:
    """How a verification ended; `started` is a Unix time, `code` None where the command had none of its own."""

    check: Verification
    outcome: Outcome
    code: int | None
    started: float
    seconds: float
    why: str = ""


def run(check: Verification, clock: Callable[[], float] = time.time) -> Ran:
    """Start the command in a group of its own, with no input, its output where ours goes; and wait for it.

    After its time the whole group is ended: SIGTERM, and SIGKILL five seconds later.
    """
    started, began = clock(), time.monotonic()

    def ended(outcome: Outcome, code: int | None, why: str = "") -> Ran:
        return Ran(check, outcome, code, started, round(time.monotonic() - began, 3), why)

    program = shutil.which(check.run[0])
    if program is None:
        return ended("not started", None, f"there is no program `{check.run[0]}` on the PATH")
    try:
        # The words are the file's own, as a person wrote and reviewed them; no shell reads them.
        process = subprocess.Popen(check.run, executable=program, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        return ended("not started", None, error.strerror or type(error).__name__)
    try:
        code = process.wait(timeout=check.seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        return ended("timed out", None, f"it was ended after {check.seconds} s")
    except KeyboardInterrupt:
        _end(process)
        return ended("interrupted", None)
    if code < 0:
        return ended("failed", code, f"signal {-code}")
    return ended("passed" if code == 0 else "failed", code)


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_GRACE_S)
            # What it has started may have stayed behind; the group is known by its number for as long as one is left.
            if number is signal.SIGTERM:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            return
