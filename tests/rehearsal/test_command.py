"""`migdsl rehearse` as it is called: what it prints, writes and answers, and where it refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import psycopg
import pytest

from migdsl.cli import main
from migdsl.executor.model import Project
from migdsl.planning.build import build
from migdsl.rehearsal.judge import target
from migdsl.rehearsal.model import Log
from migdsl.rehearsal.server import Server
from migdsl.rehearsal.several import laid
from migdsl.rehearsal.stage import Stage, scratch
from migdsl.workspace import compile_files, source_digest
from tests.rehearsal.conftest import ROOT

EVENTS = str(ROOT / "examples/09_index_only/events_index.mig")
PYTHON = str(ROOT / "examples/12_dependency/python_runtime.mig")
SEVERAL = str(ROOT / "tests/executor/two_databases.mig")
DUAL = str(ROOT / "examples/18_extraction_dual_write/orders_dual_write.mig")
FEW = ("--rows", "60", "--tenants", "4", "--rate", "200")


def test_a_rehearsal_on_a_server_of_its_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NO_COLOR", "1")
    paths = {name: tmp_path / f"rehearsal.{name}" for name in ("json", "junit", "markdown")}
    words = [word for name, path in paths.items() for word in (f"--{name}", str(path))]
    code = main(["rehearse", EVENTS, *FEW, "--to", "expand", *words])
    said = capfd.readouterr()
    assert (code, said.err) == (0, ""), said
    assert said.out.splitlines()[-1].startswith("events_index: passed, in ")
    report = json.loads(paths["json"].read_text(encoding="utf-8"))
    jsonschema.validate(report, json.loads((ROOT / "schemas/rehearsal.schema.json").read_text(encoding="utf-8")))
    assert {"revisions", "acknowledged_writes", "blocked", "catalog_back"} <= {
        v["id"] for v in report["verdicts"] if v["state"] == "passed"
    }
    assert any(mark["kind"] == "fault" for mark in report["marks"])
    suite = ET.fromstring(paths["junit"].read_text(encoding="utf-8"))
    assert (suite.get("failures"), suite.get("tests")) == ("0", str(len(report["verdicts"])))
    assert "all verdicts passed" in paths["markdown"].read_text(encoding="utf-8")


def test_a_database_with_something_in_it_is_left_alone(database: str, capfd: pytest.CaptureFixture[str]):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE theirs (id integer)")
    assert main(["rehearse", EVENTS, *FEW, "--url", database]) == 3
    said = capfd.readouterr().err
    assert "isn't empty, and isn't marked as scratch" in said
    assert "COMMENT ON DATABASE" in said
    with psycopg.connect(database, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM theirs").fetchone() == (0,)


def test_a_scratch_database_is_cleared(database: str, capfd: pytest.CaptureFixture[str]):
    """Before, where an earlier rehearsal marked it, and after."""
    for _ in range(2):
        assert main(["rehearse", EVENTS, *FEW, "--url", database, "--to", "prepare"]) == 0, capfd.readouterr().err
        with psycopg.connect(database, autocommit=True) as connection:
            assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
            connection.execute("CREATE TABLE left_behind (id integer)")


def test_in_a_scratch_database_nobody_else_may_create(database: str):
    """As in one that was cleared, and in every new one from PostgreSQL 15 on: expand would refuse some triggers."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        with scratch(database, keep=True):
            assert connection.execute("SELECT has_schema_privilege('public', 'public', 'CREATE')").fetchone() == (
                False,
            )


def test_a_server_is_kept_with_what_starts_it(capfd: pytest.CaptureFixture[str]):
    assert main(["rehearse", EVENTS, *FEW, "--to", "prepare", "--keep"]) == 0
    said = capfd.readouterr().out
    (folder,) = re.findall(r"^kept in (\S+); start it", said, re.MULTILINE)
    try:
        assert (Path(folder) / "data/PG_VERSION").exists()
        assert f"pg_ctl -D {folder}/data" in said
    finally:
        shutil.rmtree(folder)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked for in /proc")
def test_whoever_ends_it_ends_all_that_it_has_started(tmp_path: Path):
    """The sync job above all, which waits for its databases for as long as it takes."""
    argv = [sys.executable, "-m", "migdsl", "rehearse", DUAL, *FEW]
    kept = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(argv, env=kept, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("expand"):
            break
    assert any("/sync/" in said for said in processes(tmp_path))
    process.terminate()
    _, complaint = process.communicate(timeout=120)
    assert (process.returncode, "Traceback" in complaint) == (130, False), complaint
    until = time.monotonic() + 60
    while processes(tmp_path) and time.monotonic() < until:
        time.sleep(0.1)  # a job that was just being started ends by itself, without its database
    assert processes(tmp_path) == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("migdsl-rehearsal-")]


