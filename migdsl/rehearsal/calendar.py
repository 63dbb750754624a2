"""An API as a file declares it becomes what each request must be answered on each day: told apart from what is generated."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import formatdate
from urllib.parse import unquote

from migdsl.rehearsal.asgi import Answer, Asked
from migdsl.semantics.api_model import Api, Version
from migdsl.values import Value

DAY = 86_400.0
_FILLED = ("5", "O'Brien & co", "名前")
# What a client says of itself, and the name that may stand in a metric.
CLIENTS = (
    ("orders-sdk/2.1 (Linux)", "orders-sdk"),
    ("partner_import/1.0", "partner_import"),
    ("", "unknown"),
    ("ada@example.org/1.0", "other"),
    ("10.0.0.7", "other"),
)
UNDECLARED = "other"


def moment(day: str) -> float:
    """The Unix time at which a day begins, in UTC."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


class Call(Value):
    """A request of a version: by which route (`other`: one that the file doesn't have), of which tenant and client."""

    version: str
    route: str
    rest: str
    asked: Asked
    tenant: str
    client: str


class Days(Value):
    """The days of an API."""

    api: Api

    @property
    def announced(self) -> float | None:
        return moment(self.api.announce) if self.api.announce is not None else None

    @property
    def first(self) -> float:
        """The first of all."""
        days = [self.api.announce, *(d.date for d in self.api.deprecations), *(d.date for d in self.api.sunsets)]
        return min(moment(day) for day in days if day is not None)

    @property
    def turns(self) -> tuple[float, ...]:
        """The moments at which anybody is answered otherwise than before."""
        days = [d.date for d in self.api.sunsets] + [g.until for g in self.api.graces]
        return tuple(sorted({moment(day) for day in days}))

    def sunset(self, version: str) -> float | None:
        """When a version is gone for those without a grace; None: never."""
        return next((moment(d.date) for d in self.api.sunsets if d.version == version), None)

    def graced(self, tenant: str) -> float | None:
        """Until when a tenant has a grace, however its id is spelt."""
        of = [moment(g.until) for g in self.api.graces if tenant.lower() in [t.lower() for t in g.tenants]]
        return max(of, default=None)

    def end(self, version: str, tenant: str) -> float | None:
        """When a version is gone for a tenant."""
        end = self.sunset(version)
        grace = self.graced(tenant)
        return end if end is None or grace is None else max(end, grace)


def calls(api: Api, tenant: str, number: int) -> Iterator[Call]:
    """One request of each version by each route, and by one that the file doesn't declare."""
    routes = [(r.method, r.path) for r in api.routes] or [("GET", "/")]
    routes += [("GET", "/unheard/of")] if api.strategy == "url" else []
    for version in api.versions:
        for at, (method, path) in enumerate(routes):
            said, client = CLIENTS[(number + at) % len(CLIENTS)]
            rest = _filled(path, number)
            route = f"{method} {path}" if any((r.method, r.path) == (method, path) for r in api.routes) else UNDECLARED
            headers = [("x-tenant-id", tenant)] if tenant else []
            headers += [("user-agent", said)] if said else []
            asked = Asked(method, _path(api, version, rest), (*headers, *_naming(api, version)))
            yield Call(version.name, route, rest, asked, tenant, client)


def _filled(path: str, number: int) -> str:
    parts = [_FILLED[number % len(_FILLED)] if part.startswith("{") else part for part in path.split("/")]
    return "/".join(parts)


def _path(api: Api, version: Version, rest: str) -> str:
    return unquote(version.at) + rest if api.strategy == "url" else rest


def _naming(api: Api, version: Version) -> Iterator[tuple[str, str]]:
    if api.strategy == "header":
        yield (api.header or "").lower(), version.at
    elif api.strategy == "media_type":
        yield "accept", version.at


class Wrong(Value):
    """What is wrong with an answer, and the verdict that it speaks against."""

    verdict: str
    what: str


