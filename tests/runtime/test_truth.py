"""Stage rows of the event log become the side that is a tenant's truth."""

from __future__ import annotations

import pytest

from migdsl.runtime.reconcile.truth import Stages


@pytest.mark.parametrize(
    ("rows", "a", "b"),
    [
        ([], "old", "old"),
        ([("all", "shadow")], "old", "old"),
        ([("all", "dualwrite"), ("all", "live")], "new", "new"),
        ([("all", "live"), ("all", "shadow")], "old", "old"),
        ([("all", "dualwrite"), ("tenant:a", "live")], "new", "old"),
        ([("all", "live"), ("tenant:a", "shadow")], "old", "new"),
        ([("tenant:a", "live"), ("all", "complete"), ("tenant:a", "rampdown")], "new", "new"),
        ([("all", "dualwrite"), ("canary", "live")], "new", "new"),
        ([("canary", "live"), ("tenant:a", "dualwrite")], "old", "new"),
        ([("canary", "live"), ("canary", "shadow")], "old", "old"),
        ([("1%", "live"), ("10%", "shadow")], "old", "old"),
        ([("1%", "shadow"), ("0.5%", "live")], "new", "new"),
        ([("canary", "live"), ("10%", "shadow")], "new", "new"),
        ([("canary", "live"), ("10%", "live"), ("tenant:a", "live"), ("all", "shadow")], "old", "old"),
        ([("all", "shadow"), ("canary", "live")], "new", "new"),
        ([("tenant:all", "live")], "old", "old"),
    ],
)
def test_truth(rows: list, a: str, b: str):
    stages = Stages.of(rows)
    assert (stages.truth("a"), stages.truth("b")) == (a, b)
