"""Functions over psycopg: the old one and the new one of each pair, and a decorator that chooses."""

from __future__ import annotations

import os

from psycopg import Connection

from migdsl.runtime.routing import Fallback, LedgerRecorder, OpenFeature, Router

FLAGS = os.environ["FLAGS"]

router = Router(OpenFeature.flagd_file(FLAGS), LedgerRecorder())
users = router.migration("users_email", default=Fallback.of_file(FLAGS, "users_email"))


def _new_contact(conn: Connection, tenant: str, user: int) -> str | None:
    query = "SELECT contact_email FROM users WHERE tenant_id = %s AND id = %s"
    row = conn.execute(query, (tenant, user)).fetchone()
    return row[0] if row else None


@users.reads(new=_new_contact, tenant="tenant", key="user", on="conn")
def contact(conn: Connection, tenant: str, user: int) -> str | None:
    """The user's address."""
    query = "SELECT coalesce(email, username || '@example.com') FROM users WHERE tenant_id = %s AND id = %s"
    row = conn.execute(query, (tenant, user)).fetchone()
    return row[0] if row else None


def _set_new_contact(conn: Connection, tenant: str, user: int, address: str) -> None:
    conn.execute("UPDATE users SET contact_email = %s WHERE tenant_id = %s AND id = %s", (address, tenant, user))


@users.writes(new=_set_new_contact, tenant="tenant", key="user", on="conn")
def set_contact(conn: Connection, tenant: str, user: int, address: str) -> None:
    """Gives the user another address."""
    conn.execute("UPDATE users SET email = %s WHERE tenant_id = %s AND id = %s", (address, tenant, user))
