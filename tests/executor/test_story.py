"""The whole migration of examples/users.mig by commands alone, with a way back in the middle."""

from __future__ import annotations

import json

from jsonschema import Draft202012Validator

from tests.executor.conftest import ROOT, Home, Run
from tests.integration.world import WRONG

STATUS = Draft202012Validator(json.loads((ROOT / "schemas/status.schema.json").read_text(encoding="utf-8")))
WATCHED = "The dashboard of users_email opens, its alerts are loaded, and its jobs know where to send metrics"
NOBODY_SPOILT = "SELECT count(*) FROM users WHERE email IS DISTINCT FROM was"


def apply(run: Run, phase: str, *words: str, code: int = 0) -> str:
    ran = run("apply", "users.mig", "--to", phase, "--yes", *words)
    assert ran.code == code, ran
    return ran.out + ran.err


def roll(run: Run, stage: str, who: str) -> str:
    """Moves the flag and records it, as after a deploy; then the job looks."""
    ran = run("rollout", "users.mig", "--stage", stage, "--for", who, "--record", "--url", "env:DATABASE_URL")
    assert ran.code == 0, ran
    return ran.out


def status(run: Run, code: int) -> dict:
    """What `status --json` says, which is always of the shape that schemas/status.schema.json describes."""
    ran = run("status", "users.mig", "--json")
    assert ran.code == code, ran
    found = json.loads(ran.out)
    STATUS.validate(found)
    return found


def test_there_and_back_and_there(home: Home, run: Run) -> None:
    before = home.dump()
    to_live(home, run)
    # The way back, with what new code has written; everything is as it was, and it is begun anew.
    key = home.one("UPDATE users SET contact_email = 'new@x' WHERE id = (SELECT min(id) FROM users) RETURNING id")
    for stage in ("shadow", "dualwrite", "off"):
        roll(run, stage, "all")
    ran = run("rollback", "users.mig", "--to", "prepare", "--yes")
    assert ran.code == 0, ran
    assert (home.head(), home.one("SELECT to_regnamespace('migdsl')")) == (None, None)
    assert home.dump() == before
    assert home.one("SELECT email FROM users WHERE id = %s", key) == "new@x"
    to_live(home, run)
    to_the_end(home, run)


def to_live(home: Home, run: Run) -> None:
    said = apply(run, "expand", code=4)
    assert f"watched: {WATCHED} (only a person knows)" in said
    assert "migdsl apply users.mig --to expand --confirm watched" in said
    assert home.head() is None
    apply(run, "expand", "--confirm", "watched")
    assert home.head() == "users_email_expand"
    assert home.events("confirm") == [("prepare/watched", "yes")]
    roll(run, "dualwrite", "all")
    apply(run, "validate", "--confirm", "old_code_User")
    assert home.one(WRONG) == 0
    found = status(run, 0)
    assert (found["phase"], found["next"]["command"]) == ("validate", "migdsl apply users.mig --to cutover")
    apply(run, "cutover")
    for stage, who in (("shadow", "canary"), ("shadow", "all"), ("live", "canary"), ("live", "10%"), ("live", "all")):
        roll(run, stage, who)
    assert (home.folder / "migrations/versions/users_email_enforce.py").exists()


def to_the_end(home: Home, run: Run) -> None:
    said = apply(run, "enforce", code=4)
    assert "reconciled_User: reconciliation of User lacks two clean readings 24 hours apart" in said
    assert "; at the earliest 20" in said
    assert home.head() == "users_email_expand"
    found = status(run, 4)
    assert found["next"]["phase"] == "enforce"
    home.pass_time("25 hours")
    apply(run, "enforce")
    assert home.head() == "users_email_enforce"
    roll(run, "rampdown", "all")
    said = apply(run, "contract", code=4)
    assert "users_email_contract.py is written once the flag stands at complete for all" in said
    roll(run, "complete", "all")
    assert "the soak of 30 days lasts until 20" in apply(run, "contract", code=4)
    home.pass_time("31 days")
    apply(run, "contract")
    assert home.head() == "users_email_contract"
    found = status(run, 4)
    assert (found["phase"], found["next"]["command"]) == ("contract", "migdsl finish users.mig")
    assert [e for e in home.events("apply") if e[0] == "contract"] == [("contract", "finished")]
