"""Batches settle at the size that takes the target, whatever a row costs, and shrink at once when they are too long."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migdsl.runtime.backfill.pace import BatchSize, backoff, pause_after, unthrottled
from migdsl.runtime.jobs import Pace, Retry

PACE = Pace()


def settle(size: BatchSize, seconds_a_row: float, batches: int = 60) -> BatchSize:
    for _ in range(batches):
        size = size.after(PACE, size.rows, size.rows * seconds_a_row)
    return size


@pytest.mark.parametrize("micros", [2, 10, 40, 400])
def test_settles_at_the_target(micros: int):
    settled = settle(BatchSize(PACE.first), micros / 1e6)
    assert settled.rows * micros / 1000 == pytest.approx(PACE.target_ms, rel=0.1)


def test_follows_when_rows_become_dearer():
    fast = settle(BatchSize(PACE.first), 5e-6)
    slow = settle(fast, 100e-6)
    assert slow.rows * 0.1 == pytest.approx(PACE.target_ms, rel=0.1)


@given(st.integers(1, 50_000), st.floats(0, 1e7), st.integers(0, 50_000), st.floats(0, 100))
def test_stays_in_bounds_and_grows_slowly(rows: int, rate: float, scanned: int, seconds: float):
    size = BatchSize(max(PACE.floor, min(PACE.ceiling, rows)), rate)
    then = size.after(PACE, scanned, seconds)
    assert PACE.floor <= then.rows <= PACE.ceiling
    assert then.rows <= size.rows * PACE.growth + 1


def test_a_small_tenants_end_says_nothing():
    size = BatchSize(1000, 50_000.0)
    assert size.after(PACE, 3, 0.001) == size
    assert size.after(PACE, 3, 0.5).rows < size.rows


def test_a_timeout_cuts_at_once():
    assert BatchSize(1000, 50_000.0).cut(PACE).rows == 250
    assert BatchSize(PACE.floor).cut(PACE).rows == PACE.floor


def test_half_duty_sleeps_as_long_as_it_works():
    assert pause_after(Pace(duty=0.5), 0.02) == pytest.approx(0.02)
    assert pause_after(Pace(duty=1.0), 0.02) == 0


def test_without_pauses_batches_are_longer_unless_the_file_says_how_long():
    alone = unthrottled(Pace(duty=1.0))
    assert alone.target_ms > PACE.target_ms
    assert alone.growth > PACE.growth
    for said in (PACE, Pace(duty=1.0, rows_per_second=100), Pace(duty=1.0, target_ms=35)):
        assert unthrottled(said) == said
    size = BatchSize(PACE.first)
    for _ in range(8):
        size = size.after(alone, size.rows, size.rows * 15e-6)
    assert size.rows * 0.015 == pytest.approx(alone.target_ms, rel=0.1)


def test_backoff_doubles_up_to_the_longest_with_jitter():
    retry = Retry(first_s=1.0, longest_s=60.0)
    waits = [[backoff(retry, attempt, Random(seed)) for seed in range(200)] for attempt in range(1, 9)]
    for attempt, found in enumerate(waits):
        full = min(60.0, 2.0**attempt)
        assert full / 2 <= min(found) < max(found) <= full
        assert max(found) - min(found) > full * 0.3


def test_no_more_rows_a_second_than_they_may():
    pace = Pace(rows_per_second=100, duty=0.5)
    assert pause_after(pace, 0.02, 50) == pytest.approx(0.48)
    assert pause_after(pace, 0.9, 50) == pytest.approx(0.9)  # the share of the time asks for more
    assert pause_after(Pace(duty=0.5), 0.02, 50) == pytest.approx(0.02)
