"""`migdsl rollout`: one line changes, with all that is compiled from it, where the move is allowed."""

from __future__ import annotations

from tests.cli.conftest import tree
from tests.executor.conftest import Home, Run
from tests.executor.test_story import apply, roll

CANARY = "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11"


def test_one_line(home: Home, run: Run) -> None:
    text = home.source.read_text(encoding="utf-8").replace("stage off for all", "stage off for all  # MIG-77")
    home.source.write_text(text, encoding="utf-8")
    ran = run("rollout", "users.mig", "--stage", "dualwrite", "--for", "all")
    assert ran.code == 0, ran
    assert home.source.read_text(encoding="utf-8") == text.replace("off for all", "dualwrite for all")
    assert "-  stage off for all  # MIG-77\n+  stage dualwrite for all  # MIG-77\n" in ran.out
    assert run("compile", "--check", "users.mig").code == 0
    ran = run("rollout", "users.mig", "--stage", "dualwrite", "--for", "all")
    assert (ran.code, ran.out) == (0, "users.mig: all stands at dualwrite already\n")
    assert run("fmt", "--check", "users.mig").code == 0


def test_a_dry_run_writes_nothing(home: Home, run: Run) -> None:
    before = tree(home.folder)
    ran = run("rollout", "users.mig", "--stage", "dualwrite", "--for", "tenants " + CANARY, "--dry-run")
    assert ran.code == 0
    assert f'+  stage dualwrite for tenants "{CANARY}"' in ran.out
    assert tree(home.folder) == before


def test_moves_that_are_refused(home: Home, run: Run) -> None:
    before = tree(home.folder)
    ran = run("rollout", "users.mig", "--stage", "live", "--for", "all")
    assert (ran.code, "MIG508" in ran.err) == (1, True)
    ran = run("rollout", "users.mig", "--stage", "complete", "--for", "canary")
    assert (ran.code, "MIG506" in ran.err) == (1, True)
    ran = run("rollout", "users.mig", "--stage", "shadow", "--for", "tenants acme")
    assert (ran.code, "MIG503" in ran.err) == (1, True)
    assert tree(home.folder) == before
    home.source.write_text(
        home.source.read_text(encoding="utf-8").replace("stage off", "stage complete"), encoding="utf-8"
    )
    ran = run("rollout", "users.mig", "--stage", "rampdown", "--for", "all")
    assert (ran.code, "MIG509" in ran.err) == (1, True)
    # A database that is asked knows that contract hasn't taken the old away.
    ran = run("rollout", "users.mig", "--stage", "off", "--for", "all", "--url", "env:DATABASE_URL")
    assert (ran.code, ran.err) == (0, "")
    assert "stage off for all" in home.source.read_text(encoding="utf-8")


def test_words(home: Home, run: Run) -> None:
    for words in (
        ("--stage", "live"),
        ("--for", "all"),
        (),
        ("--stage", "lives", "--for", "all"),
        ("--stage", "live", "--for", "some"),
        ("--stage", "live", "--for", "tenants"),
        ("--stage", "live", "--for", "10"),
    ):
        ran = run("rollout", "users.mig", *words)
        assert (ran.code, ran.out) == (2, ""), words
        assert ran.err.startswith("migdsl: ")


def test_what_cannot_be_compiled_is_put_back(home: Home, run: Run) -> None:
    path = home.folder / "docs/migrations/users_email.md"
    path.write_text("my own notes", encoding="utf-8")
    before = home.source.read_bytes()
    ran = run("rollout", "users.mig", "--stage", "dualwrite", "--for", "all")
    assert (ran.code, "MIG702" in ran.err, "put back as it was" in ran.err) == (1, True, True)
    assert home.source.read_bytes() == before
    assert run("rollout", "users.mig", "--stage", "dualwrite", "--for", "all", "--force").code == 0


def test_a_database_that_is_not_ready(home: Home, run: Run) -> None:
    url = ("--url", "env:DATABASE_URL")
    ran = run("rollout", "users.mig", "--stage", "dualwrite", "--for", "all", *url)
    assert ran.code == 1
    assert "MIG743" in ran.err
    assert "dualwrite rests on expand, and the database is at prepare" in ran.err
    assert "stage off for all" in home.source.read_text(encoding="utf-8")
    apply(run, "expand", "--confirm", "watched")
    roll(run, "dualwrite", "all")
    ran = run("rollout", "users.mig", "--stage", "shadow", "--for", "canary", *url)
    assert (ran.code, "shadow rests on backfill" in ran.err) == (1, True)


def test_what_is_recorded(home: Home, run: Run) -> None:
    ran = run("rollout", "users.mig", "--record")
    assert (ran.code, "there is no ledger of users_email" in ran.err) == (1, True)
    apply(run, "expand", "--confirm", "watched")
    assert home.events("stage") == [("all", "off")]
    ran = run("rollout", "users.mig", "--record")
    assert ran.out == "users_email: off for all is recorded already\n"
    text = home.source.read_text(encoding="utf-8")
    lines = f'stage dualwrite for all\n  stage live for tenants "{CANARY}"\n  stage shadow for 10%'
    home.source.write_text(text.replace("stage off for all", lines), encoding="utf-8")
    # What was not compiled can't be what is deployed.
    assert run("rollout", "users.mig", "--record").code == 2
    assert run("compile", "users.mig").code == 0
    assert run("rollout", "users.mig", "--record").code == 0
    recorded = [("all", "dualwrite"), ("10%", "shadow"), (f"tenant:{CANARY}", "live")]
    assert home.events("stage") == [("all", "off"), *recorded]
