"""Paths, names, environment variables and ends of lanes become what an engine needs, or a reason."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from kombu.exceptions import KombuError
from kombu.transport import pyamqp

from migdsl.runtime import main
from migdsl.runtime.backfill.lane import LaneEnd
from migdsl.runtime.engines import celery
from migdsl.runtime.engines.lanes import _AFTER, Cord, Next
from migdsl.runtime.engines.registry import jobs_of, load_job, queue_of, reference_of
from migdsl.runtime.engines.run import _MODULES, scheduler_of
from migdsl.runtime.engines.settings import Settings
from migdsl.runtime.errors import UsageError
from migdsl.runtime.jobs import Engine
from tests.runtime.conftest import ROOT, SAMPLES

SAMPLE = SAMPLES / "backfill_user.py"
JOB = load_job(str(SAMPLE))


def test_a_job_is_found_by_its_path_wherever_the_worker_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert reference_of(load_job(str(SAMPLE))) == "users_email/user.contact_email"


def test_a_job_is_found_by_its_module(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT))
    assert load_job("tests.runtime.samples.backfill_user") == JOB


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("no/such.py", "FileNotFoundError"),
        ("no.such.module", "ModuleNotFoundError"),
        (str(SAMPLES / "reconcile_user.py"), "holds no backfill"),
        (str(SAMPLES.parent / "test_pace.py"), "holds no backfill"),
        ("", "ValueError"),
    ],
)
def test_what_is_no_job_is_refused(where: str, why: str):
    with pytest.raises(UsageError, match=why):
        load_job(where)


def test_of_what_python_can_not_read_the_line_is_said(tmp_path: Path):
    path = tmp_path / "user.py"
    path.write_text(SAMPLE.read_text(encoding="utf-8") + "x = (\n", encoding="utf-8")
    last = len(path.read_text(encoding="utf-8").splitlines())
    with pytest.raises(
        UsageError, match=rf"can't be loaded: SyntaxError, line {last} of user\.py: '\(' was never closed"
    ):
        load_job(str(path))


def test_jobs_are_separated_as_paths_are():
    assert jobs_of({"MIGDSL_JOBS": f"{SAMPLE}::{SAMPLE}"}) == {"users_email/user.contact_email": JOB}
    with pytest.raises(UsageError, match="set MIGDSL_JOBS"):
        jobs_of({"MIGDSL_JOBS": ":"})


def test_different_jobs_have_different_queues():
    named = [
        replace(JOB, migration=migration, backfill=backfill)
        for migration, backfill in [
            ("a", "b.c"),
            ("a.b", "c"),
            ("a", "b c"),
            ("a", "b,c"),
            ("a", "b_c"),
            ("a", "ü"),
            ("a", "x" * 120),
            ("a", "x" * 121),
        ]
    ]
    queues = [queue_of(job) for job in named]
    assert len(set(queues)) == len(named)
    assert all(queue.isascii() and len(queue) < 128 and not set(queue) & set(", *#/") for queue in queues)


def test_every_end_of_a_lane_says_what_becomes_of_its_message():
    assert _AFTER.keys() == set(LaneEnd) - {LaneEnd.NEXT}  # no lane is left with it
    assert _AFTER[LaneEnd.HELD] is Next.LATER, "the holder may be a worker that was killed"


def test_settings_come_from_the_environment():
    assert Settings.of({}) == Settings()
    assert Settings.of({"MIGDSL_ENGINE_LANE": "2.5", "MIGDSL_ENGINE_RESCUE": "0.2"}) == Settings(lane=2.5, rescue=1)


@pytest.mark.parametrize("text", ["0", "-1", "soon", "", "nan", "inf"])
def test_a_setting_that_is_no_time_is_refused(text: str):
    with pytest.raises(UsageError, match="MIGDSL_ENGINE_LANE must be a number of seconds"):
        Settings.of({"MIGDSL_ENGINE_LANE": text})


def test_a_cord_is_pulled_by_hand_or_by_somebody_else():
    asked = False
    cord = Cord(lambda: asked)
    assert not cord.requested
    asked = True
    assert cord.requested
    assert Cord(pulled=True).requested


def test_celery_without_a_broker_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    assert main(JOB, ["--engine", "celery", "--submit", "--url", "postgresql://nowhere"]) == 2
    assert "set CELERY_BROKER_URL" in capsys.readouterr().err


def test_a_broker_that_is_gone_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://:geheim@127.0.0.1:1/0")
    assert main(JOB, ["--engine", "celery", "--submit", "--url", "postgresql://nowhere"]) == 3
    said = capsys.readouterr().err
    assert "can't be reached" in said
    assert "geheim" not in said


@pytest.mark.parametrize("verb", ["--submit", "--work"])
def test_the_local_engine_has_no_queue(verb: str, capsys: pytest.CaptureFixture[str]):
    assert main(JOB, [verb, "--url", "postgresql://nowhere"]) == 2
    assert "--engine procrastinate or celery" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["procrastinate", "celery"])
def test_an_engine_that_is_not_installed_is_named_with_its_extra(name: str):
    program = (
        f"import sys; sys.modules[{name!r}] = None\n"
        "from migdsl.runtime.engines.registry import load_job\nfrom migdsl.runtime import main\n"
        f"sys.exit(main(load_job({str(SAMPLE)!r}), ['--engine', {name!r}, '--submit', '--url', 'postgresql://x']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert f"pip install 'migdsl[{name}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_engine_has_a_module_but_the_local_one():
    assert {name for name in get_args(Engine) if name != "local"} == _MODULES.keys()
    assert all(callable(scheduler_of(name).work) for name in _MODULES)


@pytest.mark.parametrize(("broker", "asked"), [("amqp://h//", True), ("amqps://h//", True), ("redis://h/0", False)])
def test_rabbitmq_is_asked_to_confirm_what_it_was_sent(broker: str, asked: bool, monkeypatch: pytest.MonkeyPatch):
    bench: Any = SimpleNamespace(job=JOB)
    app = celery.app_of({"j": bench}, broker, Settings())
    assert app.conf.broker_transport_options.get("confirm_publish", False) is asked
    if asked:  # what the client makes of the name: a connection that waits for the answer
        confirming: list[bool] = []
        monkeypatch.setattr(pyamqp.Connection, "connect", lambda to: confirming.append(to.confirm_publish))
        app.connection_for_write().transport.establish_connection()
        assert confirming == [True]


@pytest.mark.parametrize("raised", [KombuError, OSError, RuntimeError, UsageError])
def test_who_looks_after_a_worker_outlives_what_the_broker_raises(
    raised: type[Exception], monkeypatch: pytest.MonkeyPatch
):
    looks: list[str] = []

    def look(_lookout: celery._Lookout) -> None:
        looks.append("looked")
        raise raised("gone")

    monkeypatch.setattr(celery._Lookout, "look", look)
    monkeypatch.setattr(celery, "_ASK_S", 0.0)
    killed: list[int] = []
    monkeypatch.setattr("os.kill", lambda _pid, number: killed.append(number))
    bench = SimpleNamespace(settings=Settings(), finished=None, perform=lambda _work: len(looks) == 3)
    over, done = threading.Event(), threading.Event()
    celery._watch(None, bench, Cord(), celery._Flag(), over, done)  # type: ignore[arg-type]
    assert (len(looks), done.is_set(), killed) == (3, True, [signal.SIGTERM])
