"""Requests go to the old or the new application, once, and are counted by side and outcome."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from migdsl.runtime.strangler import Cookie, Counted, Outcomes, Replacement, Strangler, header
from tests.runtime.routing.support import Switch
from tests.runtime.strangler.asked import Named, ask, asking


class ByTenant(Switch):
    """A flag that is live for one tenant."""

    def variant(self, flag: str, tenant: str) -> str:
        super().variant(flag, tenant)
        return "live" if tenant == "t1" else "off"


def strangler(flags: Switch, *, by: Any = "tenant", **apps: Any) -> tuple[Strangler, Named, Named]:
    old, new = apps.pop("old", Named("old")), apps.pop("new", Named("new"))
    subject = header("x-tenant") if by == "tenant" else None
    found = Strangler(Replacement("m", "r", "m", ("/orders",), by), old, new, flags, subject, fresh_s=0, **apps)
    return found, old, new


def counts(router: Strangler) -> dict[str, int]:
    found = {f"{side} {o}": router.outcomes.value(side, o) for side in ("old", "new") for o in ("ok", "error")}
    return {name: n for name, n in found.items() if n}


def test_each_tenant_is_on_its_side_and_the_rest_stays_old() -> None:
    router, old, new = strangler(ByTenant())
    assert ask(router, "/orders/1", {"X-Tenant": "t1"}).body == b"new"
    assert ask(router, "/orders/1", {"X-Tenant": "t2"}).body == b"old"
    assert ask(router, "/orders/1").body == b"old", "nobody knows whose it is"
    assert ask(router, "/pages", {"X-Tenant": "t1"}).body == b"old", "no route of the replacement"
    assert counts(router) == {"old ok": 2, "new ok": 1}, "other paths aren't counted"
    assert [scope["migdsl.side"] for scope in (*new.scopes, *old.scopes)] == ["new", "old", "old", "old"]


def test_a_request_of_two_tenants_is_nobodys() -> None:
    router, _, _ = strangler(ByTenant())
    scope = {"headers": [(b"x-tenant", b"t1"), (b"x-tenant", b"t2")]}
    assert header("X-Tenant")(scope) is None
    assert header("X-Tenant")({"headers": [(b"x-tenant", b"t1"), (b"x-tenant", b"t1")]}) == "t1"
    assert ask(router, "/orders", {"x-tenant": ""}).body == b"old"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("fails", [RuntimeError("broken"), 503])
def test_what_the_new_fails_is_counted_and_never_tried_on_the_old(method: str, fails: Exception | int) -> None:
    router, old, new = strangler(ByTenant(), new=Named("new", fails))
    found = ask(router, "/orders", {"X-Tenant": "t1"}, method=method)
    assert (found.raised, found.status) == ((fails, None) if isinstance(fails, Exception) else (None, fails))
    assert (len(new.scopes), len(old.scopes)) == (1, 0)
    assert counts(router) == {"new error": 1}


def test_a_client_keeps_the_side_that_its_cookie_names() -> None:
    flags = Switch("live")
    router, _, _ = strangler(flags, by="request")
    first = ask(router, "/orders", scheme="https")
    (cookie,) = first.header(b"set-cookie")
    assert first.header(b"x-app") == ["own"], "the application's own headers stay"
    name, _, value = cookie.partition(";")[0].partition("=")
    assert name == "migdsl_m"
    assert cookie.endswith("; HttpOnly; SameSite=Lax; Secure")
    again = ask(router, "/orders", {"Cookie": f"a=b; {name}={value}"})
    assert again.header(b"set-cookie") == []
    assert flags.asked == [value, value]
    forged = ask(router, "/orders", {"Cookie": f'{name}="; Path=/evil'})
    assert forged.header(b"set-cookie") != [], "what can't be ours is replaced"


def test_the_canary_may_name_itself() -> None:
    assert Cookie("migdsl_m")({"headers": [(b"cookie", b"migdsl_m=canary")]}) == "canary"


def test_the_flag_service_may_fail_and_requests_go_on() -> None:
    flags = Switch("live")
    router, _, _ = strangler(flags)
    assert ask(router, "/orders", {"X-Tenant": "t1"}).body == b"new"
    flags.down = OSError("gone")
    assert ask(router, "/orders", {"X-Tenant": "t1"}).body == b"new", "whoever is known stays"
    assert ask(router, "/orders", {"X-Tenant": "t2"}).body == b"old"
    assert 'migdsl_replace_flag_errors_total{migration="m",replace="r"} 2' in router.outcomes.text()


def test_the_counters_have_a_page_and_begin_at_0() -> None:
    router, _, _ = strangler(Switch(), metrics_path="/-/metrics")
    text = ask(router, "/-/metrics").body.decode()
    for side in ("old", "new"):
        for outcome in ("ok", "error"):
            assert f'requests_total{{migration="m",replace="r",side="{side}",outcome="{outcome}"}} 0' in text


def test_tenants_need_a_way_to_be_found() -> None:
    with pytest.raises(ValueError, match="say how a request's tenant is found"):
        Strangler(Replacement("m", "r", "m", (), "tenant"), Named("old"), Named("new"), Switch())


def test_a_process_of_one_side_counts_its_own() -> None:
    outcomes = Outcomes("m", "r")
    assert ask(Counted(Named("new"), outcomes, "new"), "/").body == b"new"
    assert ask(Counted(Named("new", 500), outcomes, "new"), "/").status == 500
    assert (outcomes.value("new", "ok"), outcomes.value("new", "error")) == (1, 1)


def test_a_request_that_is_cancelled_counts_as_neither() -> None:
    begun = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def cancelled() -> dict[str, int]:
        router, _, _ = strangler(Switch("live"), new=slow)
        task = asyncio.ensure_future(asking(router, "/orders", {"X-Tenant": "t1"}))
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return counts(router)

    assert asyncio.run(cancelled()) == {}


def test_a_websocket_goes_to_one_side_and_its_close_tells_how_it_went() -> None:
    async def closing(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1011})

    router, _, _ = strangler(Switch("live"), new=closing)
    ask(router, "/orders", {"X-Tenant": "t1"}, type="websocket")
    assert counts(router) == {"new error": 1}


class Living:
    """An application with a lifespan, and a state."""

    def __init__(self, name: str, fails: str = "", knows: bool = True) -> None:
        self.name, self.fails, self.knows = name, fails, knows
        self.heard: list[str] = []
        self.state: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            self.state = scope.get("state")
            await Named(self.name)(scope, receive, send)
            return
        if not self.knows:
            raise RuntimeError("no lifespan here")
        scope["state"]["pool"] = self.name
        while True:
            kind = (await receive())["type"]
            self.heard.append(kind)
            failed = self.fails == kind
            await send(
                {"type": f"{kind}.failed", "message": f"{self.name} can't"} if failed else {"type": f"{kind}.complete"}
            )
            if kind == "lifespan.shutdown":
                return


def lived(old: Living, new: Living) -> list[dict[str, Any]]:
    """What a server is told at start and end, with a request of each side in between."""
    router, _, _ = strangler(ByTenant(), old=old, new=new)
    told: list[dict[str, Any]] = []

    async def life() -> None:
        messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        async def send(message: Any) -> None:
            told.append(message)

        task = asyncio.ensure_future(router({"type": "lifespan", "state": {}}, messages.get, send))
        for kind in ("lifespan.startup", "lifespan.shutdown"):
            await messages.put({"type": kind})
            while len(told) < (1 if kind == "lifespan.startup" else 2) and not task.done():
                await asyncio.sleep(0)
            for tenant in ("t1", "t2"):
                await asking(router, "/orders", {"X-Tenant": tenant}, state={"server": 1})
        await task

    asyncio.run(life())
    return told


def test_both_start_and_end_and_each_has_its_own_state() -> None:
    old, new = Living("old"), Living("new")
    assert [m["type"] for m in lived(old, new)] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert old.heard == new.heard == ["lifespan.startup", "lifespan.shutdown"]
    assert (old.state, new.state) == ({"server": 1, "pool": "old"}, {"server": 1, "pool": "new"})


def test_one_without_a_lifespan_does_not_stop_the_other() -> None:
    old = Living("old")
    assert next(m["type"] for m in lived(old, Living("new", knows=False))) == "lifespan.startup.complete"
    assert old.heard == ["lifespan.startup", "lifespan.shutdown"]


def test_one_that_fails_to_start_stops_the_server() -> None:
    told = lived(Living("old"), Living("new", fails="lifespan.startup"))
    assert told == [{"type": "lifespan.startup.failed", "message": "new can't"}]
