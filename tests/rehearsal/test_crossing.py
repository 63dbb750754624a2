"""Tables that move to another database: what a rehearsal plays of it, what it says that it doesn't, and what it catches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from migdsl.rehearsal.model import Settings
from migdsl.rehearsal.run import Report, rehearse
from tests.rehearsal.conftest import Edit, piece

OUTBOX, CDC = "16_extraction_outbox/orders_extraction", "17_extraction_cdc/orders_cdc"
DUAL = "18_extraction_dual_write/orders_dual_write"
FEW = Settings(rows=60, tenants=4, rate=200.0)
SYNC, OLD, NEW = "sync/orders_extraction/order.py", "77c617_expand.py", "orders_extraction_orders_expand.py"
FORGETFUL = """
    from migdsl.runtime.stream.apply import Way

    put = Way._put

    def early(self, there, taken, **how):
        self.forget(taken)
        return put(self, there, taken, **how)

    Way._put = early
    raise SystemExit(main(STREAM))"""
COMPARED = "reconcile/orders_extraction/order.py"
COLUMNS = "id, tenant_id, number, status, total_cents, note"
KEYS = "(SELECT DISTINCT * FROM unnest(CAST(current_setting('migdsl.key_1') AS bigint[])) AS given (key_1)) AS o\n"
NOTE = f"       CAST(t.note AS text) AS note\n  FROM {KEYS}"
TOLD = """VALUES (((hash_record_extended(ROW(NEW.id), 0) & 9223372036854775807) % 8)::integer, NEW.id, its_tenant, \
nullif(was_tenant, its_tenant));
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with which example, the phase that shows it, and the verdict that must say so."""

    verdict: str
    to: str
    edits: tuple[Edit, ...]
    name: str = OUTBOX


# As a relay does that carries what was written, and puts what came first in place last.
PAYLOADS = (
    (
        OLD,
        '''            """
COMMENT ON TABLE migdsl.orders_extraction_orders_outbox IS
''',
        '''            """
CREATE TABLE migdsl.payload AS SELECT row_number() OVER () AS seq, o.* FROM public.orders AS o LIMIT 0
""",
            """
COMMENT ON TABLE migdsl.orders_extraction_orders_outbox IS
''',
    ),
    (
        OLD,
        TOLD,
        f"""{TOLD}    INSERT INTO migdsl.payload (seq, {COLUMNS})
    SELECT (SELECT count(*) FROM migdsl.payload), NEW.{COLUMNS.replace(', ', ', NEW.')};
""",
    ),
    (
        SYNC,
        f"{NOTE}  JOIN public.orders AS t ON t.id = o.key_1\n",
        f"""{NOTE}  JOIN (SELECT DISTINCT ON (said.id) said.*
          FROM (SELECT 9223372036854775807 AS seq, {COLUMNS} FROM public.orders
                 UNION ALL SELECT seq, {COLUMNS} FROM migdsl.payload) AS said
          JOIN public.orders AS still ON still.id = said.id
         ORDER BY said.id, said.seq) AS t ON t.id = o.key_1
