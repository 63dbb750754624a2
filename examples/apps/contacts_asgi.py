"""An ASGI application: GET and PUT /users/ID/contact, GET /metrics; the header `x-tenant` says whose user it is."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection

from migdsl.runtime.routing import AsyncRouter, Fallback, LedgerRecorder, OpenFeature, Shadow
from migdsl.runtime.routing.asgi import RoutingMiddleware

FLAGS, URL = os.environ["FLAGS"], os.environ["DATABASE_URL"]
GET = {
    "old": "SELECT coalesce(email, username || '@example.com') FROM users WHERE tenant_id = %s AND id = %s",
    "new": "SELECT contact_email FROM users WHERE tenant_id = %s AND id = %s",
}
SET = {
    "old": "UPDATE users SET email = %s WHERE tenant_id = %s AND id = %s",
    "new": "UPDATE users SET contact_email = %s WHERE tenant_id = %s AND id = %s",
}


@asynccontextmanager
async def lease() -> AsyncIterator[AsyncConnection[Any]]:
    """A connection for comparisons: in a real application the pool's, under a statement_timeout."""
    async with await AsyncConnection.connect(URL, options="-c statement_timeout=500") as connection:
        yield connection


router = AsyncRouter(OpenFeature.flagd_file(FLAGS), LedgerRecorder(), shadow=Shadow(lease_async=lease))
users = router.migration("users_email", default=Fallback.of_file(FLAGS, "users_email"))


def getting(side: str, tenant: str, user: int) -> Any:
    async def run(connection: AsyncConnection[Any]) -> str | None:
        row = await (await connection.execute(GET[side], (tenant, user))).fetchone()
        return row[0] if row else None

    return run


def setting(side: str, tenant: str, user: int, address: str) -> Any:
    async def run(connection: AsyncConnection[Any]) -> None:
        await connection.execute(SET[side], (address, tenant, user))

    return run


async def contacts(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    if scope["path"] == "/metrics":
        await answer(send, 200, router.metrics())
        return
    tenant, user = tenant_of(scope), int(scope["path"].split("/")[2])
    if tenant is None:
        await answer(send, 400, "x-tenant is missing")
        return
    async with await AsyncConnection.connect(URL) as connection, users.at(tenant, on=connection) as at:
        if scope["method"] == "PUT":
            address = (await receive())["body"].decode()
            await at.write(
                old=setting("old", tenant, user, address), new=setting("new", tenant, user, address), key=user
            )
        found = await at.read(old=getting("old", tenant, user), new=getting("new", tenant, user), key=user)
    await answer(send, 200 if found else 404, found or "")


async def lifespan(receive: Any, send: Any) -> None:
    while True:
        moment = (await receive())["type"].removeprefix("lifespan.")
        if moment == "shutdown":
            await router.close()
        await send({"type": f"lifespan.{moment}.complete"})
        if moment == "shutdown":
            return


async def answer(send: Any, status: int, text: str) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text.encode()})


def tenant_of(scope: Any) -> str | None:
    return next((value.decode() for name, value in scope["headers"] if name == b"x-tenant"), None)


app = RoutingMiddleware(contacts, router, (users,), tenant_of)
