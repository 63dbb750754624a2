"""What the executor takes for the newest event."""

from __future__ import annotations

from migdsl.executor.ledger import Ledger
from migdsl.runtime.stop import Signals
from tests.executor.conftest import Home, Run
from tests.executor.test_story import apply


def test_the_newest_event_has_the_highest_number(home: Home, run: Run) -> None:
    """Numbers, not texts: 9 comes before 10, and 99 before 100."""
    apply(run, "expand", "--confirm", "watched")
    with Signals() as signals:
        ledger = Ledger("users_email", home.url, signals)
        ledger.open()
        try:
            for number in range(120):
                ledger.record("stage", "all", f"{number}")
                newest = ledger.newest()["stage", "all"]
                assert newest.value == f"{number}"
                assert newest.id == home.one("SELECT max(id) FROM migdsl.event")
        finally:
            ledger.close()
