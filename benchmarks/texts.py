"""A number of entities becomes a `.mig` text with as many: the same one each time, of the kind that people write."""

from __future__ import annotations

from collections.abc import Iterator

_HEAD = """\
# Every tenth table gets a new column; the others are what a shared schema file would declare.
migration wide {
  ticket   "MIG-1000"
  downtime none
}

database app {
  engine postgresql 15
  url    env DATABASE_URL
}

tenants {
  key  tenant_id uuid
  list `SELECT id FROM tenants ORDER BY id`
}
"""
_ENTITY = """
# Table {n}: orders of region {region}.
entity Order{n} in app.orders_{n} {{
  id          bigint             key identity always
  tenant_id   uuid               tenant
  number      text
  customer    bigint?            -> Order{other}.id on delete set null
  email       text?              pii
  status      text               default "open"
  amount      numeric(12,2)      default 0
  tax         numeric(12,2)?
  placed_at   timestamptz        default `now()`
  updated_at  timestamptz?
  tags        text[]             default `'{{}}'`
  note        character varying(200)?
  total       numeric(12,2)      generated `amount + coalesce(tax, {n})`
  unique (tenant_id, number) as orders_{n}_number_key
  index  (tenant_id, placed_at, id)
  index  (tenant_id, lower(email)) as orders_{n}_email_idx where `email IS NOT NULL AND status <> 'void{n}'`
  check  `amount >= 0 AND tax IS DISTINCT FROM -{n}` as orders_{n}_amount_check
  rows {rows}k
}}
"""
_CHANGE = """
change Order{n} {{
  add contact text pii {{
    from   `coalesce(email, number || '@{n}.example.com')`
    back   email = `contact`
    unique per tenant
  }}
  drop email after 30d
}}
"""
# A column that goes may not be in use, so that these tables have no index on it.
_USES_EMAIL = (
    "  index  (tenant_id, lower(email)) as orders_{n}_email_idx where `email IS NOT NULL AND status <> 'void{n}'`\n"
)
_TAIL = """
cutover {
  canary "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11"
  ramp   1%, 10%, 50%, 100% every 24h
}

flag wide {
  stage off for all
}
"""


def text_of(entities: int, changed: int = 10) -> str:
    """A file of about 20 lines an entity, in which every `changed`th table is changed; it compiles without a warning."""
    return "".join([_HEAD, *_declarations(entities, changed), _TAIL])


def _declarations(entities: int, changed: int) -> Iterator[str]:
    for n in range(entities):
        is_changed = n % changed == 0
        pattern = _ENTITY.replace(_USES_EMAIL, "") if is_changed else _ENTITY
        yield pattern.format(n=n, other=n // 2, region=n % 7, rows=n % 900 + 100)
        if is_changed:
            yield _CHANGE.format(n=n)
