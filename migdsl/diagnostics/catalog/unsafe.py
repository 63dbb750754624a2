"""MIG4xx, unsafe operations: what would break running code or lose data."""

from __future__ import annotations

from migdsl.diagnostics.code import Code
from migdsl.diagnostics.model import Severity

CODES: tuple[Code, ...] = (
    Code(
        id="MIG401",
        severity=Severity.ERROR,
        title="a required column needs a value for the rows that exist",
        why="""\
The column may not be NULL, and the table has rows that have no value for it. PostgreSQL would refuse it, and so \
would every insert of the code that runs now and doesn't know the column. Say how the value is computed from what is \
there (`from`), give it a constant `default`, or let it be NULL with `?`. A `from` that is surely NULL where a nullable column \
is (the column itself, `lower(email)`) gives such rows none either: `coalesce` says what they get.""",
        bad="""\
change User {
  add contact_email text pii
}""",
        good="""\
change User {
  add contact_email text pii {
    from `coalesce(email, username || '@example.com')`
    back email = `contact_email`
  }
}""",
        fix="unsafe",
    ),
    Code(
        id="MIG402",
        severity=Severity.ERROR,
        title="something still uses what is dropped",
        why="""\
PostgreSQL drops an index or a constraint together with its column and says nothing: a unique rule that your code \
relies on is gone, or a query is suddenly slow. So whatever uses the column (an index, a unique or foreign key, a \
check) must be dropped by name too: `drop index`, `drop constraint`. The way back then makes it again. Another operation \
of this file that uses the column must go or use the new one. And a table goes when no other one points at it any more, \
since it is set aside before it goes: their foreign keys are dropped before, in a migration of their own.""",
        bad="""\
entity User in app.users {
  id         bigint key
  tenant_id  uuid   tenant
  email      text?  pii
  unique (tenant_id, email) as users_email_uq
}
change User {
  drop email after 30d { irreversible because "unread since 2023" }
}""",
        good="""\
entity User in app.users {
  id         bigint key
  tenant_id  uuid   tenant
  email      text?  pii
  unique (tenant_id, email) as users_email_uq
}
change User {
  drop constraint users_email_uq
  drop email after 30d { irreversible because "unread since 2023" }
}""",
        fix="none",
    ),
    Code(
        id="MIG403",
        severity=Severity.ERROR,
        title="two operations want the same column",
        why="""\
Each operation has its own trigger, batches and way back for a column. With two of them on one column each would undo \
what the other wrote, and the result would depend on which trigger comes first. Say it in one operation, or in two \
migrations, the second after the first is finished. A `default` is said of rows to come alone: it may stand beside \
`require`, `optional`, `drop`, `split` and `merge`.""",
        bad="""\
change User {
  add contact_email text? pii {
    from `email`
    back email = `contact_email`
  }
  require email { from `coalesce(email, '')` }
  drop email after 30d
}""",
        good="""\
change User {
  add contact_email text? pii {
    from `email`
    back email = `contact_email`
  }
  drop email after 30d
}""",
        fix="none",
    ),
    Code(
        id="MIG404",
        severity=Severity.ERROR,
        title="this drops data and there is no way back",
        why="""\
Until the drop, everything can be rolled back. For that the old column must be kept filled by the new code's writes, \
and `back` says how. Without it, the first row that new code writes has no old value, and a rollback loses it. Give \
the column that replaces it a `back`; or, if the values are really not needed any more, say `irreversible because \
"..."`: the plan then states it, and counts it as a risk.""",
        bad="""\
change User {
  add contact_email text pii { from `coalesce(email, username)` }
  drop email after 30d
}""",
        good="""\
change User {
  add contact_email text pii {
    from `coalesce(email, username)`
    back email = `contact_email`
  }
  drop email after 30d
}""",
        fix="unsafe",
    ),
    Code(
        id="MIG405",
        severity=Severity.ERROR,
        title="a NULL that was meant can't be told from one that was not",
        why="""\
While old and new code both write, a trigger keeps the two columns in step. It sees only the row: a NULL in the new \
column may come from old code, which doesn't know the column, or from new code that wants NULL. That is decided by \
the old column, which must then be NULL too. It isn't, if the old column has a default, or if `from` turns NULL into \
something else: the trigger would overwrite the NULL that new code wrote.

Make the new column required (no `?`), let `from` keep NULL as NULL, or drop the old column's default in an earlier \
migration.""",
        bad="""\
change User {
  add contact_email text? pii {
    from `coalesce(email, 'unknown')`
    back email = `contact_email`
  }
}""",
        good="""\
change User {
  add contact_email text? pii {
    from `email`
    back email = `contact_email`
  }
}""",
        fix="unsafe",
    ),
    Code(
        id="MIG407",
        severity=Severity.WARNING,
        title="this waits for less time than is safe",
        why="""\
The time after `after` runs from the moment when all tenants are live. It is the time in which a mistake can still be \
rolled back without loss. Monthly jobs, invoices, reports and rarely used screens only meet the new shape when they \
run: with a short wait they run for the first time when the old column is gone. The default is 14 days; a month sees \
every monthly job once.""",
        bad="""\
change User {
  drop old_settings after 1h irreversible because "unread for years"
}""",
        good="""\
change User {
  drop old_settings after 30d irreversible because "unread for years"
}""",
        fix="unsafe",
    ),
    Code(
        id="MIG408",
        severity=Severity.ERROR,
        title="this default is computed for every row",
        why="""\
PostgreSQL adds a column with a constant default at once, whatever the table's size. A default that gives another \
value each time (`now()`, `random()`, `gen_random_uuid()`, `nextval()`) makes it rewrite the whole table under a lock \
that stops every read and write until it is done. Add the column so that it may be NULL, let new code write it, and \
set the \
default afterwards with `ALTER COLUMN ... SET DEFAULT` in a revision of your own, which leaves the rows alone.""",
        bad="""\
change User {
  add public_id uuid default `gen_random_uuid()`
}""",
        good="""\
change User {
  add public_id uuid?
}""",
        fix="unsafe",
    ),
    Code(
        id="MIG409",
        severity=Severity.ERROR,
        title="these columns can't be made unique",
        why="""\
A unique index needs columns whose values PostgreSQL can put in order, and that stay in the table. `json`, `xml` and \
`point` have no order; a column that this migration drops would take the rule along; and `unique per tenant` needs an \
entity that belongs to tenants. Use a type with an order (`jsonb` for `json`), or make a column with the part that \
must be unique.""",
        bad="""\
change User {
  add profile json? {
    unique per tenant
  }
}""",
        good="""\
change User {
  add profile_digest text? {
    unique per tenant
  }
}""",
        fix="none",
    ),
    Code(
        id="MIG410",
        severity=Severity.WARNING,
        title="the column is like that already",
        why="""\
`require` makes a column NOT NULL and `optional` lets it be NULL. The entity says that it is so already, so there is \
nothing to do. Either the line can go, or the entity doesn't describe the table as it is: then correct the entity, \
since everything else is derived from it.""",
        bad="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? pii }
change User { optional email }""",
        good="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? pii }
change User { require email { from `coalesce(email, 'none@example.com')` } }""",
        fix="unsafe",
    ),
    Code(
        id="MIG412",
        severity=Severity.ERROR,
        title="this way back doesn't lead back",
        why="""\
`back` is the reverse of `from`: it computes, from the new column, a column that `from` reads. Here it sets a column \
that `from` doesn't read, that doesn't exist, or that new code writes itself. Then the old column isn't kept filled, \
and something else is overwritten instead. Set the column that `from` is computed from.""",
        bad="""\
change User {
  add contact_email text pii {
    from `coalesce(email, 'none@example.com')`
    back username = `contact_email`
  }
}""",
        good="""\
change User {
  add contact_email text pii {
    from `coalesce(email, 'none@example.com')`
    back email = `contact_email`
  }
}""",
        fix="none",
    ),
    Code(
        id="MIG413",
        severity=Severity.WARNING,
        title="this computation fails on some values",
        why="""\
From expand on, a trigger computes `from` for every row that old code writes. A cast that a value can't pass, a division \
by zero or a text that is too long for the new column would fail old code's own INSERT or UPDATE, which worked before. So \
such a `from` is computed in a block of its own, which costs each write a little: where it fails, the write goes on and the \
new column stays NULL. Reconciliation counts these rows and shows their keys, and enforce waits until they are mended. \
Of a table that moves, `back` is computed for every row that new code writes: within a database its write fails where `back` \
does, and between two the row waits until it is mended. Better write the expression so that it has an answer for every value.""",
        bad="""\
change User {
  add retries integer? {
    from `old_settings::integer`
  }
}""",
        good="""\
change User {
  add retries numeric? {
    from `CASE WHEN old_settings ~ '^[0-9]{1,3}$' THEN to_number(old_settings, '999') END`
  }
}""",
        fix="none",
    ),
    Code(
        id="MIG430",
        severity=Severity.ERROR,
        title="two open migrations want the same thing",
        why="""\
Two migrations that are not finished change the same column, take the same name, or one drops, retypes or renames what \
the other needs. Each is planned against the table as it is before, as if the other weren't there: their triggers would \
overwrite each other, and which one a database has run first would be chance. Compare all that are open by naming them \
together: `migdsl check migrations/*.mig`. Finish one before the other begins (`migdsl finish` folds its result into \
the shared entity), or make them one migration.""",
        bad="""\
# while another file that is open says: drop email after 30d
change User { require email { from `coalesce(email, username)` } }""",
        good="""\
# once the other migration is finished
change User { require old_settings { from `coalesce(old_settings, '{}')` } }""",
        fix="none",
    ),
    Code(
        id="MIG431",
        severity=Severity.ERROR,
        title="this operation writes everything twice, which the file forbids",
        why="""\
Old and new columns stand side by side while code moves from one to the other, and a trigger carries each write to the \
other side. `dual_write forbidden` rules that out, so nothing would keep the two in step and rolling back would lose \
writes. Either two-way writes are fine after all, or the change is made in two migrations: a column that is added empty \
and written by new code alone, and, when no code uses it any more, the drop of the old one.""",
        bad="""\
migration users_email { ticket "MIG-77"; dual_write forbidden }
change User {
  add contact_email text {
    from `coalesce(email, username)`
    back email = `contact_email`
  }
}""",
        good="""\
migration users_email { ticket "MIG-77"; dual_write forbidden }
change User {
  add contact_email text?
}""",
        fix="none",
    ),
)
