"""A schema and a change become the schema as it is after the change."""

from __future__ import annotations

from migdsl.folding import Finishing, finish
from migdsl.syntax.unit import Files, unit
from migdsl.workspace import check

HEAD = (
    "database app { engine postgresql 15 }\n"
    "tenants { key tenant_id uuid; list `SELECT id FROM tenants ORDER BY id` }\n\n"
)
MIGRATION = 'use "schema.mig"\nmigration m {\n  ticket "A"\n}\n'
DONE = "flag m { stage complete for all }\n"
CANARY = 'cutover { canary "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11" }\n'


def folded(schema: str, change: str, *, force: bool = False) -> str:
    """What becomes of `schema.mig`, which begins with HEAD; HEAD itself has to stay as it is."""
    texts = finished({"schema.mig": HEAD + schema, "m.mig": MIGRATION + change + CANARY + DONE}, force=force)
    assert texts["m.mig"] == MIGRATION + "finished 2027-02-01\n" + change + CANARY + DONE
    after = texts.get("schema.mig", HEAD + schema)
    assert after.startswith(HEAD)
    return after.removeprefix(HEAD)


def finished(files: dict[str, str], *, into: str | None = None, force: bool = False) -> dict[str, str]:
    """The new texts of `m.mig` and of all else that changes."""
    known = Files(files)
    checked = check(known, "m.mig")
    # What this release can't compile yet is folded all the same, and what can only be done where nobody points at it, or
    # where more is declared unique.
    assert {d.code for d in checked.diagnostics if d.severity.value == "error"} <= {
        "MIG007",
        "MIG115",
        "MIG415",
    }, checked.diagnostics
    assert checked.module is not None
    there = unit(known, into) if into in files and into is not None else None
    return dict(finish(Finishing(unit(known, "m.mig"), checked.module, "2027-02-01", there, into, force)))
