"""MIG2xx, SQL: what can be wrong between backticks."""

from __future__ import annotations

from migdsl.diagnostics.code import Code
from migdsl.diagnostics.model import Severity

CODES: tuple[Code, ...] = (
    Code(
        id="MIG201",
        severity=Severity.ERROR,
        title="this is not SQL that the database understands",
        why="""\
What stands in backticks is read with PostgreSQL's own grammar when you compile, so that a slip shows here and not in \
the middle of a backfill. The place shown is where the grammar gave up; the cause is there or just before. Strings in \
SQL have single quotes; double quotes are for names.""",
        bad="""\
change User {
  add contact_email text {
    from `coalesce(email, username || "@example.com"`
  }
}""",
        good="""\
change User {
  add contact_email text {
    from `coalesce(email, username || '@example.com')`
  }
}""",
        fix="none",
    ),
    Code(
        id="MIG202",
        severity=Severity.ERROR,
        title="this SQL names a column that isn't there",
        why="""\
SQL sees the columns that the entity declares, and which of them depends on where it stands. `from` sees the table \
before the migration, without what this migration adds. `back` sees it afterwards, without what this migration \
drops. A name in double quotes is always a column: a string needs single quotes.""",
        bad="""\
change User {
  add contact_email text {
    from `coalesce(mail, username)`
  }
}""",
        good="""\
change User {
  add contact_email text {
    from `coalesce(email, username)`
  }
}""",
        fix="unsafe",
    ),
    Code(
        id="MIG203",
        severity=Severity.ERROR,
        title="this must be computed from one row alone",
        why="""\
`from` and `back` are run by a trigger on every write and by the backfill on every row. Both have just that one row. \
A subquery, an aggregate (`count`, `max`), a window function, a set of rows or a parameter needs more than that, and \
its result would change when *other* rows change, which no trigger would notice: the two columns would drift apart.

Copy what is needed into the row first, in a migration before this one.""",
        bad="""\
change Invoice {
  add currency text {
    from `(SELECT a.currency FROM account a WHERE a.id = account_id)`
  }
}""",
        good="""\
change Invoice {
  add currency text {
    from `CASE country WHEN 'GB' THEN 'GBP' ELSE 'EUR' END`
  }
}""",
        fix="unsafe",
    ),
    Code(
        id="MIG204",
        severity=Severity.ERROR,
        title="there must be one SELECT here and nothing else",
        why="""\
This SQL is run to read the list of tenants. Anything that writes, several statements in \
one, a `SELECT ... INTO` or a row lock (`FOR UPDATE`) would change or block your data each time somebody looks. Use a \
single `SELECT`, without a semicolon.""",
        bad="""\
tenants {
  key  tenant_id uuid
  list `DELETE FROM tenants WHERE closed RETURNING id`
}""",
        good="""\
tenants {
  key  tenant_id uuid
  list `SELECT id FROM tenants WHERE NOT closed ORDER BY id`
}""",
        fix="none",
    ),
    Code(
        id="MIG205",
        severity=Severity.ERROR,
        title="this gives another value each time it is computed",
        why="""\
The value of the new column is computed again and again: by the trigger, by the backfill, by the check that compares \
both. `random()`, `now()`, `nextval()`, `gen_random_uuid()` and whatever depends on the session's settings give \
another value each time, so the check would find every row wrong, and a repeated batch would change rows that were \
done.

Compute it from columns of the row. For a value that is made once per new row, add the column without `from` and let \
new code write it.""",
        bad="""\
change User {
  add public_id text {
    from `gen_random_uuid()::text`
  }
}""",
        good="""\
change User {
  add public_id text {
    from `md5(tenant_id::text || ':' || id::text)`
  }
}""",
        fix="none",
    ),
    Code(
        id="MIG206",
        severity=Severity.ERROR,
        title="this version of the database doesn't have that",
        why="""\
The SQL is right for a newer PostgreSQL, but the file says that the database runs an older one, where it would fail. \
If the server is newer than the file says, change `engine`; if not, write it with what that version has. `SHOW \
server_version` tells which it is.""",
        bad="""\
database app { engine postgresql 14; url env DATABASE_URL }
change User {
  add at_signs integer? {
    from `regexp_count(email, '@')`
  }
}""",
        good="""\
database app { engine postgresql 14; url env DATABASE_URL }
change User {
  add at_signs integer? {
    from `length(email) - length(replace(email, '@', ''))`
  }
}""",
        fix="safe",
    ),
    Code(
        id="MIG207",
        severity=Severity.ERROR,
        title="a condition must be true or false",
        why="""\
A `check`, and what stands behind the `where` of an index, is asked of each row. PostgreSQL takes no number for true: \
it refuses `CHECK (amount)` with "argument of CHECK must be type boolean", and with it the whole revision. Compare the \
value with something. What is meant is mostly `amount > 0`, or `amount IS NOT NULL`.""",
        bad="""\
entity Payment in app.payment {
  id         bigint   key
  tenant_id  uuid     tenant
  amount     integer
  check `amount`
}""",
        good="""\
entity Payment in app.payment {
  id         bigint   key
  tenant_id  uuid     tenant
  amount     integer
  check `amount > 0`
}""",
        fix="none",
    ),
    Code(
        id="MIG221",
        severity=Severity.ERROR,
        title="this is not PromQL that can be put into a rule",
        why="""\
The text between the backticks becomes part of alerting rules, so it must be complete: every bracket and every string \
closed. `$name` and `[[name]]` are Grafana's variables; where they stand outside of strings nobody would replace them. \
Whether the metrics in it exist only your Prometheus knows; `promtool check rules` reads the generated file.""",
        bad="""\
metric checkout_errors = `sum(rate(http_errors_total[5m])` unit per_second""",
        good="""\
metric checkout_errors = `sum(rate(http_errors_total[5m]))` unit per_second""",
        fix="none",
    ),
)
