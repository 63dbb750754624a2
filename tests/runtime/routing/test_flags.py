"""A compiled flag file, resolved by the real OpenFeature provider for flagd in this process, decides the stages."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from migdsl.emit.flags import STAGES, FlagView, StageLine, flag_file
from migdsl.runtime.routing import AsyncRouter, Fallback, OpenFeature, Pace, Router, RoutingError, StageUnknownError
from migdsl.runtime.routing.flags import NoAnswerError
from migdsl.workspace import compile_files
from tests.runtime.routing.support import Memory, Switch

pytest.importorskip("openfeature.contrib.provider.flagd", reason="openfeature-provider-flagd is not installed")

from openfeature import api

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = (ROOT / "examples/users.mig").read_text(encoding="utf-8")
CANARY = "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11"
OTHER = "00000000-0000-4000-8000-000000000001"
FLAG = "users_email"
Compiled = Callable[[str], Path]


@pytest.fixture
def compiled(tmp_path: Path) -> Compiled:
    """Compiles the example with other lines in its flag, and puts the file in place in one step."""

    def write(lines: str) -> Path:
        found = compile_files({"users.mig": EXAMPLE.replace("stage off for all", lines)}, "users.mig")
        (text,) = [artifact.text for artifact in found.artifacts if artifact.path.endswith(".flagd.json")]
        path = tmp_path / "users_email.flagd.json"
        path.with_suffix(".new").write_text(text, encoding="utf-8")
        path.with_suffix(".new").replace(path)
        return path

    return write


@pytest.fixture(autouse=True)
def _providers_end() -> Iterator[None]:
    yield
    api.shutdown()


@pytest.mark.parametrize("stage", STAGES)
def test_a_compiled_flag_decides(compiled: Compiled, stage: str):
    flags = OpenFeature.flagd_file(compiled(f"stage {stage} for all"))
    with Router(flags, Memory()) as router:
        users = router.migration(FLAG)
        assert users.policy(OTHER).stage == stage
    assert asyncio.run(AsyncRouter(flags, Memory()).migration(FLAG).policy(OTHER)).stage == stage


def test_tenants_are_told_apart_and_a_new_file_moves_them(compiled: Compiled):
    flags = OpenFeature.flagd_file(compiled("stage shadow for canary\n  stage dualwrite for all"), poll_seconds=0.05)
    with Router(flags, Memory(), pace=Pace(ttl=0)) as router:
        users = router.migration(FLAG)
        assert (users.policy(CANARY).stage, users.policy(OTHER).stage) == ("shadow", "dualwrite")
        compiled("stage live for canary\n  stage dualwrite for all")
        until = time.monotonic() + 20
        while users.policy(CANARY).stage != "live" and time.monotonic() < until:
            time.sleep(0.02)
        assert (users.policy(CANARY).stage, users.policy(OTHER).stage) == ("live", "dualwrite")


def test_a_flag_that_is_switched_off_or_unknown_moves_nobody(compiled: Compiled):
    path = compiled("stage rampdown for all")
    flags = OpenFeature.flagd_file(path, poll_seconds=0.05)
    with Router(flags, Memory(), pace=Pace(ttl=0)) as router:
        users = router.migration(FLAG)
        assert users.policy(OTHER).stage == "rampdown"
        path.write_text(path.read_text().replace("ENABLED", "DISABLED"))
        until = time.monotonic() + 20
        while 'flag_errors_total{migration="users_email"} 0' in router.metrics() and time.monotonic() < until:
            time.sleep(0.02)
            assert users.policy(OTHER).stage == "rampdown"
        assert users.policy(OTHER).stage == "rampdown"
        with pytest.raises(NoAnswerError):
            flags.variant(FLAG, OTHER)
        with pytest.raises(NoAnswerError, match="FLAG_NOT_FOUND"):
            flags.variant("no_such_flag", OTHER)
        assert "unknown" in _refusal(router.migration("no_such_flag").policy)


def test_without_a_provider_nothing_is_guessed(compiled: Compiled):
    """OpenFeature's own default provider answers with the default, and no error."""
    api.clear_providers()
    with Router(OpenFeature(), Memory()) as router:
        assert "is unknown: NoAnswerError" in _refusal(router.migration(FLAG).policy)
        fallback = Fallback.of_file(compiled("stage live for all"), FLAG)
        assert router.migration(FLAG, default=fallback).policy(OTHER).stage == "live"


