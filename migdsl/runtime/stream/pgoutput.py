"""Turns messages of PostgreSQL's pgoutput plugin into the rows' columns that were written, transaction by transaction.

Source of the format: PostgreSQL, Logical Replication Message Formats, protocol version 1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Written:
    """A row that was inserted or updated: the published columns in text form, None where NULL or unchanged and large."""

    table: tuple[str, str]
    columns: dict[str, str | None]
    at: str


@dataclass(slots=True)
class Decoder:
    """Reads messages in their order. Transactions that begin with a message `prefix` with `content` are left out.

    Of a transaction that is huge only what hasn't been taken yet is kept. `xids`: the transactions that `written` is of, without
    their epoch.
    """

    prefix: str
    content: str
    written: list[Written] = field(default_factory=list)
    end: str | None = None
    xids: set[int] = field(default_factory=set)
    _relations: dict[int, tuple[tuple[str, str], tuple[str, ...]]] = field(default_factory=dict)
    _at: str = ""
    _xid: int = 0
    _ours: bool = False

    def take(self) -> tuple[list[Written], set[int]]:
        """What has been read since, and the transactions that it is of."""
        taken, self.written, self.xids = (self.written, self.xids), [], set()
        return taken

    def read(self, messages: Iterable[bytes]) -> None:
        """Takes messages in; `end` is the position behind the last transaction that was complete."""
        for message in messages:
            kind, body = message[:1], _Body(message, 1)
            if kind == b"B":
                self._begin(body)
            elif kind == b"C":
                self._commit(body)
            elif kind == b"R":
                self._relation(body)
            elif kind in (b"I", b"U"):
                self._row(body)
            elif kind == b"M":
                self._message(body)

    def _begin(self, body: _Body) -> None:
        body.skip(8)
        self._at = (_EPOCH + timedelta(microseconds=body.number("q"))).isoformat()
        self._xid = body.number("I")
        self._ours = False

    def _commit(self, body: _Body) -> None:
        body.skip(1 + 8)
        end = body.number("Q")
        self.end = f"{end >> 32:X}/{end & 0xFFFFFFFF:X}"

    def _relation(self, body: _Body) -> None:
        relation, table = body.number("I"), (body.text(), body.text())
        body.skip(1)
        columns = []
        for _ in range(body.number("h")):
            body.skip(1)
            columns.append(body.text())
            body.skip(8)
        self._relations[relation] = (table, tuple(columns))

    def _row(self, body: _Body) -> None:
        if self._ours:
            return
        table, names = self._relations[body.number("I")]
        if body.take(1) in (b"K", b"O"):
            body.row()
            body.skip(1)
        self.written.append(Written(table, dict(zip(names, body.row(), strict=True)), self._at))
        self.xids.add(self._xid)

    def _message(self, body: _Body) -> None:
        body.skip(1 + 8)
        prefix = body.text()
        if prefix == self.prefix and body.take(body.number("I")).decode() == self.content:
            self._ours = True


@dataclass(slots=True)
class _Body:
    """A message's bytes behind its kind, read from `offset` on."""

    data: bytes
    offset: int

    def take(self, count: int) -> bytes:
        found = self.data[self.offset : self.offset + count]
        self.offset += count
        return found

    def skip(self, count: int) -> None:
        self.offset += count

    def number(self, form: str) -> int:
        found = self.take(struct.calcsize(f"!{form}"))
        return int(struct.unpack(f"!{form}", found)[0])

    def text(self) -> str:
        end = self.data.index(b"\0", self.offset)
        found = self.data[self.offset : end]
        self.offset = end + 1
        return found.decode()

    def row(self) -> list[str | None]:
        found: list[str | None] = []
        for _ in range(self.number("h")):
            kind = self.take(1)
            found.append(self.take(self.number("I")).decode() if kind in (b"t", b"b") else None)
        return found
