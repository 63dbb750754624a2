"""MIG111 and MIG414 to MIG429, MIG439: operations on what stands on columns, and on columns that carry more than a value."""

from __future__ import annotations

from migdsl.diagnostics.code import Code
from migdsl.diagnostics.model import Severity

CODES: tuple[Code, ...] = (
    Code(
        id="MIG111",
        severity=Severity.ERROR,
        title="the entity declares no constraint or index of this name",
        why="""\
Only what the entity declares can be dropped: the compiler must know what it was, so that the way back can build it \
again. What is declared without a name is called as PostgreSQL calls it: `users_email_idx`, `users_email_key`, \
`users_email_check`, `users_email_fkey`.""",
        bad="""\
entity User in app.users {
  id         bigint key
  tenant_id  uuid   tenant
  email      text?
  index (email) as users_email_idx
}
change User { drop index email_idx }""",
        good="""\
entity User in app.users {
  id         bigint key
  tenant_id  uuid   tenant
  email      text?
  index (email) as users_email_idx
}
change User { drop index users_email_idx }""",
        fix="unsafe",
    ),
    Code(
        id="MIG414",
        severity=Severity.ERROR,
        title="no other column can take the place of this one",
        why="""\
Batches walk along the key and are confined by the tenant column, and other tables point at them: they can't live \
twice for a while. A generated column has no value of its own to carry over, and an identity column hands out numbers.""",
        bad="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? }
change User { rename tenant_id to org_id }""",
        good="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? }
change User { rename email to address }""",
        fix="none",
    ),
    Code(
        id="MIG415",
        severity=Severity.ERROR,
        title="what stands on this column can't follow it",
        why="""\
A renamed column lives under both names for a while. Its indexes, unique constraints, checks and foreign keys get twins \
over the new one. Of two things there is no twin that could be made without stopping writers: an exclusion constraint, \
and a foreign key of another table that points at the column. The same goes for a unique constraint that is dropped while \
a foreign key points at it.""",
        bad="""\
entity Owner in app.owners { id bigint key; tenant_id uuid tenant; code text unique }
entity User in app.users { id bigint key; tenant_id uuid tenant; owner text? -> Owner.code }
change Owner { rename code to short_code }""",
        good="""\
entity Owner in app.owners { id bigint key; tenant_id uuid tenant; code text unique }
entity User in app.users { id bigint key; tenant_id uuid tenant; owner text? -> Owner.code }
change Owner { rename code to short_code }
change User { drop constraint users_owner_fkey }""",
        fix="none",
    ),
    Code(
        id="MIG416",
        severity=Severity.ERROR,
        title="this expression depends on how the session is set up",
        why="""\
The trigger computes `from` and `back` in the sessions of your clients, the backfill and the reconciliation in their own. \
What a timestamp's date is depends on the session's time zone, how a date is written on its `DateStyle`. Where two \
sessions differ in these, the same row gets two values, and reconciliation finds differences that nobody made. Say the \
zone, or the format, in the expression.""",
        bad="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; created timestamptz }
change User { add created_on date { from `created::date` } }""",
        good="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; created timestamptz }
change User { add created_on date { from `(created AT TIME ZONE 'UTC')::date` } }""",
        fix="none",
    ),
    Code(
        id="MIG417",
        severity=Severity.ERROR,
        title="PostgreSQL has a column of this name in every table",
        why="""\
`tableoid`, `ctid`, `xmin`, `xmax`, `cmin` and `cmax` are columns that PostgreSQL keeps for itself. No table can have one \
of its own that is called so, quoted or not.""",
        bad="""\
change User { add xmin text? }""",
        good="""\
change User { add min_x text? }""",
        fix="none",
    ),
    Code(
        id="MIG418",
        severity=Severity.ERROR,
        title="this statement takes a stronger lock than it says",
        why="""\
A statement of your own runs as it is written, so the file says how much it may block: without `lock` nothing stronger \
than SHARE UPDATE EXCLUSIVE, which readers and writers don't notice. The lock that a statement really takes is known \
from its grammar. Declaring a stronger one makes it run with retries of 100 ms, like the compiler's own statements.""",
        bad="""\
change User {
  sql "rows that stay" {
    up   `ALTER TABLE users DISABLE TRIGGER audit`
    back `ALTER TABLE users ENABLE TRIGGER audit`
  }
}""",
        good="""\
change User {
  sql "rows that stay" {
    up   `ALTER TABLE users DISABLE TRIGGER audit`
    back `ALTER TABLE users ENABLE TRIGGER audit`
    lock share row exclusive
  }
}""",
        fix="none",
    ),
    Code(
        id="MIG419",
        severity=Severity.ERROR,
        title="this statement reads or rewrites a table under its lock",
        why="""\
It would hold a lock that writers wait for while it reads every row, rewrites the table or builds an index: minutes on a \
large table, and everybody who comes after waits behind it. Each of these has an operation that gets there without: \
`index` builds concurrently, `check`, `require` and foreign keys are validated apart, `retype` goes by a shadow column.""",
        bad="""\
change User {
  sql "faster" {
    up   `CREATE INDEX by_name ON users (username)`
    back `DROP INDEX CONCURRENTLY by_name`
    lock share
  }
}""",
        good="""\
change User { index (username) as by_name }""",
        fix="none",
    ),
    Code(
        id="MIG420",
        severity=Severity.ERROR,
        title="SQL of your own has no way back",
        why="""\
The way back of an operation follows from what it does; that of a statement of your own can't be known. `back` says it, \
and the downgrade runs it. Where there is none, `irreversible because` says why, and the plan counts it as a risk.""",
        bad="""\
change User { sql "statistics" { up `CREATE STATISTICS users_st ON tenant_id, username FROM users` } }""",
        good="""\
change User {
  sql "statistics" {
    up   `CREATE STATISTICS users_st ON tenant_id, username FROM users`
    back `DROP STATISTICS users_st`
    lock access exclusive
  }
}""",
        fix="none",
    ),
    Code(
        id="MIG421",
        severity=Severity.ERROR,
        title="this statement has no place in a migration",
        why="""\
Statements that begin or end a transaction, change the session, run code that can't be read (`DO`, `CALL`), or move rows \
in and out (`COPY`) would break what a revision relies on: that each step is one transaction, can be run again, and is \
proven to stay with one tenant.""",
        bad="""\
change User { sql "fix" { up `DO $$ BEGIN UPDATE users SET username = ''; END $$`; back `SELECT 1` } }""",
        good="""\
change User { require email { from `username || '@example.com'` } }""",
        fix="none",
    ),
    Code(
        id="MIG422",
        severity=Severity.ERROR,
        title="a cast alone does not say what becomes of a column's values",
        why="""\
Without a `from` the new value is a cast of the old one. That is left to PostgreSQL only where every value has one of the \
new type, and no two the same: `integer` to `bigint`, `varchar(20)` to `text`. Other casts fail on some rows, cut or round, or \
depend on the session: which moment `2026-05-05 12:00` is depends on the time zone of whoever writes it. Say it in `from`, \
and the way back in `back` where that is no cast. Rows that can't be converted are counted, and nobody's write fails for them.""",
        bad="""\
entity Event in app.events { id bigint key; tenant_id uuid tenant; at timestamp }
change Event { retype at timestamptz }""",
        good="""\
entity Event in app.events { id bigint key; tenant_id uuid tenant; at timestamp }
change Event {
  retype at timestamptz {
    from `at AT TIME ZONE 'UTC'`
    back `at AT TIME ZONE 'UTC'`
  }
}""",
        fix="none",
    ),
    Code(
        id="MIG423",
        severity=Severity.ERROR,
        title="the column can't get another type here",
        why="""\
A column that PostgreSQL would have to rewrite gets a shadow of the new type, which takes its name in one moment. That is \
not possible where the database computes the column itself or computes others from it, where every statement is confined by \
it, or where an exclusion stands on it. Nor can the same migration fill other columns of that table, or change what stands on \
the column: their jobs and revisions would have to follow the names through the swap.""",
        bad="""\
entity Item in app.items {
  id         bigint  key
  tenant_id  uuid    tenant
  amount     integer
  twice      integer generated `amount * 2`
}
change Item { retype amount bigint }""",
        good="""\
entity Item in app.items { id bigint key; tenant_id uuid tenant; amount integer }
change Item { retype amount bigint }""",
        fix="none",
    ),
    Code(
        id="MIG424",
        severity=Severity.ERROR,
        title="a key can't become this",
        why="""\
Batches walk along the key, the ledger and the application know rows by it, and other tables point at it. A wider type keeps \
every value as it is, and the keys that point there are retyped along with it. A computed value may be that of another row: \
two rows would meet, or a reference would lead to a stranger. And `key (…)` makes other columns the key than those that are.""",
        bad="""\
entity User in app.users { id integer key; tenant_id uuid tenant }
change User { retype id text { from `'u' || id` } }""",
        good="""\
entity User in app.users { id integer key; tenant_id uuid tenant }
change User { retype id bigint }""",
        fix="none",
    ),
    Code(
        id="MIG425",
        severity=Severity.ERROR,
        title="a table is renamed and changed at once",
        why="""\
A rename takes effect in one moment, and a view answers to the old name. Backfills, triggers and the revisions of later \
phases go by the table's name: with both in one migration they would have to follow the table from one name to the \
other, and back. Two migrations, one after the other, need no such thing.""",
        bad="""\
change User {
  rename table to people
  index (username)
}""",
        good="""\
change User { rename table to people }""",
        fix="none",
    ),
    Code(
        id="MIG426",
        severity=Severity.ERROR,
        title="adding this column would rewrite the table",
        why="""\
A generated column, an identity and a serial give every row that is there a value of its own, all at once: PostgreSQL \
writes the whole table anew under a lock that stops readers and writers. A plain column is there in an instant; a \
trigger keeps it equal to what it is computed from, and batches fill the rows from before.""",
        bad="""\
entity Line in app.lines { id bigint key; tenant_id uuid tenant; price integer; amount integer }
change Line { add total integer generated `price * amount` }""",
        good="""\
entity Line in app.lines { id bigint key; tenant_id uuid tenant; price integer; amount integer }
change Line { add total integer { from `price * amount` } }""",
        fix="none",
    ),
    Code(
        id="MIG427",
        severity=Severity.ERROR,
        title="a table must have this from the start",
        why="""\
An exclusion constraint can't be built while a table is used: PostgreSQL has neither NOT VALID nor USING INDEX for it. \
The key and the tenant column are what every batch and every gate goes by, so a column becomes neither by being added: \
it is filled first, and the key is changed by `key (…)`.""",
        bad="""\
entity Booking in app.bookings { id bigint key; tenant_id uuid tenant; room integer; during tstzrange }
change Booking { exclude using gist (during with "&&") }""",
        good="""\
entity Booking in app.bookings { id bigint key; tenant_id uuid tenant; room integer; during tstzrange }
create Slot in app.slots {
  id         bigint    key
  tenant_id  uuid      tenant
  during     tstzrange
  exclude using gist (during with "&&")
}""",
        fix="none",
    ),
    Code(
        id="MIG428",
        severity=Severity.ERROR,
        title="a new table can't be filled like this",
        why="""\
A trigger carries each write of old code over to the new table, batches insert the rows from before, and the reconciliation \
holds both against each other. For that each new row must come from one row of one table, and it must be plain from which: \
its key is the other key, column by column, and its tenant is the other row's. Old code's write must never fail for it, so a \
`where` that may have no answer (one that casts) has no place. And the other table keeps its name and its types until the \
migration is over.""",
        bad="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text }
create Mail in app.mails {
  email text key
  tenant_id uuid tenant
  from User { email = email; tenant_id = tenant_id }
}""",
        good="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text }
create Mail in app.mails {
  user_id bigint key
  tenant_id uuid tenant
  email text
  from User { user_id = id; tenant_id = tenant_id; email = email }
}""",
        fix="none",
    ),
    Code(
        id="MIG429",
        severity=Severity.ERROR,
        title="the way from a row to its tenant is unknown, or changes",
        why="""\
A table without a tenant column of its own is confined by a join: a row belongs to the tenant of the row that it points at. \
Every batch, check and gate goes that way, so each column and table on it must be known, and must stay as it is until the \
migration is over. A way in a circle, over a key of several columns, to another database, or to a table that all share, \
leads to nobody; so does one whose foreign key points at another column than the key.""",
        bad="""\
entity Basket in app.baskets { id bigint key; tenant_id uuid tenant }
entity Line in app.lines { id bigint key; basket_id bigint; tenant via basket_id -> Basket }
change Line { rename basket_id to order_id }""",
        good="""\
entity Basket in app.baskets { id bigint key; tenant_id uuid tenant }
entity Line in app.lines { id bigint key; basket_id bigint; note text?; tenant via basket_id -> Basket }
change Line { rename note to remark }""",
        fix="none",
    ),
    Code(
        id="MIG439",
        severity=Severity.ERROR,
        title="an index of this kind has no order",
        why="""\
Only a B-tree can be read from one end to the other. Of a GIN, GiST, BRIN or hash index `desc` and `nulls` say nothing, \
and PostgreSQL refuses them.""",
        bad="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; tags text[] }
change User { index (tags desc) using gin }""",
        good="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; tags text[] }
change User { index (tags) using gin }""",
        fix="none",
    ),
)
