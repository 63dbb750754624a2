"""The pydantic models of the contract become `schemas/*.schema.json`; `--check` only compares."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from migdsl.plan import DataMigrationPlan
from migdsl.plan.diff import PlanDiff
from migdsl.plan.inputs import IntegrationPlan, TicketContext

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = ROOT / "schemas"
MODELS: dict[str, type[BaseModel]] = {
    "data_migration_plan": DataMigrationPlan,
    "plan_diff": PlanDiff,
    "ticket_context": TicketContext,
    "integration_plan": IntegrationPlan,
}
READ = frozenset(["ticket_context", "integration_plan"])  # what others write: fields with a default may be left out


def schema(name: str) -> str:
    """A schema's text: what a file of that kind holds; of ours that is all fields, those with a default too."""
    model = MODELS[name]
    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:migdsl:schema:{name.replace('_', '-')}:1",
        **_untitled(model.model_json_schema(mode="validation" if name in READ else "serialization")),
        "title": model.__name__,
    }
    return json.dumps(made, indent=2, sort_keys=True) + "\n"


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
    """0, or with `--check` 2 where a file is not fresh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 2 where a file is not fresh")
    check = parser.parse_args(argv).check
    stale = [name for name in MODELS if not _is_fresh(name)]
    for name in stale:
        sys.stderr.write(f"schemas/{name}.schema.json: {'not fresh' if check else 'rewritten'}\n")
        if not check:
            _path(name).write_text(schema(name), encoding="utf-8")
    return 2 if check and stale else 0


def _path(name: str) -> Path:
    return SCHEMAS / f"{name}.schema.json"


def _is_fresh(name: str) -> bool:
    return _path(name).is_file() and _path(name).read_text(encoding="utf-8") == schema(name)


if __name__ == "__main__":
    raise SystemExit(main())