def wrong(days: Days, call: Call, answer: Answer, own: Answer, now: float) -> Iterator[Wrong]:
    """Against what the file says; `own` is what the application itself answers."""
    end = days.end(call.version, call.tenant)
    if end is None:
        if (answer.status, answer.headers, answer.body) != (own.status, own.headers, own.body):
            yield Wrong("announced", f"{call.version}, which stays, isn't answered as the application answers it")
    elif now >= end:
        yield from _gone(days, call, answer, end)
    elif answer.status == 410:
        late = days.sunset(call.version)
        verdict = "grace" if late is not None and now >= late else "gone"
        yield Wrong(verdict, f"{_spoken(call)} is answered 410 {_long(end - now)} before its last day")
    elif (answer.status, answer.body) != (own.status, own.body):
        yield Wrong(
            "announced", f"{_spoken(call)} is answered {answer.status}, or with another body than the application's"
        )
    else:
        yield from _said(days, call, answer, own, end, now)


def _spoken(call: Call) -> str:
    return f"{call.version} by {call.route}" + (" of a tenant" if call.tenant else "")


def _long(seconds: float) -> str:
    return f"{seconds / DAY:.0f} days" if seconds >= 2 * DAY else f"{seconds:.0f} s"


def _gone(days: Days, call: Call, answer: Answer, end: float) -> Iterator[Wrong]:
    if answer.status != 410:
        verdict = "grace" if days.graced(call.tenant) is not None else "gone"
        yield Wrong(verdict, f"{_spoken(call)} is answered {answer.status} after its last day")
        return
    if not "".join(answer.all("content-type")).startswith("application/problem+json"):
        yield Wrong("gone", f"{_spoken(call)}: 410 without problem details")
    if "no-store" not in ", ".join(answer.all("cache-control")):
        yield Wrong("gone", f"{_spoken(call)}: a 410 that may be stored, so that a sunset that is moved is seen late")
    yield from _fields(days, call, answer, end)


def _said(days: Days, call: Call, answer: Answer, own: Answer, end: float, now: float) -> Iterator[Wrong]:
    """Before its last day: the application's own answer, with three fields more from the announcement on."""
    missing = [pair for pair in own.headers if pair not in answer.headers]
    if missing:
        yield Wrong("announced", f"{_spoken(call)}: the application's own {missing[0][0]} is missing")
    if days.announced is None or now >= days.announced:
        yield from _fields(days, call, answer, end)
    elif answer.headers != own.headers:
        yield Wrong("announced", f"{_spoken(call)} says that it goes before that was announced")


def _fields(days: Days, call: Call, answer: Answer, end: float) -> Iterator[Wrong]:
    api = days.api
    deprecated = f"@{int(moment(api.deprecation(call.version)))}"
    links = ", ".join(answer.all("link"))
    wanted = [
        ("Deprecation", answer.all("deprecation") == [deprecated], deprecated),
        ("Sunset", answer.all("sunset") == [formatdate(end, usegmt=True)], formatdate(end, usegmt=True)),
        *(
            (f"Link of {rel}", _links(links, rel, api.guide or ""), api.guide or "")
            for rel in ("deprecation", "sunset")
        ),
        ("Link to the successor", _follows(api, call, links), "the same of the next version"),
    ]
    for name, holds, said in wanted:
        if not holds:
            yield Wrong("announced", f"{_spoken(call)}: {name} isn't {said}")


def _links(links: str, rel: str, target: str) -> bool:
    return any(f'rel="{rel}"' in link and link.strip().startswith(f"<{target}>") for link in links.split(", "))


def _follows(api: Api, call: Call, links: str) -> bool:
    """Where the same is to be had; of a header no link can say it."""
    found = [link for link in links.split(", ") if 'rel="successor-version"' in link]
    successor = api.successor(call.version)
    if api.strategy == "header" or successor is None:
        return not found
    below = (unquote(successor.at) if api.strategy == "url" else "") + (
        call.rest if call.route != UNDECLARED or api.strategy != "url" else ""
    )
    return len(found) == 1 and unquote(found[0].strip()[1:].split(">", 1)[0]) == below
