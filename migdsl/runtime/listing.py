"""The list of tenants becomes a job's lanes; where it is in another database, the ledger is told which list it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from psycopg.conninfo import conninfo_to_dict

from migdsl.runtime.address import conninfo_of
from migdsl.runtime.database import Database, Transaction, tenants_of
from migdsl.runtime.errors import DatabaseFailedError, UsageError
from migdsl.runtime.jobs import BackfillJob, ReconcileJob
from migdsl.runtime.ledger import record_event


def tenants(
    database: Database, job: BackfillJob | ReconcileJob, url: str | None, asked: tuple[str, ...] | None
) -> tuple[str, ...]:
    """The tenants to work on, in the list's order, as `tenants_of`. `url` is of the database that has the list, where it
    isn't the job's own. Raises UsageError, DatabaseFailedError, psycopg.Error."""
    if job.tenants_env is None:
        return tenants_of(database, job.tenants, asked)
    if not url:
        raise UsageError(f"no database for the list of tenants: set {job.tenants_env}, or give --tenants-url")
    named = str(conninfo_to_dict(database.conninfo).get("application_name", "migdsl"))
    far = replace(database, conninfo=conninfo_of(url, named), _connection=None)
    try:
        far.open()
        return tenants_of(far, job.tenants, asked)
    except DatabaseFailedError as error:
        raise DatabaseFailedError(f"the list of tenants, in the database of {job.tenants_env}: {error}") from None
    finally:
        far.close()


def note(tx: Transaction, job: BackfillJob | ReconcileJob, subject: str, found: Sequence[str]) -> None:
    """One event: how many tenants were listed, and their digest, so that two ledgers can be held side by side."""
    if job.tenants_env is not None:
        digest = hashlib.sha256(json.dumps(sorted(found)).encode()).hexdigest()
        record_event(tx, job.migration, "tenants", subject, f"{len(found)} sha256:{digest}")
