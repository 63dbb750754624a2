"""Turns rows that can't be filled into entries of migdsl.quarantine: key, error class and template, never a value."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

import psycopg

from migdsl.runtime.database import Transaction
from migdsl.runtime.errors import RowsRefusedError, error_class
from migdsl.runtime.jobs import Budget
from migdsl.runtime.ledger import Key
from migdsl.runtime.sql import statement

_OWN: Final = "migration = :migration AND backfill = :backfill"
_ROW: Final = f"{_OWN} AND tenant = :tenant AND row_key = :key::jsonb"
# One at a time in a backfill: two workers that count at once would both find room for the last row.
_LOCK: Final = statement("SELECT pg_advisory_xact_lock(hashtextextended(:name, 7))")
_COUNT: Final = statement(f"""
SELECT (SELECT count(*) FROM migdsl.quarantine WHERE {_OWN} AND (tenant, row_key) <> (:tenant, :key::jsonb)),
       (SELECT coalesce(sum(rows_planned), 0) FROM migdsl.slice WHERE {_OWN})""")
_ADMIT: Final = statement("""
INSERT INTO migdsl.quarantine (migration, backfill, tenant, row_key, after_key, error_class, template)
VALUES (:migration, :backfill, :tenant, :key::jsonb, :after::jsonb, :class, :template)
ON CONFLICT (migration, backfill, tenant, row_key) DO UPDATE
   SET after_key = excluded.after_key, error_class = excluded.error_class, template = excluded.template,
       at = clock_timestamp()""")
_ENTRIES: Final = statement(f"""
SELECT row_key, after_key FROM migdsl.quarantine WHERE {_OWN} AND tenant = :tenant ORDER BY at, row_key""")
_DISCHARGE: Final = statement(f"DELETE FROM migdsl.quarantine WHERE {_ROW}")

_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
# PL/pgSQL's own words before anything of the user's: a function's name and its argument types.
_RAISED: Final = re.compile(r"\APL/pgSQL function ([\w.\"$]+\([\w.\", \[\]]*\)) line [0-9]+ at ")


class BudgetSpentError(Exception):
    """One more row would have to be set aside than the job's budget allows; `reason` is the class of its error."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row can't be filled, in names alone."""

    error_class: str
    template: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A row that was set aside: `(after, key]` holds it alone, unless rows were born there since."""

    key: Key
    after: Key | None


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The rows of one backfill that were set aside. Each method runs in the transaction that it is given."""

    migration: str
    backfill: str

    def admit(self, tx: Transaction, tenant: str, entry: Entry, fault: Fault, budget: Budget) -> None:
        """Sets a row aside. Raises BudgetSpentError, having written nothing, where the budget has no room for it."""
        key, own = json.dumps(entry.key, ensure_ascii=False), {"migration": self.migration, "backfill": self.backfill}
        row = {**own, "tenant": tenant, "key": key}
        tx.rows(_LOCK, {"name": json.dumps([self.migration, self.backfill])})
        ((others, planned),) = tx.rows(_COUNT, row)
        if not budget.allows(int(others or 0) + 1, int(planned or 0)):
            raise BudgetSpentError(fault.error_class)
        after = None if entry.after is None else json.dumps(entry.after, ensure_ascii=False)
        tx.run(_ADMIT, {**row, "after": after, "class": fault.error_class, "template": fault.template})

    def entries(self, tx: Transaction, tenant: str) -> tuple[Entry, ...]:
        """The tenant's rows that were set aside, in the order in which they were."""
        own = {"migration": self.migration, "backfill": self.backfill, "tenant": tenant}
        return tuple(
            Entry(tuple(json.loads(key or "")), None if after is None else tuple(json.loads(after)))
            for key, after in tx.rows(_ENTRIES, own)
        )

    def discharge(self, tx: Transaction, tenant: str, key: Key) -> None:
        """Takes a row out again: it is filled, or gone."""
        row = {"migration": self.migration, "backfill": self.backfill, "tenant": tenant}
        tx.run(_DISCHARGE, {**row, "key": json.dumps(key, ensure_ascii=False)})


def fault_of(error: psycopg.Error | RowsRefusedError) -> Fault:
    """What may be kept of an error: what PostgreSQL calls the condition, and the names of objects in it.

    The server's message is never kept: it quotes values (`invalid input syntax for type integer: "…"`), and what a
    trigger raises is any text. Source of the fields: PostgreSQL, Error and Notice Message Fields.
    """
    if isinstance(error, RowsRefusedError):
        return Fault(error.error_class, error.template)
    found = _CAMEL.sub(" ", type(error).__name__).lower()
    raised = _RAISED.match(error.diag.context or "")
    # Names that RAISE … USING gave could be anything, too.
    if error.diag.source_function == "exec_stmt_raise":
        return Fault(error_class(error), f"{found} in {raised[1]}" if raised is not None else found)
    named = {
        "constraint": error.diag.constraint_name,
        "table": error.diag.table_name,
        "column": error.diag.column_name,
        "type": error.diag.datatype_name,
    }
    names = ", ".join(f"{what} {name}" for what, name in named.items() if name)
    inside = f" in {raised[1]}" if raised is not None else ""
    return Fault(error_class(error), found + (f" ({names})" if names else "") + inside)
