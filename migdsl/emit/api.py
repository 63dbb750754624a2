"""APIs become the description that their middleware goes by, and the guide that their clients read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from email.utils import formatdate

from migdsl.emit.artifact import Artifact
from migdsl.emit.context import EmitContext
from migdsl.emit.python import docstring, formatted, quoted
from migdsl.emit.templates import render
from migdsl.planning.apis import place
from migdsl.planning.words import listed
from migdsl.semantics.api_model import Api, Route, Version

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_BODIES = ("POST", "PUT", "PATCH")


def emit(context: EmitContext) -> Iterator[Artifact]:
    """Both files of a migration that has an API."""
    apis, paths = context.planned.module.apis, context.planned.paths
    yield Artifact(paths.api, _description(context, apis), "api")
    text = render("api/guide.md.j2", {"marker": context.marker, "apis": [_guide(api) for api in apis]})
    yield Artifact(paths.api_guide, re.sub(r"\n{3,}", "\n\n", text).strip() + "\n", "api_guide")


# ------------------------------------------------------------------------------------------- the description


def _description(context: EmitContext, apis: tuple[Api, ...]) -> str:
    migration = context.planned.plan.migration
    view: dict[str, object] = {
        "marker": context.marker,
        "docstring": docstring(_about(context, apis)),
        "migration": quoted(migration),
        "apis": [_constant(api) for api in apis],
    }
    return formatted(render("api/description.py.j2", view))


def _about(context: EmitContext, apis: tuple[Api, ...]) -> str:
    module = context.planned.paths.api.removesuffix(".py").replace("/", ".")
    grace = ', tenant_of="x-tenant-id"' if any(api.graces for api in apis) else ""
    lines = [
        f"{context.planned.plan.migration}: the versions of {listed([a.name for a in apis])}, and when the old ones go.",
        "",
    ]
    lines += [
        "In front of an ASGI application:",
        "",
        f"    from {module} import middleware",
        "",
        f"    app = middleware(app{grace})",
        "",
        "A client of your own asks its tenant's stage of the flag which version to call: `API.call(stage).at`.",
        "",
        f"`python {context.planned.paths.api} dates` shows the calendar from today, `probe https://host` asks each version.",
    ]
    return "\n".join(lines)


def _constant(api: Api) -> dict[str, object]:
    return {
        "constant": f"{api.name.upper()}_" if api.name.upper() == "APIS" else api.name.upper(),
        "name": quoted(api.name),
        "strategy": quoted(api.strategy),
        "header": quoted(api.header) if api.header else "",
        "versions": [_version(api, each) for each in api.versions],
        "announced": quoted(api.announce) if api.announce else "",
        "routes": [f"({quoted(r.method)}, {quoted(r.path)})" for r in api.routes],
        "grace": [f"({quoted(t)}, {quoted(g.until)})" for g in api.graces for t in g.tenants],
        "guide": quoted(api.guide or ""),
    }


def _version(api: Api, version: Version) -> str:
    parts = [quoted(version.name), f"at={quoted(version.at)}"]
    successor = api.successor(version.name)
    if successor is not None:
        parts.append(f"successor={quoted(successor.name)}")
        parts.append(f"deprecated={quoted(api.deprecation(version.name))}")
        parts.append(f"sunset={quoted(_sunset(api, version))}")
    return ", ".join(parts)


def _sunset(api: Api, version: Version) -> str:
    return next(s.date for s in api.sunsets if s.version == version.name)


# ------------------------------------------------------------------------------------------- the guide


def _guide(api: Api) -> dict[str, object]:
    old = [v for v in api.versions if v is not api.newest]
    return {
        "title": f"{api.name}: from {listed([v.name for v in old])} to {api.newest.name}",
        "intro": _intro(api, old),
        "days": list(_days(api)),
        "breaking": [_plain(text) for text in api.breaking],
        "how": list(_how(api)),
        "routes": [_route(api, route, old[-1]) for route in api.routes],
        "old": listed([v.name for v in old]),
        "since": f"from {api.announce} on" if api.announce else "as long as it is there",
        "headers": list(_headers(api, old[0])),
        "successor": api.strategy != "header",
        "watch": _watch(api, old[0]),
        "problem": _problem(api, old[0]),
    }


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text)


def _intro(api: Api, old: list[Version]) -> str:
    ends = [f"{v.name} answers {place(api, v.name)} until {_sunset(api, v)}." for v in old]
    return " ".join([f"{api.newest.name} of {api.name} answers {place(api, api.newest.name)}.", *ends])


def _days(api: Api) -> Iterator[dict[str, str]]:
    found = [(api.announce, "this is announced")] if api.announce else []
    found += [
        (d.date, f"{d.version} is deprecated: it answers as before, and is no longer worked on")
        for d in api.deprecations
    ]
    found += [(s.date, f"{s.version} answers 410 Gone") for s in api.sunsets]
    # Whose grace it is goes to them, and not into a page for everybody.
    found += [
        (day, "the last agreed grace is over") for day in ([max(g.until for g in api.graces)] if api.graces else [])
    ]
    for day, text in sorted(found, key=lambda each: str(each[0])):
        yield {"day": str(day), "text": text}


def _how(api: Api) -> Iterator[str]:
    for version in api.versions:
        yield {
            "url": f"- {version.name}: paths begin with `{version.at}`",
            "header": f"- {version.name}: the header `{api.header}: {version.at}`",
            "media_type": f"- {version.name}: `Accept: {version.at}`, and the same as `Content-Type` of what you send",
        }[api.strategy]
    if api.strategy != "url":
        yield f"- a request that names no version is one of {api.versions[0].name}, and goes with it"


def _route(api: Api, route: Route, old: Version) -> dict[str, str]:
    return {
        "title": f"`{route.method} {route.path}`",
        "old_name": old.name,
        "until": _sunset(api, old),
        "old": _curl(api, route, old),
        "new_name": api.newest.name,
        "new": _curl(api, route, api.newest),
    }


def _curl(api: Api, route: Route, version: Version) -> str:
    """A command that a person completes: parameters stand as shell variables."""
    path = _PARAMETER.sub(lambda found: f"${found[1].upper()}", route.path)
    base = version.at if api.strategy == "url" else ""
    parts = ["curl", *([] if route.method == "GET" else ["-I"] if route.method == "HEAD" else ["-X", route.method])]
    if api.strategy == "header":
        parts += ["-H", f"'{api.header}: {version.at}'"]
    if api.strategy == "media_type":
        parts += ["-H", f"'Accept: {version.at}'"]
    if route.method in _BODIES:
        kind = version.at if api.strategy == "media_type" else "application/json"
        parts += ["-H", f"'Content-Type: {kind}'", "--data", "@request.json"]
    return " ".join([*parts, f'"https://$HOST{base}{path if path != "/" or not base else ""}"'])


def _epoch(day: str) -> int:
    return (date.fromisoformat(day) - date(1970, 1, 1)).days * 86_400


def _headers(api: Api, version: Version) -> Iterator[str]:
    yield f"Deprecation: @{_epoch(api.deprecation(version.name))}"
    yield f"Sunset: {formatdate(_epoch(_sunset(api, version)), usegmt=True)}"
    yield f'Link: <{api.guide}>; rel="deprecation"; type="text/html"'
    yield f'Link: <{api.guide}>; rel="sunset"; type="text/html"'


def _watch(api: Api, version: Version) -> str:
    route = next((r for r in api.routes if r.method == "GET"), None)
    if route is None:
        return f"curl -sI \"https://$HOST{version.at if api.strategy == 'url' else ''}/\" | grep -i -E '^(deprecation|sunset):'"
    return f"{_curl(api, route, version).replace('curl', 'curl -s -o /dev/null -D -', 1)} | grep -i -E '^(deprecation|sunset):'"


def _problem(api: Api, version: Version) -> str:
    successor = api.successor(version.name)
    shown = {
        "type": api.guide,
        "title": f"{version.name} of {api.name} is gone",
        "status": 410,
        "successor": successor.name if successor else None,
    }
    return json.dumps(shown, indent=2)
