"""Turns what a replication slot of the old side's database has seen into keys in the outbox, where the appliers take them.

Only the keys come this way; the rows are read again like all others, so a key isn't in the outbox before others see what was
written. It is there before the slot lets go of it, so that a kill in between brings it twice, and never loses it. What appliers
write back carries a message, and is left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import psycopg

from migdsl.runtime.backfill.transform import array
from migdsl.runtime.database import Asked, Database, Transaction
from migdsl.runtime.errors import DatabaseFailedError, StoppedError
from migdsl.runtime.ledger import record_event
from migdsl.runtime.sql import Statement, statement
from migdsl.runtime.stream.jobs import Move, Slot, Stream
from migdsl.runtime.stream.pgoutput import Decoder, Written
from migdsl.runtime.stream.sides import DURABLE

PREFIX: Final = "migdsl.applier"
# Whole transactions are decoded until there are as many changes; they are fetched, and put into the outbox, page by page.
_MOST: Final = 5_000
_PAGE: Final = 2_000
_ACTIVE_S: Final = 0.005
# A commit is decoded from when its WAL is flushed; others see it later, with a synchronous standby perhaps much later.
_UNSEEN_S: Final = 0.005
_XIDS: Final = 1 << 32
# How long one waits for a slot that somebody else reads before that is told of, again and again.
_TOLD_S: Final = 5.0
# What passes between two looks of a job that is at work is no lag.
_USUAL_S: Final = 2.0
# Until what one has peeked at is in the outbox nobody else peeks: a key that came late could meet a tenant's new side.
_ALONE: Final = statement("SELECT pg_advisory_xact_lock(hashtextextended(:slot::text, 9))")
# Who would do the same as another one just then leaves it to that one, and is in no switch's way.
_UNLESS_BUSY: Final = statement("SELECT pg_try_advisory_xact_lock(hashtextextended(:slot::text, 9))")
# The time first: what was on the disk by then is below the place.
_FLUSHED: Final = statement("SELECT clock_timestamp(), pg_current_wal_flush_lsn()")
# What sessions with synchronous_commit = off have committed is seen before it is on the disk, from where it is decoded. A
# commit of one's own takes all before it there; no standby need have it for that.
_LOCALLY: Final = statement("SELECT set_config('synchronous_commit', 'local', true)")
_FLUSH: Final = statement("SELECT pg_logical_emit_message(true, 'migdsl.flush', '')")
_SNAPSHOT: Final = statement("SELECT pg_current_snapshot()")
_PEEK: Final = statement("""
DECLARE migdsl_tap NO SCROLL CURSOR FOR SELECT data FROM pg_logical_slot_peek_binary_changes(
    :slot::text::name, :upto::pg_lsn, :most::integer,
    'proto_version', '1', 'publication_names', quote_ident(:publication), 'messages', 'true')""")
_ADVANCE: Final = statement("""
SELECT pg_replication_slot_advance(slot_name, :upto::pg_lsn) FROM pg_replication_slots
 WHERE slot_name = :slot AND confirmed_flush_lsn < :upto::pg_lsn""")
# Nobody waits for the disk, or for a standby, while others wait for the slot: what a crash takes back is told again.
_LAZILY: Final = statement("SELECT set_config('synchronous_commit', 'off', true)")
# The slot itself knows a place and no time. About once a second; a row that stays as it is costs no WAL.
_READ: Final = statement("""
INSERT INTO migdsl.switch (migration, stream, tenant, attempt, at)
SELECT :migration, :tap, '', :upto, :at::timestamptz
 WHERE NOT EXISTS (SELECT FROM migdsl.switch WHERE migration = :migration AND stream = :tap AND tenant = ''
                      AND at > :at::timestamptz - interval '1 second')
ON CONFLICT (migration, stream, tenant) DO UPDATE SET attempt = excluded.attempt, at = excluded.at""")
_UNREAD: Final = statement("""
SELECT CASE WHEN slot.confirmed_flush_lsn >= pg_current_wal_flush_lsn() THEN 0
            ELSE extract(epoch FROM clock_timestamp() - told.at) END,
       pg_wal_lsn_diff(pg_current_wal_lsn(), slot.restart_lsn),
       (SELECT format('process %s (%s)', a.pid, a.application_name) FROM pg_stat_activity AS a WHERE a.pid = slot.active_pid)
  FROM pg_replication_slots AS slot
  LEFT JOIN migdsl.switch AS told ON told.migration = :migration AND told.stream = :tap AND told.tenant = ''
 WHERE slot.slot_name = :slot AND slot.database = current_database()""")
_FOUND: Final = statement("""
SELECT plugin, coalesce(wal_status, ''), pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)
  FROM pg_replication_slots WHERE slot_name = :slot AND database = current_database()""")
_CREATE: Final = statement("SELECT lsn FROM pg_create_logical_replication_slot(:slot::text::name, 'pgoutput')")
_DROP: Final = statement("""
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
 WHERE slot_name = :slot AND database = current_database()""")
_LEVEL: Final = statement("SELECT current_setting('wal_level')")
_WAS: Final = statement(
    """
