"""The example's middleware in front of an application on a real server; headers are parsed by libraries of others."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from migdsl.runtime.api import Api, ApiMiddleware, Version, text

pytest.importorskip("uvicorn", reason="uvicorn is not installed")
http_sf = pytest.importorskip("http_sf", reason="http-sf is not installed")

from tests.runtime.api.server import Answer, ask, served  # noqa: E402 (it needs uvicorn)

ROOT = Path(__file__).resolve().parents[3]
DESCRIPTION = ROOT / "examples/11_api_retirement/orders_v2/api/orders_v2.py"
GRACED = "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11"
GUIDE = "https://docs.example.com/orders/v2"


def at(year: int, month: int, day: int) -> float:
    return datetime(year, month, day, tzinfo=UTC).timestamp()


class Orders:
    """Two versions of an API, a stream, and whether the application was told of its beginning and end."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.lifespan: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                self.lifespan.append(message["type"])
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        self.seen.append(scope["path"])
        headers = [(b"content-type", b"application/json"), (b"link", b'</schema>; rel="describedby"')]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in (b'{"id": 5,', b' "total": "1.00"}'):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Clock:
    """A day that tests set."""

    def __init__(self) -> None:
        self.now = at(2026, 11, 1)

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def description() -> ModuleType:
    spec = importlib.util.spec_from_file_location("orders_v2_api", DESCRIPTION)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Running:
    """The server, its clock, the application and its middleware."""

    def __init__(self, description: ModuleType) -> None:
        self.clock = Clock()
        self.orders = Orders()
        self.middleware = description.middleware(self.orders, tenant_of="x-tenant-id", clock=self.clock)
        self.port = 0

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        return ask(self.port, path, {name.replace("_", "-"): value for name, value in headers.items()}, method)


@pytest.fixture(scope="module")
def running(description: ModuleType) -> Iterator[Running]:
    found = Running(description)
    with served(found.middleware) as port:
        found.port = port
        yield found
    assert found.orders.lifespan == ["lifespan.startup", "lifespan.shutdown"]


def links(answer: Answer) -> list[str]:
    return [part.strip() for line in answer.headers["link"] for part in line.split(",")]


def deprecation(answer: Answer) -> datetime:
    """What http-sf makes of the field."""
    (field,) = answer.headers["deprecation"]
    value, parameters = http_sf.parse(field.encode(), tltype="item")
    assert parameters == {}
    assert isinstance(value, datetime)
    return value


def test_before_the_announcement_nothing_is_said(running: Running) -> None:
    running.clock.now = at(2026, 11, 30)
    answer = running.ask("/api/v1/orders/5")
    assert answer.status == 200
    assert answer.headers.keys().isdisjoint({"deprecation", "sunset"})
    assert links(answer) == ['</schema>; rel="describedby"']


def test_an_old_version_says_that_it_goes(running: Running) -> None:
    running.clock.now = at(2026, 12, 2)
    answer = running.ask("/api/v1/orders/5?full=1")
    assert (answer.status, json.loads(answer.body)["id"]) == (200, 5)
    assert deprecation(answer) == datetime(2026, 12, 15, tzinfo=UTC)
    (sunset,) = answer.headers["sunset"]
    assert parsedate_to_datetime(sunset) == datetime(2027, 3, 1, tzinfo=UTC)
    assert sunset.endswith(" GMT")
    assert links(answer) == [
        '</schema>; rel="describedby"',  # the application's own
        f'<{GUIDE}>; rel="deprecation"; type="text/html"',
        f'<{GUIDE}>; rel="sunset"; type="text/html"',
        '</api/v2/orders/5>; rel="successor-version"',
    ]
    new = running.ask("/api/v2/orders/5")
    assert new.headers.keys().isdisjoint({"deprecation", "sunset"})


