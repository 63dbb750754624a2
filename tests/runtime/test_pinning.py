"""Generated characterization tests, run as they are against a real database: they record, hold, and tell what is new."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any
from unittest import SkipTest

import psycopg
import pytest

from migdsl.rehearsal.server import Server
from migdsl.runtime.pinning.jobs import Pin, PinJob
from migdsl.runtime.pinning.look import sampled
from migdsl.runtime.pinning.snapshot import Seen, differences
from migdsl.workspace import compile_files

ROOT = Path(__file__).resolve().parents[2]
MIG = """
migration orders_state {{ ticket "MIG-91" }}
database app {{ engine postgresql 15; url env DATABASE_URL }}
{tenants}
entity Order in app.orders {{
  id        bigint key
  {owner}
  status    smallint
  note      text?  pii
  source    text?
  "Größe"   numeric?
  extra     json?
  tags      text[]?
  legacy status unclear "3 and 4 both mean refunded"
  legacy note unclear "blank and null both occur"
  legacy source unclear "filled by an import nobody owns"
  legacy "Größe" unclear "0 is unknown"
  legacy extra unclear "an object, or a list"
  legacy tags unclear "empty and null both occur"
  rows 5k
}}
change Order {{ add state text? {{ from `status::text` }} }}
"""
TENANTS = "tenants { key tenant_id uuid; list `SELECT id FROM tenants ORDER BY id` }"
OWNER = "tenant_id uuid tenant\n  index (tenant_id, id)"
SEED = """
CREATE TABLE tenants (id uuid PRIMARY KEY);
INSERT INTO tenants SELECT lpad(g::text, 32, '0')::uuid FROM generate_series(1, 3) AS g;
CREATE TABLE orders (
    id bigint PRIMARY KEY, tenant_id uuid NOT NULL, status smallint NOT NULL, note text, source text,
    "Größe" numeric, extra json, tags text[]
);
CREATE INDEX ON orders (tenant_id, id);
INSERT INTO orders
SELECT g, lpad((1 + g % 3)::text, 32, '0')::uuid, g % 5, CASE g % 4 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'Mail to ann' END,
       'Import', g % 2, CASE WHEN g % 2 = 0 THEN '{}' ELSE '[]' END::json, '{}'
  FROM generate_series(1, 900) AS g;
"""


def artifact(tenants: str = TENANTS, owner: str = OWNER) -> tuple[str, str]:
    found = compile_files({"o.mig": MIG.format(tenants=tenants, owner=owner)}, "o.mig")
    assert found.ok, found.diagnostics
    return next((a.path, a.text) for a in found.artifacts if a.kind == "characterization")


class World:
    """A database, and the generated file in a folder of its own."""

    def __init__(self, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        self.url = url
        self.file = folder / "test_orders_state_order.py"
        self.file.write_text(text, encoding="utf-8")
        self.snapshot = self.file.with_suffix(".snapshot.json")
        monkeypatch.setenv("DATABASE_URL", url)
        for name in ("CI", "MIGDSL_RECORD"):
            monkeypatch.delenv(name, raising=False)

    def run(self, sql: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql)

    @property
    def space(self) -> dict[str, Any]:
        space: dict[str, Any] = {"__name__": "pinned", "__file__": str(self.file)}
        exec(compile(self.file.read_text(encoding="utf-8"), str(self.file), "exec"), space)
        return space

    def main(self, *argv: str) -> int:
        space = self.space
        return int(space["main"](space["JOB"], str(self.file), list(argv)))

    def test(self, column: str) -> None:
        space = self.space
        next(each for name, each in space.items() if name.startswith("test_") and name.endswith(column))()


@pytest.fixture
def world(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(database, tmp_path, monkeypatch, artifact()[1])
    made.run(SEED)
    return made


def test_it_records_then_holds_then_fails(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """By pytest, as a project of the user's runs it."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(world.file)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTEST_ADDOPTS": "",
    }  # not those of the run that this is part of

    def tested() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=world.file.parent, env=environment, capture_output=True, text=True, check=False
        )

    first = tested()
    assert first.returncode == 0, first.stdout
    recorded = world.snapshot.read_bytes()
    assert world.main() == 0
    assert world.snapshot.read_bytes() == recorded, "a look writes nothing"
    world.run("UPDATE orders SET status = 7 WHERE status = 4; UPDATE orders SET note = '  ' WHERE note IS NULL")
    last = tested()
    assert last.returncode == 1
    assert "2 failed, 4 passed" in last.stdout
    for said in ("rows hold the value '7', which none did", "no row holds the value '4' any more, which 20.0% did"):
        assert said in last.stdout
    assert "rows hold blanks alone, which none did" in last.stdout
    assert world.main("--record") == 0
    assert world.main() == 0
    assert "as recorded (900 rows of 3 tenants looked at)" in capsys.readouterr().out


