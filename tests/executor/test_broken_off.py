"""A late revision that broke off: `status` tells, `rollback` takes it back, and `apply` ends it days later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from tests.executor.conftest import Home, Run
from tests.executor.test_story import apply, roll, status, to_live


@contextmanager
def dying(home: Home, at: str) -> Iterator[None]:
    """Alembic's connection is ended before the first statement that holds these words."""

    def look(_: object, cursor: Any, statement: str, *__: object) -> None:
        if at in statement:
            pid = cursor.connection.info.backend_pid
            with psycopg.connect(home.url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))

    event.listen(Engine, "before_cursor_execute", look)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", look)


def to_enforce(home: Home, run: Run) -> None:
    """All that enforce waits for has come."""
    to_live(home, run)
    apply(run, "enforce", code=4)
    home.pass_time("25 hours")


def to_contract(home: Home, run: Run) -> None:
    """All that contract waits for has come."""
    for stage in ("rampdown", "complete"):
        roll(run, stage, "all")
    apply(run, "contract", code=4)
    home.pass_time("31 days")


@pytest.mark.slow
def test_enforce_is_taken_back_and_contract_is_ended(home: Home, run: Run) -> None:
    to_enforce(home, run)
    before = home.dump()
    with dying(home, "VALIDATE CONSTRAINT"):
        apply(run, "enforce", code=3)
    assert home.head() == "users_email_expand"
    assert home.dump() != before
    found = status(run, 1)
    assert any(text.startswith("the revision of enforce broke off") for text in found["wrong"]), found["wrong"]
    # While it stands half, the flag's way back leaves the file that takes it back.
    ran = run("rollout", "users.mig", "--stage", "shadow", "--for", "all", "--url", "env:DATABASE_URL")
    assert ran.code == 1
    assert "the database has run enforce" in ran.err
    # There is no staying at what is half done.
    ran = run("rollback", "users.mig", "--to", "enforce", "--yes")
    assert ran.code == 1, ran
    assert "the revision of enforce broke off" in ran.out + ran.err
    assert "migdsl rollback users.mig --to cutover" in ran.out + ran.err
    ran = run("rollback", "users.mig", "--to", "cutover", "--yes")
    assert ran.code == 0, ran
    assert "enforce: alembic stamp users_email_enforce" in ran.out + ran.err
    assert home.head() == "users_email_expand"
    assert home.dump() == before
    assert status(run, 0)["wrong"] == []
    apply(run, "enforce")
    to_contract(home, run)
    with dying(home, "alembic_version SET"):
        apply(run, "contract", code=3)
    assert home.head() == "users_email_enforce"
    assert home.one("SELECT count(*) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'email'") == 0
    # By now no reading is young enough, and none can be made.
    home.pass_time("3 days")
    apply(run, "contract")
    assert home.head() == "users_email_contract"


@pytest.mark.slow
def test_a_contract_that_broke_off_is_taken_back_first(home: Home, run: Run) -> None:
    to_enforce(home, run)
    apply(run, "enforce")
    to_contract(home, run)
    kept = home.all("SELECT id, contact_email FROM users ORDER BY id")
    with dying(home, "alembic_version SET"):
        apply(run, "contract", code=3)
    ran = run("rollback", "users.mig", "--to", "enforce", "--yes")
    assert ran.code == 0, ran
    assert "contract: alembic stamp users_email_contract" in ran.out + ran.err
    assert home.head() == "users_email_enforce"
    assert home.all("SELECT id, email FROM users ORDER BY id") == kept
    found = status(run, 0)["next"]
    assert found["back"] == "migdsl rollback users.mig --to cutover", found
    assert found["command"] == "migdsl apply users.mig --to contract"
