"""How the flag may move: forward stage by stage, back from anywhere but the end."""

from __future__ import annotations

from itertools import product

import pytest

from migdsl.plan.diff import StageMove
from migdsl.planning.stage_moves import moves
from migdsl.semantics.model import STAGES
from tests.planning.test_compare import USERS, between, edited, planned

CANARY = "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11"
OTHER = "0b0f3c5e-2f4b-4a38-9b54-3d0b2f3f6f10"
SINGLE = USERS[USERS.index("change User {") : USERS.index("cutover {")]


def flagged(*lines: str, text: str = USERS) -> str:
    return edited(text, ("  stage off for all", "\n".join(f"  stage {line}" for line in lines)))


def between_flags(old: tuple[str, ...], new: tuple[str, ...], *, pairs: bool = True) -> list[StageMove]:
    modules = [planned(flagged(*lines)).module for lines in (old, new)]
    return [found.move for found in moves(modules[0], modules[1], pairs=pairs)]


def said(found: list[StageMove]) -> dict[str, tuple[str, str, str]]:
    return {m.audience: (" ".join(m.before), " ".join(m.after), m.verdict) for m in found}


@pytest.mark.parametrize(("before", "after"), list(product(STAGES, STAGES)))
def test_every_move_of_all(before: str, after: str):
    found = between_flags((f"{before} for all",), (f"{after} for all",))
    apart = STAGES.index(after) - STAGES.index(before)
    verdict = "forward" if apart == 1 else "skips" if apart > 1 else "no_way_back" if before == "complete" else "back"
    assert said(found) == ({"everybody": (before, after, verdict)} if apart else {})


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ("off", "live", "forward"),
        ("live", "complete", "forward"),
        ("off", "complete", "skips"),
        ("live", "off", "back"),
    ],
)
def test_without_two_sides_most_stages_have_nothing_to_prove(before: str, after: str, verdict: str):
    (found,) = between_flags((f"{before} for all",), (f"{after} for all",), pairs=False)
    assert found.verdict == verdict


def test_the_most_specific_line_counts():
    old = ("off for all", "dualwrite for canary", "dualwrite for 10%")
    new = ("off for all", "shadow for canary", "dualwrite for 10%", f'dualwrite for tenants "{OTHER}"')
    assert said(between_flags(old, new)) == {
        f"canary {CANARY}": ("dualwrite", "shadow", "forward"),
        # In the 10% or not: only the flag service knows, so that the mildest move counts.
        f"tenant {OTHER}": ("off dualwrite", "dualwrite", "forward"),
    }


def test_a_share_that_grows_moves_those_who_come_in():
    old, new = ("dualwrite for all", "live for 1%"), ("dualwrite for all", "live for 10%")
    assert said(between_flags(old, new)) == {"1% to 10%": ("dualwrite", "live", "skips")}
    old, new = ("shadow for all", "live for 1%"), ("shadow for all", "live for 10%")
    assert said(between_flags(old, new)) == {"1% to 10%": ("shadow", "live", "forward")}


def test_a_line_that_is_gone_leaves_its_tenants_to_the_rest():
    old = ("off for all", f'live for tenants "{OTHER}"')
    assert said(between_flags(old, ("off for all",))) == {f"tenant {OTHER}": ("live", "off", "back")}


def test_nobody_named_is_off():
    assert said(between_flags(("off for all",), ("dualwrite for canary",))) == {
        f"canary {CANARY}": ("off", "dualwrite", "forward")
    }


def test_what_is_refused_says_where_and_what_comes_first():
    old, new = USERS, flagged("dualwrite for all", "live for canary")
    found, codes = between(old, new)
    assert codes == ["MIG508"]
    from migdsl.planning.verdict import problems

    (problem,) = problems(planned(old), planned(new), found)
    assert problem.primary is not None
    assert new[problem.primary.span.start : problem.primary.span.end].startswith("stage live for canary")
    assert problem.title == f"canary {CANARY}: from off to live skips dualwrite and shadow"
    assert "`stage dualwrite` first" in problem.help


def test_from_complete_nothing_leads_back():
    _, codes = between(flagged("complete for all"), flagged("rampdown for all"))
    assert codes == ["MIG509"]


def test_a_drop_alone_goes_from_off_to_live():
    text = edited(USERS, (SINGLE, 'change User { drop email after 30d irreversible because "unread" }\n\n'))
    _, codes = between(text, flagged("live for all", text=text))
    assert codes == []
