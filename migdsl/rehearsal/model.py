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
    "second_write": "a second write that fails loses nothing, and is known by its key until it is repaired",
    "blocked": "no statement of the migration kept traffic waiting",
    "backfill": "the backfill was killed and resumed: nothing was lost, nothing done twice",
    "hold": "a backfill waits while the database is behind, and goes on by itself",
    "quarantine": "a row that can't be filled is set aside by its key, and the rest goes on",
    "isolation": "a job that works on one tenant touches no other",
    "reconciliation": "the reconciliation is clean, finds what was made to differ, and mends it",
    "gates": "each revision that must wait for its gates refused to run before they held",
    "flag": "the flag file says for each tenant what the file says, and no stage was skipped",
    "catalog_back": "the catalog is what it was after each way back",
    "catalog_target": "after the last phase the catalog is what the file declares",
    "announced": "answers of an old version say when it goes, from the day that was announced, and nothing else is changed",
    "gone": "an old version is answered 410 from its last day on, and not a moment earlier",
    "grace": "who has a grace is answered until its own day, and nobody else is",
    "counted": "requests are counted by who answers them, and no tenant and no person stands in a metric",
    "alike": "the versions answer alike, but for what breaks on purpose",
    "sides": "each request is answered once, by the side that the flag says",
    "outage": "while the flag service fails everybody stays where they were",
    "way_back": "after the way back the old side answers everybody again",
    "conditions": "what must hold before the old goes doesn't hold while anybody asks for it",
    "evidence": "only evidence of all commands of the file proves the new",
    "verified": "the commands of `verify` pass",
    "together": "a phase is over in all databases before the next one begins",
    "alerts": "alert rules fire on what they are for, and on nothing else",
}
PASSED, FAILED, SKIPPED, UNPLAYED = "passed", "failed", "skipped", "not played"
# Those that are about tables, an API, and something that is replaced.
TABLES = (*tuple(VERDICTS)[: tuple(VERDICTS).index("announced")], "alerts")
SEVERAL = ("together",)
SERVED = ("traffic", "flag", "announced", "gone", "grace", "counted", "alike", "conditions", "alerts")
REPLACED = ("traffic", "flag", "sides", "outage", "way_back", "counted", "evidence", "verified", "alerts")


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for. `to`: the last phase played. `rate`: requests a second. `hold_s`: how long somebody else's
    transaction stands in front of each revision; 0: none does, and no backfill has to wait. `limit_s`: how long traffic may
    wait for one statement."""

    rows: int = 400
    tenants: int = 6
    seed: int = 1
    rate: float = 60.0
    to: str | None = None
    back: bool = True
    hold_s: float = 2.0
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
    """`state` is passed, failed, skipped (there was nothing to look at) or not played (`evidence` says why); `evidence` is what
    was looked at."""

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
    """All that a rehearsal notes while it runs.

    `place`: what names of steps begin with, of one database of several. `about`: the verdicts that there will be; `unplayed`:
    why one can't be looked at.
    """

    began: float = field(default_factory=time.monotonic)
    findings: list[Finding] = field(default_factory=list)
    evidence: dict[str, list[str]] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    step: str = "start"
    place: str = ""
    about: tuple[str, ...] = TABLES
    unplayed: dict[str, str] = field(default_factory=dict)

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
        return tuple(self._verdict(each) for each in VERDICTS if each in self.about)

    def _verdict(self, name: str) -> Verdict:
        found = tuple(f for f in self.findings if f.verdict == name)
        seen = tuple(self.evidence.get(name, ()))
        why = self.unplayed.get(name)
        if not found and why is not None:
            return Verdict(name, VERDICTS[name], UNPLAYED, (why,), ())
        state = FAILED if found else PASSED if seen else SKIPPED
        return Verdict(name, VERDICTS[name], state, seen, found)
