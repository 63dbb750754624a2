"""What is checked of a move: columns there and back, what stands on them, who points at it, and what carries writes."""

from __future__ import annotations

import pytest

from migdsl.semantics.model import AddConstraint, DropConstraint
from migdsl.semantics.move_model import Move
from migdsl.workspace import check
from tests.ops.moves import TEXT
from tests.ops.support import checked

EXTRACTION = """
migration orders_extraction { ticket "MIG-91"; type service_extraction }
service  orders   { owner "orders-team" }
database monolith { engine postgresql 15; url env MONOLITH_URL }
database orders   { engine postgresql 15; url env ORDERS_URL; service orders }
tenants { key tenant_id uuid; list in monolith `SELECT id FROM tenants ORDER BY id` }
entity Order in monolith.orders {
  id          bigint key
  tenant_id   uuid   tenant
  status      smallint
  total_cents bigint
  note        text?  pii
  legacy_ref  text?
  legacy status unclear "3 and 4 both mean refunded"
  index (tenant_id, id)
  rows 5M
}
move Order to orders.orders {
  id        = id
  tenant_id = tenant_id
  state text = `CASE status WHEN 0 THEN 'open' WHEN 1 THEN 'paid' ELSE 'refunded' END`
  back status = `CASE state WHEN 'open' THEN 0 WHEN 'paid' THEN 1 ELSE 3 END`
  total numeric(12,2) = `total_cents / 100.0`
  back total_cents = `(total * 100)::bigint`
  note      = note
  omit legacy_ref because "unread since 2023"
}
sync Order { by outbox; lag at most 45s }
validate Order {
  sample 1% and top 100 by `total`
  invariant "no negative totals" `SELECT id FROM orders WHERE tenant_id = :tenant_id AND total < 0`
}
cutover { reads tenant by tenant; writes after reads; abort when cutover_errors > 1% for 5m }
rollback { when drift_rate > 0.5% for 10m; keep 14d }
"""


def moved(text: str) -> Move:
    (found,) = checked(text)[0].moves
    return found


def test_a_move_to_another_database_is_checked_whole():
    assert [line.split()[0] for line in checked(EXTRACTION)[1]] == ["MIG413"]
    found = moved(EXTRACTION)
    assert found.across
    assert (found.table.database, found.target.database) == ("monolith", "orders")
    assert found.copied == (("id", "id"), ("tenant_id", "tenant_id"), ("note", "note"))
    assert [name for name, _ in found.values] == ["id", "tenant_id", "state", "total", "note"]
    assert sorted(back.column for back in found.backs) == ["id", "note", "status", "tenant_id", "total_cents"]
    assert [(o.column, o.because) for o in found.omitted] == [("legacy_ref", "unread since 2023")]
    assert [(c.name, c.type.sql, c.nullable, c.pii) for c in found.target.columns][2:] == [
        ("state", "text", False, False),
        ("total", "numeric(12, 2)", False, False),
        ("note", "text", True, True),
    ]
    assert (found.target.key, found.target.tenant, found.target.rows) == (("id",), "tenant_id", 5_000_000)
    assert (found.sync.by, found.sync.variant, found.sync.lag_seconds, found.sync.conflict) == (
        "outbox",
        None,
        45.0,
        "truth",
    )


@pytest.mark.parametrize(
    ("sync", "expected"),
    [
        ("", ("outbox", None, None)),
        ("sync Order { by cdc }", ("cdc", "logical", None)),
        ("sync Order { by cdc debezium; lag at most 5m }", ("cdc", "debezium", 300.0)),
        ("sync Order { by application }", ("application", None, None)),
    ],
)
def test_what_carries_writes_across(sync: str, expected: tuple[object, ...]):
    found = moved(EXTRACTION.replace("sync Order { by outbox; lag at most 45s }", sync)).sync
    assert (found.by, found.variant, found.lag_seconds) == expected


def test_what_stands_on_it_comes_along_by_its_new_names():
    found = moved(TEXT)
    assert not found.across
    assert (found.sync.by, found.sync.lag_seconds) == ("trigger", None)
    assert found.numbered == (("id", "id"),)
    kept = {(c.kind, c.columns, c.check and c.check.text) for c in found.kept}
    assert kept == {
        ("unique", ("tenant_id", "no"), None),
        ("index", ("tenant_id", "id"), None),
        ("check", (), "no <> ''"),
        ("reference", ("customer_id",), None),
    }
    # A row that points at another of its table may be carried over before that one.
    late = [c for c in found.target.constraints if c not in found.kept]
    assert [(c.kind, c.columns, c.target and c.target.moved) for c in late] == [("reference", ("parent_id",), True)]
    assert found.behind == ()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("", [DropConstraint, AddConstraint]),
        ('change Line { comment "lines" }', [None, DropConstraint, AddConstraint]),
        ("change Line { drop constraint lines_order_id_fkey }", [DropConstraint]),
    ],
)
def test_who_points_at_it_follows(change: str, expected: list[type | None]):
    module, told = checked(f"{TEXT}\n{change}\n")
    assert [line for line in told if "MIG413" not in line] == []
    (found,) = [c for c in module.changes if c.table.entity == "Line"]
    assert [type(o) for o in found.operations if type(o) in (DropConstraint, AddConstraint)] == [
        e for e in expected if e
    ]
    assert len(found.operations) == len(expected)
    targets = [o.constraint.target for o in found.operations if isinstance(o, AddConstraint)]
    assert all(target is not None and target.moved for target in targets)


ADVICE = {
    "the second of two": """
entity Order in orders.orders { id bigint key; tenant_id uuid tenant; note text? }
create OrderText in orders.order_texts {
  order_id bigint key
  tenant_id uuid tenant
  note text?
  from Order { order_id = id; tenant_id = tenant_id; note = note }
}
change Order { drop note irreversible because "in OrderText" }""",
    "two in one": """
entity A in orders.a { id bigint key; tenant_id uuid tenant }
entity B in orders.b { id bigint key; tenant_id uuid tenant }
change A {
  sql "both" {
    up `CREATE VIEW c AS SELECT 'a' AS kind, id, tenant_id FROM a UNION ALL SELECT 'b', id, tenant_id FROM b`
    back `DROP VIEW c`; phase expand; lock access exclusive
  }
}""",
    "a child's columns": """
entity Order in orders.orders { id bigint key; tenant_id uuid tenant }
entity Line in orders.lines { id bigint key; order_id bigint -> Order.id; sku text; tenant via order_id -> Order }
change Line { rename sku to code; add note text? }""",
    "a child's name": """
entity Order in orders.orders { id bigint key; tenant_id uuid tenant }
entity Line in orders.lines { id bigint key; order_id bigint -> Order.id; sku text; tenant via order_id -> Order }
change Line { rename table to parts }""",
    "a child's foreign key": """
entity Order in orders.orders { id bigint key; tenant_id uuid tenant }
entity Line in orders.lines { id bigint key; order_id bigint; sku text; tenant via order_id -> Order }
change Line { order_id -> Order.id }""",
}


@pytest.mark.parametrize("text", ADVICE.values(), ids=ADVICE.keys())
def test_what_is_advised_instead_is_right(text: str):
    head = """migration m { ticket "MIG-1" }
database orders { engine postgresql 15; url env ORDERS_URL }
tenants { key tenant_id uuid; list `SELECT id FROM tenants ORDER BY id` }"""
    assert check({"m.mig": head + text}, "m.mig").diagnostics == ()
