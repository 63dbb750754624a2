"""A request becomes the API, version and route that it is for, or none of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from migdsl.runtime.api.accept import asked, media_type
from migdsl.runtime.api.model import Api, Version

Scope = MutableMapping[str, Any]

OTHER: Final = "other"
_PARAMETER: Final = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")


class Found(NamedTuple):
    """What a request is for. `route` is one that the API declares, as `GET /orders/{id}`, or `other`; `rest` the path
    below the version's own."""

    version: Version
    route: str
    rest: str


class Recognizer:
    """Tells the requests of one API."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._routes = tuple((method, f"{method} {path}", _pattern(path)) for method, path in api.routes)
        # The longest first: v1 may answer below /api, and v2 below /api/v2.
        self._bases = sorted(((unquote(v.at), v) for v in api.versions), key=lambda base: -len(base[0]))
        self._media = {v.name: v.at for v in api.versions}
        self._values = {v.at: v for v in api.versions}

    def find(self, scope: Scope) -> Found | None:
        """What an HTTP request is for; None where it is not for this API."""
        path = _path(scope)
        if self.api.strategy == "url":
            return self._by_path(str(scope["method"]), path)
        route = self._route(str(scope["method"]), path)
        if route is None:
            return None
        version = self._by_header(scope) if self.api.strategy == "header" else self._by_type(scope)
        return None if version is None else Found(version, route, path)

    def _by_path(self, method: str, path: str) -> Found | None:
        for base, version in self._bases:
            if path == base or path.startswith(f"{base}/"):
                rest = path[len(base) :] or "/"
                return Found(version, self._route(method, rest) or OTHER, rest)
        return None

    def _route(self, method: str, path: str) -> str | None:
        wanted = {"HEAD": "GET"}.get(method, method)
        for known, spoken, pattern in self._routes:
            if known in (method, wanted) and pattern.fullmatch(path):
                return spoken
        return None

    def _by_header(self, scope: Scope) -> Version | None:
        """The version that the header names; the oldest where it isn't there, and none of ours where it names another."""
        said = {value.strip() for value in values(scope, self.api.header or "")} - {""}
        if not said:
            return self.api.versions[0]
        return self._values.get(said.pop()) if len(said) == 1 else None

    def _by_type(self, scope: Scope) -> Version:
        """The version that Accept names, or else the body's type; the oldest where neither does."""
        name = asked(", ".join(values(scope, "accept")), self._media)
        if name is None:
            body = media_type("".join(values(scope, "content-type")[:1]))
            own = {each: media_type(media) for each, media in self._media.items()}
            name = next((each for each, media in own.items() if body and media and body.names(media)), None)
        return self.api.version(name) if name is not None else self.api.versions[0]


def values(scope: Scope, name: str) -> list[str]:
    """All values of a request header; names are lower case."""
    wanted = name.encode("latin-1")
    headers: Iterable[tuple[bytes, bytes]] = scope.get("headers") or ()
    return [value.decode("latin-1") for key, value in headers if key.lower() == wanted]


def preflight(scope: Scope) -> bool:
    """Whether a browser only asks whether it may ask: an answer 410 would tell its page nothing."""
    return scope["method"] == "OPTIONS" and bool(values(scope, "access-control-request-method"))


def _path(scope: Scope) -> str:
    """The whole path, for an application that is mounted below another one too."""
    path, root = str(scope["path"]), str(scope.get("root_path") or "").rstrip("/")
    return path if not root or path == root or path.startswith(f"{root}/") else root + path


def _pattern(path: str) -> re.Pattern[str]:
    pieces, at = [], 0
    for found in _PARAMETER.finditer(path):
        pieces += [re.escape(unquote(path[at : found.start()])), "[^/]+"]
        at = found.end()
    return re.compile("".join([*pieces, re.escape(unquote(path[at:]))]) + "/?")
