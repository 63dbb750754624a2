"""A condition that waits for nothing but time becomes the moment from which on it may hold."""

from __future__ import annotations

import re

from migdsl.dialect.names import literal
from migdsl.executor.model import Condition
from migdsl.executor.sites import Ledgers

_SAID = re.compile(r"lasts until (\d{4}-\d\d-\d\d \d\d:\d\d \S+)")
_RECONCILED = "reconciled_"
_LIVE = "('live', 'rampdown', 'complete')"


def until(ledger: Ledgers, condition: Condition, reason: str) -> str:
    """A time as text, empty where time alone doesn't help. `reason` is why the condition doesn't hold now."""
    said = _SAID.search(reason)
    if said is not None:
        return said[1]
    if condition.id.startswith(_RECONCILED) and condition.window:
        entity = re.sub(r"_\d+$", "", condition.id.removeprefix(_RECONCILED))
        question = _clean_for(ledger.migration, entity, condition.window)
        asked = Condition("", "", "", "ledger", question, database=condition.database)
        return ledger.unmet(asked) or ""
    return ""


def _clean_for(migration: str, entity: str, window: int) -> str:
    """When the oldest clean reading since the switch and since the last bad one will be as old as the window."""
    own = f"r.migration = {literal(migration)} AND r.kind = 'reading' AND r.subject = {literal(f'problems:{entity}')}"
    stage = f"e.migration = {literal(migration)} AND e.kind = 'stage' AND e.subject = 'all'"
    before = f"(SELECT max(e.id) FROM migdsl.event AS e WHERE {stage} AND e.value NOT IN {_LIVE})"
    switched = f"(SELECT min(e.id) FROM migdsl.event AS e WHERE {stage} AND e.value IN {_LIVE} AND e.id > coalesce({before}, 0))"
    bad = f"(SELECT max(r.id) FROM migdsl.event AS r WHERE {own} AND r.value <> '0')"
    return f"""SELECT to_char(min(r.at) + interval '{window} seconds', 'YYYY-MM-DD HH24:MI TZ')
  FROM migdsl.event AS r
 WHERE {own} AND r.value = '0' AND r.id > greatest({switched}, coalesce({bad}, 0))
   AND {switched} IS NOT NULL
HAVING min(r.at) + interval '{window} seconds' > clock_timestamp()"""