def test_a_snapshot_tells_kinds_and_no_personal_value(world: World) -> None:
    assert world.main() == 0
    text = world.snapshot.read_text(encoding="utf-8")
    columns = json.loads(text)["columns"]
    assert "Mail to ann" not in text
    assert columns["note"]["values"] is None
    assert columns["note"]["classes"] == {"NULL": 225, "an empty text": 225, "mixed case, or no letters": 450}
    assert columns["status"]["values"] == {str(n): 180 for n in range(5)}
    assert columns["Größe"]["classes"] == {"a positive number": 450, "zero": 450}
    assert columns["extra"]["classes"] == {"JSON array": 450, "JSON object": 450}
    assert columns["tags"]["classes"] == {"an empty list": 900}
    assert world.main("--record") == 0
    assert world.snapshot.read_text(encoding="utf-8") == text, "the same bytes"


def test_what_points_at_personal_data_is_told_by_its_kinds_too(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ("  source    text?", "entity Order in")
    login = "entity Login in app.logins {{ tenant_id uuid tenant; email text key pii }}\nentity Order in"
    text = MIG.replace(said[0], f"{said[0]} -> Login.email").replace(said[1], login)
    found = compile_files({"o.mig": text.format(tenants=TENANTS, owner=OWNER)}, "o.mig")
    pinned = next(a.text for a in found.artifacts if a.kind == "characterization")
    world = World(database, tmp_path, monkeypatch, pinned)
    world.run(SEED)
    assert world.main() == 0
    recorded = world.snapshot.read_text(encoding="utf-8")
    assert "Import" not in recorded
    assert json.loads(recorded)["columns"]["source"]["values"] is None


def test_triggers_that_may_write_the_column_are_part_of_it(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    body = "CREATE OR REPLACE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {} RETURN NEW; END'"
    world.run(body.format(""))
    world.run("CREATE TRIGGER stamps BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION stamp()")
    assert world.main() == 0
    world.run('CREATE TRIGGER "~migdsl_m" BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION stamp()')
    assert world.main() == 0, "triggers of the migration come and go"
    world.run(body.format("NEW.status := 1;"))
    assert world.main() == 1
    assert "the trigger stamps, which may write it, does something else" in capsys.readouterr().err


def test_it_only_reads_and_not_for_long(world: World) -> None:
    space = world.space
    pin = space["PIN_1_STATUS"]
    slow = PinJob(
        **{**fields(space["JOB"]), "statement_ms": 200},
        pins=(
            Pin(
                column="status", note="", classes=pin.classes.replace("count(*)", "count(*), pg_sleep(5)"), values=None
            ),
        ),
    )
    assert space["main"](slow, str(world.file), []) == 3
    world.run("CREATE SEQUENCE written")
    writes = pin.classes.replace("count(*)", "count(*), nextval('written')")
    job = PinJob(**fields(space["JOB"]), pins=(Pin(column="status", note="", classes=writes, values=None),))
    assert space["main"](job, str(world.file), []) == 3
    assert not world.snapshot.exists()


def fields(job: PinJob) -> dict[str, Any]:
    names = ("migration", "entity", "schema", "table", "database_env", "tenants")
    return {name: getattr(job, name) for name in names}


def test_rows_of_tenants_that_are_not_listed_are_never_read(world: World) -> None:
    assert world.main() == 0
    world.run("DELETE FROM tenants WHERE id = lpad('3', 32, '0')::uuid")
    world.run("UPDATE orders SET status = 99 WHERE tenant_id = lpad('3', 32, '0')::uuid")
    assert world.main() == 0


def test_in_ci_nothing_is_recorded_unseen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(AssertionError, match="nothing is recorded of status"):
        world.test("status")
    assert not world.snapshot.exists()
    monkeypatch.setenv("MIGDSL_RECORD", "1")
    world.test("status")
    monkeypatch.delenv("MIGDSL_RECORD")
    world.test("status")


def test_without_the_old_system_it_is_left_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.test("status")
    world.run("ALTER TABLE orders DROP COLUMN source")
    with pytest.raises(SkipTest, match="is not where it was"):
        world.test("source")
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(SkipTest, match="DATABASE_URL is not set"):
        world.test("status")
    assert world.main() == 2


def test_a_snapshot_that_is_none_is_said(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.snapshot.write_text("<<<<<<< HEAD\n", encoding="utf-8")
    assert world.main() == 2
    assert "was a merge left unfinished?" in capsys.readouterr().err


def test_without_tenants_it_looks_at_all_rows(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = artifact('tenants none because "one customer"', 'tenant_id uuid\n  global because "one customer"')[1]
    assert ":tenant_id" not in text
    world = World(database, tmp_path, monkeypatch, text)
    world.run(SEED)
    assert world.main() == 0
    assert json.loads(world.snapshot.read_text(encoding="utf-8"))["columns"]["status"]["rows"] == 900


def test_the_list_of_tenants_may_be_elsewhere(world: World, pg: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    space = world.space
    job = PinJob(**fields(space["JOB"]), pins=space["JOB"].pins, tenants_env="LIST_URL")
    assert space["main"](job, str(world.file), []) == 2
    other = pg.create_database(f"migdsl_list_{uuid.uuid4().hex}")
    try:
        with psycopg.connect(other, autocommit=True) as connection:
            connection.execute("CREATE TABLE tenants AS SELECT lpad('2', 32, '0')::uuid AS id")
        monkeypatch.setenv("LIST_URL", other)
        assert space["main"](job, str(world.file), []) == 0
    finally:
        pg.drop_database(other.rsplit("/", 1)[-1].split("?")[0])
    assert json.loads(world.snapshot.read_text(encoding="utf-8"))["columns"]["status"]["rows"] == 300


def test_a_statement_that_reaches_further_is_refused() -> None:
    pin = Pin(column="c", note="", classes="SELECT c, count(*) FROM t GROUP BY 1 LIMIT :rows", values=None)
    with pytest.raises(ValueError, match="tenant_id"):
        PinJob(migration="m", entity="E", schema="s", table="t", database_env="X", tenants="SELECT 1", pins=(pin,))


JOB = PinJob(migration="m", entity="E", schema="s", table="t", database_env="X", tenants=None, pins=())


def seen(classes: dict[str, int], values: dict[str, int] | None = None) -> Seen:
    return Seen(sum(classes.values()), 1, classes, values)


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (seen({"zero": 1000}), seen({"zero": 2000}), []),
        (seen({"zero": 960, "NULL": 40}), seen({"zero": 1000, "NULL": 80}), []),
        (
            seen({"zero": 500, "NULL": 500}),
            seen({"zero": 900, "NULL": 100}),
            ["10.0% of the rows", "90.0% of the rows"],
        ),
        (seen({"zero": 1000}), seen({"zero": 999, "NULL": 1}), ["1 of 1000 rows hold NULL"]),
        (seen({"zero": 1995, "NULL": 5}), seen({"zero": 1000}), []),
        (seen({"zero": 900, "NULL": 100}), seen({"zero": 1000}), ["no row holds NULL any more", "100.0% of the rows"]),
        (seen({"zero": 5, "NULL": 5}), seen({"zero": 10}), []),
        (seen({"zero": 9}, {"0": 9}), seen({"zero": 9}, None), ["many more different values than the 1"]),
        (seen({}), seen({"zero": 3}), ["the snapshot has seen none"]),
        (seen({"zero": 200}, {"0": 200}), seen({"zero": 200}, {"0": 199, "1": 1}), ["hold the value '1'"]),
    ],
)
def test_what_counts_as_another_behaviour(before: Seen, now: Seen, said: list[str]) -> None:
    found = list(differences(JOB, "c", before, now))
    assert len(found) == len(said)
    for line, part in zip(found, said, strict=True):
        assert part in line


def test_the_same_tenants_are_looked_at_whoever_comes() -> None:
    many = tuple(str(n) for n in range(1000))
    few = set(sampled(many, 25))
    assert len(few) == 25
    assert len(few & set(sampled((*many, *(f"new {n}" for n in range(100))), 25))) >= 15
    assert sampled(("b", "a"), 25) == ("a", "b")
