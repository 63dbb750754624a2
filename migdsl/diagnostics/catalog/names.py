"""MIG1xx, names and types: what can be wrong with what a word stands for."""

from __future__ import annotations

from migdsl.diagnostics.code import Code
from migdsl.diagnostics.model import Severity

CODES: tuple[Code, ...] = (
    Code(
        id="MIG101",
        severity=Severity.ERROR,
        title="there is no entity of this name",
        why="""\
An entity is a table as it is before the migration, and it must be declared before it can be changed, in the \
same file. Entities go by the name after `entity`, not by the table's name, and \
upper and lower case count.""",
        bad="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? pii }
change Users { drop email after 30d }""",
        good="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? pii }
change User { drop email after 30d { irreversible because "never filled" } }""",
        fix="unsafe",
    ),
    Code(
        id="MIG102",
        severity=Severity.ERROR,
        title="the entity has no column of this name",
        why="""\
The name is none of the columns that the entity declares, nor one that this migration adds. If the table does have \
it, the entity in the file is out of date: declare the column there, since everything the compiler proves rests on \
that list.

Names follow SQL: without quotes they are lower case, with quotes they are exactly as written.""",
        bad="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? pii }
change User { drop e_mail after 30d { irreversible because "never filled" } }""",
        good="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? pii }
change User { drop email after 30d { irreversible because "never filled" } }""",
        fix="unsafe",
    ),
    Code(
        id="MIG103",
        severity=Severity.ERROR,
        title="there is no database of this name",
        why="""\
The first part in `entity NAME in DATABASE.TABLE` is a `database` of the file, not a PostgreSQL schema. A schema \
stands between the two, as in `app.billing.users`, or is set once for the database with `schema`.""",
        bad="""\
database app { engine postgresql 15; url env DATABASE_URL }
entity User in public.users { id bigint key; tenant_id uuid tenant }""",
        good="""\
database app { engine postgresql 15; url env DATABASE_URL }
entity User in app.public.users { id bigint key; tenant_id uuid tenant }""",
        fix="unsafe",
    ),
    Code(
        id="MIG104",
        severity=Severity.ERROR,
        title="this name is taken",
        why="""\
Two things of one kind can't have one name: two entities, two databases, two columns of an entity, two flags. The \
message shows both places. Things of different kinds may share a name; a database and a flag both called `orders` are \
fine. Constraints share their table's names, and indexes their schema's, whether the file gives the name or PostgreSQL \
does (`users_org_id_fkey`). Where one takes the place of another, `drop` the other in the same change: both stand until \
contract, and then the new one gets the name.""",
        bad="""\
entity User in app.users {
  id         bigint key
  tenant_id  uuid   tenant
  email      text?
  email      varchar(200)
}""",
        good="""\
entity User in app.users {
  id            bigint key
  tenant_id     uuid   tenant
  email         text?
  backup_email  varchar(200)
}""",
        fix="none",
    ),
    Code(
        id="MIG105",
        severity=Severity.ERROR,
        title="the database has no type of this name",
        why="""\
A type is written with the engine's own name, as in `CREATE TABLE`: `text`, `bigint`, `numeric(12,2)`, `timestamptz`, \
`text[]`. Names of other databases and of programming languages (`string`, `datetime`, `int64`) are not known to \
PostgreSQL. A type of your own must exist already; its name is written in quotes, with its schema where that is \
not in the search path: `"mood"`, `"app"."mood"`.""",
        bad="""\
change User {
  add nickname string?
}""",
        good="""\
change User {
  add nickname text?
}""",
        fix="safe",
    ),
    Code(
        id="MIG106",
        severity=Severity.ERROR,
        title="there is no stage, phase or other word of this name",
        why="""\
Stages are `off`, `dualwrite`, `shadow`, `live`, `rampdown`, `complete`. Phases are `prepare`, `expand`, `backfill`, \
`validate`, `cutover`, `enforce`, `contract`. Other settings too take one of a few words: `downtime none`, `type \
schema_change`, `sensitivity pii`. A word that nobody knows would be obeyed by nobody.""",
        bad="""\
flag users_email {
  stage dual_write for all
}""",
        good="""\
flag users_email {
  stage dualwrite for all
}""",
        fix="safe",
    ),
    Code(
        id="MIG107",
        severity=Severity.ERROR,
        title="this staged flag is not the migration's",
        why="""\
Each migration has one staged flag, and it has the migration's name: jobs, revisions and dashboards look it up by \
that name. A staged flag of another name would be moved by hand and obeyed by nobody. Give the flag the migration's \
name; a plain on/off flag is declared `flag NAME boolean`.""",
        bad="""\
migration users_email { ticket "MIG-77" }
flag user_mail { stage off for all }""",
        good="""\
migration users_email { ticket "MIG-77" }
flag users_email { stage off for all }""",
        fix="unsafe",
    ),
    Code(
        id="MIG108",
        severity=Severity.ERROR,
        title="the entity has no key",
        why="""\
Rows are filled in small batches, in the order of the key, and a killed job goes on from the last key it finished. \
Without a key there is no such order: rows would be missed or done twice, and differences could not be laid at any \
row's door. Mark the primary key's column with `key`, or write `key (a, b)` for several.

If the table has no primary key, make one first, in a migration of its own; a unique index over columns that are NOT \
NULL does too.""",
        bad="""\
entity Reading in app.readings {
  tenant_id  uuid tenant
  sensor_id  bigint
  taken_at   timestamptz
}""",
        good="""\
entity Reading in app.readings {
  tenant_id  uuid tenant
  sensor_id  bigint
  taken_at   timestamptz
  key (sensor_id, taken_at)
}""",
        fix="safe",
    ),
    Code(
        id="MIG109",
        severity=Severity.ERROR,
        title="values of this type can't be compared",
        why="""\
To keep an old and a new column in step, to skip rows that are done and to prove that both sides agree, their values \
must be compared. PostgreSQL has no equality for this type (`json`, `xml`, `point` and some others), so none of that \
can be done. Use a type that can be compared: `jsonb` for `json`, `text` for `xml`, two numbers for a `point`.""",
        bad="""\
change User {
  add settings json? {
    from `old_settings::json`
    back old_settings = `settings::text`
  }
}""",
        good="""\
change User {
  add settings jsonb? {
    from `old_settings::jsonb`
    back old_settings = `settings::text`
  }
}""",
        fix="unsafe",
    ),
    Code(
        id="MIG110",
        severity=Severity.ERROR,
        title="the table has this column already",
        why="""\
`add` makes a column, and the entity declares one of that name. `entity` describes the table as it is *before* the \
migration: if you wrote the new column there to show the result, take it out. If the column is really there, perhaps \
from an earlier try, use another name, or change the one that is there with `require` or `optional`.""",
        bad="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; phone text? pii }
change User { add phone text? pii }""",
        good="""\
entity User in app.users { id bigint key; tenant_id uuid tenant }
change User { add phone text? pii }""",
        fix="none",
    ),
    Code(
        id="MIG112",
        severity=Severity.ERROR,
        title="which database is meant isn't said",
        why="""\
This migration changes tables of several databases. Each has its own chain of Alembic revisions, its own ledger and its \
own jobs, so what speaks of one of them has to name it: where the list of tenants is read, whose revision a phase \
follows. A guess would read the list of another system, or follow a revision that isn't there.""",
        bad="""\
tenants {
  key  tenant_id uuid
  list `SELECT id FROM tenants ORDER BY id`
}
phase contract { after "9c41d7e" }""",
        good="""\
tenants {
  key  tenant_id uuid
  list in shop `SELECT id FROM tenants ORDER BY id`
}
phase contract { after "9c41d7e" in orders }""",
        fix="none",
    ),
    Code(
        id="MIG113",
        severity=Severity.ERROR,
        title="two databases have the same address",
        why="""\
A `database` block is a database of its own: with a chain of revisions, a ledger and jobs. Where two of them take their URL \
from one variable, all of that meets in one database: two chains of which each finds the other's revision, and a table that \
moves from the one to the other and finds itself there. Two schemas of one database are one `database` block: write \
database.schema.table.""",
        bad="""\
database app    { engine postgresql 15; url env DATABASE_URL }
database orders { engine postgresql 15; url env DATABASE_URL }""",
        good="""\
database app    { engine postgresql 15; url env DATABASE_URL }
database orders { engine postgresql 15; url env ORDERS_URL }
tenants { key tenant_id uuid; list in app `SELECT id FROM tenants ORDER BY id` }""",
        fix="none",
    ),
    Code(
        id="MIG114",
        severity=Severity.ERROR,
        title="no table of yours can be in this schema",
        why="""\
PostgreSQL keeps `information_schema` and all names that begin with `pg_` for itself, and creates no schema of such a name. \
In the schema `migdsl` stands the ledger, which expand makes and the last migration that leaves takes along, with all that \
is in it.""",
        bad="""\
entity Order in app.orders { id bigint key; tenant_id uuid tenant }
move Order to app.migdsl.orders { id = id; tenant_id = tenant_id }""",
        good="""\
entity Order in app.orders { id bigint key; tenant_id uuid tenant }
move Order to app.sales.orders { id = id; tenant_id = tenant_id }""",
        fix="none",
    ),
    Code(
        id="MIG115",
        severity=Severity.ERROR,
        title="PostgreSQL wouldn't make this foreign key",
        why="""\
A foreign key points at columns that are unique by themselves, as they stand: at a table's key, or at what a `unique` is over, \
column for column. A unique index with a `where` or over an expression keeps some rows apart and not all, so it is none. And \
both sides have types that PostgreSQL compares without a cast that somebody has to write: integer and bigint, text and \
varchar, but not bigint and uuid. A unique that comes in the same migration counts, if it binds by then. What it points at must \
not change beside it: a table that gets another name is a view by its old one, and a key that changes, or a unique that is \
dropped, could not go any more. And `on delete set null` needs columns that may be NULL, or no delete would ever succeed. What \
is told here would otherwise fail in the database, in the phase that makes the foreign key or later.""",
        bad="""\
entity Customer in app.customers { id bigint key; tenant_id uuid tenant; code text }
entity Order in app.orders { id bigint key; tenant_id uuid tenant; customer text }
change Order { customer -> Customer.code }""",
        good="""\
entity Customer in app.customers { id bigint key; tenant_id uuid tenant; code text }
entity Order in app.orders { id bigint key; tenant_id uuid tenant; customer text }
change Customer { unique (code) }
change Order { customer -> Customer.code }""",
        fix="none",
    ),
    Code(
        id="MIG121",
        severity=Severity.ERROR,
        title="there is no metric of this name",
        why="""\
Conditions speak of what the jobs measure (progress and errors of the backfill, differences between old and new) and \
of what the file itself declares with its PromQL. A name that is neither would make an alert that never fires and a \
gate that never opens. Built in are backfill_progress, backfill_errors, backfill_rate, drift_rate, rows_missing, \
rows_extra, rows_mismatched and tenants_unlisted; of tables that move to another database sync_lag, sync_waiting and \
dead_letters; and what the router counts, cutover_errors and shadow_mismatch_rate.""",
        bad="""\
gate clean when drift_rat < 0.1% for 24h""",
        good="""\
gate clean when drift_rate < 0.1% for 24h""",
        fix="unsafe",
    ),
    Code(
        id="MIG122",
        severity=Severity.ERROR,
        title="this number has another unit than the metric",
        why="""\
Each metric has a unit: ratios are compared with percentages, counts with plain numbers, times with durations. A \
comparison across units is true or false by accident: `drift_rate < 5` would always hold. Zero is zero in every \
unit and needs none. A metric of your own says its unit itself; one with the name of a built-in metric keeps that one's.""",
        bad="""\
gate clean when drift_rate < 5s""",
        good="""\
gate clean when drift_rate < 0.1%""",
        fix="none",
    ),
    Code(
        id="MIG123",
        severity=Severity.ERROR,
        title="there is no proof of this name",
        why="""\
A criterion is accepted when what it is tied to holds: an invariant of the file, a gate of the file's own, or one of \
the gates that are derived from its operations. This name is none of them, so the plan would say that the criterion is \
proven while nothing proves it. Names of invariants are their whole text.""",
        bad="""\
accept "every user has an address" by invariant "no adress is empty"
validate User {
  invariant "no address is empty" `SELECT id FROM users WHERE tenant_id = :tenant_id AND username = ''`
}""",
        good="""\
accept "every user has an address" by invariant "no address is empty"
validate User {
  invariant "no address is empty" `SELECT id FROM users WHERE tenant_id = :tenant_id AND username = ''`
}
change User { add nickname text? }""",
        fix="unsafe",
    ),
    Code(
        id="MIG126",
        severity=Severity.ERROR,
        title="this condition says nothing, whatever is measured",
        why="""\
A ratio is between 0% and 100%, and a count, a time or a rate is never below 0. A comparison that asks for less or for more, \
or two that can't be true at one moment, make a gate that never opens and an alert that never fires. And what stops \
something (an alert, `abort when`, `rollback when`, `pause when`) must not hold always. Of a metric of your own nothing is \
known but its unit.""",
        bad="""\
gate clean when drift_rate < 0.1% and drift_rate > 1%""",
        good="""\
gate clean when drift_rate < 0.1% and rows_missing = 0""",
        fix="none",
    ),
    Code(
        id="MIG124",
        severity=Severity.ERROR,
        title="this alert doesn't say when it fires",
        why="""\
An alert is a condition that is watched from prepare until contract. Without `when` there is nothing to watch, and an \
alert that can't fire is worse than none: people rely on it. One condition belongs to one alert; several are joined by \
`and` or `or`, or get an alert each.""",
        bad="""\
alert too_many_differences { severity page }""",
        good="""\
alert too_many_differences {
  when     drift_rate > 1% for 10m
  severity page
}""",
        fix="none",
    ),
)
