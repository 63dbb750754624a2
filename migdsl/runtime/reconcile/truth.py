"""Turns the stage rows of the ledger's event log into which side is a tenant's truth."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from migdsl.runtime.database import Row

Side = Literal["old", "new"]

# formats.md: the old is read and authoritative through shadow, the new from live on.
_NEW: Final = frozenset({"live", "rampdown", "complete"})
_PERCENT: Final = re.compile(r"^[0-9.]+%$")
_TENANT: Final = "tenant:"


@dataclass(frozen=True, slots=True)
class Stages:
    """The newest stage of each subject of the flag block: `all`, `canary`, `percent`, and single tenants."""

    groups: Mapping[str, str]
    tenants: Mapping[str, str]

    @classmethod
    def of(cls, rows: list[Row]) -> Stages:
        """From (subject, value) rows, oldest first.

        A flag block is recorded with its line for all first: what was recorded before that stands no more. Percentages
        are one subject: the newest is the line that stands.
        """
        groups: dict[str, str] = {}
        tenants: dict[str, str] = {}
        for subject, stage in rows:
            if subject is None or stage is None:
                continue
            if subject == "all":
                groups, tenants = {}, {}
            if subject.startswith(_TENANT):
                tenants[subject.removeprefix(_TENANT)] = stage
            else:
                groups["percent" if _PERCENT.match(subject) else subject] = stage
        return cls(groups, tenants)

    def truth(self, tenant: str) -> Side:
        """The side that is authoritative for a tenant; `old` where nothing was recorded.

        SQL can't see who a canary or percent line takes in. While one of them is live or later, a tenant without a line
        of its own may have been switched: it gets `new`, whose comparison counts only what is wrong on either reading.
        """
        own = self.tenants.get(tenant)
        if own is not None:
            return "new" if own in _NEW else "old"
        return "new" if any(stage in _NEW for stage in self.groups.values()) else "old"