def processes(folder: Path) -> list[str]:
    """The command lines in which that folder stands."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [said for said in found if str(folder) in said]


def test_several_databases_need_a_server_of_their_own(capfd: pytest.CaptureFixture[str]):
    assert main(["rehearse", SEVERAL, "--url", "postgresql://nobody@127.0.0.1:1/none"]) == 3
    assert "contact changes 2 databases, and --url and --schema know of one" in capfd.readouterr().err


def test_a_list_of_tenants_must_be_somewhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """In a database that takes no part nobody could list any."""
    text = Path(SEVERAL).read_text(encoding="utf-8")
    begin, end = text.index("change User {"), text.index("change Order {")
    (tmp_path / "contact.mig").write_text(text[:begin] + text[end:], encoding="utf-8")
    assert main(["rehearse", str(tmp_path / "contact.mig")]) == 3
    assert "the list of tenants is in shop, in which nothing changes" in capfd.readouterr().err


def test_what_debezium_carries_is_refused_with_what_to_do_instead(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    text = Path(DUAL).read_text(encoding="utf-8").replace("by application", "by cdc debezium")
    path = tmp_path / "orders_dual_write.mig"
    path.write_text(text, encoding="utf-8")
    assert main(["rehearse", str(path)]) == 3
    said = capfd.readouterr().err
    assert "Order moves to another database by Debezium" in said
    assert "say `sync Order { by outbox }`" in said


def test_without_tables_no_server_is_needed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """And what can't be played is told apart from what passed."""
    monkeypatch.setenv("NO_COLOR", "1")
    paths = {name: tmp_path / f"rehearsal.{name}" for name in ("json", "junit", "markdown", "html")}
    words = [word for name, path in paths.items() for word in (f"--{name}", str(path))]
    assert main(["rehearse", PYTHON, "--rate", "400", *words]) == 0
    said = capfd.readouterr().out
    assert "not played: they prove what isn't here" in said
    assert "python_runtime: passed (1 not played), in " in said
    texts = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    report = json.loads(texts["json"])
    jsonschema.validate(report, json.loads((ROOT / "schemas/rehearsal.schema.json").read_text(encoding="utf-8")))
    assert [v["id"] for v in report["verdicts"] if v["state"] == "not played"] == ["verified"]
    assert ET.fromstring(texts["junit"]).get("skipped") == "1"
    assert "no verdict failed (1 not played)" in texts["markdown"]
    assert "not played" in texts["html"]
    assert "Longest wait" not in texts["html"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rows", "0"), "--rows is a whole number from 1 to 1000000"),
        (("--tenants", "2"), "--tenants is a whole number from 3 to 1000"),
        (("--rate", "fast"), "--rate is a whole number"),
        (("--to", "enforce"), "has no phase enforce; there is prepare, expand, validate"),
        (("--files", "nowhere"), "there is no folder nowhere"),
        (("--schema", "nowhere.sql"), "there is no file nowhere.sql"),
    ],
)
def test_what_is_wrong_on_the_command_line(words: tuple[str, ...], said: str, capfd: pytest.CaptureFixture[str]):
    assert main(["rehearse", EVENTS, *words]) == 2
    assert said in capfd.readouterr().err


def test_a_folder_without_the_plans_files_is_not_played(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    (tmp_path / "notes.txt").write_text("nothing")
    assert main(["rehearse", EVENTS, "--files", str(tmp_path)]) == 2
    assert "has no file of events_index" in capfd.readouterr().err


def test_what_of_a_folder_is_not_played_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["compile", PYTHON, "--out", str(tmp_path)]) == 0
    (rules,) = tmp_path.rglob("*.rules.json")
    (script,) = [path for path in tmp_path.rglob("*.py") if "python_runtime" in str(path)][:1]
    rules.unlink()
    (script.parent / "by_hand.py").write_text("raise SystemExit(1)\n")
    assert main(["rehearse", PYTHON, "--rate", "400", "--files", str(tmp_path)]) == 0
    said = capfd.readouterr().out
    assert f"note: {rules.relative_to(tmp_path)} isn't in {tmp_path}: what it compiles to was played" in said
    assert f"note: {script.parent.relative_to(tmp_path)}/by_hand.py is no file of the plan: it wasn't played" in said


def test_of_other_peoples_revisions_only_those_that_rest_on_ours_are_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    assert main(["compile", EVENTS, "--through", "contract", "--out", str(tmp_path)]) == 0
    versions = tmp_path / "migrations/versions"
    (versions / "theirs.py").write_text("down_revision = 'somebody_elses'\n")
    (versions / "between.py").write_text("down_revision = 'events_index_expand'\n")
    assert main(["rehearse", EVENTS, *FEW, "--to", "expand", "--files", str(tmp_path)]) == 0
    said = capfd.readouterr().out
    assert "note: migrations/versions/between.py is no file of the plan: it wasn't played" in said
    assert "theirs.py" not in said


def test_the_target_of_entities_in_another_file_is_compared(database: str, pg: Server):
    text = (ROOT / "examples/users.mig").read_text(encoding="utf-8")
    first, last = text.index("database app"), text.index("change User")
    files = {"schema.mig": text[first:last], "users.mig": 'use "schema.mig"\n' + text[:first] + text[last:]}
    compiled = compile_files(files, "users.mig", through="contract")
    assert compiled.module is not None
    project = Project(build(compiled.module, source_digest(compiled.sources), "contract"), "users.mig", ".", {})
    stage, log = Stage(database, pg.bin, "test"), Log()
    with stage.connect() as desk:
        laid(desk, compiled.module, "")
    # Nothing has been migrated.
    target({"app": stage}, project, files, "users.mig", log)
    assert "contact_email" in log.findings[0].what
    assert log.unplayed == {}


def test_a_list_whose_rows_are_nobodys_is_not_played(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    text = (ROOT / "examples/users.mig").read_text(encoding="utf-8")
    path = tmp_path / "users.mig"
    path.write_text(
        text + '\nentity Tenant in app.tenants { id uuid key; global because "the list" }\n', encoding="utf-8"
    )
    assert main(["rehearse", str(path), *FEW, "--to", "expand"]) == 3
    assert "`list` reads Tenant, whose rows are nobody's" in capfd.readouterr().err
    path.write_text(text + "\nentity Tenant in app.tenants { id uuid key tenant }\n", encoding="utf-8")
    assert main(["rehearse", str(path), *FEW, "--to", "expand"]) == 0
