"""Conditions of revisions that somebody has edited: one that is gone, and one that asks for less."""

from __future__ import annotations

from pathlib import Path

import pytest

from migdsl.planning.build import build
from migdsl.rehearsal.gated import asking, patient
from migdsl.rehearsal.model import Log, Settings
from migdsl.workspace import compile_files, source_digest
from tests.rehearsal.conftest import Edit, piece

ENFORCE, CONTRACT, EXPAND = "users_email_enforce.py", "users_email_contract.py", "users_email_expand.py"


def found(folder: Path, *edits: Edit) -> list[str]:
    log, project = Log(), piece("users", Settings(), folder, edits).project
    asking(log, project.planned, project.texts)
    assert all(each.verdict == "gates" for each in log.findings)
    return [each.what for each in log.findings]


def test_conditions_as_they_were_compiled_pass(tmp_path: Path) -> None:
    assert found(tmp_path) == []


def test_the_layout_is_anybodys(tmp_path: Path) -> None:
    assert found(tmp_path, (ENFORCE, "SELECT 'second writes", "SELECT\n   'second writes")) == []


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ((ENFORCE, "value NOT IN ('live',", "value NOT IN ('shadow', 'live',"), "upgrade of enforce doesn't ask"),
        ((ENFORCE, "interval '86400 seconds'", "interval '0 seconds'"), "found no difference and no violation"),
        ((CONTRACT, "AND r.kind = 'repair'", "AND false AND r.kind = 'repair'"), "failed waits for its repair"),
        ((EXPAND, "WHERE value NOT IN ('off')", "WHERE false"), "downgrade of expand doesn't ask whether nobody uses"),
        ((ENFORCE, "def upgrade()", "def upgrade_()"), "upgrade of enforce doesn't ask"),
        ((ENFORCE, "def upgrade()", "def upgrade("), "upgrade of enforce doesn't ask"),
    ],
)
def test_one_that_asks_for_less_is_found(tmp_path: Path, edit: Edit, said: str) -> None:
    assert any(said in each for each in found(tmp_path, edit))


def test_an_index_that_is_not_built_concurrently_is_found(tmp_path: Path) -> None:
    log, edit = Log(), (ENFORCE, "CREATE UNIQUE INDEX CONCURRENTLY", "CREATE UNIQUE INDEX")
    before, after = (piece("users", Settings(), tmp_path, edits).project for edits in ((), (edit,)))
    patient(log, before.planned, before.texts)
    assert log.findings == []
    patient(log, after.planned, after.texts)
    assert [(f.verdict, "users_tenant_id_contact_email_key" in f.what) for f in log.findings] == [("blocked", True)]


HOSTILE = """
migration odd { ticket "MIG-1"; downtime none }
database app { engine postgresql 15; url env DATABASE_URL }
tenants { key tenant_id uuid; list `SELECT id FROM tenants ORDER BY id` }
entity Odd in app."it's \\ a ""table" { id bigint key; tenant_id uuid tenant; "na""me" text; rows 5k }
change Odd { add full text { from `"na""me"`; unique per tenant }; index ("na""me", full) as "i\\x ""y" }
"""


def test_names_that_python_quotes_are_nobodys_fault() -> None:
    found = compile_files({"odd.mig": HOSTILE}, "odd.mig", through="contract")
    assert found.module is not None, found.diagnostics
    planned, log = build(found.module, source_digest(found.sources), "contract"), Log()
    texts = {a.path: a.text for a in found.artifacts}
    assert any("CREATE INDEX CONCURRENTLY" in text and "\\\\" in text for text in texts.values())
    patient(log, planned, texts)
    asking(log, planned, texts)
    assert log.findings == []
