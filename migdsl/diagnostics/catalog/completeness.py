"""MIG6xx, completeness of the plan: what is missing before others can rely on it."""

from __future__ import annotations

from migdsl.diagnostics.code import Code
from migdsl.diagnostics.model import Severity

CODES: tuple[Code, ...] = (
    Code(
        id="MIG601",
        severity=Severity.WARNING,
        title="no ticket is named",
        why="""\
The plan and the runbook say whose wish a migration is. Whoever finds a half-done migration at night starts from \
there. Give the ticket's number.""",
        bad="""\
migration users_email {
  downtime none
}""",
        good="""\
migration users_email {
  ticket   "MIG-77"
  downtime none
}""",
        fix="unsafe",
    ),
    Code(
        id="MIG602",
        severity=Severity.ERROR,
        title="this migration changes nothing",
        why="""\
There is a migration but no operation in it: no `change` but empty ones, no `create`, no `drop entity`. A plan without \
a step, with a flag and alerts for it, would look like work that has been done. Say what shall change.""",
        bad="""\
migration users_email { ticket "MIG-77" }
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? pii }
change User { }""",
        good="""\
migration users_email { ticket "MIG-77" }
entity User in app.users { id bigint key; tenant_id uuid tenant; email text? pii }
change User { add phone text? pii }""",
        fix="none",
    ),
    Code(
        id="MIG603",
        severity=Severity.WARNING,
        title="nothing proves this acceptance criterion",
        why="""\
The ticket asks for something, and no check, metric or gate of the migration shows that it is reached. So the \
migration could be finished and the wish not met. Tie the criterion to what proves it with `accept`; what only a \
person can judge is `manual`, with that person's name. The criterion stands in the ticket's file; in `accept` it is called \
as it stands there, or by its id.""",
        bad="""\
migration users_email { ticket file "tickets/MIG-77.json" }""",
        good="""\
migration users_email { ticket file "tickets/MIG-77.json" }
accept "Every user has an address" by invariant "no address is empty"
accept "Support knows the change" by manual "support-lead"
validate User {
  invariant "no address is empty" `SELECT id FROM users WHERE tenant_id = :tenant_id AND email = ''`
}""",
        fix="none",
    ),
    Code(
        id="MIG604",
        severity=Severity.ERROR,
        title="the impact is said to be smaller than it is",
        why="""\
Risk and downtime are derived from the operations, and people who know more may raise them: a table may matter more \
than its size tells. They can't be lowered, and more downtime can't be expected than the header allows; whoever \
approves the plan would be told less than is known. Change the operations, or allow the downtime in the header.""",
        bad="""\
migration users_email { ticket "MIG-77"; downtime none }
impact { downtime 10m }""",
        good="""\
migration users_email { ticket "MIG-77"; downtime window 10m "Sunday 02:00 UTC" }
impact { downtime 10m }""",
        fix="none",
    ),
    Code(
        id="MIG605",
        severity=Severity.WARNING,
        title="this sets the pace of a backfill that there isn't",
        why="""\
No operation of this migration gives rows from before a new value, so there is no backfill job of the entity that \
could be slowed down or paused. Either a `from` is missing, and then rows that exist stay without a value, or the \
block is a leftover.""",
        bad="""\
backfill User { batch 500 rows }
change User { add nickname text? }""",
        good="""\
backfill User { batch 500 rows }
change User { add nickname text { from `username` } }""",
        fix="none",
    ),
    Code(
        id="MIG606",
        severity=Severity.WARNING,
        title="this is no criterion of the ticket",
        why="""\
`accept` ties an acceptance criterion to what proves it, and the ticket has no criterion of these words: one of its own \
stays without a proof, and the plan promises what nobody asked for. Call it as the ticket does, or by its id. Criteria of a \
PRD may stand beside the ticket's, once `prd` says where they come from.""",
        bad="""\
migration users_email { ticket file "tickets/MIG-77.json" }
accept "every user has an adress" by manual "support-lead\"""",
        good="""\
migration users_email { ticket file "tickets/MIG-77.json"; prd "docs/contact-address.md" }
accept "AC-1" by manual "support-lead\"""",
        fix="unsafe",
    ),
    Code(
        id="MIG607",
        severity=Severity.ERROR,
        title="two tickets are said to be the migration's",
        why="""\
The header's `ticket`, the ticket's file and the integration plan all say whose wish the migration is, and two of them \
name different ones. Criteria and risks of one ticket would be planned under the name of another. Mostly the file of the \
migration that was copied is still named.""",
        bad="""\
migration users_email {
  ticket "MIG-78"
  ticket file "tickets/MIG-77.json"
}""",
        good="""\
migration users_email { ticket file "tickets/MIG-77.json" }""",
        fix="none",
    ),
)
