"""A server is asked for each GET route of each version, and its answers are held against the description and one another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, Request, build_opener

from migdsl.runtime.api import answers
from migdsl.runtime.api.model import Api, Version
from migdsl.runtime.api.requests import Found

_PARAMETER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SAFE: Final = frozenset({"GET", "HEAD"})
_MOST: Final = 65_536


class Ask(NamedTuple):
    """What to ask: before the API's paths, what stands for parameters, headers of each request, how long to wait, for whom."""

    base: str
    fills: Mapping[str, str]
    headers: Mapping[str, str]
    timeout: float
    tenant: str | None = None


class Answer(NamedTuple):
    """A status, and headers by their lower-case names (several of one name joined)."""

    status: int
    headers: Mapping[str, str]


class Look(NamedTuple):
    """One route of one version: its status (0: not asked), what is wrong with the answer, and else a note."""

    version: str
    route: str
    status: int = 0
    wrong: tuple[str, ...] = ()
    note: str = ""

    @property
    def asked(self) -> bool:
        """Whether there was a request."""
        return bool(self.status)


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_named: object) -> None:
        """A redirection is an answer as any other."""


def looks(api: Api, ask: Ask, now: float) -> Iterator[Look]:
    """Every route, the newest version first. Raises OSError and HTTPException where the server doesn't answer."""
    for method, path in api.routes:
        route = f"{method} {path}"
        missing = [name for name in _PARAMETER.findall(path) if name not in ask.fills]
        if method not in _SAFE or missing:
            why = f"say --fill {missing[0]}=VALUE" if missing else "a probe changes nothing"
            yield Look("-", route, note=f"not asked: {why}")
            continue
        filled = _PARAMETER.sub(lambda found: quote(ask.fills[found[1]], safe=""), path)
        newest = fetch(api, api.newest, method, filled, ask)
        yield Look(api.newest.name, route, newest.status, tuple(_fails(newest)))
        for version in reversed(api.versions[:-1]):
            answer = fetch(api, version, method, filled, ask)
            found = Found(version, route, filled)
            yield Look(version.name, route, answer.status, tuple(_wrong(api, found, answer, newest, ask, now)))


def _fails(answer: Answer) -> Iterator[str]:
    if answer.status >= 500 or answer.status == 410:
        yield "the version that stays doesn't answer"


def _wrong(api: Api, found: Found, answer: Answer, newest: Answer, ask: Ask, now: float) -> Iterator[str]:
    end = api.ends(found.version, ask.tenant)
    if end is None:
        return
    if now >= end:
        if answer.status != 410:
            yield "is gone by its day, and answers"
        elif not answer.headers.get("content-type", "").startswith("application/problem+json"):
            yield "410 without problem details: something else answers"
    elif answer.status != newest.status:
        yield f"{api.newest.name} answers {newest.status}"
    elif _kind(answer) != _kind(newest) and api.strategy != "media_type":
        yield f"{api.newest.name} answers as {_kind(newest) or 'nothing'}"
    if api.says(now):
        yield from _unsaid(answers.fields(api, found, end), answer)


def _kind(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _unsaid(wanted: answers.Headers, answer: Answer) -> Iterator[str]:
    """Fields that are missing, or say something else; of links each must be among the answer's."""
    for name, value in ((key.decode(), text.decode("latin-1")) for key, text in wanted):
        there = answer.headers.get(name, "")
        # The successor's target is spelt as the server saw the path, which proxies may write otherwise.
        parts = [part for part in value.split(", ") if "successor-version" not in part] if name == "link" else [value]
        if not all(part in there for part in parts):
            yield f"{name} is not `{', '.join(parts)}`" + (f" but `{there}`" if there else "")


def fetch(api: Api, version: Version, method: str, path: str, ask: Ask) -> Answer:
    """One request of a version."""
    headers = {"User-Agent": "migdsl-probe/1", **ask.headers}
    if api.strategy == "header":
        headers[api.header or ""] = version.at
    elif api.strategy == "media_type":
        headers["Accept"] = version.at
    base = ask.base + (version.at if api.strategy == "url" else "")
    # https:// or http://: the command line has seen to it.
    request = Request(base + path, headers=headers, method=method)  # noqa: S310
    try:
        with build_opener(_Stay).open(request, timeout=ask.timeout) as answer:
            answer.read(_MOST)
            return Answer(answer.status, _joined(answer.headers.items()))
    except HTTPError as error:
        with error:
            return Answer(error.code, _joined(error.headers.items()))


def _joined(pairs: list[tuple[str, str]]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found
