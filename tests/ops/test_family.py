"""A generated family of migrations: every legal one goes there and back, says the same twice, and passes the linter."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migdsl.diagnostics import Severity
from migdsl.workspace import compile_files
from tests.conftest import MAJORS
from tests.ops.conftest import emptied, serving
from tests.ops.declared import ddl
from tests.ops.family import migrations
from tests.ops.linter import faults
from tests.ops.story import TENANTS_DDL, Story, compiled

MOST = int(os.environ.get("MIGDSL_FAMILY", "6"))


def legal(text: str) -> bool:
    """Whether the compiler has nothing against it; if it has, it says so in its own words."""
    found = compile_files({"m.mig": text}, "m.mig", through="contract")
    errors = [d for d in found.diagnostics if d.severity is Severity.ERROR]
    assert all(d.code != "MIG001" for d in errors), f"the generator writes what can't be parsed\n{text}\n{errors}"
    again = compile_files({"m.mig": text}, "m.mig", through="contract")
    assert [(a.path, a.text) for a in found.artifacts] == [(a.path, a.text) for a in again.artifacts]
    return not found.diagnostics


@settings(max_examples=MOST, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(text=migrations(), version=st.sampled_from(MAJORS))
def test_there_and_back(text: str, version: int, request: pytest.FixtureRequest, tmp_path: Path):
    if not legal(text):
        return
    url, server = emptied(request, version), serving(request, version)
    # The same folder each time: it is part of what tells one failure from another.
    folder = tmp_path / "m"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with psycopg.connect(url, autocommit=True, options="-c client_min_messages=warning") as connection:
        connection.execute((TENANTS_DDL + ddl(text)).encode())
        Story(server, url, folder, connection, compiled(text, folder)).there_and_back()


@settings(max_examples=MOST, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(text=migrations())
def test_the_sql_passes_the_linter(text: str, tmp_path: Path):
    if not legal(text):
        return
    folder = tmp_path / "m"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    compiled(text, folder)
    (folder / "linted").mkdir()
    assert faults(folder / "migrations" / "versions", folder / "linted") == []
