"""Enforce and contract refuse while a gate is unmet, and name each that is."""

from __future__ import annotations

import pytest
from alembic.util import CommandError

from migdsl.runtime.routing import LedgerRecorder, open_repairs, repair
from migdsl.runtime.routing.repair import Failure
from tests.integration.project import Project
from tests.integration.world import CANARY

OF_ANOTHER = "(SELECT min(contact_email) FROM users AS o WHERE o.tenant_id = users.tenant_id AND o.id <> users.id)"

BAD = "SELECT max(mismatched), max(violations) FROM migdsl.reconciliation"


def unmet(project: Project, revision: str) -> list[str]:
    """The gates that the refusal names."""
    with pytest.raises(CommandError) as refused:
        project.upgrade(revision)
    head, _, reasons = str(refused.value).partition(": not yet: ")
    assert head == revision
    return reasons.split("; ")


def record(project: Project, *rows: tuple[str, str]) -> None:
    for subject, value in rows:
        project.run(
            "INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('users_email', 'stage', %s, %s)",
            subject,
            value,
        )


@pytest.fixture
def released(clean_project: Project) -> Project:
    """Expand has run."""
    clean_project.upgrade("users_email_expand")
    return clean_project


UNCLEAN = "reconciliation of User lacks two clean readings 24 hours apart since the switch, or has a bad one since"


@pytest.fixture
def enforced(released: Project) -> Project:
    """Enforce has run, and its readings are a day old."""
    assert released.backfill().code == 0
    record(released, ("all", "live"))
    assert released.reconcile().code == 0
    released.pass_time("25 hours")
    assert released.reconcile().code == 0
    released.upgrade("users_email_enforce")
    return released


def test_all_gates_of_enforce_at_once(released: Project) -> None:
    assert unmet(released, "users_email_enforce") == [
        "the deployed stage of all is off, and live for all is needed",
        "the backfill User has not been run",
        "tenants_unlisted of User has not been counted",
        UNCLEAN,
    ]
    assert released.revision() == "users_email_expand"
    released.run("DELETE FROM users WHERE tenant_id = %s", CANARY)
    assert released.backfill().code == 0
    assert unmet(released, "users_email_enforce")[-1] == UNCLEAN


def test_a_tenant_that_is_behind(enforced: Project) -> None:
    enforced.downgrade("users_email_expand")
    record(enforced, ("all", "live"), ("10%", "live"), (f"tenant:{CANARY}", "shadow"))
    assert unmet(enforced, "users_email_enforce") == [
        f"the deployed stage of tenant:{CANARY} is shadow, and live for all is needed"
    ]
    # The newest line for all takes back what stood beside the one before it.
    record(enforced, ("all", "live"))
    enforced.upgrade("users_email_enforce")


def test_a_slice_that_failed(enforced: Project) -> None:
    enforced.downgrade("users_email_expand")
    tenant = enforced.one("SELECT min(tenant) FROM migdsl.slice")
    enforced.run("UPDATE migdsl.slice SET state = 'pending' WHERE tenant = %s", tenant)
    assert unmet(enforced, "users_email_enforce") == ["the backfill User is not done: 1 of 7 slices are left"]


def test_a_backfill_for_one_tenant_says_nothing_of_the_others(released: Project) -> None:
    assert released.backfill("--tenant", CANARY).code == 0
    said = "the backfill User has not been run for all tenants"
    assert said in unmet(released, "users_email_enforce")
    assert released.backfill().code == 0
    assert said not in unmet(released, "users_email_enforce")


def test_a_tenant_that_is_not_listed(enforced: Project) -> None:
    enforced.downgrade("users_email_expand")
    enforced.run("ALTER TABLE users DROP CONSTRAINT users_tenant_id_fkey")
    enforced.run("DELETE FROM tenants WHERE id = %s", CANARY)
    assert enforced.reconcile().code == 1
    (reason,) = unmet(enforced, "users_email_enforce")
    rows = enforced.one("SELECT count(*) FROM users WHERE tenant_id = %s", CANARY)
    assert reason == f"tenants_unlisted of User is {rows}, not 0"


@pytest.mark.parametrize(
    ("spoil", "subject"),
    [
        ("contact_email = 'x' || id", "mismatched"),
        ("contact_email = NULL, email = NULL", "violations"),
        (f"contact_email = {OF_ANOTHER}, email = {OF_ANOTHER}", "violations"),
    ],
)
def test_one_bad_row(enforced: Project, spoil: str, subject: str) -> None:
    """A row that only a write past the trigger can make; a clean reading a day later is needed again."""
    enforced.downgrade("users_email_expand")
    key = enforced.one("SELECT max(id) FROM users WHERE email IS NOT NULL")
    with enforced.connect() as connection:
        connection.execute('ALTER TABLE users DISABLE TRIGGER "~migdsl_users_email"')
        connection.execute(f"UPDATE users SET {spoil} WHERE id = %s", (key,))
        connection.execute('ALTER TABLE users ENABLE ALWAYS TRIGGER "~migdsl_users_email"')
    assert enforced.reconcile().code == 1
    found = dict(zip(("mismatched", "violations"), enforced.all(BAD)[0], strict=True))
    assert [name for name, rows in found.items() if rows] == [subject]
    (reason,) = unmet(enforced, "users_email_enforce")
    assert reason == UNCLEAN
    enforced.run("UPDATE users SET contact_email = 'mended-' || id, email = 'mended-' || id WHERE id = %s", key)
    assert enforced.reconcile().code == 0
    assert len(unmet(enforced, "users_email_enforce")) == 1
    enforced.pass_time("25 hours")
    assert len(unmet(enforced, "users_email_enforce")) == 1
    assert enforced.reconcile().code == 0
    enforced.upgrade("users_email_enforce")


