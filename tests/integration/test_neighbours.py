"""What else is in the database: an application's role, another migration, and what uses the old column."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from alembic.util import CommandError

from tests.integration.project import Project
from tests.integration.test_ddl import ready_to_contract, ready_to_enforce
from tests.integration.world import CANARY

NICKNAMES = """
migration user_nicknames { ticket "MIG-78" }
database app { engine postgresql 15; url env DATABASE_URL }
tenants {
  key  tenant_id uuid
  list `SELECT id FROM tenants ORDER BY id`
}
entity User in app.users {
  id        bigint key
  tenant_id uuid tenant
  username  text
  index (tenant_id, id)
  rows 500k
}
change User {
  add nickname text { from `upper(username)` }
}
"""


@pytest.fixture
def role(clean_project: Project) -> Iterator[str]:
    """A role that may read and write users, and owns nothing."""
    name = f"app_{uuid.uuid4().hex}"
    clean_project.run(f"CREATE ROLE {name}")
    clean_project.run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON users TO {name}")
    yield name
    clean_project.run(f"DROP OWNED BY {name}")
    clean_project.run(f"DROP ROLE {name}")


def test_a_role_with_nothing_but_dml_can_write(clean_project: Project, role: str) -> None:
    clean_project.run("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    clean_project.run(f"GRANT USAGE ON SCHEMA public TO {role}")
    clean_project.upgrade("users_email_expand")
    with clean_project.connect(role=role) as app:
        key = app.execute(
            "INSERT INTO users (tenant_id, username) VALUES (%s, 'by a role') RETURNING id", (CANARY,)
        ).fetchone()
        app.execute("UPDATE users SET email = 'by@role' WHERE id = %s", key)
        app.execute("UPDATE users SET contact_email = 'new@role' WHERE id = %s", key)
        assert app.execute("SELECT email FROM users WHERE id = %s", key).fetchone() == ("new@role",)
        app.execute("DELETE FROM users WHERE id = %s", key)
        # Who may write users may count, and no more.
        for table in ("slice", "event", "reconciliation", "quarantine", "snapshot"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(f"SELECT FROM migdsl.{table}")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(f"DELETE FROM migdsl.{table}")


def second(project: Project) -> Project:
    """Another team's migration of the same table, with Alembic's books of its own."""
    other = replace(project, folder=project.folder / "other", configure={"version_table": "other_version"})
    other.write(NICKNAMES)
    return other


@pytest.mark.parametrize("first_leaves_first", [True, False])
def test_two_migrations_share_the_ledger(clean_project: Project, first_leaves_first: bool) -> None:
    other = second(clean_project)
    leaving = [clean_project, other] if first_leaves_first else [other, clean_project]
    clean_project.upgrade("users_email_expand")
    other.upgrade("user_nicknames_expand")
    assert clean_project.backfill().code == 0
    done = other.shell(sys.executable, "out/backfills/user_nicknames/user.py", "--duty", "1")
    assert done.code == 0, done
    leaving[0].downgrade("base")
    stays = "user_nicknames" if first_leaves_first else "users_email"
    assert clean_project.all("SELECT DISTINCT migration FROM migdsl.slice") == [(stays,)]
    with clean_project.connect() as connection:
        connection.execute("UPDATE users SET username = 'both' WHERE id = 1")
        column = "nickname" if first_leaves_first else "contact_email"
        assert connection.execute(f"SELECT {column} IS NOT NULL FROM users WHERE id = 1").fetchone() == (True,)
    leaving[1].downgrade("base")
    assert clean_project.one("SELECT to_regnamespace('migdsl')") is None


DEPENDENTS = {
    "view people": "CREATE VIEW people AS SELECT id, email FROM users",
    "index by_address": "CREATE INDEX by_address ON users (lower(email))",
    "index by_part": "CREATE UNIQUE INDEX by_part ON users (id) WHERE email IS NULL",
    "constraint has_at on table users": "ALTER TABLE users ADD CONSTRAINT has_at CHECK (email LIKE '%@%') NOT VALID",
    "statistics object together": "CREATE STATISTICS together ON email, username FROM users",
    "trigger watch on table users": """
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER watch BEFORE UPDATE OF email ON users FOR EACH ROW EXECUTE FUNCTION f()""",
    "column lowered of table users": "ALTER TABLE users ADD lowered text GENERATED ALWAYS AS (lower(email)) STORED",
    "publication of table users in publication feed": "CREATE PUBLICATION feed FOR TABLE users (id, tenant_id, email)",
    "policy seen on table users": "CREATE POLICY seen ON users USING (email IS NOT NULL)",
}


@pytest.mark.parametrize("named", DEPENDENTS)
def test_contract_refuses_what_depends_on_the_column(contractable: Project, named: str) -> None:
    contractable.run(DEPENDENTS[named])
    before = contractable.dump()
    with pytest.raises(CommandError) as refused:
        contractable.upgrade("users_email_contract")
    message = str(refused.value)
    assert message.startswith("users_email_contract: column email of public.users is still used by: ")
    assert named in message.replace("public.", "").replace("default value for ", "")
    assert contractable.dump() == before
    assert contractable.revision() == "users_email_enforce"
    # The trigger is there still: old code that is left is served.
    assert contractable.one("SELECT count(*) FROM pg_trigger WHERE tgname = '~migdsl_users_email'") == 1


@pytest.fixture
def contractable(clean_project: Project) -> Project:
    """Everything is done but contract."""
    ready_to_enforce(clean_project)
    clean_project.upgrade("users_email_enforce")
    ready_to_contract(clean_project)
    return clean_project