def _refusal(policy: Callable[[str], object]) -> str:
    with pytest.raises(StageUnknownError) as found:
        policy(OTHER)
    return str(found.value)


@pytest.mark.parametrize(
    ("lines", "canary", "other"),
    [
        ("stage off for all", "off", "off"),
        ("stage live for canary\n  stage dualwrite for all", "live", "dualwrite"),
        (f'stage complete for tenants "{OTHER}"\n  stage rampdown for all', "rampdown", "complete"),
        ("stage dualwrite for 10%\n  stage off for all", "dualwrite", "dualwrite"),
        ("stage shadow for canary\n  stage dualwrite for 10%\n  stage off for all", "shadow", "dualwrite"),
        ("stage live for 10%\n  stage shadow for all", None, None),
        ("stage rampdown for canary\n  stage live for 10%\n  stage shadow for all", "rampdown", None),
        ("stage rampdown for canary", "rampdown", "off"),
        (
            f'stage shadow for tenants "{CANARY}"\n  stage live for canary\n  stage dualwrite for all',
            "shadow",
            "dualwrite",
        ),
        ("stage live for 100%\n  stage shadow for all", "live", "live"),
    ],
)
def test_a_compiled_file_is_a_default(compiled: Compiled, lines: str, canary: str | None, other: str | None):
    """Tenants by name have their stage; whose share isn't known gets a stage that suits both, or none."""
    fallback = Fallback.of_file(compiled(lines), FLAG)
    assert (fallback.stage(CANARY), fallback.stage(OTHER)) == (canary, other)
    switch = Switch(down=ConnectionError())
    with Router(switch, Memory()) as router:
        users = router.migration(FLAG, default=fallback)
        if other is None:
            assert "which don't read the same side" in _refusal(users.policy)
        else:
            assert users.policy(OTHER).stage == other


def test_a_default_never_loses_what_the_real_stage_would_write(compiled: Compiled):
    """Against the provider's own answers: the default reads what each tenant's stage reads and writes all it writes."""
    from migdsl.runtime.routing.stages import POLICIES  # beside its only use

    path = compiled("stage shadow for canary\n  stage dualwrite for 30%\n  stage off for all")
    flags, fallback = OpenFeature.flagd_file(path), Fallback.of_file(path, FLAG)
    answers = set()
    for number in range(200):
        tenant = f"00000000-0000-4000-8000-{number:012}"
        stage, default = flags.variant(FLAG, tenant), fallback.stage(tenant)
        assert default is not None
        answers.add(stage)
        real, guess = POLICIES[stage], POLICIES[default]  # type: ignore[index]
        assert real.reads == guess.reads
        assert set(real.writes) <= set(guess.writes)
    assert answers == {"off", "dualwrite"}


def test_a_targeting_of_another_shape_leaves_every_stage_open(tmp_path: Path):
    text = flag_file(FlagView(FLAG, FLAG, (StageLine("canary", "live"),), canary=(CANARY,)), "f").text
    path = tmp_path / "f.json"
    path.write_text(text.replace('"cat"', '"ends_with"'))
    assert Fallback.of_file(path, FLAG).rest == {"off", "live"}
    assert Fallback.of_file(path, FLAG).stage(CANARY) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"flags": {}}', '{"flags": {"users_email": {"defaultVariant": "on"}}}']
)
def test_what_is_no_flag_file_is_said(tmp_path: Path, text: str):
    path = tmp_path / "f.json"
    path.write_text(text)
    with pytest.raises(RoutingError, match=r"f\.json"):
        Fallback.of_file(path, FLAG)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "openfeature.evaluation_context", None)
    with pytest.raises(RoutingError, match=r"pip install 'migdsl\[routing\]'"):
        OpenFeature()


def test_the_router_imports_without_any_extra():
    """A flag service of one's own and a recorder of one's own need neither psycopg nor OpenFeature nor SQLAlchemy."""
    names = ("psycopg", "openfeature", "sqlalchemy", "rich", "pydantic", "lark")
    program = (
        f"import sys\nfor name in {names!r}: sys.modules[name] = None\n"
        "import migdsl.runtime.routing, migdsl.runtime.routing.asgi, migdsl.runtime.routing.sqlalchemy"
    )
    code = os.spawnve(os.P_WAIT, sys.executable, [sys.executable, "-c", program], {"PYTHONPATH": str(ROOT)})
    assert code == 0
    assert importlib.import_module("migdsl.runtime").main is importlib.import_module("migdsl.runtime.cli").main
