"""What a person sees of a running backfill: a bar on a terminal, structured lines elsewhere, from any number of threads."""

from __future__ import annotations

import io
import json
import re
import shlex
import threading
import time

import pytest

from migdsl.runtime.backfill.lane import Batch
from migdsl.runtime.telemetry import observe
from migdsl.runtime.telemetry.bar import Bar, LaneView, View, clock, rendered
from migdsl.runtime.telemetry.logline import LogFormat, line_of
from migdsl.runtime.telemetry.observe import Observer
from migdsl.runtime.telemetry.probe import Facts


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def observer(stream: io.StringIO, form: LogFormat = "logfmt") -> Observer:
    return Observer(stream, "users_email", "user.contact_email", "c0ffee", planned=1_000, log_format=form)


def numbers(seen: Observer) -> dict[str, float]:
    return {sample.spec.name + sample.suffix: sample.value for sample in seen.samples()}


def test_a_terminal_gets_a_bar_that_is_taken_away_before_a_line():
    stream = Terminal()
    seen = observer(stream)
    seen.batch("tenant-a", Batch(250, 200, False), 0.1, 250)
    bar = stream.getvalue()
    for part in ("25%", "250 of 1,000 rows", "ETA", "tenant tenant-a", "[######..................]"):
        assert part in bar
    assert "\n" not in bar
    seen.log("retry", error="x")
    assert re.match(r"\r\x1b\[Kat=\S+ event=retry ", stream.getvalue().removeprefix(bar))