""",
    ),
)
EMPTIED = "BEFORE TRUNCATE ON public.orders\n  FOR EACH STATEMENT"
FENCE = "  IF found_state = 'old' THEN\n    RETURN true;\n"
FAULTS = {
    "a way there that is wrong in the sync job": Fault(
        "both_sides",
        "backfill",
        (
            (
                SYNC,
                "CAST((t.total_cents * 0.01) AS numeric) AS total",
                "CAST((t.total_cents * 0.1) AS numeric) AS total",
            ),
        ),
    ),
    "a trigger that is waited for in front of everybody": Fault(
        "blocked", "expand", ((OLD, "SET LOCAL lock_timeout = '100ms'", "SET LOCAL lock_timeout = '60s'"),)
    ),
    "an outbox that doesn't hear of what is deleted": Fault(
        "acknowledged_writes",
        "backfill",
        ((OLD, "OR UPDATE OR DELETE ON public.orders\n", "OR UPDATE ON public.orders\n"),),
    ),
    "lost order: writes of one row in any lane": Fault(
        "both_sides",
        "validate",
        ((OLD, "hash_record_extended(ROW(NEW.id), 0)", "CAST(random() * 1000000 AS bigint)"),),
    ),
    "lost order on the way back: writes of one row in any lane": Fault(
        "acknowledged_writes",
        "cutover",
        ((NEW, "hash_record_extended(ROW(NEW.id), 0)", "CAST(random() * 1000000 AS bigint)"),),
    ),
    "lost order: rows as they were first written": Fault("both_sides", "backfill", PAYLOADS),
    "keys that are forgotten before their rows are in place": Fault(
        "both_sides", "validate", ((SYNC, "\n    raise SystemExit(main(STREAM))", FORGETFUL),)
    ),
    "a fence that lets a tenant write on both sides": Fault(
        "acknowledged_writes",
        "cutover",
        (("96b718_expand.py", FENCE, FENCE.replace("= 'old'", "<> 'moving'")),),
        DUAL,
    ),
    "a reconciliation that leaves out a column": Fault(
        "reconciliation",
        "validate",
        (
            (COMPARED, ", CAST(t.note AS text)),\n", "),\n"),
            (COMPARED, ",\n       hash_record_extended(ROW(CAST(t.note AS text)), 2) AS note", ""),
        ),
    ),
    "an outbox that doesn't hear of another key": Fault(
        "both_sides",
        "validate",
        ((OLD, "ROW(OLD.id) IS DISTINCT FROM ROW(NEW.id)", "FALSE"),),
    ),
    "an outbox that doesn't hear of another key on the way back": Fault(
        "acknowledged_writes",
        "cutover",
        ((NEW, "ROW(OLD.order_id, OLD.line) IS DISTINCT FROM ROW(NEW.order_id, NEW.line)", "FALSE"),),
    ),
    "an outbox that doesn't hear of TRUNCATE": Fault(
        "both_sides",
        "validate",
        ((OLD, f"{EMPTIED} EXECUTE", f"{EMPTIED} WHEN (FALSE) EXECUTE"),),
    ),
    "a switch that doesn't wait for who writes": Fault(
        "both_sides", "cutover", ((OLD, "PERFORM pg_advisory_xact_lock_shared(", "PERFORM abs("),)
    ),
    "a fence that isn't asked of what is emptied": Fault(
        "acknowledged_writes",
        "cutover",
        ((OLD, '  PERFORM migdsl."orders_extraction_Order_fence"(listed.tenant)\n', "  PERFORM listed.tenant\n"),),
    ),
    "a contract that asks nothing of its gates": Fault(
        "gates",
        "contract",
        tuple(
            (path, "        require(\n", "        (lambda *unasked: None)(\n")
            for path in ("77c617_contract.py", "10d460_contract.py")
        ),
    ),
    "an application that doesn't ask the fence": Fault(
        "traffic",
        "cutover",
        (("routing/orders_dual_write/order.py", 'fence"(given.tenant)\n', 'fence"(NULL)\n'),),
        DUAL,
    ),
    "an application that carries nothing over": Fault(
        "second_write",
        "validate",
        (("routing/orders_dual_write/order.py", "AS regclass)), 0)", "AS regclass)), 0) + 1000000"),),
        DUAL,
    ),
}


def played(name: str, settings: Settings, folder: Path, *edits: Edit) -> Report:
    """A rehearsal of an example, its files edited, on a server of its own."""
    return rehearse(piece(name, settings, folder, edits), lambda _: None)


def failed(report: Report) -> dict[str, object]:
    """Verdict → what speaks against it."""
    return {v.id: v.findings for v in report.verdicts if v.state == "failed"}


def test_rows_are_carried_over_while_the_sync_job_is_killed(tmp_path: Path):
    """Old code's writes by the outbox, new code's by the generated module."""
    report = played(DUAL, replace(FEW, to="backfill", back=False), tmp_path)
    assert failed(report) == {}
    states = {v.id: v.state for v in report.verdicts}
    assert {states[name] for name in ("acknowledged_writes", "both_sides", "backfill", "traffic", "hold")} == {"passed"}
    # It comes at validate, and is asked of nobody but code that goes through the module.
    assert states["second_write"] == "skipped"
    assert "not played" not in states.values()
    assert any(mark.name == "the sync job is killed" for mark in report.log.marks)
    # The curves: rows that aren't on the other side, until they are.
    differing = [each.rows for each in report.drift if each.rows is not None]
    assert max(differing) > 20
    assert min(differing[-3:]) < 3
    assert {each.backfill for each in report.progress} == {"Order"}


@pytest.mark.long("MIGDSL_LONG")
@pytest.mark.parametrize("name", [OUTBOX, CDC, DUAL])
def test_the_examples_pass_whole(name: str, tmp_path: Path):
    report = played(name, FEW, tmp_path)
    assert failed(report) == {}
    passed = {v.id for v in report.verdicts if v.state == "passed"}
    assert passed >= {"gates", "catalog_back", "catalog_target", "reconciliation", "flag", "revisions"}
    assert passed >= {"hold", "quarantine", "isolation", "alerts"}
    assert ("second_write" in {v.id for v in report.verdicts}) == (name == DUAL) == ("second_write" in passed)


@pytest.mark.long("MIGDSL_ALL_FAULTS")
@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_caught_by_its_verdict(what: str, tmp_path: Path):
    fault = FAULTS[what]
    found = failed(played(fault.name, replace(FEW, to=fault.to, back=False), tmp_path, *fault.edits))
    assert fault.verdict in found, found
