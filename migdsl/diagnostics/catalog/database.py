"""MIG73x, output: where a file and a live database differ, and what keeps the database from being read."""

from __future__ import annotations

from migdsl.diagnostics.code import Code
from migdsl.diagnostics.model import Severity

CODES: tuple[Code, ...] = (
    Code(
        id="MIG730",
        severity=Severity.ERROR,
        title="the database can't be read",
        why="""\
`migdsl import` and `migdsl check --against` read the catalogue of a live PostgreSQL, in one read-only transaction that \
waits for no lock longer than two seconds. They need a driver (`pip install 'migdsl[runtime]'`), a URL, given as it is or \
as `env:NAME`, and a role that may connect. A message never quotes the URL, as a password may stand in it. Where a file \
declares several databases, say which one is meant: `--against app=env:DATABASE_URL`.""",
        bad="""\
# migdsl check users.mig --against env:DATABASE_URL, where that variable is not set
migration users_email { ticket "MIG-77" }""",
        good="""\
# export DATABASE_URL=postgresql://reader@db.internal:5432/app, and then the same
migration users_email { ticket "MIG-77" }""",
        fix="none",
    ),
    Code(
        id="MIG731",
        severity=Severity.ERROR,
        title="the database has no such table or column",
        why="""\
The file declares a table, or a column of one, that is not in the database it was checked against. Every revision and \
every batch that names it would fail there. Mostly the name is misspelt, the schema is missing, a revision has not been \
run yet, or the migration is through and the file still shows the table as it was before.""",
        bad="""\
# the database calls this column username
entity User in app.users {
  id        bigint key
  tenant_id uuid   tenant
  user_name text
}""",
        good="""\
entity User in app.users {
  id        bigint key
  tenant_id uuid   tenant
  username  text
}""",
        fix="none",
    ),
    Code(
        id="MIG732",
        severity=Severity.ERROR,
        title="a column is otherwise in the database",
        why="""\
Type, nullability, default, identity or generation of a column are not what the file says. What is compiled from the file \
relies on them: a column that may be NULL after all is left unfilled, one of another type is compared by a cast, and a way \
back would restore what never was. The message has both sides and the line as the database would have it. Types are \
compared as the server itself spells them, expressions by what they mean, casts aside.""",
        bad="""\
# in the database, username may be NULL
entity User in app.users {
  id        bigint key
  tenant_id uuid   tenant
  username  text
}""",
        good="""\
entity User in app.users {
  id        bigint key
  tenant_id uuid   tenant
  username  text?
}""",
        fix="none",
    ),
    Code(
        id="MIG733",
        severity=Severity.ERROR,
        title="a key, a constraint or an index is not in the database",
        why="""\
The file relies on something that the database doesn't have: a unique constraint that keeps batches from making \
duplicates, an index along which they walk, a foreign key. They are compared by what they do and not by their names, and \
an index is as good as the constraint that it belongs to. The message shows the nearest thing that the database has.""",
        bad="""\
# the database has no such unique constraint
entity User in app.users {
  id        bigint key
  tenant_id uuid   tenant
  username  text
  unique (tenant_id, username)
}""",
        good="""\
entity User in app.users {
  id        bigint key
  tenant_id uuid   tenant
  username  text
}""",
        fix="none",
    ),
    Code(
        id="MIG734",
        severity=Severity.WARNING,
        title="the database has what the file doesn't declare",
        why="""\
A column, a default, a constraint or an index of a declared table is not in the file. Nothing that is compiled breaks of \
it, but nobody looks after it either: a constraint over a column that is dropped or copied has to be known to be rebuilt. \
The help is the line that declares it.""",
        bad="""\
# the database has: index (lower(username))
entity User in app.users {
  id        bigint key
  tenant_id uuid   tenant
  username  text
}""",
        good="""\
entity User in app.users {
  id        bigint key
  tenant_id uuid   tenant
  username  text
  index (lower(username))
}""",
        fix="none",
    ),
    Code(
        id="MIG735",
        severity=Severity.WARNING,
        title="a declared table has a trigger",
        why="""\
The trigger runs for the rows that a backfill fills, as it does for anybody's. One that stamps `updated_at` makes every \
row look new, one that writes to another table writes there once for each row, and one that sets a column of the \
migration fights with the trigger that keeps old and new equal. What a trigger sets is read off its function's text, so \
it is a hint and no proof.""",
        bad="""\
# users_touch sets updated_at before each update
entity User in app.users {
  id         bigint key
  tenant_id  uuid   tenant
  updated_at timestamptz
}""",
        good="""\
# users_touch was changed: WHEN (current_setting('app.backfill', true) IS DISTINCT FROM 'on')
entity User in app.users {
  id         bigint key
  tenant_id  uuid   tenant
  updated_at timestamptz
  legacy updated_at unclear "stamped by users_touch"
}""",
        fix="none",
    ),
    Code(
        id="MIG736",
        severity=Severity.ERROR,
        title="the server is of another version than the file says",
        why="""\
What is compiled goes by the version in `engine postgresql N` (14 where it isn't said). On an older server it may use what \
isn't there, which is an error; on a newer one it only goes by the older one's rules, which is a warning.""",
        bad="""\
# the server is PostgreSQL 14
database app { engine postgresql 15; url env DATABASE_URL }""",
        good="""\
database app { engine postgresql 14; url env DATABASE_URL }""",
        fix="none",
    ),
    Code(
        id="MIG737",
        severity=Severity.ERROR,
        title="a name that the migration gives is taken in the database",
        why="""\
A column, a constraint or an index that the file doesn't declare has the name of one that the migration would make. Taken \
for the new one, it would be adopted as it is, and its data dropped on the way back: so the revision refuses to run, before \
anything has changed. `check --against` asks the same question earlier. What the migration itself has made, in a run that \
was broken off, is no hindrance: the ledger knows it.""",
        bad="""\
# the database has a column users.nickname, which nobody declared
entity User in app.users { id bigint key; tenant_id uuid tenant }
change User { add nickname text? }""",
        good="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; nickname text? }
change User { default nickname "none" }""",
        fix="none",
    ),
    Code(
        id="MIG738",
        severity=Severity.ERROR,
        title="the migration's first revision would refuse to run on this database",
        why="""\
Before it changes anything, expand asks the catalogue whether something stands in the way that no file tells of: a view or \
statistics on a column that goes, a partitioned table, an index that a twin can't be made of. `check --against` puts the same \
questions, in the revision's own SQL, in a transaction that is rolled back, once nothing else differs. Where it may not make \
temporary functions it says so in a warning.""",
        bad="""\
# the database has a view on users.email
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? }
change User { drop email irreversible because "unread since 2023" }""",
        good="""\
# the view is dropped, or made again without the column
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? }
change User { drop email irreversible because "unread since 2023" }""",
        fix="none",
    ),
    Code(
        id="MIG739",
        severity=Severity.ERROR,
        title="the database can't compute an expression",
        why="""\
Whether there is an operator for two types, or a function of that name, only the server knows. `check --against` has it analyse \
each `from`, `back`, `check` and `where` over the table as it is; it plans nothing and reads no row. What fails here would fail \
in expand, or with the first row that is written.""",
        bad="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; name text }
change User { add label text? { from `name + 1` } }""",
        good="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; name text }
change User { add label text? { from `name || '1'` } }""",
        fix="none",
    ),
)
