"""Stages and their moves: who is read and written, which stages go together, and that none is skipped."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migdsl.emit import flags as emitted
from migdsl.runtime.routing.moves import Move, move
from migdsl.runtime.routing.stages import POLICIES, STAGES, Stage, cautious, compatible
from migdsl.runtime.routing.standing import Pace, Standings
from migdsl.semantics import model
from tests.runtime.routing.support import Clock

stages = st.sampled_from(STAGES)


def test_the_stages_are_those_of_the_language_and_of_the_flag_files():
    assert STAGES == model.STAGES == emitted.STAGES == tuple(POLICIES)


@pytest.mark.parametrize(
    ("stage", "reads", "writes", "compares"),
    [
        ("off", "old", ("old",), False),
        ("dualwrite", "old", ("old", "new"), False),
        ("shadow", "old", ("old", "new"), True),
        ("live", "new", ("new", "old"), True),
        ("rampdown", "new", ("new", "old"), False),
        ("complete", "new", ("new",), False),
    ],
)
def test_who_is_read_and_written(stage: Stage, reads: str, writes: tuple[str, ...], compares: bool):
    policy = POLICIES[stage]
    assert (policy.stage, policy.reads, policy.writes, policy.compares) == (stage, reads, writes, compares)
    assert policy.authority == policy.reads


def test_neighbours_go_together_and_what_writes_one_side_not_with_what_reads_the_other():
    assert all(compatible(one, another) for one, another in pairwise(STAGES))
    apart = {pair for pair in product(STAGES, STAGES) if not compatible(*pair)}
    old, new = ("off", "dualwrite", "shadow"), ("live", "rampdown", "complete")
    wanted = {("off", late) for late in new} | {("complete", early) for early in old}
    assert apart == wanted | {(b, a) for a, b in wanted}


@pytest.mark.parametrize(
    ("possible", "stage"),
    [
        ({"shadow"}, "shadow"),
        ({"off", "dualwrite"}, "dualwrite"),
        ({"off", "shadow"}, "dualwrite"),
        ({"live", "complete"}, "rampdown"),
        ({"shadow", "live"}, None),
    ],
)
def test_who_may_be_in_several_stages_gets_one_that_suits_all(possible: set[Stage], stage: Stage | None):
    assert cautious(possible) == stage


@given(st.sets(stages, min_size=1))
def test_a_cautious_stage_goes_together_with_all_that_are_possible(possible: set[Stage]):
    chosen = cautious(possible)
    assert (chosen is None) == (len({POLICIES[stage].reads for stage in possible}) > 1)
    if chosen is not None:
        assert all(compatible(chosen, stage) for stage in possible)
        assert all(set(POLICIES[stage].writes) <= set(POLICIES[chosen].writes) for stage in possible)


@pytest.mark.parametrize(
    ("before", "wanted", "elapsed", "walking", "expected"),
    [
        ("off", "off", 0, False, Move("off", "stays")),
        ("off", "dualwrite", 0, False, Move("dualwrite", "moves")),
        ("off", "live", 0, False, Move("dualwrite", "held")),
        ("off", "live", 59, True, Move("off", "held")),
        ("off", "live", 61, False, Move("shadow", "held")),
        ("off", "live", 3600, False, Move("live", "moves")),
        ("dualwrite", "live", 60, True, Move("shadow", "held")),
        ("shadow", "live", 60, True, Move("live", "moves")),
        ("live", "shadow", 0, False, Move("shadow", "moves")),
        ("live", "off", 0, False, Move("dualwrite", "held")),
        ("rampdown", "off", 9999, False, Move("dualwrite", "held")),
        ("dualwrite", "off", 10, True, Move("dualwrite", "held")),
        ("dualwrite", "off", 60, True, Move("off", "moves")),
        ("live", "off", 60, True, Move("dualwrite", "held")),
        ("complete", "rampdown", 9999, False, Move("complete", "refused")),
        ("complete", "off", 9999, False, Move("complete", "refused")),
    ],
)
def test_one_step(before: Stage, wanted: Stage, elapsed: float, walking: bool, expected: Move):
    assert move(before, wanted, elapsed, 60, walking=walking) == expected


@given(st.lists(st.tuples(stages, st.floats(0, 200)), min_size=1, max_size=30))
def test_no_process_makes_a_jump_that_loses_writes(said: list[tuple[Stage, float]]):
    """Whatever the flag says: a process never goes between stages that don't go together, unless time enough has
    passed for every stage in between, and it arrives once the flag keeps still."""
    clock = Clock()
    known = Standings(Pace(ttl=0, settle=60), clock)
    before: Stage | None = None
    for wanted, pause in said:
        clock.now += pause
        now = known.observe("t", wanted, clock.now).stage
        if before is not None and not compatible(before, now):
            assert before != "complete"
            assert STAGES.index(now) > STAGES.index(before)
            assert pause >= 60
        before = now
    last = said[-1][0]
    for _ in range(len(STAGES)):
        clock.now += 60
        known.observe("t", last, clock.now)
    assert known.known("t") == ("complete" if before == "complete" else last)


def test_two_processes_are_never_further_apart_than_neighbours_when_the_flag_jumps():
    """One asks every second, the other every four: while both walk, each writes what the other reads."""
    clock = Clock()
    quick, slow = (Standings(Pace(ttl=1, settle=5), clock) for _ in range(2))
    for each in (quick, slow):
        each.observe("t", "off", clock.now)
    for second in range(60):
        clock.now += 1
        quick.observe("t", "complete", clock.now)
        if second % 4 == 3:
            slow.observe("t", "complete", clock.now)
        one, another = quick.known("t"), slow.known("t")
        assert one is not None
        assert another is not None
        assert compatible(one, another), (second, one, another)
    assert quick.known("t") == slow.known("t") == "complete"


def test_who_asked_later_is_right():
    clock = Clock()
    known = Standings(Pace(), clock)
    known.observe("t", "live", 20)
    assert known.observe("t", "shadow", 10).stage == "live"
    assert known.known("t") == "live"


def test_an_answer_is_good_for_the_ttl_and_few_tenants_are_remembered():
    clock = Clock()
    known = Standings(Pace(ttl=5, tenants=2), clock)
    known.observe("a", "shadow", clock.now)
    clock.now += 4.9
    assert known.fresh("a") == "shadow"
    clock.now += 0.2
    assert known.fresh("a") is None
    assert known.known("a") == "shadow"
    assert known.unanswered("a", clock.now, "off") == "shadow"
    assert known.fresh("a") == "shadow"
    known.observe("b", "off", clock.now)
    assert known.fresh("a") == "shadow"  # used, so that b is the one to be forgotten
    known.observe("c", "off", clock.now)
    assert known.stages() == {"a": "shadow", "c": "off"}


def test_a_guess_is_good_for_the_ttl_and_binds_nobody():
    """A default of `complete` must not keep a tenant from what the flag says once it answers."""
    clock = Clock()
    known = Standings(Pace(ttl=5), clock)
    assert known.unanswered("a", clock.now, None) is None
    assert known.unanswered("a", clock.now, "complete") == "complete"
    assert known.fresh("a") == "complete"
    assert known.known("a") is None
    assert known.observe("a", "shadow", clock.now).stage == "shadow"
    assert known.known("a") == "shadow"
