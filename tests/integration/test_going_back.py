"""From every phase the way back leads to what pg_dump showed, and the way forward can be taken again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from alembic.util import CommandError

from tests.integration.project import Project
from tests.integration.test_gates import record
from tests.integration.world import WRONG, Journal, differences

OLD_WRITES = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM migdsl.users_email_users_old_writes"


def expanded(project: Project) -> None:
    project.upgrade("users_email_expand")


def half_filled(project: Project) -> None:
    expanded(project)
    tenant = project.one("SELECT tenant_id FROM users GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")
    assert project.backfill("--tenant", str(tenant)).code == 0
    assert project.one("SELECT count(DISTINCT contact_email IS NULL) FROM users") == 2


def filled(project: Project) -> None:
    expanded(project)
    assert project.backfill().code == 0


def live(project: Project) -> None:
    filled(project)
    record(project, ("all", "live"))
    assert project.reconcile().code == 0


def enforced(project: Project) -> None:
    live(project)
    project.pass_time("25 hours")
    assert project.reconcile().code == 0
    project.upgrade("users_email_enforce")


def _contract(project: Project) -> None:
    project.pass_time("31 days")
    record(project, ("all", "complete"))
    assert project.reconcile().code == 0
    project.upgrade("users_email_contract")


@pytest.mark.parametrize("phase", [expanded, half_filled, filled, live, enforced])
def test_to_base_and_forward_again(clean_project: Project, phase: Callable[[Project], None]) -> None:
    before = clean_project.dump()
    with clean_project.connect() as connection:
        journal = Journal.of(connection)
    phase(clean_project)
    # New code has written: its address must be found in the old column after the way back.
    key, row = next((k, r) for k, r in sorted(journal.living().items()) if r.email is None)
    clean_project.run("UPDATE users SET contact_email = 'new@exämple' WHERE id = %s", key)
    journal.rows[key] = row.written_by_new("new@exämple")
    clean_project.downgrade("base")
    assert clean_project.dump() == before
    assert clean_project.revision() is None
    assert clean_project.one("SELECT to_regnamespace('migdsl')") is None
    with clean_project.connect() as connection:
        assert differences(connection, journal, ("email",)) == []
    enforced(clean_project)
    assert clean_project.one(WRONG) == 0


def test_contract_and_back_and_forward(clean_project: Project) -> None:
    """The column comes back with its values, its comment, its grants and its default."""
    clean_project.run('ALTER TABLE users ALTER COLUMN email TYPE text COLLATE "C"')
    clean_project.run("ALTER TABLE users ALTER COLUMN email SET DEFAULT 'it''s %s none'")
    before = clean_project.dump()
    with clean_project.connect() as connection:
        journal = Journal.of(connection)
    enforced(clean_project)
    with_constraints = clean_project.dump()
    _contract(clean_project)
    assert " email text" not in clean_project.dump()
    # New code goes on writing, with nothing left that knows the old column.
    key, row = max(journal.living().items())
    clean_project.run("UPDATE users SET contact_email = 'later@new' WHERE id = %s", key)
    journal.rows[key] = row.written_by_new("later@new")
    clean_project.downgrade("users_email_enforce")
    assert clean_project.dump() == with_constraints
    found = dict(clean_project.all("SELECT id, email FROM users"))
    for key, row in journal.living().items():
        assert found[key] == (row.email if row.email is not None else row.contact)
    # Old code may have been deployed again, and its writes count.
    assert clean_project.one(OLD_WRITES) == 0
    clean_project.run("UPDATE users SET email = 'back@old' WHERE id = (SELECT min(id) FROM users)")
    assert clean_project.one(OLD_WRITES) == 1
    clean_project.downgrade("base")
    assert clean_project.dump() == before


def test_contract_again_at_once_after_its_way_back(clean_project: Project) -> None:
    enforced(clean_project)
    _contract(clean_project)
    clean_project.downgrade("users_email_enforce")
    clean_project.upgrade("users_email_contract")
    assert (
        clean_project.one("SELECT count(*) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'email'")
        == 0
    )


def test_base_to_head_stops_at_the_first_gate(clean_project: Project) -> None:
    """The whole chain at once: expand stays, enforce refuses."""
    with pytest.raises(CommandError, match="users_email_enforce: not yet: "):
        clean_project.upgrade("head")
    assert clean_project.revision() == "users_email_expand"
    clean_project.downgrade("base")
    assert clean_project.revision() is None


def test_rows_of_a_tenant_that_is_listed_no_more_come_back_too(clean_project: Project) -> None:
    """A customer leaves after contract, and its rows are kept."""
    enforced(clean_project)
    _contract(clean_project)
    clean_project.run("ALTER TABLE users DROP CONSTRAINT users_tenant_id_fkey")
    clean_project.run("DELETE FROM tenants WHERE id = (SELECT min(tenant_id::text)::uuid FROM users)")
    assert clean_project.one("SELECT count(*) > 0 FROM users WHERE tenant_id NOT IN (SELECT id FROM tenants)")
    clean_project.downgrade("users_email_enforce")
    assert clean_project.one("SELECT count(*) FROM users WHERE email IS DISTINCT FROM contact_email") == 0


def test_rows_of_nobody_stop_the_way_back_before_expand_drops_what_is_on_them(clean_project: Project) -> None:
    enforced(clean_project)
    _contract(clean_project)
    clean_project.run("ALTER TABLE users ALTER COLUMN tenant_id DROP NOT NULL")
    nobodys = "INSERT INTO users (username, contact_email) VALUES ('nobody', 'alone@new') RETURNING id"
    key = clean_project.one(nobodys)
    with pytest.raises(CommandError) as refused:
        clean_project.downgrade("users_email_enforce")
    assert "rows of public.users that belong to no tenant, and so lack User.email from `back`: 1 (" in str(
        refused.value
    )
    assert "alone@new" not in str(refused.value)
    with pytest.raises(CommandError):
        clean_project.downgrade("base")
    clean_project.run("UPDATE users SET tenant_id = (SELECT max(id::text)::uuid FROM tenants) WHERE id = %s", key)
    clean_project.downgrade("users_email_enforce")
    assert clean_project.one("SELECT email FROM users WHERE id = %s", key) == "alone@new"


def test_expand_stays_while_somebody_is_beyond_off(clean_project: Project) -> None:
    live(clean_project)
    for subject, stage in (("all", "live"), ("tenant:canary", "dualwrite")):
        record(clean_project, ("all", "off"), (subject, stage))
        with pytest.raises(
            CommandError, match=f"the deployed stage of {subject} is {stage}, and off for all is needed"
        ):
            clean_project.downgrade("users_email_expand@base")
        assert clean_project.revision() == "users_email_expand"
        assert clean_project.one("SELECT count(contact_email) > 0 FROM users")
    record(clean_project, ("all", "off"))
    clean_project.downgrade("users_email_expand@base")
    assert clean_project.one("SELECT to_regnamespace('migdsl')") is None
