"""The plan's schema: fresh, strict, described; and every plan fits it and the agreed base shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from migdsl.plan import DataMigrationPlan
from migdsl.workspace import compile_files
from tools import refresh_cases, refresh_schemas

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ("data_migration_plan.schema.json", "data_migration_plan.base.schema.json")
SOURCES = [ROOT / "examples/users.mig", ROOT / "tests/emit/samples/everything.mig", *refresh_cases.CASES.glob("*.mig")]


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "schemas" / name).read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def plans() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in SOURCES:
        text = refresh_cases.source(path.read_text(encoding="utf-8"))
        compiled = compile_files({path.name: text}, path.name)
        for artifact in compiled.artifacts:
            if artifact.kind == "plan":
                found[path.name] = json.loads(artifact.text)
    return found


def objects(node: Any, at: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield at, node
        for key, value in node.items():
            yield from objects(value, f"{at}/{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from objects(value, f"{at}/{number}")


def test_it_is_what_the_model_says():
    assert refresh_schemas.main(["--check"]) == 0, "python tools/refresh_schemas.py"


def test_a_stale_file_is_found(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(refresh_schemas, "SCHEMAS", tmp_path)
    for name in refresh_schemas.MODELS:
        (tmp_path / f"{name}.schema.json").write_text(refresh_schemas.schema(name).replace("sentence", "line", 1))
    assert refresh_schemas.main(["--check"]) == 2
    assert capsys.readouterr().err.count("not fresh") == len(refresh_schemas.MODELS)
    assert refresh_schemas.main([]) == 0
    assert refresh_schemas.main(["--check"]) == 0


@pytest.mark.parametrize("name", [*SCHEMAS, "plan_diff.schema.json"])
def test_each_is_a_schema(name):
    Draft202012Validator.check_schema(schema(name))
    assert schema(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(("name", "least"), [(SCHEMAS[0], 18), ("plan_diff.schema.json", 5)])
def test_every_object_is_closed_and_every_field_described_and_present(name, least):
    found = list(objects(schema(name)))
    assert len(found) >= least
    for at, each in found:
        assert each["additionalProperties"] is False, at
        assert each["description"], at
        assert set(each["required"]) == set(each["properties"]), at
        for field, value in each["properties"].items():
            assert len(value["description"]) > 10, f"{at}/{field}"


def test_it_demands_all_that_the_base_shape_demands():
    ours, base = schema(SCHEMAS[0]), schema(SCHEMAS[1])
    assert set(base["required"]) <= set(ours["required"])
    assert set(base["properties"]["migration_type"]["enum"]) == set(ours["properties"]["migration_type"]["enum"])


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_plan_fits(plans, name):
    assert len(plans) >= 4
    validator = Draft202012Validator(schema(name))
    for source, plan in plans.items():
        assert [e.message for e in validator.iter_errors(plan)] == [], source


def test_what_is_missing_too_much_or_wrong_does_not_fit(plans):
    validator = Draft202012Validator(schema(SCHEMAS[0]))
    plan = plans["users.mig"]
    for field in plan:
        assert not validator.is_valid({key: value for key, value in plan.items() if key != field}), field
    assert not validator.is_valid({**plan, "surprise": 1})
    assert not validator.is_valid({**plan, "migration_type": "api_migration"})
    assert not validator.is_valid({**plan, "phases": [{**plan["phases"][0], "id": "clean up"}]})


def test_a_plan_file_reads_back_as_the_same_plan(plans):
    for plan in plans.values():
        assert DataMigrationPlan.model_validate(plan).model_dump(mode="json") == plan
