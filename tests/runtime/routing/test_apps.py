"""The example's applications serve the compiled example on a real PostgreSQL, in every stage, there and back."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest

from migdsl.rehearsal.server import Server
from migdsl.runtime.routing import Fallback, Shadow
from migdsl.runtime.routing.tasks import ShadowTasks
from migdsl.workspace import compile_files
from tests.ops.story import TENANTS_DDL, Story, compiled
from tests.ops.support import T1, USERS_DDL

api: Any = pytest.importorskip("openfeature.api", reason="openfeature-sdk is not installed")
pytest.importorskip("openfeature.contrib.provider.flagd", reason="openfeature-provider-flagd is not installed")
sqlalchemy: Any = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")
orm: Any = pytest.importorskip("sqlalchemy.orm", reason="SQLAlchemy is not installed")

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = (ROOT / "examples/users.mig").read_text(encoding="utf-8")
WALK = ("off", "dualwrite", "shadow", "live", "rampdown", "live", "shadow", "dualwrite", "off", "dualwrite")


@dataclass
class Example:
    """The example after expand and backfill, with one user; `flags` is its flag file."""

    story: Story
    flags: Path

    def stage(self, stage: str) -> None:
        found = compile_files({"m.mig": EXAMPLE.replace("stage off", f"stage {stage}")}, "m.mig")
        (text,) = [artifact.text for artifact in found.artifacts if artifact.path.endswith(".flagd.json")]
        self.flags.with_suffix(".new").write_text(text)
        self.flags.with_suffix(".new").replace(self.flags)

    def app(self, name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, ROOT / f"examples/apps/{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        # As if every request came long after the one before, so that it sees the flag.
        module.users.core.pace = module.users.core.standings._pace = type(module.users.core.pace)(ttl=0, settle=0)
        return module

    def row(self) -> tuple[object, ...]:
        return self.story.rows("SELECT email, contact_email FROM users WHERE id = 1")[0]


@pytest.fixture
def example(pg: Server, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Example]:
    with psycopg.connect(database, autocommit=True, options="-c client_min_messages=warning") as connection:
        connection.execute((TENANTS_DDL + USERS_DDL).encode())
        connection.execute(f"INSERT INTO users (tenant_id, username) VALUES ('{T1}', 'ada')".encode())
        story = Story(pg, database, tmp_path, connection, compiled(EXAMPLE, tmp_path))
        story.upgrade("users_email_expand")
        assert story.job("backfills") == 0
        made = Example(story, tmp_path / "flags.json")
        made.stage("off")
        monkeypatch.setenv("FLAGS", str(made.flags))
        monkeypatch.setenv("DATABASE_URL", database)
        yield made
    api.shutdown()


def moved(example: Example, app: ModuleType, stage: str) -> None:
    """Moves everybody, and makes the provider look at once."""
    example.stage(stage)
    api.shutdown()
    flags = type(app.router.flags).flagd_file(example.flags)
    app.router.flags = flags


def test_plain_functions_and_sessions_see_each_others_writes_in_every_stage(example: Example):
    plain, session_app = example.app("contacts_plain"), example.app("contacts_session")
    engine = sqlalchemy.create_engine(example.story.url.replace("postgresql://", "postgresql+psycopg://"))
    with psycopg.connect(example.story.url, autocommit=True) as connection:
        assert plain.contact(connection, T1, 1) == "ada@example.com"
        for number, stage in enumerate(WALK):
            moved(example, plain, stage)
            session_app.router.flags = plain.router.flags
            with connection.transaction():
                plain.set_contact(connection, T1, 1, f"p{number}@x")
            assert plain.contact(connection, T1, 1) == f"p{number}@x"
            with orm.Session(engine) as session, session.begin():
                session_app.set_contact(session, T1, 1, f"s{number}@x")
            assert plain.contact(connection, T1, 1) == f"s{number}@x"
            assert plain.users.stages() == session_app.users.stages() == {T1: stage}
            assert example.row() == (f"s{number}@x", f"s{number}@x")
    engine.dispose()
    assert example.story.rows("SELECT count(*) FROM migdsl.event WHERE kind = 'repair'") == [(0,)]
    assert example.story.job("reconcile") == 0


def test_the_application_serves_every_stage_and_compares_in_shadow(example: Example):
    async def request(app: Any, method: str, path: str, body: str = "") -> tuple[int, str]:
        sent: list[Any] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body.encode()}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": [(b"x-tenant", T1.encode())]}
        await app(scope, receive, send)
        return sent[0]["status"], sent[1]["body"].decode()

    async def lifespan(app: Any) -> list[str]:
        moments, sent = iter(["startup", "shutdown"]), []

        async def receive() -> dict[str, str]:
            return {"type": f"lifespan.{next(moments)}"}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await app({"type": "lifespan"}, receive, send)
        return sent

    async def run() -> None:
        module = example.app("contacts_asgi")
        # However busy this machine is.
        patient = Shadow(lease_async=module.lease, budget=1e9, timeout=60, max_age=60)
        module.router.shadow = ShadowTasks(patient, time.monotonic)
        assert await request(module.app, "GET", "/users/1/contact") == (200, "ada@example.com")
        for number, stage in enumerate(WALK):
            moved(example, module, stage)
            assert await request(module.app, "PUT", "/users/1/contact", f"a{number}@x") == (200, f"a{number}@x")
            assert await request(module.app, "GET", "/users/1/contact") == (200, f"a{number}@x")
            assert await module.router.shadow.drain()
        assert await request(module.app, "GET", "/users/2/contact") == (404, "")
        _, text = await request(module.app, "GET", "/metrics")
        assert await lifespan(module.app) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert module.router.shadow._closed
        lines = text.splitlines()
        assert 'migdsl_router_shadow_compared_total{migration="users_email"} 8' in lines
        assert 'migdsl_router_shadow_mismatched_total{migration="users_email"} 0' in lines
        assert 'migdsl_router_tenants{migration="users_email",stage="dualwrite"} 1' in lines
        assert "@x" not in text

    asyncio.run(run())


def test_the_committed_flag_file_is_a_default():
    assert Fallback.of_file(ROOT / "examples/users/flags/users_email.flagd.json", "users_email").stage(T1) == "off"
