"""What a request says of its version, by path, header and media type; and what is then said of the version."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from migdsl.runtime.api import Api, ApiMiddleware, Version
from migdsl.runtime.api.accept import asked, ranges
from migdsl.runtime.api.answers import fields
from migdsl.runtime.api.clients import UNKNOWN, Clients
from migdsl.runtime.api.meters import DEPRECATED
from migdsl.runtime.api.model import moment
from migdsl.runtime.api.requests import OTHER, Recognizer

V1, V2 = "application/vnd.example.orders.v1+json", "application/vnd.example.orders.v2+json"
TYPES = {"v1": V1, "v2": V2}
GUIDE = "https://docs.example.com/orders/v2"


def api(strategy: str, first: str, second: str, **more: Any) -> Api:
    versions = (Version("v1", first, "v2", "2026-12-15", "2027-03-01"), Version("v2", second))
    routes = (("GET", "/orders/{id}"), ("POST", "/orders"))
    return Api("orders_v2", "orders_http", strategy, versions, GUIDE, routes=routes, **more)


URL = api("url", "/api", "/api/v2")
HEADER = api("header", "1", "2", header="api-version")
MEDIA = api("media_type", V1, V2)


def scope(path: str, method: str = "GET", root: str = "", **headers: str) -> dict[str, Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": path, "root_path": root, "headers": pairs}


def found(of: Api, path: str, method: str = "GET", root: str = "", **headers: str) -> tuple[str, str] | None:
    answer = Recognizer(of).find(scope(path, method, root, **headers))
    return None if answer is None else (answer.version.name, answer.route)


def test_a_path_names_the_version_whose_base_is_longest() -> None:
    assert found(URL, "/api/orders/5") == ("v1", "GET /orders/{id}")
    assert found(URL, "/api/v2/orders/5") == ("v2", "GET /orders/{id}")
    assert found(URL, "/api/v2x/orders/5") == ("v1", "other")
    assert found(URL, "/api") == ("v1", "other")
    assert found(URL, "/apix/orders/5") is None
    assert found(URL, "/api/orders/5", "HEAD") == ("v1", "GET /orders/{id}")
    assert found(URL, "/api/orders/5", "DELETE") == ("v1", "other")
    assert found(URL, "/api/orders/5/items") == ("v1", "other")


def test_a_path_is_whole_also_where_the_application_is_mounted() -> None:
    assert found(URL, "/v2/orders/5", root="/api") == ("v2", "GET /orders/{id}")
    assert found(URL, "/api/v2/orders/5", root="/api") == ("v2", "GET /orders/{id}")


def test_a_header_names_the_version_and_none_is_the_oldest() -> None:
    assert found(HEADER, "/orders/5", api_version="2") == ("v2", "GET /orders/{id}")
    assert found(HEADER, "/orders/5", api_version=" 1 ") == ("v1", "GET /orders/{id}")
    assert found(HEADER, "/orders/5") == ("v1", "GET /orders/{id}")
    assert found(HEADER, "/orders/5", api_version="3") is None
    assert found(HEADER, "/elsewhere", api_version="1") is None


def test_two_headers_that_differ_name_none() -> None:
    request = scope("/orders/5") | {"headers": [(b"api-version", b"1"), (b"api-version", b"2")]}
    assert Recognizer(HEADER).find(request) is None


@pytest.mark.parametrize(
    ("accept", "version"),
    [
        (V2, "v2"),
        (V1, "v1"),
        (f"{V1};q=0.4, {V2};q=0.5", "v2"),
        (f"{V1}, {V2};q=0.5", "v1"),
        (f"{V1}, {V2}", "v2"),  # who knows both knows the newer one
        (f"text/html, {V1.upper()} ; q=0.9, */*;q=0.8", "v1"),
        (f"{V2};q=0, {V1};q=0.1", "v1"),
        (f"{V2};q=0", None),
        ("application/json", None),
        ("*/*", None),
        ("", None),
        (";;,/,a/,*/b," + V2, "v2"),
        (f'text/html;p="a,{V1}", {V2}', "v2"),
        (f'text/html;p="\\",{V1}"', None),
        (f"{V1};q=2", "v1"),  # no weight at all
        (f"{V1};q=x, {V2};q=0.1", "v1"),
    ],
)
def test_accept_names_a_version_by_what_is_exact_and_most_welcome(accept: str, version: str | None) -> None:
    assert asked(accept, TYPES) == version


def test_parameters_may_name_the_version() -> None:
    versions = {"v1": "application/json; version=1", "v2": 'application/json; version="2"'}
    assert asked("application/json;version=2;charset=utf-8", versions) == "v2"
    assert asked("application/json", versions) is None
    assert [r.parameters for r in ranges('a/b;V="x\\"y";q=0.3;v=1')] == [{"v": 'x"y'}]


def test_a_body_names_the_version_where_accept_does_not() -> None:
    assert found(MEDIA, "/orders", "POST", accept="*/*", content_type=V2) == ("v2", "POST /orders")
    assert found(MEDIA, "/orders", "POST", accept=V1, content_type=V2) == ("v1", "POST /orders")
    assert found(MEDIA, "/orders", "POST", content_type="application/json") == ("v1", "POST /orders")


def said(of: Api, path: str, **headers: str) -> str:
    request = Recognizer(of).find(scope(path, **headers))
    assert request is not None
    return dict(fields(of, request, 0.0))[b"link"].decode()


def test_a_successor_is_linked_where_a_link_can_say_it() -> None:
    assert said(URL, "/api/orders/ä b").endswith(', </api/v2/orders/%C3%A4%20b>; rel="successor-version"')
    assert said(URL, "/api/nowhere").endswith(', </api/v2>; rel="successor-version"')
    assert said(MEDIA, "/orders/5", accept=V1).endswith(f', </orders/5>; rel="successor-version"; type="{V2}"')
    assert "successor" not in said(HEADER, "/orders/5")
    assert "\n" not in said(URL, "/api/orders/a\r\nX: y")


def test_clients_are_few_and_no_addresses() -> None:
    clients = Clients(2)
    assert [clients.name(each) for each in ("a", "b", "c", "a")] == ["a", "b", OTHER, "a"]
    for private in (
        "jane@example.com",
        "10.0.0.1",
        "2001:db8::1",
        "sk-0123456789abcdef",
        "x" * 41,
        "a b",
        "tel-0301234567",
    ):
        assert Clients(9).name(private) == OTHER, private
    assert Clients(9).name(None) == Clients(9).name("") == UNKNOWN
    assert Clients(9).name("orders-sdk") == "orders-sdk"


def test_a_grace_wants_to_know_the_tenant() -> None:
    with pytest.raises(ValueError, match="orders_http has a grace"):
        ApiMiddleware(lambda *_: None, (api("url", "/api/v1", "/api/v2", grace=(("acme", "2027-04-01"),)),))  # type: ignore[arg-type]


async def _empty(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": [(b"deprecation", b"@0")]})
    await send({"type": "http.response.body", "body": b""})


def run(middleware: ApiMiddleware, request: dict[str, Any]) -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nobody reads")

    asyncio.run(middleware(request, receive, send))
    return sent


def test_what_the_application_says_itself_stays() -> None:
    middleware = ApiMiddleware(_empty, (URL,), clock=lambda: moment("2026-12-20"))
    start, _ = run(middleware, scope("/api/orders/5", user_agent="shop/1"))
    assert [value for name, value in start["headers"] if name == b"deprecation"] == [b"@0"]
    assert b"sunset" in dict(start["headers"])
    labels = [s.labels["client"] for s in middleware.samples() if s.spec is DEPRECATED and s.value]
    assert labels == ["shop"]


def test_what_is_no_request_passes_untouched() -> None:
    seen: list[Any] = []

    async def app(its_scope: Any, receive: Any, send: Any) -> None:
        seen.append((its_scope, receive, send))

    middleware = ApiMiddleware(app, (URL,), clock=lambda: moment("2028-01-01"))

    async def receive() -> Any: ...

    async def send(_message: Any) -> None: ...

    for kind in ("websocket", "lifespan"):
        given: dict[str, Any] = {"type": kind, "path": "/api/orders/5", "headers": []}
        asyncio.run(middleware(given, receive, send))
        assert seen.pop() == (given, receive, send)


def test_your_own_clients_call_what_the_flag_says() -> None:
    assert [URL.call(stage).name for stage in ("off", "shadow", "live", "complete")] == ["v1", "v1", "v2", "v2"]
