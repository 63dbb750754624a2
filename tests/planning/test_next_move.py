"""What the rollout's next move is, from the first to the last, each as `rollout` takes it."""

from __future__ import annotations

from migdsl.folding.stages import Audience, moved
from migdsl.planning.next_move import next_move
from migdsl.semantics.model import CheckedModule
from migdsl.source import SourceFile
from migdsl.workspace import check
from tests.cli.conftest import ROOT

USERS = (ROOT / "examples/users.mig").read_text(encoding="utf-8")


def module(text: str) -> CheckedModule:
    found = check({"users.mig": text}, "users.mig")
    assert found.ok, found.diagnostics
    assert found.module is not None
    return found.module


def walk(text: str, *, pairs: bool) -> list[str]:
    found = []
    while (move := next_move(module(text), pairs=pairs)) is not None:
        stage, who = move
        found.append(f"{stage} {who}")
        audience = Audience("percent", who) if who.endswith("%") else Audience(who)
        text = moved(SourceFile("users.mig", text), "users_email", stage, audience)
        assert len(found) < 20
    return found


def test_from_off_to_complete() -> None:
    assert walk(USERS, pairs=True) == [
        "dualwrite all",
        "shadow canary",
        "shadow all",
        "live canary",
        *(f"live {share}%" for share in (1, 10, 50)),
        "live all",
        "rampdown all",
        "complete all",
    ]


def test_where_nothing_is_written_twice() -> None:
    assert walk(USERS, pairs=False) == ["live all", "complete all"]


def test_one_tenant_that_is_behind_is_not_forgotten() -> None:
    held = '  stage live for all\n  stage shadow for tenants "0b0f3c5e-2f4b-4a38-9b54-3d0b2f3f6f10"\n'
    assert next_move(module(USERS.replace("  stage off for all\n", held)), pairs=True) == ("live", "all")