SELECT value FROM migdsl.event WHERE migration = :migration AND kind = 'slot' AND subject = :slot ORDER BY id DESC LIMIT 1"""
)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the WAL; all that was committed, and on the disk, at that time of the server's clock is before it."""

    lsn: str
    at: str


@dataclass(frozen=True, slots=True)
class Unread:
    """For how many seconds nobody has read the slot to its end (0 while that goes on as it should), how many bytes of WAL it
    keeps, and who reads it just now."""

    seconds: float = 0.0
    kept: int = 0
    reader: str = ""


@dataclass(frozen=True, slots=True)
class Tap:
    """The slot of a stream, on a connection to the old side."""

    stream: Stream
    slot: Slot
    database: Database

    def create(self) -> bool:
        """Makes the slot; False where it is there. Raises DatabaseFailedError for one that was lost, with a way out."""
        if self._there():
            # Who made it may have been killed before telling; untold, a loss later on would go unnoticed.
            if self._was() != "created":
                self._tell("created")
            return False
        if self.database.perform(lambda tx: tx.rows(_LEVEL)) != [("logical",)]:
            raise DatabaseFailedError(
                "the old side's server needs wal_level = logical, which takes effect with a restart"
            )
        if self._was() == "created":
            raise DatabaseFailedError(
                f"the slot {self.slot.name} is gone, and what was written since is lost to it: `slot --drop`, then `slot "
                "--create`, and run the backfills that enqueue once more with --again"
            )
        self.database.perform(lambda tx: tx.rows(_CREATE, {"slot": self.slot.name}))
        self._tell("created")
        # What was written before is the backfill's.
        begun = self._place()
        self.database.perform(lambda tx: tx.run(_READ, self._told_of(begun)))
        return True

    def drop(self) -> bool:
        """Drops the slot, which else keeps all WAL from then on; False where there is none."""
        there = bool(self.database.perform(lambda tx: tx.rows(_DROP, {"slot": self.slot.name})))
        self._tell("dropped")
        return there

    def behind(self) -> int:
        """How many bytes of WAL haven't been looked at. Raises DatabaseFailedError without a slot, or with a lost one."""
        found = self.database.perform(lambda tx: tx.rows(_FOUND, {"slot": self.slot.name}))
        if not found:
            raise DatabaseFailedError(
                f"there is no slot {self.slot.name} in the old side's database: `slot --create` first"
            )
        if found[0][1] == "lost":
            raise DatabaseFailedError(f"the slot {self.slot.name} fell too far behind, and PostgreSQL has given it up")
        return int(found[0][2] or 0)

    def unread(self) -> Unread:
        """How far the readers of the slot are, whoever they are."""
        own = {"slot": self.slot.name, "migration": self.stream.migration, "tap": self._name}
        found = self.database.perform(lambda tx: tx.rows(_UNREAD, own))
        if not found:
            return Unread()
        seconds, kept = float(found[0][0] or 0), int(found[0][1] or 0)
        return Unread(seconds if seconds > _USUAL_S else 0.0, kept, found[0][2] or "")

    def pump(self, upto: Place | None = None, *, hurried: bool = False) -> tuple[int, bool]:
        """Puts the keys of what was written into the outbox: how many, and whether it has come as far as `upto`, which is as the
        WAL has now; without `upto` it leaves that to another one who is at it. Raises psycopg.Error, DatabaseFailedError, and
        StoppedError when a stop was asked for meanwhile.

        `hurried`: the slot lets go with the next pump, whoever makes it, which brings these keys once more.
        """
        told = time.monotonic()
        while True:
            try:
                return self._pump(upto, hurried=hurried)
            except psycopg.errors.ObjectInUse as error:
                # Another process reads the slot, which takes it a moment.
                self._require_going()
                if time.monotonic() - told > _TOLD_S:
                    told = time.monotonic()
                    self.database.on_retry(error, _ACTIVE_S)
                time.sleep(_ACTIVE_S)
            except psycopg.errors.UndefinedObject:
                self.behind()
                raise

    def catch_up(self, *, hurried: bool = False) -> int:
        """Until everything that was committed before is in the outbox; how many keys. `hurried`, and raises, as pump: who came
        back early without a word would make a switch believe that nothing is left."""
        keys, done = 0, False
        if not hurried:  # in a switch writers have been shut out by a commit that is on the disk
            self.database.perform(lambda tx: tx.together((_LOCALLY, {}), (_FLUSH, {})))
        upto = self._place()
        while not done:
            self._require_going()
            found, done = self.pump(upto, hurried=hurried)
            keys += found
        return keys

    def _place(self) -> Place:
        ((at, lsn),) = self.database.perform(lambda tx: tx.rows(_FLUSHED))
        return Place(lsn or "", at or "")

    def _pump(self, upto: Place | None, *, hurried: bool) -> tuple[int, bool]:
        decoder, keys, seen = Decoder(PREFIX, self.stream.marker), 0, 0
        # The first page of one huge transaction comes when all of it is decoded: nobody waits for that but a switch.
        with self.database.transaction(patient=self.database.until == float("inf"), brief=True) as tx:
            alone = _UNLESS_BUSY if upto is None else _ALONE
            _, locked, flushed = tx.together((DURABLE, {}), (alone, {"slot": self.slot.name}), (_FLUSHED, {}))
            if locked == [("f",)]:
                return 0, True
            ((at, lsn),) = flushed
            upto = upto or Place(lsn or "", at or "")
            asked = {"slot": self.slot.name, "upto": upto.lsn, "most": str(_MOST), "publication": self.slot.publication}
            fetch = Statement(f"FETCH FORWARD {_PAGE:d} FROM migdsl_tap", ())
            _, page = tx.together((_PEEK, asked), (fetch, {}))
            while page:
                self._require_going()
                seen += len(page)
                decoder.read(bytes.fromhex((row[0] or "")[2:]) for row in page)
                keys += self._told(tx, decoder)
                page = tx.rows(fetch) if len(page) == _PAGE else []
        done = seen < _MOST
        if not (done and hurried):
            self._let_go(upto if done else decoder.end)
        return keys, done

    def _let_go(self, upto: Place | str | None) -> None:
        """In turn with who peeks, who would be refused meanwhile, and stand at the end of the line again. Who has come to a place
        with a time leaves word of that."""
        lsn = upto.lsn if isinstance(upto, Place) else upto
        asked: list[Asked] = [(_ALONE, {"slot": self.slot.name}), (_ADVANCE, {"slot": self.slot.name, "upto": lsn})]
        if isinstance(upto, Place):
            asked += [(_LAZILY, {}), (_READ, self._told_of(upto))]
        self.database.perform(lambda tx: tx.together(*asked))

    @property
    def _name(self) -> str:
        """In `migdsl.switch`, which has a row for each that may be moved: no stream has a slash in its name."""
        return f"{self.stream.stream}/slot"

    def _told_of(self, place: Place) -> dict[str, str | None]:
        return {"migration": self.stream.migration, "tap": self._name, "upto": place.lsn, "at": place.at}

    def _told(self, tx: Transaction, decoder: Decoder) -> int:
        written, xids = decoder.take()
        self._await(tx, xids)
        for move in self.stream.moves:
            self._enqueue(tx, move, written)
        return len(written)

    def _await(self, tx: Transaction, xids: set[int]) -> None:
        """Until others see these transactions: an applier that read a row as it was before would forget the key.

        Raises LockNotAvailable, which is tried again, after as long as one waits for a lock, and StoppedError.
        """
        until = time.monotonic() + self.database.limits.lock_ms / 1000
        while xids and (xids := unseen(tx.rows(_SNAPSHOT)[0][0] or "", xids)):
            self._require_going()
            if time.monotonic() > until:
                raise psycopg.errors.LockNotAvailable(f"{len(xids)} transactions are committing")
            self.database.stop.sleep(_UNSEEN_S)

    def _require_going(self) -> None:
        if self.database.stop.requested:
            raise StoppedError

    def _enqueue(self, tx: Transaction, move: Move, written: list[Written]) -> None:
        capture = move.capture
        if capture is None:
            return
        # A row that was written several times is read once.
        rows = {tuple(w.columns[name] for name in capture.key): w for w in written if w.table == capture.table}
        if not rows:
            return
        keys = {f"key_{n}": array([key[n - 1] for key in rows]) for n in range(1, len(capture.key) + 1)}
        tenants = [w.columns.get(capture.tenant) if capture.tenant else "" for w in rows.values()]
        tx.run(
            statement(capture.enqueue), {**keys, "tenants": array(tenants), "ats": array([w.at for w in rows.values()])}
        )

    def _there(self) -> bool:
        return bool(self.database.perform(lambda tx: tx.rows(_FOUND, {"slot": self.slot.name})))

    def _was(self) -> str | None:
        own = {"migration": self.stream.migration, "slot": self.slot.name}
        rows = self.database.perform(lambda tx: tx.rows(_WAS, own))
        return rows[0][0] if rows else None

    def _tell(self, value: str) -> None:
        self.database.perform(lambda tx: record_event(tx, self.stream.migration, "slot", self.slot.name, value))


def unseen(snapshot: str, xids: Iterable[int]) -> set[int]:
    """Those of the transactions (32 bits each, without an epoch) that a `pg_snapshot` doesn't see yet."""
    _, end, going = snapshot.split(":")
    running = {int(xid) for xid in going.split(",") if xid}
    return {xid for xid in xids if (whole := _whole(xid, int(end))) >= int(end) or whole in running}


def _whole(xid: int, near: int) -> int:
    """With its epoch: what PostgreSQL still has to do with is less than half of all numbers away."""
    return near + (xid - near + _XIDS // 2) % _XIDS - _XIDS // 2
