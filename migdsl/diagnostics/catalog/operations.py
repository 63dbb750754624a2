"""MIG111 and MIG414 to MIG429: operations on what stands on columns, and on columns that carry more than a value."""

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
entity User in app.users { id bigint key; tenant_id uuid tenant; email text?; index (email) as users_email_idx }
change User { drop index email_idx }""",
        good="""\
entity User in app.users { id bigint key; tenant_id uuid tenant; email text?; index (email) as users_email_idx }
change User { drop index users_email_idx }""",
        fix="none",
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
)
