"""Days of an API's calendar become moments, and a moment tells what an old version does: answer, warn, or be gone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

OLD_STAGES: Final = frozenset({"off", "dualwrite", "shadow"})


def moment(day: str) -> float:
    """The Unix time at which a day (`2027-03-01`) begins, in UTC."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Version:
    """A version. `at`: the path below which it answers, its header's value, or its media type, by the API's strategy.

    `successor`, `deprecated` and `sunset` are None of the version that stays; days begin at midnight UTC.
    """

    name: str
    at: str
    successor: str | None = None
    deprecated: str | None = None
    sunset: str | None = None

    @property
    def leaves(self) -> bool:
        """Whether it goes away."""
        return self.sunset is not None


@dataclass(frozen=True, slots=True)
class Api:
    """An API: its versions from the oldest to the newest, routes as (method, path with {parameters}), who has a grace.

    `strategy` is url, header (`header` names it) or media_type. `announced`: the day from which answers of old versions say
    that they go; None: from the first day on.
    """

    migration: str
    name: str
    strategy: str
    versions: tuple[Version, ...]
    guide: str
    header: str | None = None
    routes: tuple[tuple[str, str], ...] = ()
    announced: str | None = None
    grace: tuple[tuple[str, str], ...] = ()
    _ends: dict[str, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ends", {tenant: moment(day) for tenant, day in self.grace})

    def version(self, name: str) -> Version:
        """The version of that name; KeyError where there is none."""
        for each in self.versions:
            if each.name == name:
                return each
        raise KeyError(name)

    @property
    def newest(self) -> Version:
        """The version that stays."""
        return self.versions[-1]

    def ends(self, version: Version, tenant: str | None = None) -> float | None:
        """The Unix time from which a version is gone for a tenant; None: never."""
        if version.sunset is None:
            return None
        end = moment(version.sunset)
        if tenant is None:
            return end
        # Descriptions spell a uuid as PostgreSQL does; who asks may spell it otherwise.
        return max(end, self._ends.get(tenant, self._ends.get(tenant.lower(), end)))

    def says(self, now: float) -> bool:
        """Whether answers of old versions say by now that they go."""
        return self.announced is None or now >= moment(self.announced)

    def call(self, stage: str) -> Version:
        """The version that a client of your own calls where the migration's flag is at `stage`."""
        return self.versions[0] if stage in OLD_STAGES else self.newest
