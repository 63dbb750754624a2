"""A monolith and a service that takes orders out of it, as two ASGI applications of the standard library, and both behind the router.

`uvicorn apps:service` is the orders service at its own address, `uvicorn --factory apps:app` the whole. `BREAK` names orders that the new
application fails on.
"""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

from migdsl.runtime.routing import OpenFeature
from migdsl.runtime.strangler import header

HERE = Path(__file__).parent
COMPILED = Path(os.environ.get("COMPILED", HERE / "orders_out"))
ORDERS = {"1": 1200, "2": 350, "3": 99}


def application(name: str, *, whole: bool) -> Any:
    """An ASGI application that knows orders, and, where it is the whole, everything else too."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        status, found = answer(scope["path"], whole=whole)
        headers = [(b"content-type", b"application/json"), (b"x-served-by", name.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(found).encode()})

    return app


def answer(path: str, *, whole: bool) -> tuple[int, object]:
    """The status and the JSON of a path."""
    parts = path.strip("/").split("/")
    if path == "/health":
        return 200, {"up": True}
    if parts[0] == "orders" and len(parts) == 2:
        if not whole and parts[1] in os.environ.get("BREAK", "").split(","):
            raise RuntimeError(f"order {parts[1]} can't be read")
        known = parts[1] in ORDERS
        return (200, {"id": parts[1], "cents": ORDERS[parts[1]]}) if known else (404, {"missing": parts[1]})
    if parts[0] == "users" and parts[2:] == ["orders"]:
        return 200, {"user": parts[1], "orders": sorted(ORDERS)}
    return (200, {"page": path}) if whole else (404, {"missing": path})


async def lifespan(receive: Any, send: Any) -> None:
    """Nothing to open, nothing to close."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def generated(path: Path) -> Any:
    """The router's module, from where it was compiled."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


service = application("new", whole=False)
monolith = application("old", whole=True)


def app() -> Any:
    """Both behind the router; `uvicorn --factory apps:app`."""
    flags = OpenFeature.flagd_file(COMPILED / "flags" / "orders_out.flagd.json", poll_seconds=0.2)
    made = generated(COMPILED / "routing" / "orders_out.py")
    return made.router(monolith, service, flags, header("x-tenant-id"), metrics_path="/-/metrics", fresh_s=0.2)
