"""An HTTP API that goes from one version to the next, checked: versions, dates in their order, routes, grace, guide."""

from __future__ import annotations

from migdsl.source import Span
from migdsl.values import Value

STRATEGIES = ("url", "header", "media_type")


class Version(Value):
    """A version of the API. `at` is where it answers: a path (`url`), a header's value, or a media type; `replaces` the one
    that it takes the place of."""

    name: str
    at: str
    replaces: str | None
    span: Span


class Route(Value):
    """A route that both versions have; `path` is below the version's own, with `{parameters}`."""

    method: str
    path: str
    span: Span


class Dated(Value):
    """What becomes of a version on a day (`2027-03-01`, at midnight UTC)."""

    version: str
    date: str
    span: Span


class Grace(Value):
    """Tenants for whom the sunset comes later: on `until`, at midnight UTC."""

    tenants: tuple[str, ...]
    until: str
    span: Span


class Api(Value):
    """An API and what becomes of its versions. `header` is the request header that names the version (strategy `header`)."""

    name: str
    strategy: str
    header: str | None
    versions: tuple[Version, ...]
    routes: tuple[Route, ...]
    breaking: tuple[str, ...]
    announce: str | None
    deprecations: tuple[Dated, ...]
    sunsets: tuple[Dated, ...]
    graces: tuple[Grace, ...]
    guide: str | None
    span: Span
    whole: Span

    def version(self, name: str) -> Version:
        """The version of that name, which is known to be there."""
        return next(v for v in self.versions if v.name == name)

    def successor(self, name: str) -> Version | None:
        """The version that takes the place of one."""
        return next((v for v in self.versions if v.replaces == name), None)

    def deprecation(self, name: str) -> str:
        """The day on which a version that goes away is deprecated."""
        return next(d.date for d in self.deprecations if d.version == name)

    @property
    def newest(self) -> Version:
        """The version that nothing replaces."""
        return next(v for v in self.versions if self.successor(v.name) is None)

    @property
    def last_day(self) -> str:
        """The day from which nobody is answered by an old version: the last sunset or the end of the last grace."""
        return max([*(s.date for s in self.sunsets), *(g.until for g in self.graces)])
