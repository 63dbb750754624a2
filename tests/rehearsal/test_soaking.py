"""Old code that writes when the soak is over: what becomes of a write that nobody counts, and of a contract that doesn't wait."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from migdsl.executor.model import Outcome
from migdsl.planning.build import build
from migdsl.rehearsal import soaking
from migdsl.rehearsal.model import Log, Stuck
from migdsl.rehearsal.shapes import shapes
from migdsl.workspace import source_digest
from tests.rehearsal.conftest import compiled

WROTE, UNREAD = "old code still wrote User within the last 30 days", "old_writes of User was not read before the soak"


class Played:
    """A play of the first page's example that stands at complete. `counts`: by how much each write moves the counter; `said`:
    what the condition answers, one look after the other; `reached`: what the walk comes to."""

    def __init__(self, *, counts: int = 1, said: tuple[str | None, ...] = (WROTE,), reached: str = "waiting") -> None:
        found = compiled("users")
        assert found.module is not None
        planned = build(found.module, source_digest(found.sources), "contract")
        self.log, self.tries, self.months, self.counter = Log(), 0, 0, 3
        self._counts, self._said, self._reached = counts, list(said), reached
        rows = [SimpleNamespace(tenant="t")]
        client = SimpleNamespace(code="old", rewrite=self._wrote, put=self._wrote)
        self.troupe: Any = SimpleNamespace(
            project=SimpleNamespace(planned=planned),
            shapes=shapes(found.module, planned.lowered),
            traffic=SimpleNamespace(resting=nullcontext, clients=[client]),
            desk=SimpleNamespace(execute=self._asked),
            tenants=SimpleNamespace(busy=("t",)),
            journals={"User": SimpleNamespace(of=lambda _: rows)},
            log=self.log,
        )

    def _wrote(self, *_: object) -> bool:
        self.counter += self._counts
        return True

    def _asked(self, query: bytes) -> Any:
        looks = b"old code still wrote" in query
        answer = (self._said.pop(0) if len(self._said) > 1 else self._said[0]) if looks else self.counter
        return SimpleNamespace(fetchone=lambda: (answer,))

    def late(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What is found."""
        monkeypatch.setattr(soaking, "pass_time", self._month)
        soaking.late(self.troupe, lambda: Outcome(self._reached, "contract"), self._waits)
        assert {f.verdict for f in self.log.findings} <= {"gates"}
        return [f.what for f in self.log.findings]

    def _waits(self) -> None:
        self.tries += 1

    def _month(self, *_: object) -> None:
        self.months += 1


def test_contract_waits_for_another_soak(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played()
    assert played.late(monkeypatch) == []
    assert (played.tries, played.months) == (1, 0)
    assert "old code wrote User when the first was over" in played.log.evidence["gates"][0]


def test_a_counter_that_was_not_read_before_the_soak_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(said=(UNREAD, WROTE))
    assert played.late(monkeypatch) == []
    assert (played.tries, played.months) == (1, 1)


def test_writes_that_nobody_counts_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(counts=0)
    (found,) = played.late(monkeypatch)
    assert found.startswith("old code has written User 12 times, and migdsl.users_email_users_old_writes stands still")


def test_a_condition_that_does_not_see_them_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(said=(None,))
    assert played.late(monkeypatch) == ["old code has written User, and the condition that nobody does holds"]
    assert played.log.evidence == {}


def test_a_walk_that_goes_on_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(reached="reached")
    with pytest.raises(Stuck):
        played.late(monkeypatch)
    assert [f.what for f in played.log.findings] == ["contract was reached right after old code had written User"]


@pytest.mark.parametrize("error", [psycopg.errors.UniqueViolation, psycopg.errors.UndefinedTable])
def test_old_code_that_cannot_write_any_more_is_nobodys_fault(
    monkeypatch: pytest.MonkeyPatch, error: type[psycopg.Error]
) -> None:
    played = Played()

    def refused(*_: object) -> bool:
        raise error

    played.troupe.traffic.clients[0].rewrite = played.troupe.traffic.clients[0].put = refused
    assert played.late(monkeypatch) == []
    assert played.log.evidence == {}


def test_what_only_python_computes_old_code_leaves_alone() -> None:
    found = compiled("10_python_backfill/customers_search_key")
    assert found.module is not None
    planned = build(found.module, source_digest(found.sources), "contract")
    troupe: Any = SimpleNamespace(
        project=SimpleNamespace(planned=planned), shapes=shapes(found.module, planned.lowered)
    )
    counted: Callable[[Any], object] = soaking.counted
    assert list(counted(troupe)) == []  # type: ignore[call-overload]
