"""What was read of an attempt that was taken back opens no gate of the next one: its columns and rows are others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from migdsl.ops import conditions, gates, streams
from migdsl.ops.model import Gate
from migdsl.ops.stream_model import Moved
from tests.ops.support import Connection, all_rows, checked, ledger, mig

READINGS = ("problems:E", "problems:E", "tenants_unlisted:E", "drift_rate:E", "drift_rate:E", "invariant:E:fine")
SUBJECTS = conditions.Subjects("m", ("E",), ("E",), ("E",))
CONDITIONS = """
entity E in app.t { id bigint key; tenant_id uuid tenant; name text }
change E { add x text { from `name` } }"""


def asked(condition: str) -> Gate:
    module, found = checked(mig(CONDITIONS).replace("{ ticket", f"{{ slo {condition}; ticket", 1))
    assert found == []
    (slo,) = module.policy.slos
    return conditions.gate("slo", slo, SUBJECTS)


GATES = {
    "agreed": lambda: gates.agreed("m", "E"),
    "listed": lambda: gates.listed("m", "E"),
    "listed elsewhere": lambda: gates.listed("m", "E", "app"),
    "arrived": lambda: streams.agreed(cast("Moved", SimpleNamespace(migration="m", entity="E"))),
    "invariant": lambda: conditions.invariant(SUBJECTS, "E", "fine"),
    "a condition": lambda: asked("drift_rate < 1%"),
    "a condition that held": lambda: asked("drift_rate < 1% for 1h"),
}


def tell(connection: Connection, age: str, migration: str = "m") -> None:
    for subject in READINGS:
        connection.execute(
            "INSERT INTO migdsl.event (migration, kind, subject, value, at)"
            " VALUES (%s, 'reading', %s, '0', clock_timestamp() - %s::interval)",
            (migration, subject, age),
        )


@pytest.mark.parametrize("what", GATES)
def test_a_reading_of_an_attempt_that_was_taken_back_opens_nothing(connection: Connection, what: str):
    gate = GATES[what]()

    def unmet() -> list[str]:
        return [said for (said,) in all_rows(connection, gate.unmet) if said is not None]

    def leave(migration: str) -> None:
        statement = "INSERT INTO migdsl.event (migration, kind, subject, value) VALUES (%s, 'left', 'all', '')"
        connection.execute(statement, (migration,))

    ledger(connection)
    tell(connection, "2 hours")
    tell(connection, "1 minute")
    assert unmet() == []
    leave("another")
    assert unmet() == []
    leave("m")
    assert len(unmet()) == 1
    tell(connection, "2 hours")
    tell(connection, "1 minute")
    assert unmet() == []
