"""The whole migration of examples/users.mig by commands alone, with a way back in the middle."""

from __future__ import annotations

from tests.executor.conftest import Home, Run
from tests.integration.world import WRONG

SURE = ("--yes",)


def test_there_and_back(home: Home, run: Run) -> None:
    before = home.dump()
    for phase, gate in (("prepare", ""), ("expand", "watched"), ("backfill", "old_code_User"), ("validate", "")):
        words = ("--confirm", gate) if gate else ()
        ran = run("apply", "users.mig", "--to", phase, *SURE, *words)
        assert ran.code == 0, ran
        print(ran.out)
