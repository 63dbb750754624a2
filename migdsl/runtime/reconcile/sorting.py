"""The collations of keys in two databases become a refusal where they sort texts apart: ranges would not be the same rows."""

from __future__ import annotations

from typing import Final

from migdsl.runtime.database import Database, Transaction
from migdsl.runtime.errors import UsageError
from migdsl.runtime.jobs import ReconcileJob
from migdsl.runtime.sql import statement

# What languages disagree about, and the plain order of bytes with all of them: case, signs, blanks, digits, pairs of letters.
_PROBES: Final = (
    *"a A b B z Z y i I h ch c cz d ll l lz m aa az o t s v w 1 10 2 _a -a .a ab a-b a.b a_b aB".split(),
    "a b",
    "",
)


def require_one_order(job: ReconcileJob, database: Database, other: Database | None) -> None:
    """Raises UsageError where the key's texts sort otherwise in the other database; psycopg.Error."""
    if job.sorted_old is None or job.sorted_new is None or other is None:
        return
    old, new = _orders(database, job.sorted_old), _orders(other, job.sorted_new)
    for (here, first), (there, second) in zip(old, new, strict=False):
        if first != second:
            raise UsageError(
                f"the two databases sort texts of the key of {job.entity} apart (collation {here} in the old one, {there} in the "
                "new one), so that a range of keys would not hold the same rows: give the new database, or the key's columns "
                "there, the old one's collation"
            )


def _orders(database: Database, question: str) -> list[tuple[str, str]]:
    """Of each text of the key its collation, and how that sorts."""
    return database.perform(lambda tx: [_order(tx, str(row[0]), str(row[1])) for row in tx.rows(statement(question))])


def _order(tx: Transaction, collation: str, shown: str) -> tuple[str, str]:
    # The server has quoted its name. Equal for a language are few texts, and then bytes decide.
    texts = ", ".join(f"('{probe}')" for probe in _PROBES)
    sql = f"SELECT string_agg(p.text, '|' ORDER BY p.text COLLATE {collation}) FROM (VALUES {texts}) AS p (text)"
    return shown, str(tx.rows(statement(sql))[0][0])
