"""A database becomes what is seen of some columns: read only, tenant by tenant, a sample of each."""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import partial
from typing import Final

from migdsl.runtime.database import Database, Transaction, tenants_of
from migdsl.runtime.pinning.jobs import Pin, PinJob
from migdsl.runtime.pinning.snapshot import Seen
from migdsl.runtime.sql import statement

MOST_VALUES: Final = 20  # of a column whose values are kinds; more are data
LONGEST: Final = 80  # characters
# Triggers of the user's own: what they do is part of what the column does. Ours come and go with the migration.
_TRIGGERS: Final = statement("""
SELECT t.tgname,
       md5(concat_ws(chr(10), pg_catalog.pg_get_triggerdef(t.oid), pg_catalog.pg_get_functiondef(t.tgfoid), t.tgenabled::text))
  FROM pg_catalog.pg_trigger AS t
  JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid AND p.prokind = 'f'
  JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang AND l.lanname NOT IN ('internal', 'c')
 WHERE n.nspname = :schema AND c.relname = :table AND NOT t.tgisinternal AND t.tgname NOT LIKE '~migdsl%'
 ORDER BY t.tgname
""")


def seen(job: PinJob, database: Database, listing: Database) -> dict[str, Seen]:
    """All columns of a job as they are now; `listing` has the list of tenants. Raises psycopg.Error, UsageError."""
    tenants = sampled(tenants_of(listing, job.tenants, None), job.most_tenants)
    triggers = dict(database.perform(lambda tx: _triggers(tx, job), snapshot=True))
    classes: dict[str, Counter[str]] = {pin.column: Counter() for pin in job.pins}
    values: dict[str, Counter[str]] = {pin.column: Counter() for pin in job.pins}
    for tenant in tenants:
        # One short transaction a tenant: nothing holds a snapshot for long.
        for pin, by_class, by_value in database.perform(partial(_look, job=job, tenant=tenant), snapshot=True):
            classes[pin.column].update(by_class)
            values[pin.column].update(by_value)
    return {pin.column: _seen(pin, len(tenants), classes[pin.column], values[pin.column], triggers) for pin in job.pins}


def sampled(tenants: tuple[str, ...], most: int) -> tuple[str, ...]:
    """At most that many of them, the same ones each time, whoever came or went besides."""
    chosen = sorted(tenants, key=lambda tenant: hashlib.sha256(tenant.encode()).digest())[:most]
    return tuple(sorted(chosen))


def _look(tx: Transaction, job: PinJob, tenant: str) -> list[tuple[Pin, Counter[str], Counter[str]]]:
    given = {"rows": str(job.rows)} | ({"tenant_id": tenant} if job.tenants is not None else {})
    return [(pin, _counted(tx, pin.classes, given), _counted(tx, pin.values, given)) for pin in job.pins]


def _counted(tx: Transaction, sql: str | None, given: dict[str, str]) -> Counter[str]:
    if sql is None:
        return Counter()
    rows = tx.rows(statement(sql), given)
    return Counter({"NULL" if row[0] is None else row[0]: int(row[1] or 0) for row in rows})


def _seen(pin: Pin, tenants: int, classes: Counter[str], values: Counter[str], triggers: dict[str, str]) -> Seen:
    known = pin.values is not None and len(values) <= MOST_VALUES and all(len(each) <= LONGEST for each in values)
    counted = dict(sorted(values.items())) if known else None
    return Seen(classes.total(), tenants, dict(sorted(classes.items())), counted, triggers)


def _triggers(tx: Transaction, job: PinJob) -> list[tuple[str, str]]:
    rows = tx.rows(_TRIGGERS, {"schema": job.schema, "table": job.table})
    return [(row[0] or "", row[1] or "") for row in rows]
