"""The compiled flag, resolved by the real provider for flagd, tells an application's own clients which version to call."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from migdsl.runtime.routing import OpenFeature
from migdsl.workspace import compile_files

pytest.importorskip("openfeature.contrib.provider.flagd", reason="openfeature-provider-flagd is not installed")

from openfeature import api

ROOT = Path(__file__).resolve().parents[3]
SOURCE = (ROOT / "examples/11_api_retirement/orders_v2.mig").read_text(encoding="utf-8")
CANARY = "2c4a8a3e-8f2b-4d57-9a0d-6a1f0b7a9a02"


@pytest.fixture(autouse=True)
def _shut_down() -> Iterator[None]:
    yield
    api.shutdown()


def test_the_canary_calls_the_new_version_before_the_others(tmp_path: Path) -> None:
    text = SOURCE.replace("stage off for all", "stage live for canary\n  stage off for all")
    files = {a.kind: a.text for a in compile_files({"orders_v2.mig": text}, "orders_v2.mig").artifacts}
    flag, described = tmp_path / "orders_v2.flagd.json", tmp_path / "orders_v2.py"
    flag.write_text(files["flags"], encoding="utf-8")
    described.write_text(files["api"], encoding="utf-8")
    orders = runpy.run_path(str(described))["ORDERS_HTTP"]
    stages = OpenFeature.flagd_file(flag)
    bases = {
        who: orders.call(stages.variant("orders_v2", who)).at
        for who in (CANARY, "00000000-0000-4000-8000-000000000001")
    }
    assert list(bases.values()) == ["/api/v2", "/api/v1"]
