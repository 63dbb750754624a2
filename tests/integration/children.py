"""Orders with lines with notes, which have their tenant by way of each other: the file, writers of both sides, what is right."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import psycopg
from psycopg import errors

T1, T2 = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
# What comes last in the file leads to what comes first.
FILE = """
migration shop { ticket "MIG-5" }
database monolith { engine postgresql 15; url env MONOLITH_URL }
database orders { engine postgresql 15; url env ORDERS_URL }
tenants { key tenant_id uuid; list in monolith `SELECT id FROM tenants ORDER BY id` }
entity Note in monolith.line_notes {
  id bigint key identity
  "line's id" bigint -> Line.id on delete cascade
  body text pii
  tenant via "line's id" -> Line
  index ("line's id")
}
entity Line in monolith.order_lines {
  id bigint key identity
  order_id bigint -> Order.id on delete cascade
  sku text
  price_cents bigint
  tenant via order_id -> Order
  index (order_id)
}
entity Order in monolith.orders {
  id bigint key identity
  tenant_id uuid tenant
  status smallint
  index (tenant_id, id)
}
move Note to orders.notes { id = id; line = "line's id"; body = body }
move Line to orders.lines {
  id = id
  "order" = order_id
  sku = sku
  price numeric = `price_cents * 0.01`
  back price_cents = `(price * 100)::bigint`
}
move Order to orders.purchases {
  number = id
  tenant = tenant_id
  state text = `CASE status WHEN 0 THEN 'open' ELSE 'paid' END`
  back status = `CASE state WHEN 'open' THEN 0 ELSE 1 END`
}
flag shop { stage off for all }
"""
ENTITIES = ("order", "line", "note")
SEED = f"""
INSERT INTO tenants VALUES ('{T1}'), ('{T2}');
INSERT INTO orders (tenant_id, status)
SELECT CASE WHEN g % 2 = 0 THEN '{T1}'::uuid ELSE '{T2}' END, g % 2 FROM generate_series(1, 8) AS g;
INSERT INTO order_lines (order_id, sku, price_cents) SELECT o.id, 's' || g, g * 31 FROM orders AS o, generate_series(1, 2) AS g;
INSERT INTO line_notes ("line's id", body) SELECT id, 'n' || id FROM order_lines WHERE id % 2 = 0;
"""
ROWS = {
    "old": """SELECT o.id, o.tenant_id::text, o.status, l.id, l.sku, l.price_cents, n.id, n.body FROM orders AS o
  FULL JOIN order_lines AS l ON l.order_id = o.id FULL JOIN line_notes AS n ON n."line's id" = l.id ORDER BY o.id, l.id, n.id""",
    "new": """SELECT o.number, o.tenant::text, CASE o.state WHEN 'open' THEN 0 ELSE 1 END, l.id, l.sku, (l.price * 100)::bigint,
       n.id, n.body FROM purchases AS o
  FULL JOIN lines AS l ON l."order" = o.number FULL JOIN notes AS n ON n.line = l.id ORDER BY o.number, l.id, n.id""",
}
ORDER = {
    "old": "INSERT INTO orders (tenant_id, status) VALUES (%s, 0) RETURNING id",
    "new": "INSERT INTO purchases (tenant, state) VALUES (%s, 'open') RETURNING number",
}
LINE = {
    "old": "INSERT INTO order_lines (order_id, sku, price_cents) VALUES (%s, %s, 100) RETURNING id",
    "new": """INSERT INTO lines ("order", sku, price) VALUES (%s, %s, 1) RETURNING id""",
}
NOTE = {
    "old": """INSERT INTO line_notes ("line's id", body) VALUES (%s, %s) RETURNING id""",
    "new": "INSERT INTO notes (line, body) VALUES (%s, %s) RETURNING id",
}
EDIT = {"old": "UPDATE order_lines SET sku = %s WHERE id = %s", "new": "UPDATE lines SET sku = %s WHERE id = %s"}
HANG = {
    "old": "UPDATE order_lines SET order_id = %s WHERE id = %s",
    "new": 'UPDATE lines SET "order" = %s WHERE id = %s',
}
GIVE = {
    "old": "UPDATE orders SET tenant_id = %s WHERE id = %s",
    "new": "UPDATE purchases SET tenant = %s WHERE number = %s",
}
CANCEL = {"old": "DELETE FROM orders WHERE id = %s", "new": "DELETE FROM purchases WHERE number = %s"}
STRIKE = {"old": "DELETE FROM order_lines WHERE id = %s", "new": "DELETE FROM lines WHERE id = %s"}
OTHER = {"old": "new", "new": "old"}


class ElsewhereError(Exception):
    """The statement met no row here."""


@dataclass
class Writer(threading.Thread):
    """An application that knows its own orders, writes each where its tenant is written, and remembers what was acknowledged."""

    urls: dict[str, str]
    seed: int
    writes: int
    orders: dict[int, str] = field(default_factory=dict)
    lines: dict[int, tuple[int, str]] = field(default_factory=dict)
    done: int = 0
    failed: list[BaseException] = field(default_factory=list)
    _at: dict[str, str] = field(default_factory=lambda: {T1: "old", T2: "old"})
    _open: dict[str, psycopg.Connection] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        chance = Random(self.seed)
        try:
            self._open = {side: psycopg.connect(url) for side, url in self.urls.items()}
            while self.done < self.writes:
                kinds = [self._new, self._edit, self._hang, self._give, self._cancel, self._strike]
                chance.choices(kinds, [4, 4, 3, 2, 1, 1])[0](chance)
                self.done += 1
        except BaseException as error:  # noqa: BLE001 (looked at by the test)
            self.failed.append(error)
        finally:
            for connection in self._open.values():
                connection.close()

    def _try(self, tenant: str, work: Callable[[psycopg.Cursor, str], None]) -> bool:
        """Does it where the tenant is written; False where no side takes it."""
        refused = 0
        while refused < 6:
            side = self._at[tenant]
            try:
                with self._open[side].transaction(), self._open[side].cursor() as cursor:
                    work(cursor, side)
                return True
            except (errors.SerializationFailure, errors.DeadlockDetected):
                continue  # a switch is under way
            except (errors.ObjectNotInPrerequisiteState, errors.ForeignKeyViolation, ElsewhereError):
                # An order that was born over there may not be here yet, which is noticed before the fence is.
                self._at[tenant], refused = OTHER[side], refused + 1
        return False

    def _new(self, chance: Random) -> None:
        tenant = chance.choice([T1, T2])
        made: dict[int, list[int]] = {}

        def work(cursor: psycopg.Cursor, side: str) -> None:
            made.clear()
            order = self._one(cursor, ORDER[side], tenant)
            made[order] = [self._one(cursor, LINE[side], order, f"a{n}") for n in range(2)]
            self._one(cursor, NOTE[side], made[order][0], "note")

        assert self._try(tenant, work)
        for order, lines in made.items():
            self.orders[order] = tenant
            self.lines |= {line: (order, f"a{n}") for n, line in enumerate(lines)}

    def _edit(self, chance: Random) -> None:
        if self.lines:
            line, sku = chance.choice(sorted(self.lines)), f"e{self.done}"
            order = self.lines[line][0]
            assert self._try(self.orders[order], lambda c, side: self._met(c, EDIT[side], sku, line))
            self.lines[line] = (order, sku)

    def _hang(self, chance: Random) -> None:
        if self.lines:
            line, order = chance.choice(sorted(self.lines)), chance.choice(sorted(self.orders))
            before, sku = self.lines[line]
            if self._try(self.orders[before], lambda c, side: self._met(c, HANG[side], order, line)):
                self.lines[line] = (order, sku)

    def _give(self, chance: Random) -> None:
        if self.orders:
            order = chance.choice(sorted(self.orders))
            tenant = T2 if self.orders[order] == T1 else T1
            if self._try(self.orders[order], lambda c, side: self._met(c, GIVE[side], tenant, order)):
                self.orders[order] = tenant

    def _cancel(self, chance: Random) -> None:
        if self.orders:
            order = chance.choice(sorted(self.orders))
            assert self._try(self.orders[order], lambda c, side: self._met(c, CANCEL[side], order))
            del self.orders[order]
            self.lines = {line: found for line, found in self.lines.items() if found[0] != order}

    def _strike(self, chance: Random) -> None:
        if self.lines:
            line = chance.choice(sorted(self.lines))
            assert self._try(self.orders[self.lines[line][0]], lambda c, side: self._met(c, STRIKE[side], line))
            del self.lines[line]

    @staticmethod
    def _one(cursor: psycopg.Cursor, sql: str, *values: object) -> int:
        found = cursor.execute(sql.encode(), values).fetchone()
        assert found is not None
        return int(found[0])

    @staticmethod
    def _met(cursor: psycopg.Cursor, sql: str, *values: object) -> None:
        if cursor.execute(sql.encode(), values).rowcount != 1:
            raise ElsewhereError