def test_several_lanes_have_a_line_each(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(observe, "_BAR_EVERY_S", 0.0)
    stream = Terminal()
    seen = observer(stream)
    seen.enter("a", planned=400, passed=100)
    seen.batch("a", Batch(100, 100, False), 0.1, 100)
    seen.batch("b\x1b[2J", Batch(50, 50, False), 0.1, 50)
    last = stream.getvalue().split("\r\x1b[K")[-1].splitlines()
    assert "2 lanes" in last[0]
    assert re.match(r"  a +50%  200 rows  [\d,]+/s  batch 100$", last[1])
    assert re.match(r"  b\?\[2J +50 rows  [\d,]+/s  batch 50$", last[2])
    seen.clear()
    assert stream.getvalue().endswith("\x1b[2A\r\x1b[J")
    seen.leave("a")
    seen.batch("b\x1b[2J", Batch(50, 50, True), 0.1, 50)
    assert "lanes" not in stream.getvalue().split("\r\x1b[J")[-1]


def test_a_job_that_commits_nothing_says_since_when():
    began = time.time()
    seen = observer(io.StringIO())
    name = "migdsl_backfill_last_progress_timestamp_seconds"
    first = numbers(seen)[name]
    assert began <= first <= time.time()
    seen.held("replication lag")
    assert numbers(seen)[name] == first
    seen.batch("tenant-a", Batch(250, 200, False), 0.1, 250)
    assert numbers(seen)[name] > first


def test_a_bar_never_wraps(monkeypatch: pytest.MonkeyPatch):
    stream = Terminal()
    bar = Bar(stream)
    monkeypatch.setattr(Bar, "_columns", lambda _self: 40)
    bar.draw(View("x" * 60, 10, 5, 1.0, "t", tuple(LaneView("t" * 50, 1, 1.0, 1) for _ in range(12))))
    lines = stream.getvalue().split("\r\x1b[K")[-1].splitlines()
    assert len(lines) == 10
    assert max(map(len, lines)) == 39
    assert (
        rendered(View("x", 10, 5, 1.0, "t", tuple(LaneView("t", 1, 1.0, 1) for _ in range(12))))[-1] == "  and 4 more"
    )


@pytest.mark.parametrize(("seconds", "said"), [(0, "0:00:00"), (3700, "1:01:40"), (1e12, "100:00:00")])
def test_the_clock(seconds: float, said: str):
    assert clock(seconds) == said


def test_a_log_gets_lines_that_machines_read():
    stream = io.StringIO()
    seen = observer(stream)
    seen.failure('ten"ant b', "RaiseException P0001")
    (line,) = stream.getvalue().splitlines()
    fields = dict(pair.split("=", 1) for pair in shlex.split(line))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", fields.pop("at"))
    assert fields == {
        "event": "slice_failed",
        "level": "error",
        "migration": "users_email",
        "backfill": "user.contact_email",
        "run": "c0ffee",
        "tenant": 'ten"ant b',
        "error": "RaiseException P0001",
    }


def test_json_lines_keep_numbers():
    stream = io.StringIO()
    seen = observer(stream, "json")
    seen.retry("SerializationFailure 40001", 0.5)
    found = json.loads(stream.getvalue())
    assert (found["event"], found["level"], found["pause_s"], found["tenant"]) == ("retry", "warning", 0.5, "")
    assert list(found)[:2] == ["at", "event"]
    odd = {"a": float("nan"), "b": None, "c": True, "d": "ü\n"}
    assert json.loads(line_of(odd, "json")) == {"a": "nan", "b": "None", "c": True, "d": "ü\n"}
    assert "\n" not in line_of(odd, "json") + line_of(odd, "logfmt")


def test_progress_lines_come_now_and_then_and_not_with_every_batch():
    stream = io.StringIO()
    seen = observer(stream)
    for _ in range(50):
        seen.batch("t", Batch(10, 10, False), 0.001, 10)
    (line,) = stream.getvalue().splitlines()
    assert "event=progress" in line
    assert "rows_planned=1000" in line


def test_why_it_waits_is_said_once_whatever_its_numbers():
    stream = io.StringIO()
    seen = observer(stream)
    for lag in range(5):
        seen.held(f"replication_lag is {lag} s")
    seen.held("autovacuum runs on users")
    assert [line.split("why=")[1] for line in stream.getvalue().splitlines()] == [
        '"replication_lag is 0 s"',
        '"autovacuum runs on users"',
    ]
    assert numbers(seen)["migdsl_backfill_held"] == 1
    seen.batch("t", Batch(1, 1, False), 0.1, 1)
    assert numbers(seen)["migdsl_backfill_held"] == 0


class Slow(io.StringIO):
    """A stream on which a second thread that writes meanwhile is noticed."""

    def __init__(self) -> None:
        super().__init__()
        self.writing = 0
        self.met = 0

    def write(self, text: str) -> int:
        self.writing += 1
        time.sleep(0)
        self.met += self.writing > 1
        self.writing -= 1
        return super().write(text)


def test_threads_count_together_and_lines_stay_whole():
    stream = Slow()
    seen = observer(stream)
    threads = 8

    def work(name: str) -> None:
        seen.enter(name)
        for _ in range(200):
            seen.batch(name, Batch(3, 2, False), 0.001, 3)
            seen.retry(f"of {name}", 0.1)
            seen.samples()
        seen.leave(name)

    started = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    assert (seen.scanned, seen.changed, seen.passed) == (threads * 600, threads * 400, threads * 600)
    assert seen.batches == {"committed": threads * 200, "retried": threads * 200}
    retries = [line for line in stream.getvalue().splitlines() if "event=retry" in line]
    # A retry is told with the tenant of its own thread.
    assert len(retries) == threads * 200
    for line in retries:
        fields = dict(pair.split("=", 1) for pair in shlex.split(line))
        assert fields["error"] == f"of {fields['tenant']}"
    assert numbers(seen)["migdsl_backfill_lanes"] == 0
    assert stream.met == 0


def test_what_the_ledger_says_comes_before_what_this_process_knows():
    seen = observer(io.StringIO())
    seen.batch("t", Batch(100, 100, False), 0.1, 100)
    assert numbers(seen)["migdsl_backfill_remaining_rows"] == 900
    assert numbers(seen)["migdsl_backfill_progress_ratio"] == 0.1
    assert "migdsl_backfill_errors" not in numbers(seen)
    seen.facts = Facts(1_000, 600, 390, 2, 1, 3, lock_wait=2.5)
    found = numbers(seen)
    assert found["migdsl_backfill_remaining_rows"] == 390
    assert found["migdsl_backfill_progress_ratio"] == 0.6
    assert found["migdsl_backfill_errors"] == 4
    assert found["migdsl_backfill_quarantined_rows"] == 3
    assert found["migdsl_lock_wait_seconds"] == 2.5
    # Hidden from this role: nothing is better than a 0.
    assert "migdsl_replication_lag_seconds" not in found
    seen.facts = Facts(1_000, 990, 0, 0, 0, 0)
    seen.export(7)
    assert numbers(seen)["migdsl_backfill_remaining_rows"] == 7
    assert numbers(seen)["migdsl_backfill_progress_ratio"] == 1
