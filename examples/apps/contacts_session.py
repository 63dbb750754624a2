"""A session of SQLAlchemy: a tenant's stage stays the same until the session's transaction ends."""

from __future__ import annotations

import os

from sqlalchemy import text
from sqlalchemy.orm import Session

from migdsl.runtime.routing import Fallback, LedgerRecorder, OpenFeature, Router
from migdsl.runtime.routing.sqlalchemy import at_session

FLAGS = os.environ["FLAGS"]

router = Router(OpenFeature.flagd_file(FLAGS), LedgerRecorder())
users = router.migration("users_email", default=Fallback.of_file(FLAGS, "users_email"))


def set_contact(session: Session, tenant: str, user: int, address: str) -> None:
    """Gives the user another address."""
    where = "WHERE tenant_id = :tenant AND id = :user"
    values = {"tenant": tenant, "user": user, "address": address}
    at_session(users, session, tenant).write(
        old=lambda s: s.execute(text(f"UPDATE users SET email = :address {where}"), values),
        new=lambda s: s.execute(text(f"UPDATE users SET contact_email = :address {where}"), values),
        key=user,
    )
