"""MIG3xx, tenancy and PII: what could let one tenant's data, or a secret, end up where it doesn't belong."""

from __future__ import annotations

from migdsl.diagnostics.code import Code
from migdsl.diagnostics.model import Severity

CODES: tuple[Code, ...] = (
    Code(
        id="MIG301",
        severity=Severity.ERROR,
        title="the file doesn't say who the tenants are",
        why="""\
Everything is done tenant by tenant: batches, checks, the rollout, the way back. For that the compiler must know \
which column tells tenants apart, of which type it is, and how to list them. If the system really has no tenants, say \
so, with the reason; nothing is assumed, because a wrong guess mixes customers' data.""",
        bad="""\
migration users_email { ticket "MIG-77" }
entity User in app.users { id bigint key; tenant_id uuid; email text? pii }""",
        good="""\
migration users_email { ticket "MIG-77" }
tenants {
  key  tenant_id uuid
  list `SELECT id FROM tenants ORDER BY id`
}
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? pii }""",
        fix="none",
    ),
    Code(
        id="MIG302",
        severity=Severity.ERROR,
        title="the entity doesn't say which tenant a row belongs to",
        why="""\
The file has tenants, and this table has no column marked `tenant`. Every statement on it must be confined to one \
tenant, and here is nothing to confine it by. Mark the column; or, where the rows belong to a parent that has one, \
say `tenant via COLUMN -> Parent` (every statement then joins the parent); or, where the rows belong to \
nobody, say `global because "..."`.""",
        bad="""\
entity OrderLine in app.order_lines {
  id        bigint key
  order_id  bigint
  sku       text
}""",
        good="""\
entity OrderLine in app.order_lines {
  id        bigint key
  order_id  bigint
  sku       text
  tenant via order_id -> Order
}""",
        fix="unsafe",
    ),
    Code(
        id="MIG303",
        severity=Severity.ERROR,
        title="this query is not confined to one tenant",
        why="""\
The statement is run once per tenant, with that tenant bound as `:tenant_id`. Each table in it that belongs to \
tenants must be held to that tenant, by a condition on its own tenant column or by an equality with one that is. \
Without it, tenant A's run reads or writes tenant B's rows. A condition under `OR`, in an outer join's `ON` or on \
another table only doesn't confine this one.""",
        bad="""\
validate User {
  invariant "no address is empty" `SELECT id FROM users WHERE email = ''`
}""",
        good="""\
validate User {
  invariant "no address is empty" `SELECT id FROM users WHERE tenant_id = :tenant_id AND email = ''`
}""",
        fix="none",
    ),
    Code(
        id="MIG304",
        severity=Severity.ERROR,
        title="the tenant column may be NULL",
        why="""\
A row whose tenant is NULL belongs to no tenant: no batch would fill it and no check would see it, and when the old \
column is dropped its data is gone. Such a row also slips through `tenant_id = :tenant_id`, which is never true for \
NULL. Make the column NOT NULL first, in a migration of its own. If the database has it NOT NULL already, take the \
`?` away.""",
        bad="""\
entity User in app.users {
  id         bigint key
  tenant_id  uuid?  tenant
}""",
        good="""\
entity User in app.users {
  id         bigint key
  tenant_id  uuid   tenant
}""",
        fix="unsafe",
    ),
    Code(
        id="MIG311",
        severity=Severity.ERROR,
        title="there is a secret in the file",
        why="""\
A URL with a password, or a key, stands in the file in plain text. The file is committed, reviewed, copied to CI \
machines and quoted in messages, so the secret has to be taken for known: change it, also after you removed it here, \
since the history keeps it. Name an environment variable instead; it is read when a job runs, and its value is never \
printed.""",
        bad="""\
database app {
  engine postgresql 15
  url    "postgresql://app:hunter2@db.example.com/app"
}""",
        good="""\
database app {
  engine postgresql 15
  url    env DATABASE_URL
}""",
        fix="unsafe",
    ),
    Code(
        id="MIG305",
        severity=Severity.ERROR,
        title="a key or the tenant of a changed table is personal data",
        why="""\
Backfill and reconciliation work tenant by tenant and name a row by its key: both stand in the ledger, in logs and in \
reports, where a person's data has no place. What points at a column marked `pii` or `phi` has its values, and is such data \
too. Give the table a key that tells nothing of a person, and change it by that one; where the database has the other one as its \
primary key, exchange the two there first. Tenants with an address for a name can go by the number of their account, which \
`tenant via` leads to. Or, if the values really are none, or may be named, leave the mark out.""",
        bad="""\
entity Login in app.logins {
  address    text   key pii
  tenant_id  uuid   tenant
}
change Login {
  add note text?
}""",
        good="""\
entity Login in app.logins {
  id         bigint key
  address    text   pii
  tenant_id  uuid   tenant
  unique (address)
}
change Login {
  add note text?
}""",
        fix="none",
    ),
    Code(
        id="MIG306",
        severity=Severity.WARNING,
        title="the key of a table with personal data is a text",
        why="""\
The entity says `sensitivity pii` or `sensitivity phi`: its rows are about people. Backfill and reconciliation name a row by \
its key, in the ledger, in logs and in reports, and a key that is a text may be an address or the number of an insurance. \
Where it tells nothing of a person (it is drawn at random, say), allow this with that reason; where it does, mark the column \
`pii` or `phi`, and change the table by another key.""",
        bad="""\
entity Patient in app.patients {
  insurance_no  text  key
  tenant_id     uuid  tenant
  sensitivity phi
}
change Patient {
  add note text?
}""",
        good="""\
entity Patient in app.patients {
  code       text  key
  tenant_id  uuid  tenant
  sensitivity phi
  allow MIG306 because "codes are drawn at random"
}
change Patient {
  add note text?
}""",
        fix="none",
    ),
    Code(
        id="MIG312",
        severity=Severity.ERROR,
        title="this would change the tenant column itself",
        why="""\
While the migration runs, the tenant column is what keeps tenants apart in every statement, and old and new code both \
rely on it. If it were dropped or computed anew, a row could change its tenant halfway and be \
filled, checked and rolled back under the wrong one. Other columns can be changed freely; this one needs a new table, \
filled from the old.""",
        bad="""\
change User {
  add account_id uuid {
    from `tenant_id`
    back tenant_id = `account_id`
  }
}""",
        good="""\
change User {
  add account_id uuid {
    from `tenant_id`
  }
}""",
        fix="none",
    ),
)
