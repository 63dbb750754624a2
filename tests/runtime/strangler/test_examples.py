"""The three examples are run: their commands prove, their flags ramp, a router of a real server sends, and all goes back."""

from __future__ import annotations

import json
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from migdsl.cli import main as migdsl

pytest.importorskip("uvicorn", reason="uvicorn is not installed")
pytest.importorskip("openfeature.contrib.provider.flagd", reason="openfeature-provider-flagd is not installed")

from migdsl.runtime.routing import OpenFeature

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
CANARY = "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11"
PATIENCE_S = 60
TENANTS = [str(uuid.UUID(int=n)) for n in range(1, 61)]


class Project:
    """A copy of an example, compiled, as its users have it."""

    def __init__(self, example: str, name: str, folder: Path) -> None:
        shutil.copytree(EXAMPLES / example, folder, ignore=shutil.ignore_patterns(name, "__pycache__"))
        self.folder, self.name = folder, name
        self.environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        self.migdsl("compile", f"{name}.mig")

    def migdsl(self, *words: str) -> None:
        """A command of ours, in the project's folder."""
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            assert migdsl(list(words)) == 0, words
        finally:
            os.chdir(before)

    def rollout(self, stage: str, who: str) -> None:
        self.migdsl("rollout", f"{self.name}.mig", "--stage", stage, "--for", who)

    def verify(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """The generated verification, as a pipeline runs it."""
        command = [sys.executable, f"verify/{self.name}.py", *words]
        variables = {**self.environment, **variables}
        return subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True, check=False)

    def evidence(self) -> Any:
        return json.loads((self.folder / "evidence.json").read_text(encoding="utf-8"))

    def stages(self, subjects: list[str]) -> Counter[str]:
        """What the real flag provider says of them."""
        return Counter(self.stage_of(subjects).values())

    def stage_of(self, subjects: list[str]) -> dict[str, str]:
        """What it says of each."""
        flags = OpenFeature.flagd_file(self.folder / f"flags/{self.name}.flagd.json", poll_seconds=0.1)
        return {subject: flags.variant(self.name, subject) for subject in subjects}


def compiled(tmp_path: Path, example: str, name: str) -> Project:
    return Project(example, name, tmp_path / example)


def test_a_dependency_is_proven_ramped_and_taken_back(tmp_path: Path) -> None:
    project = compiled(tmp_path, "12_dependency", "python_runtime")
    shown = project.verify("--list")
    assert (shown.returncode, (project.folder / "evidence.json").exists()) == (0, False)
    done = project.verify("--evidence", "evidence.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 invoices are what they were" in done.stdout
    assert project.verify("--proven", "evidence.json", "--newer-than", "24").returncode == 0
    clients = [f"client-{n}" for n in range(200)]
    assert project.stages([*clients, "canary"]) == {"off": 201}
    project.rollout("live", "canary")
    assert project.stages(["canary", clients[0]]) == {"live": 1, "off": 1}
    project.rollout("live", "10%")
    share = project.stages(clients)["live"]
    assert 0 < share < 60, "10% of the clients, who are put into buckets by a hash"
    project.rollout("live", "all")
    assert project.stages([*clients, "canary"]) == {"live": 201}
    project.rollout("off", "all")
    assert project.stages([*clients, "canary"]) == {"off": 201}


def test_a_dependency_that_breaks_an_invoice_is_not_proven(tmp_path: Path) -> None:
    project = compiled(tmp_path, "12_dependency", "python_runtime")
    checks = project.folder / "checks/invoices.py"
    broken = checks.read_text(encoding="utf-8").replace("CENT, ROUND_HALF_UP)", "CENT, 'ROUND_HALF_EVEN')")
    checks.write_text(broken, encoding="utf-8")
    assert project.verify("--evidence", "evidence.json").returncode == 1
    assert [c["outcome"] for c in project.evidence()["checks"]] == ["passed", "failed"]
    assert project.verify("--proven", "evidence.json").returncode == 1


class Cache(socketserver.StreamRequestHandler):
    """As much of the servers' protocol as sessions need."""

    stored: ClassVar[dict[str, str]] = {}

    def handle(self) -> None:
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(size + 2)[:-2].decode())
            self.wfile.write(self.answer(words).encode())

    def answer(self, words: list[str]) -> str:
        match words:
            case ["SET", key, value, *_]:
                self.stored[key] = value
                return "+OK\r\n"
            case ["GET", key]:
                found = self.stored.get(key)
                return "$-1\r\n" if found is None else f"${len(found)}\r\n{found}\r\n"
            case ["DEL", key]:
                return f":{int(self.stored.pop(key, None) is not None)}\r\n"
        return "*2\r\n$16\r\nmaxmemory-policy\r\n$11\r\nallkeys-lru\r\n"


