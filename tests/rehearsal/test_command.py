"""`migdsl rehearse` as it is called: what it prints, writes and answers, and where it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import psycopg
import pytest

from migdsl.cli import main
from tests.rehearsal.conftest import ROOT

EVENTS = str(ROOT / "examples/09_index_only/events_index.mig")
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


@pytest.mark.parametrize(
    ("example", "said"),
    [
        ("11_api_retirement/orders_v2", "orders_v2 changes no database: there is nothing to rehearse"),
        ("15_move_table/purchases", "purchases moves a table, which a rehearsal can't play yet"),
    ],
)
def test_what_cannot_be_rehearsed_is_said(example: str, said: str, capfd: pytest.CaptureFixture[str]):
    assert main(["rehearse", str(ROOT / "examples" / f"{example}.mig")]) == 3
    assert said in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rows", "0"), "--rows is a whole number from 1 to 1000000"),
        (("--tenants", "2"), "--tenants is a whole number from 3 to 1000"),
        (("--rate", "fast"), "--rate is a whole number"),
        (("--to", "enforce"), "has no phase enforce; there is prepare, expand, validate"),
        (("--files", "nowhere"), "there is no folder nowhere"),
        (("--schema", "nowhere.sql"), "there is no file nowhere.sql"),
        (("--keep",), "--keep needs --url"),
    ],
)
def test_what_is_wrong_on_the_command_line(words: tuple[str, ...], said: str, capfd: pytest.CaptureFixture[str]):
    assert main(["rehearse", EVENTS, *words]) == 2
    assert said in capfd.readouterr().err
