"""Small edits of generated files that make a migration unsafe: each is caught, by the verdict that is about it.

Some are part of every run; `MIGDSL_ALL_FAULTS=1` tries them all.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import pytest

from migdsl.rehearsal.model import Settings
from tests.rehearsal.conftest import SHORT, Edit, Rehearse
from tests.rehearsal.test_kinds import NO_CITY, NO_EXTRA, NO_MISSING

EXPAND, ENFORCE, CONTRACT = "email_expand.py", "email_enforce.py", "email_contract.py"
BACKFILL, RECONCILE = "backfills/users_email/user.py", "reconcile/users_email/user.py"
ADDRESSES, ADDRESS = "07_new_table/addresses_table", "reconcile/addresses_table/address.py"
PURCHASES, PURCHASED = "15_move_table/purchases", "purchases_expand.py"
OTHER_KEY, OTHER_TENANT = (f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in ("id", "tenant_id"))
RULES, FLAGS = ".rules.json", ".flagd.json"
FROM = "coalesce(NEW.email, NEW.username || '@example.com')"
ADD = "ALTER TABLE public.users ADD COLUMN IF NOT EXISTS contact_email text\n"
ALWAYS = '"""\nALTER TABLE public.users ENABLE ALWAYS TRIGGER "~migdsl_users_email"\n"""'
RANGE = "   AND (t.id > :after OR :after IS NULL)\n   AND t.id <= :upto\n"
DROPPED = f'{ALWAYS},\n            """\nALTER TABLE public.users DROP COLUMN email\n"""'
# What somebody makes of the job's loop who wants the watermark out of the way of the batch.
APART = """
    from migdsl.runtime.backfill import lane
    from migdsl.runtime.sql import Statement

    def fill_next(tx, ledger, program, claim, ahead, lease_s, alone):
        after, upper = ahead.position.watermark, ahead.position.upper
        upto = program.bound(tx, claim.tenant, after, upper, ahead.size) or upper
        ledger.advance(tx, claim, upto, program.rows_in(tx, claim.tenant, after, upto), 0, lease_s)
        for word in ("COMMIT", "BEGIN"):
            tx.run(Statement(word, ()))
        return lane.Batch(1, program.fill(tx, claim.tenant, after, upto), upto == upper)

    lane._fill_next = fill_next
    raise SystemExit(main(JOB))"""
REQUIRED = 'ALTER TABLE public.users ALTER COLUMN contact_email SET NOT NULL\n""",'
REFUSING = f"""{REQUIRED}
            \"\"\"
CREATE FUNCTION public.nope() RETURNS trigger LANGUAGE plpgsql AS
$f$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END $f$;
CREATE TRIGGER nope BEFORE INSERT OR UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION public.nope()
\"\"\","""
COUNTED = "PERFORM nextval('migdsl.users_email_users_old_writes');"
FAILING = 'outcome=\\"failed\\"}) > '
ASIDE = 'max by (migration, backfill) (migdsl_backfill_errors{migration=\\"users_email\\"}) > '
HELD = replace(SHORT, hold_s=2.5)
BACK = replace(SHORT, back=True)
BRIEF = replace(SHORT, hold_s=0.01)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, the phase that shows it, and the verdict that must say so."""

    verdict: str
    to: str
    edits: tuple[Edit, ...]
    settings: Settings = SHORT
    name: str = "users"
    always: bool = False


FAULTS = {
    "a trigger on INSERT alone": Fault(
        "both_sides",
        "backfill",
        ((EXPAND, "BEFORE INSERT OR UPDATE ON public.users", "BEFORE INSERT ON public.users"),),
    ),
    "a trigger on UPDATE alone": Fault(
        "both_sides",
        "backfill",
        ((EXPAND, "BEFORE INSERT OR UPDATE ON public.users", "BEFORE UPDATE ON public.users"),),
    ),
    "a `from` that is wrong in the trigger": Fault(
        "both_sides",
        "expand",
        ((EXPAND, f"NEW.contact_email := {FROM}", f"NEW.contact_email := lower({FROM})"),),
        always=True,
    ),
    "a `back` that is wrong in the trigger": Fault(
        "acknowledged_writes",
        "backfill",
        ((EXPAND, "NEW.email := NEW.contact_email;", "NEW.email := upper(NEW.contact_email);"),),
    ),
    "a `from` that is wrong in the backfill": Fault(
        "acknowledged_writes",
        "backfill",
        (
            (
                BACKFILL,
                "SET contact_email = coalesce(t.email, t.username || '@example.com')",
                "SET contact_email = t.username || '!'",
            ),
        ),
    ),
    "a batch that isn't confined to the tenant": Fault(
        "isolation",
        "backfill",
        (
            (
                BACKFILL,
                f" WHERE t.tenant_id = :tenant_id\n{RANGE}   AND t.contact_email IS NULL",
                f" WHERE :tenant_id::text IS NOT NULL\n{RANGE}   AND t.contact_email IS NULL",
            ),
        ),
        always=True,
    ),
    "a batch that leaves out its upper bound": Fault(
        "both_sides",
        "backfill",
        (
            (
                BACKFILL,
                "AND t.id <= :upto\n   AND t.contact_email IS NULL",
                "AND t.id < :upto\n   AND t.contact_email IS NULL",
            ),
        ),
    ),
    "a watermark outside the batch's transaction": Fault(
        "backfill", "backfill", ((BACKFILL, "\n    raise SystemExit(main(JOB))", APART),), always=True
    ),
    "a job that waits for nothing": Fault(
        "hold", "backfill", ((BACKFILL, "SELECT nullif(concat_ws(", "SELECT nullif(NULL || concat_ws("),), BRIEF
    ),
    "a job that sets aside more than the file says": Fault(
        "quarantine",
        "backfill",
        (("backfills/customers_search_key/customer.py", "Budget(rows=None, share=0.001)", "Budget(rows=50)"),),
        name="10_python_backfill/customers_search_key",
    ),
    "an alert that is silent about rows set aside": Fault(
        "alerts",
        "backfill",
        (
            (
                RULES,
                FAILING + "0 or " + ASIDE + "0",
                FAILING + "1000 or " + ASIDE + "1000",
            ),
        ),
    ),
    "a trigger that refuses every write at the end": Fault("traffic", "enforce", ((ENFORCE, REQUIRED, REFUSING),)),
    "a rule of the file that refuses every write": Fault(
        "traffic",
        "enforce",
        ((ENFORCE, REQUIRED, REFUSING.replace("'23514'", "'23514', CONSTRAINT = 'users_contact_email_filled'")),),
    ),
    "NOT NULL before the backfill": Fault(
        "revisions", "expand", ((EXPAND, ADD, ADD.replace(" text\n", " text NOT NULL\n")),)
    ),
    "a default on the new column": Fault(
        "both_sides", "backfill", ((EXPAND, ADD, ADD.replace(" text\n", " text DEFAULT 'nobody'\n")),)
    ),
    "a check that binds old code": Fault(
        "traffic", "expand", ((EXPAND, ADD, ADD.replace("\n", ", ADD CHECK (email IS NOT NULL) NOT VALID\n")),)
    ),
    "a unique constraint before its time": Fault(
        "backfill", "backfill", ((EXPAND, ADD, ADD.replace(" text\n", " text UNIQUE\n")),)
    ),
    "a column that goes while old code reads it": Fault(
        "traffic",
        "expand",
        ((EXPAND, ALWAYS, f'{ALWAYS},\n            """\nALTER TABLE public.users RENAME email TO email_gone\n"""'),),
    ),
    "a column that is dropped before validate": Fault("traffic", "expand", ((EXPAND, ALWAYS, DROPPED),)),
    "a lock without a timeout": Fault(
        "blocked",
        "expand",
        ((EXPAND, "SET LOCAL lock_timeout = '100ms';", "SET LOCAL lock_timeout = '0';"),),
        HELD,
        always=True,
    ),
    "an index without CONCURRENTLY": Fault(
        "blocked",
        "expand",
        (("index_expand.py", "CREATE INDEX CONCURRENTLY", "CREATE INDEX"),),
        HELD,
        "09_index_only/events_index",
    ),
    "a downgrade that forgets a column": Fault(
        "catalog_back",
        "expand",
        (
            (
                EXPAND,
                "ALTER TABLE public.users DROP COLUMN IF EXISTS contact_email",
                "COMMENT ON TABLE public.users IS NULL",
            ),
        ),
        BACK,
        always=True,
    ),
    "a flag that skips stages": Fault(
        "flag", "prepare", ((FLAGS, '"defaultVariant": "off"', '"defaultVariant": "live"'),), always=True
    ),
    "a flag whose shadow is live": Fault("flag", "prepare", ((FLAGS, '"shadow": "shadow"', '"shadow": "live"'),)),
    "a reconciliation that is blind": Fault(
        "reconciliation",
        "validate",
        (
            (
                RECONCILE,
                "FILTER (WHERE t.contact_email IS DISTINCT FROM (coalesce(t.email, t.username || '@example.com'))) AS mismatched",
                "FILTER (WHERE false) AS mismatched",
            ),
            (
                RECONCILE,
                "hash_record_extended(ROW(t.id, (coalesce(t.email, t.username || '@example.com')))",
                "hash_record_extended(ROW(t.id, t.contact_email)",
            ),
        ),
    ),
    "a reconciliation for which NULL is equal to anything": Fault(
        "reconciliation", "validate", ((RECONCILE, "t.contact_email IS DISTINCT FROM (", "t.contact_email <> ("),)
    ),
    "a reconciliation that leaves out a column": Fault(
        "reconciliation",
        "validate",
        tuple((ADDRESS, *edit) for edit in NO_CITY),
        name=ADDRESSES,
    ),
    "a reconciliation that joins": Fault(
        "reconciliation", "validate", tuple((ADDRESS, *edit) for edit in NO_MISSING), name=ADDRESSES
    ),
    "a reconciliation that doesn't look for what is too much": Fault(
        "reconciliation", "validate", tuple((ADDRESS, *edit) for edit in NO_EXTRA), name=ADDRESSES
    ),
    "violations that nobody counts": Fault(
        "gates",
        "validate",
        (
            (
                RECONCILE,
                "AND t.contact_email IS NOT NULL AND t.migdsl_alike_1 > 1",
                "AND t.contact_email IS NOT NULL AND t.migdsl_alike_1 > 9",
            ),
        ),
    ),
    "an alert that stays silent": Fault(
        "alerts",
        "validate",
        (
            (
                RULES,
                'rows_mismatched{migration=\\"users_email\\"} > 0',
                'rows_mismatched{migration=\\"users_email\\"} > 1000000',
            ),
        ),
    ),
    "an alert that fires for nothing": Fault(
        "alerts",
        "validate",
        (
            (
                RULES,
                'rows_mismatched{migration=\\"users_email\\"} > 0',
                'rows_mismatched{migration=\\"users_email\\"} >= 0',
            ),
        ),
    ),
    "a new table that doesn't follow another key": Fault(
        "both_sides",
        "validate",
        (("addresses_table_expand.py", f"TG_OP = 'UPDATE' AND ({OTHER_KEY} OR {OTHER_TENANT})", "FALSE"),),
        name=ADDRESSES,
    ),
    "a move that doesn't follow another key or tenant": Fault(
        "both_sides",
        "expand",
        ((PURCHASED, f"IF {OTHER_KEY} OR {OTHER_TENANT} THEN", "IF FALSE THEN"),),
        name=PURCHASES,
    ),
    "a move that doesn't follow another tenant": Fault(
        "both_sides",
        "expand",
        ((PURCHASED, f"IF {OTHER_KEY} OR {OTHER_TENANT} THEN", f"IF {OTHER_KEY} THEN"),),
        name=PURCHASES,
        always=True,
    ),
    "a move that doesn't hear of TRUNCATE": Fault(
        "both_sides",
        "validate",
        (
            (
                PURCHASED,
                "AFTER TRUNCATE ON public.orders FOR EACH STATEMENT",
                "AFTER TRUNCATE ON public.orders FOR EACH STATEMENT WHEN (FALSE)",
            ),
        ),
        name=PURCHASES,
    ),
    "an enforce without its gates": Fault(
        "gates", "enforce", ((ENFORCE, "        require(\n", "        (lambda *unasked: None)(\n"),)
    ),
    "writes of old code that nobody counts": Fault(
        "gates", "contract", tuple((path, COUNTED, "NULL;") for path in (EXPAND, ENFORCE, CONTRACT))
    ),
    "a contract that drops too much": Fault(
        "catalog_target",
        "contract",
        (
            (
                CONTRACT,
                "DROP COLUMN IF EXISTS email",
                "DROP COLUMN IF EXISTS email CASCADE, ALTER COLUMN contact_email DROP NOT NULL",
            ),
        ),
    ),
}
ALL = os.environ.get("MIGDSL_ALL_FAULTS") == "1"


@pytest.mark.parametrize("what", [name for name, fault in FAULTS.items() if fault.always or ALL])
def test_a_fault_is_caught_by_its_verdict(rehearse: Rehearse, what: str) -> None:
    fault = FAULTS[what]
    report = rehearse(fault.name, replace(fault.settings, to=fault.to), *fault.edits)
    failed = {v.id: v for v in report.verdicts if v.state == "failed"}
    assert fault.verdict in failed, [(v.id, v.findings) for v in failed.values()]
    for finding in failed[fault.verdict].findings:
        assert finding.step
        assert finding.what


def test_the_same_files_as_they_are_pass(rehearse: Rehearse) -> None:
    """What the faults are edits of: nobody is accused."""
    report = rehearse("users", replace(BRIEF, to="cutover", back=True))
    assert [(v.id, v.findings) for v in report.verdicts if v.state == "failed"] == []
    assert {v.id for v in report.verdicts if v.state == "passed"} >= {
        "acknowledged_writes",
        "both_sides",
        "isolation",
        "gates",
        "hold",
        "quarantine",
        "second_write",
    }
    said = "; ".join(next(v for v in report.verdicts if v.id == "flag").evidence)
    for share in ("at 1%: ", "at 10%: ", "at 50%: "):
        assert share in said
    assert any(each.rows for each in report.progress)
    assert [each.rows for each in report.drift if each.rows is not None][-1] == 0
