"""Whoever does what `status` says next gets each example to its end, and back out of its last phase."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import psycopg
import pytest

from tests.executor.conftest import ROOT, Home, Run
from tests.ops.declared import ddl
from tests.ops.support import T1, T2

ALL = {p: p.read_text(encoding="utf-8") for p in sorted((ROOT / "examples").rglob("*.mig"))}
# Those that change a database: of the others people know how far they are. (Two databases: test_extraction.)
EXAMPLES = [
    p
    for p, text in ALL.items()
    if "migration " in text
    and re.search("^(change|create|drop|move) ", text, re.MULTILINE)
    and not re.search("^sync ", text, re.MULTILINE)
]
LISTS = "SELECT id FROM tenants ORDER BY id"
TENANTS = f"CREATE TABLE tenants (id uuid PRIMARY KEY); INSERT INTO tenants VALUES ('{T1}'), ('{T2}');"


@pytest.fixture
def example(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, pg, cache
) -> Home:
    """An example in a folder of its own, and tables made of what it declares."""
    text = request.param.read_text(encoding="utf-8").replace("SELECT id FROM accounts ORDER BY id", LISTS)
    (tmp_path / "users.mig").write_text(text, encoding="utf-8")
    for path in request.param.parent.glob("*.py"):  # a function that it brings along
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("NO_COLOR", "1")
    variable = re.search(r"url +env (\w+)", text)
    monkeypatch.setenv(variable[1] if variable else "DATABASE_URL", database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute((TENANTS + ddl(text)).encode())
    return Home(tmp_path, database, pg)


def look(run: Run) -> dict:
    ran = run("status", "users.mig", "--json")
    assert ran.code in (0, 4), ran
    return json.loads(ran.out)


def step(home: Home, run: Run, report: dict) -> None:
    """Does what is said to be next; where that has to wait, a month goes by."""
    words = shlex.split(report["next"]["command"])[1:]
    if words[0] == "rollout":
        ran = run(*words, "--record", *(["--url", f"env:{variable(home)}"] if "--stage" in words else []))
        assert ran.code == 0, ran
        return
    people = [c["id"] for c in report["conditions"] if not c["met"] and c["kind"] == "manual"]
    ran = run(*words, "--yes", *(word for name in people for word in ("--confirm", name)))
    assert ran.code in (0, 4), ran
    if ran.code == 4 and home.one("SELECT to_regclass('migdsl.event')::text"):
        home.pass_time("31 days")


def variable(home: Home) -> str:
    return next(name for name, value in os.environ.items() if value == home.url)


# All of them take minutes: MIGDSL_LONG=1.
WALKED = EXAMPLES if os.environ.get("MIGDSL_LONG") else EXAMPLES[2::5]


@pytest.mark.slow
@pytest.mark.parametrize("example", WALKED, ids=lambda path: path.stem, indirect=True)
def test_what_is_next_leads_to_the_end(example: Home, run: Run) -> None:
    ran = run("compile", "users.mig")
    assert ran.code == 0, ran
    seen = []
    for _ in range(40):
        report = look(run)
        seen.append(report["next"]["command"])
        if report["next"]["phase"] is None:
            break
        step(example, run, report)
    assert seen[-1] == "migdsl finish users.mig", seen
    last = report["phases"][-1]["id"]
    assert report["phase"] == last
    if last == "contract":
        revision = example.head()
        back = report["phases"][-2]["id"]
        ran = run("rollback", "users.mig", "--to", back, "--yes", "--lose")
        assert ran.code == 0, ran
        assert example.head() != revision
        assert look(run)["phase"] == back
