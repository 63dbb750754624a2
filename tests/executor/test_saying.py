"""One reason of several databases is one sentence; what differs stays apart, in the order in which it was found."""

from __future__ import annotations

from migdsl.executor.model import Answer, Condition
from migdsl.executor.saying import spoken


def answer(name: str, database: str, reason: str, until: str = "") -> Answer:
    return Answer(Condition(name, "enforce", "what is to hold", "ledger", database=database), False, reason, until)


def test_each_reason_is_said_once() -> None:
    manual = Answer(Condition("gone", "enforce", "Nobody misses it", "manual"), False, "only a person knows")
    found = spoken(
        [
            answer("stage", "shop", "all is live"),
            answer("soak", "shop", "it lasts", until="2027-01-01"),
            answer("stage", "orders", "all is live"),
            answer("soak", "orders", "it lasts", until="2027-01-02"),
            answer("stage", "stock", "all is off"),
            manual,
        ]
    )
    assert found == (
        "shop and orders: stage: all is live",
        "shop: soak: it lasts; at the earliest 2027-01-01",
        "orders: soak: it lasts; at the earliest 2027-01-02",
        "stock: stage: all is off",
        "gone: Nobody misses it (only a person knows)",
    )


def test_where_there_is_one_database_it_goes_without_saying() -> None:
    assert spoken([answer("stage", "", "all is live")]) == ("stage: all is live",)
