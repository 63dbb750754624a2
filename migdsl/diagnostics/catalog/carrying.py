"""MIG432 to MIG435: how rows are carried over in batches, and by what."""

from __future__ import annotations

from migdsl.diagnostics.code import Code
from migdsl.diagnostics.model import Severity

CODES: tuple[Code, ...] = (
    Code(
        id="MIG432",
        severity=Severity.ERROR,
        title="batches can't walk in this order",
        why="""\
Batches follow an index, from one value of the ordering column to the next, and the ledger keeps how far they are. A row \
without a value has no place in that order and would never be reached; a value that is personal data has no place in the \
ledger; and a column that changes in this migration takes its index with it half-way.""",
        bad="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text?; seen_at timestamptz? }
backfill User { order by seen_at desc }
change User { add nickname text { from `coalesce(email, 'nobody')` } }""",
        good="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text?; made_at timestamptz }
backfill User { order by made_at desc }
change User { add nickname text { from `coalesce(email, 'nobody')` } }""",
        fix="none",
    ),
    Code(
        id="MIG433",
        severity=Severity.ERROR,
        title="Python can't fill this",
        why="""\
A Python function fills one column: a new one without `from`, or the NULLs of one that is to be required. It is named as \
`module:function`, is imported where the job runs and not when the file is compiled, and is given the columns that stand \
behind `from`. These must be stored, since a generated one isn't there yet when a row is written, and must have equality, \
since a row whose inputs changed while the function ran must not get its answer.""",
        bad="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? }
backfill User.email_key { using python "app.normalise" from email }
change User { add email_key text }""",
        good="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? }
backfill User.email_key { using python "app.normalise:email" from email }
change User { add email_key text }""",
        fix="none",
    ),
    Code(
        id="MIG434",
        severity=Severity.ERROR,
        title="only SQL could give what is asked of a column that Python computes",
        why="""\
No trigger can run the function, so whatever old code writes lacks the value until the backfill has run once more. A \
constraint that binds before old code is gone would fail old code's writes, whatever one knows of it. And a `back` can't \
be proven: the pair would have to satisfy from(back(x)) = x in each write, and the database can't ask Python. Let the \
constraint wait for enforce, and keep the column that the new one is computed from.""",
        bad="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? }
backfill User.email_key { using python "app.normalise:email" from email }
change User {
  add email_key text { complies because "every row has an address" }
}""",
        good="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? }
backfill User.email_key { using python "app.normalise:email" from email }
change User {
  add email_key text
}""",
        fix="none",
    ),
    Code(
        id="MIG435",
        severity=Severity.WARNING,
        title="a required column is left to a trigger that goes",
        why="""\
From expand to contract a trigger computes `back`, so that new code may leave the old column out. In contract the trigger \
goes. Where the column stays, is NOT NULL and has no default, every INSERT of new code that leaves it out fails from that \
moment on, for all tenants at once. Drop the column in this migration: then both go together. Or let new code write both \
columns, until a later migration drops the old one; until contract the new one has the last word where they differ. A column \
that may be NULL does no such harm: it is kept no longer, and the way back from contract computes it again from what new code \
has written meanwhile.""",
        bad="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text pii }
change User {
  add contact_email text pii {
    from `email`
    back email = `contact_email`
  }
}""",
        good="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text pii }
change User {
  add contact_email text pii {
    from `email`
    back email = `contact_email`
  }
  drop email after 30d
}""",
        fix="none",
    ),
)
