"""A signal that comes while a job runs inside of something else stops both."""

from __future__ import annotations

import os
import signal

import pytest

from migdsl.executor import jobs
from migdsl.executor.doing import Doing
from migdsl.executor.model import Answer
from migdsl.executor.sites import Site
from migdsl.planning.works import Work
from migdsl.runtime.cli import guarded
from migdsl.runtime.errors import StoppedError
from migdsl.runtime.stop import Signals


def stopped_by(number: int) -> int:
    """A job that is asked to stop, and ends well."""

    def run(inner: Signals) -> int:
        os.kill(os.getpid(), number)
        inner.sleep(10)
        return inner.exit_code

    return guarded(run)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_what_is_asked_of_a_job_is_asked_of_what_runs_it(number: int, code: int):
    with Signals() as outer:
        assert stopped_by(number) == code
        assert (outer.requested, outer.exit_code) == (True, code)
    # Who isn't one of ours isn't told a second time.
    before, told = signal.getsignal(number), []
    signal.signal(number, lambda *_: told.append(1))
    try:
        assert stopped_by(number) == code
    finally:
        signal.signal(number, before)
    assert told == []


class _Desk:
    def say(self, line: str) -> None:
        raise AssertionError(line)

    def confirm(self, answer: Answer) -> bool:
        raise AssertionError(answer)


class _Ledger:
    conninfo, run = "", "r"

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    def paused(self, _seconds: float) -> None:
        if self._signals.requested:
            raise StoppedError


def test_a_way_back_goes_no_further_than_its_job(monkeypatch: pytest.MonkeyPatch):
    """SIGTERM ends a job with 0, since nothing is lost; whoever runs it must not take that for done."""
    monkeypatch.setattr(jobs, "run", lambda *_about: stopped_by(signal.SIGTERM))
    with Signals() as outer:
        site = Site("db", None, _Ledger(outer), None, None, {})  # type: ignore[arg-type]
        doing = Doing(site, _Desk())
        with pytest.raises(StoppedError):
            doing.run(Work("backfill", "User", "backfills/m/user.py", "python backfills/m/user.py"))
