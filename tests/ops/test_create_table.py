"""New tables: there and back on a real PostgreSQL."""

from __future__ import annotations

from tests.ops.story import Walk, sees
from tests.ops.support import mig
from tests.ops.test_constraints import DDL, ENTITIES

NEW = r"""
create Room in app."ro""om" {
  id        bigint        key identity always
  tenant_id uuid          tenant
  "order"   text          default "it's"
  area      numeric(8,2)? default `1 + 1`
  twice     numeric?      generated `area * 2`
  during    tstzrange
  org_id    bigint?       -> Org.id on delete set null
  unique (tenant_id, "order")
  check `area > 0` as "area known"
  index (lower("order")) as by_order
  exclude using gist (during with "&&") where `area > 1`
}
"""


def test_a_table_comes_with_all_that_stands_on_it(walk: Walk):
    shown = "SELECT conname::text FROM pg_constraint WHERE conrelid = '\"ro\"\"om\"'::regclass AND contype <> 'n' ORDER BY 1"
    names = ["area known", 'ro"om_area_during_excl', 'ro"om_org_id_fkey', 'ro"om_pkey', 'ro"om_tenant_id_order_key']
    walk(mig(ENTITIES, NEW), DDL, {"expand": sees(shown, *((name,) for name in names))})
