"""Turns a sync job's command line into its appliers, the switch of a tenant, or an answer, and an exit code."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from migdsl.runtime.arguments import Parser
from migdsl.runtime.stream.jobs import Side, Stream
from migdsl.runtime.telemetry.options import add_options, chosen

if TYPE_CHECKING:
    from migdsl.runtime.stop import Signals
    from migdsl.runtime.stream.newcomers import Newcomers
    from migdsl.runtime.stream.pair import Pair, Urls
    from migdsl.runtime.stream.relay import Relay
    from migdsl.runtime.stream.waiting import Waiting

# psycopg costs 200 ms, and --help and usage errors don't need it: modules that do are imported where they are used.
_LOCK_MS: Final = 200
# As long as a run that a clock starts each minute may take: else there would be more and more of them.
_CLOCK_S: Final = 50.0
# Of that, what the last try to reach a database may take.
_LAST_S: Final = 6.0
# Those that something starts again and again.
_LASTING: Final = frozenset({"run", "once", "drain"})
_TAKEN: Final = " 23505"
_EXCHANGED: Final = """rows that have each other's unique value on the other side (23505) get there in no order, however often
they are tried: give one of them a free value where it is written, wait until it is carried over (`drain`), then give it
back what it had"""


def parser(stream: Stream) -> argparse.ArgumentParser:
    """The command line of a sync job."""
    tables = ", ".join(move.entity for move in stream.moves)
    made = Parser(
        description=f"Keep {tables} equal in two databases, and switch its writes over, for migration {stream.migration}."
    )
    made.add_argument("--old-url", help=f"the old side's database, instead of the environment's {stream.old_env}")
    made.add_argument("--new-url", help=f"the new side's database, instead of the environment's {stream.new_env}")
    add_options(made)
    verbs = made.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    run = verbs.add_parser("run", help="carry over what is written, both ways, until SIGTERM")
    run.add_argument("--workers", type=_positive, default=stream.workers, metavar="N", help="appliers in this process")
    once = verbs.add_parser("once", help="carry over what waited when it began, and stop")
    once.add_argument(
        "--by-clock",
        action="store_true",
        help=f"a clock starts it each minute, in place of `run`: it ends after {_CLOCK_S:g} s, the next one goes on",
    )
    switch = verbs.add_parser("switch", help="turn a tenant's writes over to a side, or finish what a kill interrupted")
    switch.add_argument("--tenant", action="append", metavar="ID", help="this tenant (repeatable)")
    switch.add_argument("--all", action="store_true", help="every tenant, one after another")
    switch.add_argument("--to", choices=("old", "new"), required=True)
    status = verbs.add_parser("status", help="show what waits, which side each tenant writes, what can't be applied")
    status.add_argument("--json", action="store_true")
    drain = verbs.add_parser("drain", help="carry over all that was written before, with others or alone")
    drain.add_argument("--seconds", type=float, default=600.0, metavar="S", help="at most so long (default 600)")
    letters = verbs.add_parser("dead-letters", help="show the rows that can't be applied, by key")
    letters.add_argument("--tenant", metavar="ID", help="of this tenant")
    letters.add_argument("--limit", type=_positive, default=50, metavar="N", help="at most so many (default 50)")
    letters.add_argument("--retry", action="store_true", help="put them into the outbox once more")
    if stream.slot is not None:
        slot = verbs.add_parser("slot", help="show the replication slot that writes are read from")
        which = slot.add_mutually_exclusive_group()
        which.add_argument("--create", action="store_true", help="make it; before the backfills that enqueue")
        which.add_argument("--drop", action="store_true", help="drop it, when the move is over or given up")
    sequences = verbs.add_parser("sequences", help="keep the keys that both sides give out apart")
    sequences.add_argument("--release", action="store_true", help="give the old side its whole range back")
    return made


def main(stream: Stream, argv: Sequence[str] | None = None) -> int:
    """Runs a generated sync job; returns the exit code.

    0 fine (after SIGTERM too), 1 something can't be applied, waits still, or a switch was refused, 2 usage, 3 a database
    failed, 130 interrupted.
    """
    try:
        options = parser(stream).parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    # Needs psycopg; see above.
    from migdsl.runtime.cli import guarded

    return guarded(lambda signals: _run(stream, options, signals))


def _run(stream: Stream, options: argparse.Namespace, signals: Signals) -> int:
    # psycopg: see above.
    import psycopg

    from migdsl.runtime.errors import DatabaseFailedError
    from migdsl.runtime.stream.pair import OverError, Urls

    asked = _Asked(stream, Urls.of(stream, options.old_url, options.new_url), options, signals)
    try:
        return _VERBS[options.verb](asked)
    except (DatabaseFailedError, psycopg.Error) as error:
        over = asked.relay().meant(error)
        if not isinstance(over, OverError) or options.verb not in _LASTING:
            raise over from None
        # Whoever starts it again and again has it end well, and say why.
        asked.log("over", level="warning", why=str(over))
        return 0


@dataclass(frozen=True, slots=True)
class _Asked:
    stream: Stream
    urls: Urls
    options: argparse.Namespace
    signals: Signals

    def log(self, event: str, *, level: str = "info", **fields: object) -> None:
        """One structured line on stderr."""
        # Not needed by --help.
        from migdsl.runtime.telemetry.logline import write_line

        asked = chosen(self.options)
        head = {"event": event, "level": level, "migration": self.stream.migration, "stream": self.stream.stream}
        write_line(sys.stderr, {**head, "run": self.options.correlation_id or "", **fields}, asked.log_format)

    def relay(self, stream: Stream | None = None) -> Relay:
        """The appliers, or what else has connections to both sides."""
        # psycopg: see above.
        from migdsl.runtime.stop import Halt
        from migdsl.runtime.stream.relay import Relay

        run = chosen(self.options).run
        return Relay(stream or self.stream, self.urls, run, Halt(self.signals), self.log)


def _work(asked: _Asked) -> int:
    # psycopg: see above.
    from migdsl.runtime.stream.meters import exporter

    relay = asked.relay()
    with exporter(relay, chosen(asked.options), asked.signals):
        relay.run(asked.options.workers)
    asked.log("stopped", events=sum(relay.meters.events.values()))
    return asked.signals.exit_code


def _once(asked: _Asked) -> int:
    """What was there when it began; on a busy side there is always something."""
    by_clock = asked.options.by_clock
    backlog = _Backlog(float("inf"))
    events = _by_clock(asked, backlog) if by_clock else asked.relay().once(backlog.worked_off)
    print(f"{asked.stream.marker}: {events:,} events applied")
    if backlog.left:
        print(f"{asked.stream.marker}: {backlog.left:,} events still wait")
    # The next one that the clock starts goes on with them.
    late = bool(backlog.left) and not by_clock
    return asked.signals.exit_code or (1 if _dead(backlog.found) or late else 0)


def _by_clock(asked: _Asked, backlog: _Backlog) -> int:
    """How many events. Raises DatabaseFailedError where the time was up before the databases answered."""
    # psycopg: see above.
    from migdsl.runtime.errors import DatabaseFailedError, StoppedError
    from migdsl.runtime.stream.meters import exporter

    relay = asked.relay()
    relay.halt.until = time.monotonic() + _CLOCK_S - _LAST_S
    # Nobody is waited for at the end: the next run wants the port.
    telemetry = replace(chosen(asked.options), linger_s=0.0)
    try:
        with exporter(relay, telemetry, asked.signals, live=False):
            return relay.by_clock(backlog.worked_off, _LAST_S)
    except StoppedError:
        if asked.signals.requested:
            raise
        why = f"a database was lost, or didn't answer, for what was left of {_CLOCK_S:g} s"
        raise DatabaseFailedError(f"{why}: the next run goes on; the log above says more") from None


def _dead(found: tuple[Waiting, ...]) -> int:
    """How many rows can't be applied, which is said."""
    dead = sum(each.letters for each in found)
    if dead:
        print(f"  {dead:,} rows can't be applied: see `dead-letters`")
    return dead