def test_all_gates_of_contract_at_once(enforced: Project) -> None:
    reasons = unmet(enforced, "users_email_contract")
    assert reasons[0] == "the deployed stage of all is live, and complete for all is needed"
    assert reasons[1].startswith("the soak of 30 days lasts until 20")
    assert reasons[2:] == ["old_writes of User was not read before the soak of 30 days began"]
    assert enforced.revision() == "users_email_enforce"


def test_old_code_that_writes_within_the_soak(enforced: Project) -> None:
    enforced.pass_time("31 days")
    record(enforced, ("all", "complete"))
    enforced.run("UPDATE users SET email = 'late' || id WHERE id = (SELECT min(id) FROM users)")
    assert enforced.reconcile().code == 0
    assert unmet(enforced, "users_email_contract") == ["old code still wrote User within the last 30 days"]
    # Another 30 days without one; whether time passes is not enough without a reading.
    enforced.pass_time("31 days")
    assert enforced.reconcile().code == 0
    enforced.upgrade("users_email_contract")


def test_going_back_a_stage_begins_the_soak_anew(enforced: Project) -> None:
    record(enforced, ("all", "shadow"))
    enforced.pass_time("31 days")
    record(enforced, ("all", "live"), ("all", "complete"))
    assert enforced.reconcile().code == 0
    reasons = [reason.split(" ")[0:2] for reason in unmet(enforced, "users_email_contract")]
    assert reasons == [["the", "soak"], ["reconciliation", "of"], ["old_writes", "of"]]


def test_a_tenant_that_came_since_and_one_that_left(enforced: Project) -> None:
    """One needs no past, the other holds nobody up: a reading speaks of the tenants of its time."""
    enforced.downgrade("users_email_expand")
    enforced.run("INSERT INTO tenants (id) VALUES ('00000000-0000-4000-8000-000000000001')")
    enforced.run(
        "INSERT INTO users (tenant_id, username, email) VALUES ('00000000-0000-4000-8000-000000000001', 'new', NULL)"
    )
    enforced.run("DELETE FROM users WHERE tenant_id = %s", CANARY)
    enforced.run("DELETE FROM tenants WHERE id = %s", CANARY)
    assert enforced.backfill("--again").code == 0
    assert enforced.reconcile().code == 0
    enforced.upgrade("users_email_enforce")


def test_rows_of_a_tenant_that_is_listed_late(enforced: Project) -> None:
    """Its rows were there before expand and no slice knows them: what reconciliation found counts, whoever it found it of."""
    enforced.downgrade("users_email_expand")
    late = "00000000-0000-4000-8000-000000000002"
    enforced.run("INSERT INTO tenants (id) VALUES (%s)", late)
    with enforced.connect() as connection:
        connection.execute('ALTER TABLE users DISABLE TRIGGER "~migdsl_users_email"')
        connection.execute("INSERT INTO users (tenant_id, username, email) VALUES (%s, 'late', 'l@x')", (late,))
        connection.execute('ALTER TABLE users ENABLE ALWAYS TRIGGER "~migdsl_users_email"')
    assert enforced.reconcile().code == 1
    assert unmet(enforced, "users_email_enforce") == [UNCLEAN]


def test_a_second_write_that_failed(enforced: Project) -> None:
    """As the router of an application records it; only a repair opens the gate, and one for each record."""
    enforced.downgrade("users_email_expand")
    recorder = LedgerRecorder(enforced.connect)
    for error in ("UniqueViolation 23505", "ConnectionError"):
        recorder.record(Failure("users_email", CANARY, '["1"]', "new", "shadow", error), None)
    recorder.record(Failure("another", CANARY, '["1"]', "new", "shadow", "ConnectionError"), None)
    assert unmet(enforced, "users_email_enforce") == ["second writes that failed wait for their repair: 2"]
    with enforced.connect() as connection:
        first, _ = open_repairs(connection, "users_email")
        done = "INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('users_email', 'repaired', %s, %s)"
        connection.execute(done, (first.subject, str(first.id)))
        connection.commit()
    assert unmet(enforced, "users_email_enforce") == ["second writes that failed wait for their repair: 1"]
    with enforced.connect() as connection:
        assert repair(connection, "users_email", lambda *_: None) == 1
    enforced.upgrade("users_email_enforce")


def test_what_a_migration_left_behind_is_no_repair_of_its_next_try(released: Project) -> None:
    """Another migration keeps the ledger; what was recorded before the way back is gone with the new side."""
    released.run("INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('another', 'stage', 'all', 'off')")
    LedgerRecorder(released.connect).record(Failure("users_email", CANARY, '["1"]', "new", "shadow", "E"), None)
    waiting = "second writes that failed wait for their repair: 1"
    assert waiting in unmet(released, "users_email_enforce")
    released.downgrade("base")
    released.upgrade("users_email_expand")
    assert waiting not in unmet(released, "users_email_enforce")
    with released.connect() as connection:
        assert open_repairs(connection, "users_email") == []
