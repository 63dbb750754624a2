"""0 where the monolith at OLD_URL and the orders service at NEW_URL answer alike: status and JSON of each path that moves."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request

PATHS = ("/orders/1", "/orders/2", "/orders/3", "/orders/unknown", "/users/7/orders")


def answer(url: str) -> tuple[int, object]:
    """The status and the JSON."""
    try:
        with urllib.request.urlopen(url, timeout=10) as found:
            return found.status, json.load(found)
    except urllib.error.HTTPError as error:
        body = error.read()
        return error.code, json.loads(body) if body.startswith(b"{") else None


differing = 0
for path in PATHS:
    old, new = (answer(os.environ[name] + path) for name in ("OLD_URL", "NEW_URL"))
    differing += old != new
    print(f"{path}: {'alike' if old == new else f'{old} and {new}'}")
raise SystemExit(bool(differing))