def _drain(asked: _Asked) -> int:
    relay, backlog = asked.relay(), _Backlog(asked.options.seconds)
    pair = relay.pair()
    pair.open()
    try:
        while True:
            relay.once(backlog.worked_off)  # first: what the WAL has isn't in the outbox yet
            done = backlog.worked_off(pair)
            if asked.signals.requested or (done and not backlog.revived(pair)):
                break
    finally:
        pair.close()
    left = backlog.left
    print(f"{asked.stream.marker}: nothing waits" if not left else f"{asked.stream.marker}: {left:,} events still wait")
    return asked.signals.exit_code or (1 if left or _dead(backlog.found) else 0)


@dataclass(slots=True)
class _Backlog:
    """What had been written when it was made, or was tried again `since`. `left`: events of outboxes that hold some of it."""

    seconds: float
    began: float = field(default_factory=time.monotonic)
    found: tuple[Waiting, ...] = ()
    left: int = 0
    dead: int | None = None
    since: float = field(default_factory=time.monotonic)

    def revived(self, pair: Pair) -> bool:
        """Tries dead letters once more for as long as that makes them fewer: a row's parent may have come after it."""
        dead = sum(each.letters for each in self.found)
        if not dead or (self.dead is not None and dead >= self.dead):
            return False
        self.dead = dead
        for queue in pair.queues:
            pair.at(queue.side).perform(partial(queue.revive, due=False))
        self.since = time.monotonic()
        return True

    def worked_off(self, pair: Pair) -> bool:
        """Whether nothing of it waits, or it has been waited for long enough. Writers go on: what is younger doesn't count."""
        now = time.monotonic()
        self.found = pair.waiting()
        self.left = sum(each.events for each in self.found if each.waited_s > now - self.since)
        return not self.left or now - self.began > self.seconds


