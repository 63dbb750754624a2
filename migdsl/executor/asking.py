"""Conditions become answers: the ledger is asked, then Prometheus, then a person, whose word is written down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from migdsl.executor.model import Answer, Condition, Desk, Wishes
from migdsl.executor.position import Events
from migdsl.executor.prometheus import Unanswered, yields
from migdsl.executor.sites import Ledgers
from migdsl.executor.until import until
from migdsl.ops.gates import WINDOW_SECONDS
from migdsl.runtime.errors import UsageError
from migdsl.runtime.pinning.snapshot import load

CONFIRMED = "confirm"  # the kind of event


def answers(asked: Iterable[Condition], ledger: Ledgers, events: Events, wishes: Wishes) -> tuple[Answer, ...]:
    """What holds now. Nothing is written, and nobody is asked."""
    return tuple(_answer(each, ledger, events, wishes) for each in asked)


def settled(found: tuple[Answer, ...], ledger: Ledgers, desk: Desk) -> tuple[Answer, ...]:
    """The same after the person at the desk was asked what only people know; each yes is an event."""
    return tuple(_settle(found, ledger, desk))


def _settle(found: tuple[Answer, ...], ledger: Ledgers, desk: Desk) -> Iterator[Answer]:
    # While something else is in the way as well, nobody's word would be of any use.
    blocked = any(not each.met and each.condition.kind == "ledger" for each in found)
    for each in found:
        asks = not each.met and each.condition.kind != "ledger"
        if asks and not blocked and desk.confirm(each):
            ledger.record(CONFIRMED, subject(each.condition), "yes")
            yield Answer(each.condition, True)
        else:
            yield each


def subject(condition: Condition) -> str:
    """What the event of a confirmation is about."""
    return f"{condition.phase}/{condition.id}"


def _answer(condition: Condition, ledger: Ledgers, events: Events, wishes: Wishes) -> Answer:
    if condition.kind == "ledger":
        reason = ledger.unmet(condition)
        return Answer(
            condition, reason is None, reason or "", "" if reason is None else until(ledger, condition, reason)
        )
    if _is_confirmed(condition, events):
        return Answer(condition, True)
    if condition.kind == "monitored" and wishes.prometheus is not None and condition.question:
        return _monitored(condition, wishes.prometheus)
    if condition.kind == "manual" and condition.question:
        return _recorded(condition)
    knows = "only a person knows" if condition.kind == "manual" else "only your monitoring knows"
    return Answer(condition, False, knows)


def _recorded(condition: Condition) -> Answer:
    """Whether the snapshot is there and is one."""
    try:
        found = load(Path(condition.question))
    except UsageError as error:
        return Answer(condition, False, str(error))
    test = condition.question.removesuffix(".snapshot.json") + ".py"
    return Answer(condition, bool(found), "" if found else f"nothing is recorded yet: python {test}, then commit it")


def _is_confirmed(condition: Condition, events: Events) -> bool:
    """Whether somebody said so; of what changes by itself, within the last day; and before no way back."""
    said, back = events.get((CONFIRMED, subject(condition))), events.get(("rollback", condition.phase))
    if said is None or (back is not None and back.id > said.id):
        return False
    return condition.kind == "manual" or said.age <= WINDOW_SECONDS


def _monitored(condition: Condition, prometheus: str) -> Answer:
    try:
        met = yields(prometheus, condition.question)
    except Unanswered as error:
        return Answer(condition, False, f"Prometheus can't be asked: {error}")
    return Answer(condition, met, "" if met else "Prometheus says that it doesn't hold")
