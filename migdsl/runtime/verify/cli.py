"""The command line of a generated verification becomes runs and an exit code."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Sequence

from migdsl.runtime.arguments import Parser
from migdsl.runtime.saying import complain
from migdsl.runtime.verify import evidence
from migdsl.runtime.verify.model import Verification, VerifyJob
from migdsl.runtime.verify.run import Ran, run


def main(job: VerifyJob, argv: Sequence[str] | None = None, clock: Callable[[], float] = time.time) -> int:
    """Run a migration's verifications; return the exit code.

    0 every command passed (or the evidence shows it), 1 one failed or couldn't be started, 2 usage, or a file that can't be
    written or read, 4 none failed and a command's time was up, 130 interrupted.
    """
    try:
        options = _parser(job).parse_args(argv)
        chosen = _chosen(job, options.only)
    except SystemExit as stop:
        return int(stop.code or 0)
    if options.list:
        _say("".join(_line(job, check) for check in job.checks))
        return 0
    try:
        if options.proven is not None:
            return _proven(job, options.proven, options.newer_than, clock())
        return _run(job, chosen, options.evidence, clock)
    except OSError as error:
        return complain(f"{error.filename or options.evidence or options.proven}: {error.strerror}", 2)


def _parser(job: VerifyJob) -> argparse.ArgumentParser:
    about = f"Run the commands that prove what {job.migration} puts in the place of the old, one after the other."
    parser = Parser(description=about)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="show the commands, run nothing")
    what.add_argument(
        "--proven", metavar="FILE", help="run nothing; 0 where this evidence shows that every command has passed"
    )
    what.add_argument("--evidence", metavar="FILE", help="write down, as JSON, how each command ended")
    parser.add_argument(
        "--only", metavar="N", type=int, action="append", help="only the Nth command (may be given several times)"
    )
    parser.add_argument(
        "--newer-than", metavar="HOURS", type=float, help="with --proven: evidence that is older counts not"
    )
    return parser


def _chosen(job: VerifyJob, numbers: list[int] | None) -> tuple[Verification, ...]:
    if not numbers:
        return job.checks
    wrong = [number for number in numbers if not 1 <= number <= len(job.checks)]
    if wrong:
        raise SystemExit(complain(f"there is no verification {wrong[0]}: there are {len(job.checks)}", 2))
    return tuple(job.checks[number - 1] for number in sorted(set(numbers)))


def _run(job: VerifyJob, checks: tuple[Verification, ...], path: str | None, clock: Callable[[], float]) -> int:
    runs: list[Ran] = []
    for check in checks:
        _say(_line(job, check))
        ran = run(check, clock)
        runs.append(ran)
        _say(f"  {ran.outcome} after {ran.seconds:.1f} s{_because(ran)}\n")
        if path is not None:  # after each, so that whatever ends us leaves what is known
            evidence.write(path, job, runs)
        if ran.outcome == "interrupted":
            return 130
    failed = [ran for ran in runs if ran.outcome != "passed"]
    _say(f"{len(runs) - len(failed)} of {len(runs)} passed\n")
    if not failed:
        return 0
    return 4 if all(ran.outcome == "timed out" for ran in failed) else 1


def _proven(job: VerifyJob, path: str, hours: float | None, now: float) -> int:
    reasons = list(evidence.short(path, job, hours=hours, now=now))
    for reason in reasons:
        complain(f"{path}: {reason}", 1)
    if not reasons:
        _say(f"{path}: all {len(job.checks)} commands have passed\n")
    return 1 if reasons else 0


def _because(ran: Ran) -> str:
    if ran.why:
        return f": {ran.why}"
    return f": exit code {ran.code}" if ran.outcome == "failed" else ""


def _line(job: VerifyJob, check: Verification) -> str:
    number = job.checks.index(check) + 1
    return f"{number}/{len(job.checks)} {check.text}\n  $ {shlex.join(check.run)}\n"


def _say(text: str) -> None:
    # Before the command begins: its output, which isn't ours, comes behind.
    sys.stdout.write(text)
    sys.stdout.flush()
