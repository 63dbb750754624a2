"""The plan's pydantic model becomes `schemas/data_migration_plan.schema.json`; `--check` only compares."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from migdsl.plan import DataMigrationPlan

ROOT = Path(__file__).resolve().parent.parent
PLAN = ROOT / "schemas/data_migration_plan.schema.json"


def plan_schema() -> str:
    """The schema's text: what a plan file holds, which is all fields, those with a default too."""
    made = DataMigrationPlan.model_json_schema(mode="serialization")
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:migdsl:schema:data-migration-plan:1",
        **_untitled(made),
        "title": "DataMigrationPlan",
    }
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _untitled(value: Any, *, named: bool = False) -> Any:
    """Without the titles that only repeat a field's name; `named`: the keys are names of the model's own."""
    if isinstance(value, list):
        return [_untitled(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _untitled(each, named=key in ("properties", "$defs"))
        for key, each in value.items()
        if named or key != "title"
    }


def main(argv: Sequence[str] | None = None) -> int:
    """0, or with `--check` 2 where the file is not fresh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 2 where the file is not fresh")
    check = parser.parse_args(argv).check
    fresh = plan_schema()
    if PLAN.is_file() and PLAN.read_text(encoding="utf-8") == fresh:
        return 0
    sys.stderr.write(f"{PLAN.relative_to(ROOT)}: {'not fresh' if check else 'rewritten'}\n")
    if not check:
        PLAN.write_text(fresh, encoding="utf-8")
    return 2 if check else 0


if __name__ == "__main__":
    raise SystemExit(main())
