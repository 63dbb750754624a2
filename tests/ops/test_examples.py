"""Every example goes there and back on a real PostgreSQL, on tables made of what it declares, and says the same twice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.ops.declared import ddl
from tests.ops.linter import faults
from tests.ops.story import Walk, compiled

ROOT = Path(__file__).resolve().parents[2]
# Those that change a database; the others have no revision.
_CHANGES = re.compile("^(change|create|drop|move) ", re.MULTILINE)
EXAMPLES = sorted(p for p in (ROOT / "examples").rglob("*.mig") if _CHANGES.search(p.read_text(encoding="utf-8")))
# On two databases: they go there and back in tests/integration.
_ACROSS = re.compile("^sync ", re.MULTILINE)
OF_ONE = [path for path in EXAMPLES if not _ACROSS.search(path.read_text(encoding="utf-8"))]
LISTS = "SELECT id FROM tenants ORDER BY id"


@pytest.mark.parametrize("path", OF_ONE, ids=lambda path: path.stem)
def test_there_and_back(walk: Walk, path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(path.parent))  # an example may bring a Python function along
    text = path.read_text(encoding="utf-8").replace("SELECT id FROM accounts ORDER BY id", LISTS)
    walk(text, ddl(text))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_sql_passes_the_linter(path: Path, tmp_path: Path):
    compiled(path.read_text(encoding="utf-8"), tmp_path)
    for number, versions in enumerate(sorted((tmp_path / "migrations").rglob("versions"))):
        (tmp_path / f"linted_{number}").mkdir()
        assert faults(versions, tmp_path / f"linted_{number}") == []
