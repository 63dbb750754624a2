"""The example's table becomes a database with a ledger, skewed tenants and the two generated jobs."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.forked import run_file

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = Path(__file__).parent / "samples"
LEDGER = ROOT / "templates" / "alembic" / "ledger.sql"

USERS = """
CREATE TABLE tenants (id uuid PRIMARY KEY);
CREATE TABLE users (
    id bigint PRIMARY KEY, tenant_id uuid NOT NULL, username text NOT NULL, email text, contact_email text,
    UNIQUE (tenant_id, username)
);
CREATE INDEX ON users (tenant_id, id);
CREATE SEQUENCE migdsl.users_email_old_writes;
"""
# Interleaved tenants, as a heap that grew over years has them; quotes and non-ASCII in names, each third address NULL.
SEED = """
INSERT INTO users (id, tenant_id, username, email)
SELECT 7 * g, tenant, 'u''' || g || '-ü',
       CASE WHEN g %% 3 = 0 THEN NULL ELSE 'm' || g || '@example.org' END
  FROM generate_series(1, %s) AS g, LATERAL (
       SELECT t.id AS tenant FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM tenants WHERE id <> %s) AS t
        WHERE t.n = 1 + floor(log(2.0, g %% 31 + 1))) AS owner
"""
EXPECTED = "coalesce(email, username || '@example.com')"


def ledger_statements() -> list[str]:
    """The ledger's DDL as the revisions run it: one statement after another."""
    return [part for part in LEDGER.read_text(encoding="utf-8").split("-- ;\n") if part.strip()]


@dataclass(frozen=True, slots=True)
class Users:
    """A database with the example's table; the last tenant has no rows."""

    url: str
    tenants: tuple[str, ...]

    @property
    def empty_tenant(self) -> str:
        return self.tenants[-1]

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True)

    def all(self, sql: str, *values: object) -> list[tuple]:
        with self.connect() as connection:
            return connection.execute(sql, values or None).fetchall()

    def one(self, sql: str, *values: object):
        return self.all(sql, *values)[0][0]

    def run(self, sql: str, *values: object) -> int:
        with self.connect() as connection:
            return connection.execute(sql, values or None).rowcount

    def argv(self, job: str, *args: str) -> list[str]:
        return [sys.executable, str(SAMPLES / f"{job}_user.py"), *args]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "DATABASE_URL": self.url, "PYTHONPATH": str(ROOT)}

    def job(self, job: str, *args: str) -> subprocess.CompletedProcess[str]:
        """Runs a generated job as a person would, to its end."""
        done = run_file(self.argv(job, *args), env=self.environment())
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def start(self, job: str, *args: str) -> subprocess.Popen[str]:
        """Runs a generated job in the background."""
        return subprocess.Popen(
            self.argv(job, *args),
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def unfilled(self) -> int:
        return self.one(f"SELECT count(*) FROM users WHERE contact_email IS DISTINCT FROM {EXPECTED}")


def make_users(url: str, rows: int, tenants: Sequence[str]) -> Users:
    """Tables, ledger and `rows` users; tenant n has about twice the rows of tenant n-1."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in ledger_statements():
            connection.execute(statement)
        connection.execute(USERS)
        for tenant in tenants:
            connection.execute("INSERT INTO tenants VALUES (%s)", (tenant,))
        connection.execute(SEED, (rows, tenants[-1]))
        connection.execute("ANALYZE users")
    return Users(url, tuple(tenants))


@pytest.fixture
def tenants() -> tuple[str, ...]:
    return tuple(sorted(str(uuid.UUID(int=0xABCDEF * (n + 1) ** 9)) for n in range(6)))


@pytest.fixture
def users(database: str, tenants: tuple[str, ...]) -> Users:
    """2,000 users of five tenants, and a tenant without any."""
    return make_users(database, 2_000, tenants)


@pytest.fixture
def many_users(database: str, tenants: tuple[str, ...]) -> Users:
    """20,000 users of five tenants, and a tenant without any."""
    return make_users(database, 20_000, tenants)
