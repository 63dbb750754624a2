"""MIG5xx, rollout and rollback: what could reach everybody at once, or nobody."""

from __future__ import annotations

from migdsl.diagnostics.code import Code
from migdsl.diagnostics.model import Severity

CODES: tuple[Code, ...] = (
    Code(
        id="MIG501",
        severity=Severity.ERROR,
        title="this reaches everybody at once",
        why="""\
The first step is 100%. If something is wrong that no test showed, every tenant has it in the same minute. Begin with \
a few, wait long enough to notice, go on. The last step is always 100%; the ones before it cost a few days and can be \
taken back for a few tenants. Only a migration without data to move may do without.""",
        bad="""\
cutover {
  ramp 100% every 24h
}""",
        good="""\
cutover {
  ramp 1%, 10%, 50%, 100% every 24h
}""",
        fix="unsafe",
    ),
    Code(
        id="MIG502",
        severity=Severity.ERROR,
        title="the steps of the ramp don't lead from few to all",
        why="""\
Each step must be larger than the one before, none may be 0% or more than 100%, and the last must be 100%. A step \
down would take tenants back who have already written in the new shape, which is a rollback, not a ramp; and a ramp \
that stops before 100% never ends the migration.""",
        bad="""\
cutover {
  ramp 10%, 5%, 50%, 100% every 24h
}""",
        good="""\
cutover {
  ramp 5%, 10%, 50%, 100% every 24h
}""",
        fix="unsafe",
    ),
    Code(
        id="MIG503",
        severity=Severity.ERROR,
        title="this can't be a tenant's key",
        why="""\
Tenants are named by their key, and `tenants` says of which type it is. This value isn't of that type, so no tenant \
has it, and the canary or flag line would reach nobody: a rollout that looks as if it worked. Use the key itself, not \
the tenant's name; `list` shows the keys.""",
        bad="""\
tenants { key tenant_id uuid; list `SELECT id FROM tenants ORDER BY id` }
cutover { canary "acme" }""",
        good="""\
tenants { key tenant_id uuid; list `SELECT id FROM tenants ORDER BY id` }
cutover { canary "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11" }""",
        fix="none",
    ),
    Code(
        id="MIG504",
        severity=Severity.ERROR,
        title="this line is for tenants that the file doesn't name",
        why="""\
`for canary` means the tenants after `canary` in `cutover`, and `for tenants "..."` needs a `tenants` block. Without \
them the line reaches nobody, while it reads as if somebody were already being tried on. Name the canary, or use `for \
all` or a percentage.""",
        bad="""\
cutover { ramp 1%, 10%, 50%, 100% every 24h }
flag users_email { stage shadow for canary }""",
        good="""\
cutover {
  canary "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11"
  ramp   1%, 10%, 50%, 100% every 24h
}
flag users_email { stage shadow for canary }""",
        fix="none",
    ),
    Code(
        id="MIG506",
        severity=Severity.ERROR,
        title="these stages can't be in force together",
        why="""\
Two lines set different stages for the same tenants, or put tenants further ahead than the rest of the system can be: \
a stage is only possible when the phases it needs are done for everybody (`live` needs the backfill and its checks, \
`complete` needs all tenants live and the soak over). Stages come in the order off, dualwrite, shadow, live, \
rampdown, complete, one after the other.""",
        bad="""\
flag users_email {
  stage off      for all
  stage complete for 10%
}""",
        good="""\
flag users_email {
  stage dualwrite for all
  stage shadow    for 10%
}""",
        fix="safe",
    ),
    Code(
        id="MIG508",
        severity=Severity.ERROR,
        title="the flag skips a stage",
        why="""\
Between two versions of the file some tenants move on by more than one stage. Each stage proves what the next one \
rests on: dualwrite that both sides are written, shadow that they read alike, live that the new one serves, rampdown \
that nobody reads the old one. A stage that nobody was in has proven nothing, and the first to find out are users. \
Deploy the stage in between first. Where no column takes the place of another there is nothing to write twice or to \
compare: then the flag may go from off to live to complete.""",
        bad="""\
# deployed: stage dualwrite for all
flag users_email { stage live for all }""",
        good="""\
# deployed: stage dualwrite for all
flag users_email { stage shadow for all }""",
        fix="none",
    ),
    Code(
        id="MIG509",
        severity=Severity.ERROR,
        title="the flag can't go back from there",
        why="""\
At `complete` new code looks at the new shape alone, and contract may have taken the old one away: a flag that goes \
back would send readers to columns that are gone, or that nobody kept in step. First take contract back (`alembic \
downgrade`, as in the runbook), prove by a reconciliation that the old side is whole again, then move the flag by \
`migdsl rollout` with `--url`, which sees that the database has contract no more; or write a new migration that leads \
back. From every earlier stage the way back is open, in one move.""",
        bad="""\
# deployed: stage complete for all
flag users_email { stage live for all }""",
        good="""\
# deployed: stage rampdown for all
flag users_email { stage dualwrite for all }""",
        fix="none",
    ),
    Code(
        id="MIG510",
        severity=Severity.ERROR,
        title="there is not time enough until the day that is promised",
        why="""\
The steps of the ramp, the day of clean reconciliations before enforce and the soak before contract take their time, \
however fast the rest is. Counted from `start` they end after the promised day. No clock is read: only the two dates \
of the file are compared. Start earlier, promise a later day, or, with a reason, take shorter steps.""",
        bad="""\
migration users_email {
  ticket "MIG-77"
  start 2026-12-01
  due contract 2026-12-10
}
change User { drop old_settings after 14d irreversible because "unread for years" }""",
        good="""\
migration users_email {
  ticket "MIG-77"
  start 2026-12-01
  due contract 2027-02-01
}
change User { drop old_settings after 14d irreversible because "unread for years" }""",
        fix="none",
    ),
    Code(
        id="MIG511",
        severity=Severity.ERROR,
        title="this phase can't be there",
        why="""\
The seven derived phases follow one another in a fixed order, and a phase of your own stands behind one of them or \
behind another of your own. It has steps for people and conditions, but no revision, so no other revision can be \
followed by it. Nor can one by a derived phase in which nothing happens in that database: name the next phase that has a \
revision there. And phases that follow each other in a circle would never begin.""",
        bad="""\
phase smoke_test after load_test { step "click through the checkout" }
phase load_test after smoke_test { step "replay an hour of traffic" }""",
        good="""\
phase smoke_test after expand { step "click through the checkout" }
phase load_test after smoke_test { step "replay an hour of traffic" }""",
        fix="none",
    ),
    Code(
        id="MIG512",
        severity=Severity.ERROR,
        title="what has no tenants turns over for everybody at once",
        why="""\
Where a table goes to another database, a tenant's rows are written on one side at a time, and a tenant turns over with its \
stage. Rows that are nobody's own have one side for everybody. Were the flag at `live` for some alone, their writes would go \
to the side that refuses them; and an UPDATE that meets no row there is refused by nothing, and lost. So such a table moves \
in one step: `ramp 100%`, which is the default where nothing else changes, and a flag that has `live` for all. Beside \
tables that have tenants it needs a migration of its own; or, with a reason, code that writes it on the old side until the \
flag is live for all.""",
        bad="""\
database app    { engine postgresql 15; url env APP_URL }
database orders { engine postgresql 15; url env ORDERS_URL }
entity Rate in app.rates { code text key; percent integer; global because "the same for all" }
move Rate to orders.rates { code = code; percent = percent }
cutover { ramp 1%, 50%, 100% }""",
        good="""\
database app    { engine postgresql 15; url env APP_URL }
database orders { engine postgresql 15; url env ORDERS_URL }
entity Rate in app.rates { code text key; percent integer; global because "the same for all" }
move Rate to orders.rates { code = code; percent = percent }
cutover { ramp 100% }""",
        fix="unsafe",
    ),
)
