"""What the database that is moved to asks before contract holds as long as it is put off: the other one went first."""

from __future__ import annotations

from migdsl.ops import stream_sql
from migdsl.ops.lower import lower
from migdsl.ops.model import Gate
from migdsl.ops.streams import streams
from tests.ops.support import Connection, all_rows, checked, ledger
from tests.ops.test_crossing import HEAD

LEFT = HEAD + """
entity Order in monolith.orders { id bigint key; tenant_id uuid tenant; note text?; index (tenant_id, id) }
move Order to orders.orders { id = id; tenant_id = tenant_id; note = note }
gate calm when sync_lag < 1m for 10m and rows_mismatched = 0 for 2h
"""
EVENT = (
    "INSERT INTO migdsl.event (migration, kind, subject, value, at) VALUES ('leave', %s, %s, %s, now() - %s::interval)"
)


def told(connection: Connection, kind: str, subject: str, value: str, ago: str) -> None:
    connection.execute(EVENT, (kind, subject, value, ago))


def test_contract_of_the_new_side_can_wait_after_the_old_one_has_gone(connection: Connection) -> None:
    module = checked(LEFT)[0]
    lowered = lower(module)
    ((order,),) = streams("leave", module)
    ledger(connection)
    connection.execute("CREATE TABLE orders (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, note text)")
    for sql in stream_sql.SHARED:
        connection.execute(sql.encode())
    connection.execute("INSERT INTO migdsl.side VALUES ('leave', 'Order/newcomers', '', 'new')")
    asked = {
        name: [p for step in lowered.phase("contract", name) for p in step.up if isinstance(p, Gate)]
        for name in ("monolith", "orders")
    }

    def unmet() -> dict[str, str]:
        """Why the new side's contract is refused."""
        found = {gate.name: all_rows(connection, gate.unmet) for gate in asked["orders"]}
        return {name: rows[0][0] for name, rows in found.items() if rows not in ([], [(None,)])}

    told(connection, "stage", "all", "complete", "60 days")
    assert {"calm", "reconciled_Order", "tenants_unlisted_Order"} <= unmet().keys()
    for ago in ("7 days", "6 days", "5 days"):
        for reading in ("problems", "tenants_unlisted", "rows_mismatched"):
            told(connection, "reading", f"{reading}:Order", "0", ago)
    # Nobody has told how far it is since the sync job ended, and nothing can be compared any more.
    told(connection, "reading", "sync_lag:Order", "300", "5 days")
    assert unmet() == {}
    # What was wrong when it was looked at last stays so.
    told(connection, "reading", "rows_mismatched:Order", "3", "4 days")
    told(connection, "reading", "problems:Order", "3", "4 days")
    assert unmet().keys() == {"calm", "reconciled_Order"}
    # The old side asks of a table and an outbox that go with it; where they are gone, it did.
    needs = {gate.name: gate.needs for gate in asked["monolith"] if gate.needs}
    assert needs["carried_Order"] == (order.outbox("old"),)
    assert {"calm", "written_new_Order", "reconciled_Order"} <= needs.keys()
    assert {table for name, tables in needs.items() if name != "carried_Order" for table in tables} == {"public.orders"}
    assert not any(gate.needs for gate in asked["orders"])
