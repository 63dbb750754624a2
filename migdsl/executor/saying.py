"""What isn't so, in one database or in several, becomes sentences for people: each is said once, with the databases before it."""

from __future__ import annotations

from collections.abc import Iterable

from migdsl.executor.model import Answer
from migdsl.planning.words import listed


def spoken(answers: Iterable[Answer]) -> tuple[str, ...]:
    """Why conditions aren't met; those that aren't for one reason in several databases are one."""
    return once((each.condition.database, _spoken(each)) for each in answers)


def once(found: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Sentences with their databases (empty: there is but one, or it is of all), in the order of the first of each."""
    where: dict[str, list[str]] = {}
    for database, text in found:
        names = where.setdefault(text, [])
        if database and database not in names:
            names.append(database)
    return tuple(f"{listed(names)}: {text}" if names else text for text, names in where.items())


def _spoken(answer: Answer) -> str:
    condition = answer.condition
    if condition.kind != "ledger":
        return f"{condition.id}: {condition.text} ({answer.reason})"
    later = f"; at the earliest {answer.until}" if answer.until and answer.until not in answer.reason else ""
    return f"{condition.id}: {answer.reason}{later}"
