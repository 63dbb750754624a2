"""MIG450 to MIG456: rows that go to another table."""

from __future__ import annotations

from migdsl.diagnostics.code import Code
from migdsl.diagnostics.model import Severity

CODES: tuple[Code, ...] = (
    Code(
        id="MIG450",
        severity=Severity.ERROR,
        title="a column has no place in the move, or no way home",
        why="""\
The old table goes at the end, with every column that nobody has named. And until then both tables live: what new code \
writes goes back to the old one, where old code reads it and a rollback finds it. So each column of the old table is copied, \
or computed there and back, or left out with a reason; and one that is left out and NOT NULL says what new code's rows get.""",
        bad="""\
entity Order in app.orders { id bigint key; tenant_id uuid tenant; status smallint; ref text? }
move Order to app.purchases {
  id = id
  tenant_id = tenant_id
  state text = `CASE status WHEN 0 THEN 'open' ELSE 'paid' END`
}""",
        good="""\
entity Order in app.orders { id bigint key; tenant_id uuid tenant; status smallint; ref text? }
move Order to app.purchases {
  id = id
  tenant_id = tenant_id
  state text = `CASE status WHEN 0 THEN 'open' ELSE 'paid' END`
  back status = `CASE state WHEN 'open' THEN 0 ELSE 1 END`
  omit ref because "unread since 2023"
}""",
        fix="none",
    ),
    Code(
        id="MIG451",
        severity=Severity.ERROR,
        title="rows of the two tables could not be told to be the same",
        why="""\
A row of the old table and its row of the new one are found by the key, and confined by the tenant. Both are copied as they \
are: a key that is computed, a column that is copied to two, two tables that meet in one, or one that goes to two, would \
leave it open which row a write belongs to.""",
        bad="""\
entity Order in app.orders { id bigint key; tenant_id uuid tenant }
move Order to app.purchases {
  number text = `id::text`
  tenant_id = tenant_id
}""",
        good="""\
entity Order in app.orders { id bigint key; tenant_id uuid tenant }
move Order to app.purchases {
  id = id
  tenant_id = tenant_id
  number text = `id::text`
}""",
        fix="none",
    ),
    Code(
        id="MIG452",
        severity=Severity.ERROR,
        title="a foreign key would lead from one database to another",
        why="""\
PostgreSQL keeps a foreign key within one database. Where one of two tables moves away from the other, something has to take \
its place: a copy of the other table, kept up to date where it is needed; or nothing, and the application copes with rows \
that point nowhere; or both tables move.""",
        bad="""\
database app { engine postgresql 15; url env APP_URL }
database crm { engine postgresql 15; url env CRM_URL }
entity Customer in crm.customers { id bigint key; tenant_id uuid tenant }
entity Order in app.orders {
  id bigint key; tenant_id uuid tenant; status smallint
  customer_id bigint -> Customer.id
}
change Order { default status 0 }""",
        good="""\
database app { engine postgresql 15; url env APP_URL }
database crm { engine postgresql 15; url env CRM_URL }
entity Customer in crm.customers { id bigint key; tenant_id uuid tenant }
entity Order in app.orders {
  id bigint key; tenant_id uuid tenant; status smallint
  customer_id bigint
}
change Order { default status 0 }""",
        fix="none",
    ),
    Code(
        id="MIG453",
        severity=Severity.ERROR,
        title="the two sides can't be kept equal in this way",
        why="""\
In one database a trigger carries each write over within its own transaction: nothing is ever behind, and nobody has to run \
anything. Across databases no trigger can write, so that something carries the writes after they were made: an outbox, \
change data capture, or the application itself, right after its own commit. In each of these a tenant is written on one side \
at a time, and that side is right: there are no two versions of which the newest could win.""",
        bad="""\
entity Order in app.orders { id bigint key; tenant_id uuid tenant }
move Order to app.purchases { id = id; tenant_id = tenant_id }
sync Order { by outbox; lag at most 30s }""",
        good="""\
entity Order in app.orders { id bigint key; tenant_id uuid tenant }
move Order to app.purchases { id = id; tenant_id = tenant_id }
sync Order { by trigger }""",
        fix="none",
    ),
    Code(
        id="MIG454",
        severity=Severity.WARNING,
        title="a constraint doesn't move along",
        why="""\
What stands on copied columns is made again on the new table: uniques, checks, foreign keys, indexes. What stands on a column \
that is computed or left out can't be: nobody knows what it would say there. When the old table goes, so does the rule that \
it kept.""",
        bad="""\
entity Order in app.orders { id bigint key; tenant_id uuid tenant; code text; unique (tenant_id, code) }
move Order to app.purchases {
  id = id
  tenant_id = tenant_id
  label text = `'x' || code`
  back code = `substr(label, 2)`
}""",
        good="""\
entity Order in app.orders { id bigint key; tenant_id uuid tenant; code text; unique (tenant_id, code) }
move Order to app.purchases {
  id = id
  tenant_id = tenant_id
  label text = `'x' || code`
  back code = `substr(label, 2)`
  unique (tenant_id, label)
}""",
        fix="none",
    ),
    Code(
        id="MIG455",
        severity=Severity.ERROR,
        title="equal keys may be spelt otherwise",
        why="""\
Between two databases a row goes by its key: as text in the ledger, as a hash that tells its lane, as the place where the \
two sides are compared. So a key needs a type of which two values are equal if, and only if, they are spelt alike. `citext` \
takes 'A' and 'a' for one value, `numeric` without digits 1.0 and 1.00, a floating-point number 0 and -0: a key that is \
written in another spelling would stay on the other side as it was, and the two sides never agree. Other types have no \
hash at all. Within one database none of this matters. What holds for the key holds for the tenant column.""",
        bad="""\
database app    { engine postgresql 15; url env APP_URL }
database orders { engine postgresql 15; url env ORDERS_URL }
tenants { key tenant_id uuid; list in app `SELECT id FROM tenants ORDER BY id` }
entity Voucher in app.vouchers { code citext key; tenant_id uuid tenant }
move Voucher to orders.vouchers { code = code; tenant_id = tenant_id }""",
        good="""\
database app    { engine postgresql 15; url env APP_URL }
database orders { engine postgresql 15; url env ORDERS_URL }
tenants { key tenant_id uuid; list in app `SELECT id FROM tenants ORDER BY id` }
entity Voucher in app.vouchers { code text key; tenant_id uuid tenant }
move Voucher to orders.vouchers { code = code; tenant_id = tenant_id }""",
        fix="none",
    ),
    Code(
        id="MIG456",
        severity=Severity.ERROR,
        title="tables would be exchanged between databases",
        why="""\
What is left goes first: contract drops the old table in its database once nothing of it waits any more, and only then lets go \
of the new one in the other. Where tables go both ways, each database would have to be the first. Whichever it is, it would \
take away what the other one's rows still need to come over.""",
        bad="""\
database app { engine postgresql 15; url env APP_URL }
database crm { engine postgresql 15; url env CRM_URL }
entity Order in app.orders { id bigint key; tenant_id uuid tenant; index (tenant_id, id) }
entity Lead in crm.leads { id bigint key; tenant_id uuid tenant; index (tenant_id, id) }
move Order to crm.orders { id = id; tenant_id = tenant_id }
move Lead to app.leads { id = id; tenant_id = tenant_id }""",
        good="""\
database app { engine postgresql 15; url env APP_URL }
database crm { engine postgresql 15; url env CRM_URL }
entity Order in app.orders { id bigint key; tenant_id uuid tenant; index (tenant_id, id) }
entity Lead in crm.leads { id bigint key; tenant_id uuid tenant; index (tenant_id, id) }
move Order to crm.orders { id = id; tenant_id = tenant_id }""",
        fix="none",
    ),
)
