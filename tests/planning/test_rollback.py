"""What the plan says is kept, and lost, on each step of the way back."""

from __future__ import annotations

import re

from migdsl.workspace import compile_files
from tests.ops.story import change
from tests.ops.support import USERS, mig


def kept(*operations: str) -> dict[str, str]:
    """What each phase's way back keeps."""
    found = compile_files({"m.mig": mig(USERS, change(*operations))}, "m.mig", through="contract")
    assert found.plan is not None, found.diagnostics
    return {p.from_phase: p.keeps for p in found.plan.rollback.phases}


def test_values_that_took_the_place_of_nulls_stay() -> None:
    made_up = "NULLs of User.email stay what `from` made of them, all the way back"
    found = kept("require email { from `'none-' || id` }")
    assert found["backfill"] == f"All data; {made_up}"
    assert found["expand"] == made_up


def test_what_is_filled_into_a_new_column_goes_with_it() -> None:
    found = kept("add nick text { from `lower(username)` }")
    assert found["backfill"] == "All data; what was filled of User.nick stays filled and does no harm"
    assert found["expand"] == "What was written to nick is lost with the column"


def test_where_only_the_key_changes_no_trigger_is_spoken_of() -> None:
    found = compile_files({"m.mig": mig(USERS, change("key (tenant_id, id)"))}, "m.mig", through="contract")
    assert found.plan is not None, found.diagnostics
    said = found.plan.model_dump_json()
    assert "the trigger" not in said.lower()
    assert "what keeps the old key of User unique can go" in said
    keeps = {p.from_phase: p.keeps for p in found.plan.rollback.phases}
    assert keeps["cutover"] == "All data: the key of User is (id) again"


def test_commands_say_through_where_the_file_was_compiled_so() -> None:
    text = mig(USERS, change("key (tenant_id, id)"))
    for through in (None, "contract"):
        found = compile_files({"m.mig": text}, "m.mig", through=through)
        (runbook,) = [artifact.text for artifact in found.artifacts if artifact.kind == "runbook"]
        typed = re.findall(r"migdsl (?:apply|compile|rollback|rollout|status) m\.mig(.*?)[`\n]", runbook)
        assert len(typed) > 9
        assert all(rest.startswith(" --through contract") == (through is not None) for rest in typed), typed