def test_after_the_sunset_it_is_gone_but_for_those_with_a_grace(running: Running) -> None:
    running.clock.now = at(2027, 3, 1) - 1
    assert running.ask("/api/v1/orders/5").status == 200
    running.clock.now = at(2027, 3, 1)
    seen = len(running.orders.seen)
    answer = running.ask("/api/v1/orders/5")
    assert answer.status == 410
    assert answer.headers["content-type"] == ["application/problem+json"]
    assert answer.headers["cache-control"] == ["no-store"]
    problem = json.loads(answer.body)
    assert (problem["type"], problem["status"], problem["successor"]) == (GUIDE, 410, "v2")
    assert f'<{GUIDE}>; rel="sunset"; type="text/html"' in links(answer)
    assert deprecation(answer) == datetime(2026, 12, 15, tzinfo=UTC)
    assert len(running.orders.seen) == seen  # the application is not asked
    assert running.ask("/api/v1/orders", "POST").status == 410
    head = running.ask("/api/v1/orders/5", "HEAD")
    assert (head.status, head.body) == (410, b"")
    assert running.ask("/api/v2/orders/5").status == 200

    graced = running.ask("/api/v1/orders/5", x_tenant_id=GRACED.upper())
    assert graced.status == 200
    assert parsedate_to_datetime(graced.headers["sunset"][0]) == datetime(2027, 4, 1, tzinfo=UTC)
    assert running.ask("/api/v1/orders/5", x_tenant_id="11111111-2222-3333-4444-555555555555").status == 410
    running.clock.now = at(2027, 4, 1)
    assert running.ask("/api/v1/orders/5", x_tenant_id=GRACED).status == 410


def test_a_browser_may_still_ask_whether_it_may_ask(running: Running) -> None:
    running.clock.now = at(2027, 4, 1)
    assert running.ask("/api/v1/orders/5", "OPTIONS", access_control_request_method="GET").status == 200
    assert running.ask("/api/v1/orders/5", "OPTIONS").status == 410


def test_who_still_asks_is_counted_by_client_and_never_by_address(running: Running) -> None:
    running.clock.now = at(2026, 12, 2)
    for agent in ("orders-sdk/2.1 (Linux)", "orders-sdk/2.2", "jane.doe@example.com", "0049301234567", ""):
        running.ask("/api/v1/orders/5", user_agent=agent)
    running.ask("/api/v1/elsewhere", user_agent="curl/8.0")
    shown = text(running.middleware.samples())
    route = 'route="GET /orders/{id}"'
    about = 'migdsl_api_deprecated_requests_total{migration="orders_v2",api="orders_http",version="v1",'
    assert f'{about}{route},client="orders-sdk"}} 2' in shown
    assert f'{about}{route},client="other"}} 2' in shown
    assert f'{about}route="other",client="curl"}} 1' in shown
    assert "jane" not in shown
    assert "0049" not in shown
    assert (
        f'migdsl_api_sunset_timestamp_seconds{{migration="orders_v2",api="orders_http",version="v1"}} {int(at(2027, 3, 1))}'
        in shown
    )


def probe(running: Running, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DESCRIPTION), "probe", "--fill", "id=5", *words, f"http://127.0.0.1:{running.port}"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_the_probe_tells_a_server_that_keeps_to_its_days(running: Running) -> None:
    running.clock.now = datetime.now(UTC).timestamp()
    found = probe(running)
    assert found.returncode == 0, found.stdout + found.stderr
    assert re.search(r"^orders_http v1 GET /orders/\{id\}: (200|410) fine$", found.stdout, re.MULTILINE)
    assert "POST /orders: not asked: a probe changes nothing" in found.stdout


def test_the_probe_tells_one_that_does_not(running: Running) -> None:
    running.clock.now = at(2027, 4, 2) if datetime.now(UTC).timestamp() < at(2027, 3, 1) else at(2026, 12, 2)
    found = probe(running)
    assert found.returncode == 1, found.stdout + found.stderr
    assert "v2 answers 200" in found.stdout or "is gone by its day, and answers" in found.stdout


def test_media_types_tell_versions_apart() -> None:
    kinds = [f"application/vnd.example.orders.v{n}+json" for n in (1, 2)]
    versions = (Version("v1", kinds[0], "v2", "2026-12-15", "2027-03-01"), Version("v2", kinds[1]))
    api = Api("m", "orders", "media_type", versions, GUIDE, routes=(("GET", "/orders/{id}"),))
    clock = Clock()
    clock.now = at(2027, 3, 1)
    with served(ApiMiddleware(Orders(), (api,), clock=clock)) as port:
        assert ask(port, "/orders/5", {"accept": f"{kinds[0]}, */*;q=0.1"}).status == 410
        assert ask(port, "/orders/5", {"accept": f"{kinds[0]};q=0.5, {kinds[1]}"}).status == 200
        assert ask(port, "/orders/5").status == 410  # who never named a version has v1
        assert ask(port, "/health").status == 200
