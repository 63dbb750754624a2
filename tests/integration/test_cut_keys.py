"""The foreign key of a table that stays, to one that goes to another database: it goes before anybody writes there."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.util import CommandError
from psycopg import errors

from migdsl.rehearsal.server import Server
from tests.integration.between import between

T1 = "11111111-1111-1111-1111-111111111111"
TEXT = """
migration cut { ticket "MIG-1" }
database monolith { engine postgresql 15; url env MONOLITH_URL }
database orders { engine postgresql 15; url env ORDERS_URL }
tenants { key tenant_id uuid; list in monolith `SELECT id FROM tenants ORDER BY id` }
entity Order in monolith.orders { id bigint key; tenant_id uuid tenant; word text; index (tenant_id, id) }
entity Author in monolith.authors { id bigint key; tenant_id uuid tenant; index (tenant_id, id) }
entity Note in monolith.notes {
  id bigint key
  tenant_id uuid tenant
  order_id bigint -> Order.id on delete cascade
  author_id bigint -> Author.id
  index (tenant_id, id)
}
move Order to orders.orders { id = id; tenant_id = tenant_id; word = word }
change Note {
  drop constraint notes_order_id_fkey
  drop constraint notes_author_id_fkey
}
flag cut { stage shadow for all }
"""
ROWS = f"""
INSERT INTO tenants VALUES ('{T1}');
INSERT INTO orders SELECT g, '{T1}', 'w' || g FROM generate_series(1, 9) AS g;
INSERT INTO authors VALUES (1, '{T1}');
INSERT INTO notes SELECT g, '{T1}', g, 1 FROM generate_series(1, 9) AS g;
"""
KEYS = (
    "SELECT conname FROM pg_constraint WHERE conrelid = 'notes'::regclass AND contype = 'f' AND convalidated ORDER BY 1"
)
BOTH = [("notes_author_id_fkey",), ("notes_order_id_fkey",)]


@pytest.mark.long("MIGDSL_LONG")
def test_it_goes_before_the_first_switch_and_comes_back_after_the_last(
    pg: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cut.mig"
    path.write_text(TEXT, encoding="utf-8")
    with between(path, pg, tmp_path / "project", ROWS) as found:
        monkeypatch.setenv("MONOLITH_URL", found.urls["old"])
        monkeypatch.setenv("ORDERS_URL", found.urls["new"])
        for side in ("old", "new"):
            found.upgrade(side, "expand")
        found.job("backfills", "order")
        found.sync("once")
        with pytest.raises(CommandError, match="have not been compared yet"):
            found.upgrade("old", "validate")
        for entity in ("order", "note"):
            found.job("reconcile", entity)
        before = found.dumps()
        found.upgrade("old", "validate")
        assert found.all("old", KEYS) == BOTH[:1]
        # A row of the table that stays may point at one that the old side hasn't got yet.
        found.sync("switch", "--all", "--to", "new")
        found.all("new", "INSERT INTO orders VALUES (10, %s, 'young')", T1)
        found.all("old", "INSERT INTO notes VALUES (10, %s, 10, 1)", T1)
        found.all("new", "DELETE FROM orders WHERE id = 1")
        found.sync("once")
        assert found.one("old", "SELECT count(*) FROM orders WHERE id IN (1, 10)") == 1
        found.sync("switch", "--all", "--to", "old")
        # What has lost its row meanwhile is told, and mended by whoever knows better; then the key is there again.
        with pytest.raises(CommandError, match="notes_order_id_fkey"):
            found.downgrade("old", "validate")
        assert found.all("old", KEYS) == BOTH[:1]
        with pytest.raises(errors.ForeignKeyViolation):
            found.all("old", "INSERT INTO notes VALUES (11, %s, 1, 2)", T1)
        found.all("old", "DELETE FROM notes WHERE order_id = 1")
        found.downgrade("old", "validate")
        assert found.all("old", KEYS) == BOTH
        assert found.dumps() == before
        found.upgrade("old", "validate")
        assert found.all("old", KEYS) == BOTH[:1]