def test_infrastructure_is_proven_once_it_is_there_and_ramped_by_tenant(tmp_path: Path) -> None:
    project = compiled(tmp_path, "13_infrastructure", "session_cache")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Cache) as server:
        where = {"CACHE_HOST": "127.0.0.1", "CACHE_PORT": str(server.server_address[1])}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = project.verify("--evidence", "evidence.json", **where)
        server.shutdown()
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.verify("--proven", "evidence.json").returncode == 0
    gone = project.verify("--evidence", "evidence.json", **where)
    assert gone.returncode == 1, "nobody listens there any more"
    assert project.verify("--proven", "evidence.json").returncode == 1
    project.rollout("live", "canary")
    assert project.stages([CANARY, *TENANTS]) == {"live": 1, "off": len(TENANTS)}
    project.rollout("live", "25%")
    first = project.stages(TENANTS)["live"]
    assert 0 < first < 40, "25% of the tenants, who are put into buckets by a hash"
    project.rollout("off", "all")
    assert project.stages([CANARY, *TENANTS]) == {"off": 1 + len(TENANTS)}


@contextmanager
def served(folder: Path, *application: str, **variables: str) -> Iterator[str]:
    """A real server of an application in `folder`; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", *application, "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--log-level", "error"],
        cwd=folder,
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: process.poll() is not None or answers(url))
        assert process.poll() is None, "the server ended by itself"
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def until(holds: Any) -> None:
    """Wait until it holds; fail where it never does."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        return get(f"{url}/health")[0] == 200
    except OSError:
        return False


def get(url: str, tenant: str = "") -> tuple[int, str]:
    """The status of an answer, and who gave it."""
    request = urllib.request.Request(url, headers={"X-Tenant-Id": tenant} if tenant else {})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as found:
            return found.status, found.headers.get("x-served-by", "")
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("x-served-by", "")


def metrics(url: str) -> dict[tuple[str, str], int]:
    """What the router has counted, by side and outcome."""
    with urllib.request.urlopen(f"{url}/-/metrics", timeout=PATIENCE_S) as found:
        lines = [
            line for line in found.read().decode().splitlines() if line.startswith("migdsl_replace_requests_total")
        ]
    return {
        (side, outcome): int(line.rpartition(" ")[2])
        for line in lines
        for side in ("old", "new")
        for outcome in ("ok", "error")
        if f'side="{side}",outcome="{outcome}"' in line
    }


def test_an_architecture_is_strangled_and_comes_back(tmp_path: Path) -> None:
    project = compiled(tmp_path, "14_architecture", "orders_out")
    broken = {"COMPILED": str(project.folder), "BREAK": "3"}
    with served(project.folder, "--factory", "apps:app", **broken) as whole:
        with served(project.folder, "apps:service") as service:
            where = {"OLD_URL": whole, "NEW_URL": service}
            done = project.verify("--evidence", "evidence.json", **where)
        assert done.returncode == 0, done.stdout + done.stderr
        assert project.verify("--evidence", "evidence.json", **where).returncode == 1, "the service is down"
        before = metrics(whole)
        assert before[("new", "ok")] == before[("new", "error")] == 0, "nobody was sent there"

        project.rollout("live", "canary")
        until(lambda: get(f"{whole}/orders/1", CANARY) == (200, "new"))
        assert get(f"{whole}/users/7/orders", CANARY) == (200, "new")
        assert get(f"{whole}/pages/1", CANARY) == (200, "old"), "no route of the replacement"
        assert get(f"{whole}/orders/1", TENANTS[0]) == (200, "old")
        assert get(f"{whole}/orders/1") == (200, "old"), "whose it is nobody knows"

        seen = metrics(whole)
        assert get(f"{whole}/orders/3", CANARY)[0] == 500
        after = metrics(whole)
        assert after[("new", "error")] == seen[("new", "error")] + 1
        assert after[("old", "ok")] == seen[("old", "ok")], "what the new fails is never tried on the old"

        project.rollout("live", "50%")
        wanted = {tenant: {"live": "new", "off": "old"}[stage] for tenant, stage in project.stage_of(TENANTS).items()}
        assert set(wanted.values()) == {"old", "new"}
        until(lambda: sides(whole) == wanted)
        assert sides(whole) == wanted, "each tenant stays on its side"
        project.rollout("live", "all")
        until(lambda: set(sides(whole).values()) == {"new"})

        project.rollout("off", "all")
        until(lambda: set(sides(whole).values()) == {"old"})
        still = metrics(whole)
        assert get(f"{whole}/orders/3", CANARY) == (200, "old"), "the old answers what the new could not"
        end = metrics(whole)
        assert (end[("new", "ok")], end[("new", "error")]) == (still[("new", "ok")], still[("new", "error")])


def sides(url: str) -> dict[str, str]:
    """Who answers each tenant."""
    return {tenant: get(f"{url}/orders/1", tenant)[1] for tenant in TENANTS}