def _switch(asked: _Asked) -> int:
    # psycopg: see above.
    from migdsl.runtime.errors import UsageError
    from migdsl.runtime.stream.newcomers import Newcomers
    from migdsl.runtime.stream.switch import Switch, SwitchRefusedError
    from migdsl.runtime.stream.tenants import chosen as tenants_chosen

    options, stream = asked.options, asked.stream
    if stream.tenants is not None and bool(options.tenant) == options.all:
        raise UsageError("say which tenants: --tenant ID, or --all")
    limits = replace(stream.limits, lock_ms=_LOCK_MS)
    pair = asked.relay(replace(stream, limits=limits)).pair()
    pair.open()
    refused = 0
    newcomers = Newcomers(pair)
    try:
        # Who comes meanwhile is left behind by none; to the new side only when all are there.
        if options.all and (options.to == "old" or newcomers.stand() == "switching"):
            refused += _newcomers(newcomers, options.to)
        for tenant in tenants_chosen(pair, None if options.all or stream.tenants is None else tuple(options.tenant)):
            if asked.signals.requested:
                return asked.signals.exit_code or 1
            try:
                done = Switch(pair, tenant, options.to).run()
            except SwitchRefusedError as error:
                print(f"refused: {error}", file=sys.stderr)
                refused += 1
                continue
            how = "was there" if done.pause_ms is None else f"writers waited for {done.pause_ms:.0f} ms"
            print(
                f"{tenant or stream.stream}: {done.to} ({'an interrupted switch, finished' if done.finished else how})"
            )
        if not refused and (options.all or newcomers.alone(options.to)):
            refused += _newcomers(newcomers, options.to)
    finally:
        pair.close()
    return 1 if refused else 0


def _newcomers(newcomers: Newcomers, to: Side) -> int:
    """1 where it was refused."""
    # psycopg: see above.
    from migdsl.runtime.stream.switch import SwitchRefusedError

    try:
        if newcomers.turn(to):
            print(f"tenants to come: {to}")
    except SwitchRefusedError as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    return 0


def _status(asked: _Asked) -> int:
    # psycopg: see above.
    from migdsl.runtime.stream.status import status

    pair = asked.relay().pair()
    pair.open()
    try:
        found = status(pair)
    finally:
        pair.close()
    print(found.to_json() if asked.options.json else found.to_text())
    return 1 if found.letters else 0


def _letters(asked: _Asked) -> int:
    options, pair = asked.options, asked.relay().pair()
    pair.open()
    try:
        found = taken = 0
        for queue in pair.queues:
            database = pair.at(queue.side)
            if options.retry:
                revived = database.perform(partial(queue.revive, due=False, tenant=options.tenant))
                print(f"{queue.move.entity}, written on the {queue.side} side: {revived:,} tried again")
                continue
            letters = database.perform(partial(queue.letters, tenant=options.tenant, limit=options.limit))
            for each in letters:
                key, whose = ", ".join(each.key), f" of tenant {each.tenant}" if each.tenant else ""
                print(
                    f"{queue.move.entity} ({key}){whose}, written on the {queue.side} side: {each.error_class}: "
                    f"{each.template}, {each.tries} tries, last {each.at}"
                )
            found += len(letters)
            taken = max(taken, sum(_TAKEN in each.error_class for each in letters))
    finally:
        pair.close()
    if not found and not options.retry:
        print("no dead letters")
    if taken > 1:
        print(_EXCHANGED)
    return 1 if found else 0


def _sequences(asked: _Asked) -> int:
    # psycopg: see above.
    from migdsl.runtime.stream.sequences import apart, disjoint, ranges, together

    pair = asked.relay().pair()
    pair.open()
    try:
        if asked.options.release:
            together(pair)
        else:
            apart(pair)
        for each, old, new in ranges(pair):
            said = "apart" if disjoint(old, new) else "NOT apart"
            print(
                f"{each.old} on the old side up to {old.most:,}, {each.new} on the new side from {new.least:,}: {said}"
            )
    finally:
        pair.close()
    return 0


def _slot(asked: _Asked) -> int:
    pair = asked.relay().pair()
    # A slot has to go even where the other side is gone already.
    (pair.old if asked.options.drop else pair).open()
    tap = pair.tap
    assert tap is not None
    try:
        if asked.options.drop:
            print(f"{tap.slot.name}: {'dropped' if tap.drop() else 'there was none'}")
            return 0
        made = asked.options.create and tap.create()
        print(f"{tap.slot.name}: {'made, ' if made else ''}{tap.behind():,} bytes of WAL not looked at yet")
        found = tap.unread()
        print(
            f"  it keeps {found.kept:,} bytes of WAL, from where the oldest transaction began that is open and writes"
        )
        if found.seconds:
            print(
                f"  last read to its end {found.seconds:.0f} s ago; it is read by {found.reader or 'nobody'} just now"
            )
    finally:
        pair.close()
    return 0


_VERBS: Final[dict[str, Callable[[_Asked], int]]] = {
    "run": _work,
    "once": _once,
    "switch": _switch,
    "status": _status,
    "drain": _drain,
    "dead-letters": _letters,
    "sequences": _sequences,
    "slot": _slot,
}


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value
