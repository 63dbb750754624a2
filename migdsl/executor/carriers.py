"""What a phase asks of a sync job becomes its run: that somebody carries over, the slot, and that nothing waits any more."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import psycopg

from migdsl.executor.model import WAITING, Desk, Outcome, Refused, Wishes
from migdsl.executor.sites import Sites
from migdsl.executor.streams import Carried, opened, stands, streams
from migdsl.planning.works import Work
from migdsl.runtime.database import speak
from migdsl.runtime.errors import JobError, StoppedError
from migdsl.runtime.stop import Halt
from migdsl.runtime.stream.relay import Relay
from migdsl.runtime.stream.sequences import disjoint, ranges

# Kinds of work → the words of the sync job that do it.
VERBS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "carry": ("run",),
        "slot": ("slot", "--create"),
        "drain": ("drain",),
        "sequences": ("sequences",),
    }
)
_HEARD_S: Final = 60.0
_LOOK_S: Final = 0.1


class Carriers:
    """The sync jobs of a walk. `close` ends the appliers that it has started."""

    def __init__(self, sites: Sites, desk: Desk, wishes: Wishes) -> None:
        self._sites = sites
        self._desk = desk
        self._wishes = wishes
        self._own: dict[str, _Own] = {}

    def work(self, phase: str, work: Work) -> Outcome | None:
        """None where it is done. Each may be done again. Raises StoppedError, psycopg.Error."""
        carried = next((each for each in streams(self._sites) if each.path == work.path), None)
        if carried is None:
            help_ = "compile the file again, and look at what changed"
            raise Refused("MIG740", f"{work.path} isn't among the compiled files", help_)
        if work.kind != "carry":
            return self._command(phase, work, carried)
        if phase == "backfill" and (stopped := self._slotted(phase, carried)) is not None:
            return stopped
        stopped = self._carry(phase, work, carried)
        if stopped is None and phase == "validate":
            # A walk that was killed after the backfill, or who ran that by hand, may have left its rows on their way.
            stopped = self._command(phase, _of(carried, "drain"), carried) or self._apart(phase, carried)
        return stopped

    def settled(self, phase: str) -> Outcome | None:
        """What a backfill and a reconciliation that were run by hand may have left, before tenants are turned over."""
        for carried in streams(self._sites):
            if stands(carried) and (stopped := self._apart(phase, carried)) is not None:
                return stopped
        return None

    def _apart(self, phase: str, carried: Carried) -> Outcome | None:
        """New code that comes before its tenant's switch must meet no key that is taken."""
        with opened(carried) as pair:
            apart = all(disjoint(old, new) for _, old, new in ranges(pair))
        return None if apart else self._command(phase, _of(carried, "sequences"), carried)

    def _slotted(self, phase: str, carried: Carried) -> Outcome | None:
        """Whoever ran expand by hand may have made no slot, which rows are enqueued behind."""
        slot = carried.stream.slot
        if slot is None:
            return None
        made = carried.old.ledger.newest().get(("slot", slot.name))
        return None if made and made.value == "created" else self._command(phase, _of(carried, "slot"), carried)

    def _command(self, phase: str, work: Work, carried: Carried) -> Outcome | None:
        self._sites.ledgers.paused(0)
        self._desk.say(f"{phase}: {work.command}")
        subject = f"{phase}/{work.kind} {work.subject}"
        self._sites.ledgers.record("apply", subject, "started")
        code = carried.run(*VERBS[work.kind])
        stopped = self._sites.ledgers.stopped
        self._sites.ledgers.record("apply", subject, "stopped" if stopped else "failed" if code else "finished")
        self._sites.ledgers.paused(0)
        if code == 0:
            return None
        reason = f"{work.path} {' '.join(VERBS[work.kind])} ended with exit code {code}"
        return Outcome("failed", phase, (reason,), f"then again: {work.command}", code)

    def _carry(self, phase: str, work: Work, carried: Carried) -> Outcome | None:
        own = self._own.get(carried.path)
        if own is not None and own.lives:
            return None
        absent = carried.absent()
        if not self._wishes.carry:
            way_out = (
                f"start it, and leave it running until contract: {work.command}; or let this walk do it while it lasts"
                ": --carry"
            )
            return Outcome("waiting", phase, (absent,), way_out, WAITING) if absent else None
        # Beside a job that runs it does no harm; and one that was heard of a minute ago may have ended since.
        self._desk.say(f"{phase}: {work.command} (in this process, until it ends)")
        own = self._own[carried.path] = _Own(carried)
        why = own.heard(self._sites)
        return Outcome("failed", phase, (why,), f"then again: {work.command}", 3) if why else None

    def close(self) -> None:
        for own in self._own.values():
            own.end()


def _of(carried: Carried, kind: str) -> Work:
    """A command of the sync job that its phase would have run."""
    command = carried.command(" ".join(VERBS[kind]))
    return Work(kind, carried.stream.stream, carried.path, command, carried.old.name)


class _Own:
    """Appliers of this process, in a thread."""

    def __init__(self, carried: Carried) -> None:
        self._halt = Halt(carried.old.ledger.signals)
        self._carried = carried
        self._relay = Relay(carried.stream, carried.urls, carried.old.ledger.run, self._halt, _quietly)
        self._thread = threading.Thread(target=self._run, name="migdsl-carry", daemon=True)
        self._error = ""
        self._thread.start()

    @property
    def lives(self) -> bool:
        return self._thread.is_alive()

    def heard(self, sites: Sites) -> str:
        """Wait for its first reading; why there is none."""
        for _ in range(int(_HEARD_S / _LOOK_S)):
            if not self.lives or not self._carried.absent():
                break
            sites.ledgers.paused(_LOOK_S)
        return self._error or self._carried.absent()

    def end(self) -> None:
        self._halt.ended = True
        self._thread.join()

    def _run(self) -> None:
        try:
            self._relay.run(self._carried.stream.workers)
        except StoppedError:
            pass  # the walk has ended while they looked whether both sides are ready
        except JobError as error:
            self._error = str(error)
        except psycopg.Error as error:
            self._error = f"the appliers ended: {speak(error)}"
        except Exception as error:  # noqa: BLE001 - a thread's traceback would be all that is heard of it
            self._error = f"the appliers ended: {type(error).__name__}"


def _quietly(_event: str, **_fields: object) -> None:
    """`status` says what waits and what can't be applied."""
