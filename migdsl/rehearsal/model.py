"""What a rehearsal speaks of: what was asked for, what was found and where, and the verdicts that came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

# Each verdict, and what it says where nothing is found; the order is that of reports.
VERDICTS = {
    "baseline": "the tables that the file declares can be made, and filled",
    "revisions": "each revision runs forward, back, and forward again",
    "acknowledged_writes": "no acknowledged write was lost or altered",
    "both_sides": "old and new columns agree, by the file's own expressions",
    "traffic": "old and new code ran without an error",
    "blocked": "no statement of the migration kept traffic waiting",
    "backfill": "the backfill was killed and resumed: nothing was lost, nothing done twice",
    "isolation": "a job that works on one tenant touches no other",
    "reconciliation": "the reconciliation is clean, finds what was made to differ, and mends it",
    "gates": "each revision that must wait for its gates refused to run before they held",
    "flag": "the flag file says for each tenant what the file says, and no stage was skipped",
    "catalog_back": "the catalog is what it was after each way back",
    "catalog_target": "after the last phase the catalog is what the file declares",
    "alerts": "alert rules fire on what they are for, and on nothing else",
}
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for. `to`: the last phase played. `rate`: requests a second. `hold_s`: how long somebody else's
    transaction stands in front of each revision. `limit_s`: how long traffic may wait for one statement."""

    rows: int = 400
    tenants: int = 6
    seed: int = 1
    rate: float = 60.0
    to: str | None = None
    back: bool = True
    hold_s: float = 2.5
    limit_s: float = 1.0
    keep: bool = False
    schema: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What speaks against a verdict: in which step, by which statement, when (seconds since the start), and what to do."""

    verdict: str
    step: str
    what: str
    statement: str = ""
    way_out: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`state` is passed, failed or skipped; `evidence` is what was looked at."""

    id: str
    says: str
    state: str
    evidence: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that began and ended: a step, or a fault. Seconds since the start."""

    kind: str
    name: str
    start: float
    end: float


class Undoable(Exception):  # noqa: N818 - it says what became of the rehearsal
    """The rehearsal can't be held: why, and a way out."""

    def __init__(self, why: str, way_out: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.way_out = way_out


class Stuck(Exception):  # noqa: N818 - it says what became of the play
    """The play can't go on; what keeps it is a finding already."""


@dataclass(slots=True)
class Log:
    """All that a rehearsal notes while it runs."""

    began: float = field(default_factory=time.monotonic)
    findings: list[Finding] = field(default_factory=list)
    evidence: dict[str, list[str]] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    step: str = "start"

    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    def against(self, verdict: str, what: str, statement: str = "", way_out: str = "", step: str = "") -> None:
        """Note what speaks against a verdict."""
        assert verdict in VERDICTS, verdict
        found = Finding(verdict, step or self.step, what, statement, way_out, round(self.now(), 3))
        self.findings.append(found)

    def saw(self, verdict: str, what: str) -> None:
        """Note what was looked at."""
        assert verdict in VERDICTS, verdict
        self.evidence.setdefault(verdict, []).append(what)

    def verdicts(self) -> tuple[Verdict, ...]:
        """What it comes to: what nobody looked at is skipped."""
        return tuple(self._verdict(each) for each in VERDICTS)

    def _verdict(self, name: str) -> Verdict:
        found = tuple(f for f in self.findings if f.verdict == name)
        seen = tuple(self.evidence.get(name, ()))
        state = FAILED if found else PASSED if seen else SKIPPED
        return Verdict(name, VERDICTS[name], state, seen, found)
