"""What an old version says of itself: header fields beside its answers, and the whole answer once it is gone."""

from __future__ import annotations

import json
from email.utils import formatdate
from urllib.parse import quote

from migdsl.runtime.api.model import Api, Version, moment
from migdsl.runtime.api.requests import OTHER, Found

Headers = list[tuple[bytes, bytes]]
_SAFE = "/:@!$&'()*+,;=~-._"


def fields(api: Api, found: Found, end: float) -> Headers:
    """Deprecation (RFC 9745), Sunset (RFC 8594) and Link; `end` is when the version is gone for who asks."""
    assert found.version.deprecated is not None
    return _encoded(
        ("deprecation", f"@{int(moment(found.version.deprecated))}"),
        ("sunset", formatdate(end, usegmt=True)),
        ("link", ", ".join(_links(api, found))),
    )


def _links(api: Api, found: Found) -> list[str]:
    links = [f'<{api.guide}>; rel="{rel}"; type="text/html"' for rel in ("deprecation", "sunset")]
    target = successor(api, found)
    if target is not None:
        kind = f'; type="{_type(api, found)}"' if api.strategy == "media_type" else ""
        links.append(f'<{target}>; rel="successor-version"{kind}')
    return links


def _type(api: Api, found: Found) -> str:
    return api.version(found.version.successor or "").at.replace('"', "")


def successor(api: Api, found: Found) -> str | None:
    """Where the same is to be had of the next version: below its path, or at the same one; None where no link can say it."""
    if found.version.successor is None or api.strategy == "header":
        return None
    # Only of declared routes is it known that the next version has them too.
    rest = found.rest if found.route != OTHER else ""
    if api.strategy == "url":
        return quote(api.version(found.version.successor).at, safe=_SAFE + "%") + quote(rest, safe=_SAFE)
    return quote(found.rest, safe=_SAFE)


def merged(own: Headers, added: Headers) -> Headers:
    """An answer's headers with ours: what the application says itself stays, and Link has a line more."""
    there = {name.lower() for name, _ in own}
    return [*own, *((name, value) for name, value in added if name == b"link" or name not in there)]


def gone(api: Api, found: Found, end: float) -> tuple[Headers, bytes]:
    """410 with problem details (RFC 9457). It may not be stored, so that a sunset that is moved is seen at once."""
    newer = api.version(found.version.successor or "")
    problem: dict[str, object] = {
        "type": api.guide,
        "title": f"{found.version.name} of {api.name} is gone",
        "status": 410,
        "detail": f"It answered until {formatdate(end, usegmt=True)}. {_instead(api, newer)} {api.guide} says how to move.",
        "successor": newer.name,
    }
    body = json.dumps(problem, ensure_ascii=True).encode()
    own = _encoded(
        ("content-type", "application/problem+json"),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
    )
    return merged(own, fields(api, found, end)), body


def _instead(api: Api, newer: Version) -> str:
    where = {"url": f"below {newer.at}", "header": f"with {api.header}: {newer.at}", "media_type": f"as {newer.at}"}
    return f"{newer.name} answers {where[api.strategy]}."


def _encoded(*pairs: tuple[str, str]) -> Headers:
    return [(name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in pairs]
