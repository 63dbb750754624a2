"""What a person sees of a running backfill: a bar on a terminal, structured lines elsewhere."""

from __future__ import annotations

import io
import shlex

from migdsl.runtime.lane import Batch
from migdsl.runtime.observe import Observer


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def observer(stream: io.StringIO) -> Observer:
    return Observer(stream, "users_email", "user.contact_email", "c0ffee", planned=1_000)


def test_a_terminal_gets_a_bar_that_is_taken_away_before_a_line():
    stream = Terminal()
    seen = observer(stream)
    seen.batch("tenant-a", Batch(250, 200, False), 0.1, 250)
    bar = stream.getvalue()
    for part in ("25%", "250 of 1,000 rows", "ETA", "tenant tenant-a", "[######..................]"):
        assert part in bar
    assert "\n" not in bar
    seen.log("retry", error="x")
    assert stream.getvalue().removeprefix(bar).startswith("\r\x1b[Kevent=retry")


def test_a_log_gets_lines_that_machines_read():
    stream = io.StringIO()
    seen = observer(stream)
    seen.failure('ten"ant b', "RaiseException P0001")
    (line,) = stream.getvalue().splitlines()
    fields = dict(pair.split("=", 1) for pair in shlex.split(line))
    assert fields == {
        "event": "slice_failed",
        "migration": "users_email",
        "backfill": "user.contact_email",
        "run": "c0ffee",
        "tenant": 'ten"ant b',
        "error": "RaiseException P0001",
    }


def test_progress_lines_come_now_and_then_and_not_with_every_batch():
    stream = io.StringIO()
    seen = observer(stream)
    for _ in range(50):
        seen.batch("t", Batch(10, 10, False), 0.001, 10)
    (line,) = stream.getvalue().splitlines()
    assert "event=progress" in line
    assert "rows_planned=1000" in line
