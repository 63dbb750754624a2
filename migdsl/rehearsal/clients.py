"""One request of old or new code becomes its statements on a connection, and, once acknowledged, a line in the journal."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from migdsl.rehearsal import making, moving
from migdsl.rehearsal.journal import Connection, Journal, Row
from migdsl.rehearsal.moving import MovedCodes
from migdsl.rehearsal.rows import Maker
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.writing import Codes, Write
from migdsl.runtime.routing.mask import key_text
from migdsl.runtime.routing.router import At, Migration

Facts = dict[str, str | None]


@dataclass(slots=True)
class Rules:
    """What code may count on by now. `stages`: the flag, by tenant; `bound`: rules to come bind by now, so that new code may
    be refused; `filled`, `home` as of `View`; `given`: old code too gives columns a value that are to be required; `still`:
    it leaves alone what only new code can compute from; `failing`: the second of two writes fails, whichever side that is.
    """

    stages: Mapping[str, str]
    tenants: tuple[str, ...]
    old: bool = True
    new: bool = False
    filled: bool = False
    home: bool = False
    bound: bool = False
    labels: bool = False
    given: bool = False
    still: bool = False
    failing: bool = False


@dataclass(slots=True)
class Wrong(Exception):  # noqa: N818 - it says what became of a read
    """A read or a write that didn't find what was acknowledged."""

    what: str
    read: bool = False


@dataclass(slots=True)
class Client:
    """One connection of old or new code."""

    code: str
    connection: Connection
    shapes: tuple[Shape, ...]
    codes: dict[str, Codes]
    journals: Mapping[str, Journal]
    maker: Maker
    making: threading.Lock
    rules: Rules
    routed: Migration
    chance: random.Random
    said: str = ""
    # It writes one side alone, and what it writes may be tried again, from the start.
    anew: bool = False
    busy: threading.Lock = field(default_factory=threading.Lock)

    def act(self) -> tuple[str, bool]:
        """One request; what it was, and whether there was anything to do. Raises psycopg.Error, Wrong."""
        shape = self.chance.choice([s for s in self.shapes if not (s.leaves and self.code == "new")] or [None])
        tenants = self._tenants()
        if shape is None or not tenants:
            return "nothing", False
        tenant = self.chance.choice(tenants) if shape.table.owned else ""
        acts: list[Callable[[Shape, str], bool]] = [self._insert, self._update, self._update, self._read, self._read]
        acts += [] if shape.referred and shape.move is None else [self._delete]
        chosen = self.chance.choice(acts)
        return chosen.__name__.removeprefix("_"), chosen(shape, tenant)

    def _tenants(self) -> list[str]:
        """Old code is gone where a tenant reads the new side."""
        if self.code == "new":
            return list(self.rules.tenants)
        return [t for t in self.rules.tenants if self.rules.stages[t] in ("off", "dualwrite", "shadow")]

    # ------------------------------------------------------------------------------------------- acts

    def _insert(self, shape: Shape, tenant: str) -> bool:
        return self.put(shape, tenant) is not None

    def put(self, shape: Shape, tenant: str) -> Row | None:
        """A new row of that tenant, where one can be made."""
        facts = self._draw(shape, tenant)
        if self._stands_still(shape):
            return None
        empty = shape.loose()
        if facts is None or empty is None or (set(shape.key) & {n for r in shape.references for n in r.columns}):
            return None
        facts |= dict.fromkeys(empty)
        codes = self.codes[shape.entity]
        keys: list[dict[str, str]] = []

        def first(side: str) -> Callable[[Any], None]:
            def run(_on: Any) -> None:
                if self.anew or not keys:
                    keys[:] = [self._key(shape, self._run(codes.insert(side), facts), facts)]
                    self._carry(shape, side, facts)
                else:
                    self._second(shape, side, facts, keys[0])

            return run

        last = self._write(shape, tenant, first)
        row = Row(tenant, keys[0], facts, last, given=self._given(shape, last))
        row.alone = shape.referred and shape.move is not None and self.chance.random() < 0.3
        self.journals[shape.entity].add(row)
        return row

    def _update(self, shape: Shape, tenant: str) -> bool:
        drawn = self._draw(shape, tenant)
        with self.journals[shape.entity].one(tenant, self.chance) as row:
            if row is None or drawn is None:
                return False
            # What new code wrote last may have left old columns as the file says they follow, which a part would mix.
            whole = row.last == "new" or self.code == "new" or self.chance.random() < 0.3
            return self._rewritten(shape, row, drawn, whole=whole)

    def rewrite(self, shape: Shape, row: Row) -> bool:
        """This row gets other values, in all of its columns. Nobody else may be at it."""
        drawn = self._draw(shape, row.tenant)
        return drawn is not None and self._rewritten(shape, row, drawn, whole=True)

    def _rewritten(self, shape: Shape, row: Row, drawn: Facts, *, whole: bool) -> bool:
        fixed = {*shape.key, shape.table.tenant}
        free = [c.name for c in shape.facts if c.name not in fixed | shape.still and c not in shape.numbered]
        if self._stands_still(shape):
            free = [n for n in free if n not in shape.inputs]
        if not free:
            return False
        chosen = free if whole else self.chance.sample(free, self.chance.randint(1, len(free)))
        facts = {**row.facts, **{n: drawn[n] for n in chosen}}
        facts |= {o.column.name: drawn.get(o.column.name) for o in shape.computed} if whole else {}
        found: list[object] = []

        def run(side: str) -> Callable[[Any], None]:
            def write(_on: Any) -> None:
                columns = [n for n in self.codes[shape.entity].columns(side) if n not in fixed | shape.still]
                columns = [n for n in columns if n in chosen] if self.code == "old" else columns
                if self.anew:
                    found.clear()
                found.extend(self._changed(shape, side, columns, facts | _keyed(row.key), second=bool(found)))
                self._carry(shape, side, facts)

            return write

        last = self._write(shape, row.tenant, run, (shape.entity, *row.key.values()))
        if any(each is None for each in found):
            raise Wrong("an update by key didn't find the row")
        self._acknowledged(shape, row, facts, last)
        return True

    def _changed(self, shape: Shape, side: str, columns: list[str], facts: Facts, *, second: bool) -> Iterator[object]:
        """One side's part of an update; what it answers, where it must find the row."""
        codes = self.codes[shape.entity]
        if second and isinstance(codes, MovedCodes):
            self._run(codes.upsert(side), facts)
        elif columns:
            yield self._run(codes.update(side, columns), facts)

    def _delete(self, shape: Shape, tenant: str) -> bool:
        if len(self.journals[shape.entity].of(tenant)) < 8:
            return False
        with self.journals[shape.entity].one(tenant, self.chance, alone=shape.referred) as row:
            if row is None:
                return False
            if self._away(shape, row) is None:
                raise Wrong("a delete by key didn't find the row")
            row.alive = False
            return True

    def _away(self, shape: Shape, row: Row) -> object:
        """The row is taken away; None where it wasn't there."""
        tenant = row.tenant
        side = "old" if self.code == "old" else self._reads(tenant) if shape.move is not None else "new"
        with self.connection.transaction():
            for carried in shape.carried if self._writes(tenant) else ():
                self._execute(self.codes[shape.entity].uncarry(carried), row.facts)
            return self._gone(shape, row, side)

    def _gone(self, shape: Shape, row: Row, side: str) -> object:
        return self._run(self.codes[shape.entity].delete(side), row.facts | _keyed(row.key))

    def _read(self, shape: Shape, tenant: str) -> bool:
        """By key, or by what is unique: whether it is what was written last."""
        with self.journals[shape.entity].one(tenant, self.chance) as row:
            if row is None:
                return False
            self._look(shape, row)
            return True

    def _look(self, shape: Shape, row: Row) -> None:
        self._found(shape, row, self._reads(row.tenant))

    def _found(self, shape: Shape, row: Row, side: str) -> None:
        columns = self._known(shape, row, side)
        by = self._unique(shape, row, columns) if self.chance.random() < 0.3 else ()
        done = self._run(self.codes[shape.entity].read(side, columns, by), row.facts | _keyed(row.key))
        how = f"a read by {', '.join(by) or 'key'}"
        if done is None:
            raise Wrong(f"{how} didn't find the row", read=True)
        wrong = [name for name, same in zip(columns, done, strict=False) if same is not True]
        if wrong:
            raise Wrong(f"{how} found another {', '.join(wrong)} than was written last", read=True)

    # --------------------------------------------------------------------------------------- the parts

    def _stands_still(self, shape: Shape) -> bool:
        return self.code == "old" and self.rules.still and bool(shape.computed)

    def _reads(self, tenant: str) -> str:
        if self.code == "old":
            return "old"
        with self.routed.at(tenant) as at:
            return at.choose(old="old", new="new")

    def _writes(self, tenant: str) -> bool:
        """Whether what is written is written to the new side too."""
        if self.code == "old":
            return False
        with self.routed.at(tenant) as at:
            return "new" in at.writes

    def _known(self, shape: Shape, row: Row, side: str) -> list[str]:
        """The columns of that side of which it is certain what they hold."""
        if shape.move is not None:
            return moving.known(shape, side, row.last, home=self.rules.home, filled=self.rules.filled)
        plain = {o.column.name for o in (*shape.plain, *shape.computed)}
        made = {o.column.name for o in shape.made}
        columns = self.codes[shape.entity].columns(side)
        known = [n for n in columns if n not in made or (n not in plain and self.rules.filled and not row.strayed)]
        if row.last == "new" or self.rules.home:
            known = [n for n in known if n not in shape.gone]
        loose = {*shape.required, *shape.optional}
        unequal = {c.name for c in shape.written if not c.type.comparable}
        return [n for n in known if n not in unequal and not (n in loose and row.facts.get(n) is None)]

    def _unique(self, shape: Shape, row: Row, columns: list[str]) -> tuple[str, ...]:
        tenant = shape.table.tenant
        sets = [c.columns for c in shape.table.constraints if c.kind == "unique"]
        if shape.move is not None:
            sets = [s for s in sets if all((n, n) in shape.move.copied for n in s)]
        sets = [s for s in sets if set(s) <= {*columns, tenant} and all(row.facts.get(n) is not None for n in s)]
        return self.chance.choice(sets) if sets else ()

    def _write(
        self, shape: Shape, tenant: str, run: Callable[[str], Callable[[Any], None]], key: tuple[str, ...] = ()
    ) -> str:
        """The sides that the flag says, in its order, in one transaction; which those were."""
        with self.connection.transaction():
            if self.code == "old":
                run("old")(self.connection)
                return "old"
            with self.routed.at(tenant, on=self.connection) as at:
                sides = at.writes
                if "new" in sides and self._trusting(shape):
                    run("new")(self.connection)
                    return "new"
                if self.rules.failing and key and len(sides) == 2:
                    return self._half(at, tenant, run, key)
                at.write(old=run("old"), new=run("new"), key=key or shape.entity)
        return "both" if len(sides) == 2 else sides[0]

    def _half(self, at: At, tenant: str, run: Callable[[str], Callable[[Any], None]], key: tuple[str, ...]) -> str:
        """The first side is written; the second one fails, and must be recorded. The side that was written."""
        first, second = at.writes
        ways: dict[str, Callable[[Any], None]] = {first: run(first), second: self._fails}
        at.write(old=ways["old"], new=ways["new"], key=key)
        self.routed.router.recorder.broken.append((tenant, second, key_text(key)))  # type: ignore[attr-defined]
        return first

    def again(self, shape: Shape, side: str, row: Row) -> None:
        """What a row holds is written to one side once more."""
        codes, fixed = self.codes[shape.entity], {*shape.key, shape.table.tenant}
        columns = [n for n in codes.columns(side) if n not in fixed]
        with self.connection.transaction():
            if columns:
                self._run(codes.update(side, columns), row.facts | _keyed(row.key))
            self._carry(shape, side, row.facts)

    def _fails(self, _on: Any) -> None:
        self._execute(Write("SELECT 1 / 0", ()), {})

    def _trusting(self, shape: Shape) -> bool:
        """Half of new code writes its own side alone: the trigger keeps the other one equal."""
        kept = bool(shape.paired) or (shape.move is not None and self.rules.filled)
        return kept and not shape.computed and self.chance.random() < 0.5

    def _second(self, shape: Shape, side: str, facts: Facts, key: Mapping[str, str]) -> None:
        """The columns that the other side's code alone writes."""
        codes = self.codes[shape.entity]
        if isinstance(codes, MovedCodes):
            self._run(codes.upsert(side), facts | _keyed(key))
            return
        other = codes.columns("new" if side == "old" else "old")
        columns = [n for n in codes.columns(side) if n not in other]
        if columns:
            self._run(codes.update(side, columns), facts | _keyed(key))
        self._carry(shape, side, facts)

    def _carry(self, shape: Shape, side: str, facts: Facts) -> None:
        if side == "new":
            for carried in shape.carried:
                self._execute(self.codes[shape.entity].carry(carried), facts)

    def _acknowledged(self, shape: Shape, row: Row, facts: Facts, last: str) -> None:
        if last == "old":
            # What only new code knows was left as it is.
            facts = facts | {o.column.name: row.facts.get(o.column.name) for o in shape.plain}
        backs = {back.column for o in shape.made for back in o.backs}
        wayward = any(o.source.names() & shape.gone - backs for o in shape.paired if o.source is not None)
        row.strayed = last == "old" and (row.strayed or (row.last != "old" and (bool(shape.carried) or wayward)))
        row.given |= self._given(shape, last) | _overtaken(shape, row.facts, facts)
        row.facts, row.last = facts, last

    def _given(self, shape: Shape, last: str) -> frozenset[str]:
        return frozenset(o.column.name for o in shape.plain) if last != "old" else frozenset()

    def _draw(self, shape: Shape, tenant: str) -> Facts | None:
        """Facts that no other row has, with tenant and references."""
        with self.making:
            pool = self.maker.pools.setdefault(shape.entity, [])
            if not pool:
                self.maker.stock(shape)
            if not pool:
                return None
            facts = self.maker.owned(shape, tenant, pool.pop())
        if facts is not None and (self.code == "new" or self.rules.given):
            facts |= {n: facts[n] if facts[n] is not None else self._filled(shape, n) for n in shape.required}
        if facts is not None and self.code == "new":
            facts |= {n: self.chance.choice(labels) for n, labels in shape.labels.items() if self._labelled()}
        return facts

    def _filled(self, shape: Shape, name: str) -> str | None:
        """New code gives a column that is to be required a value."""
        pool = [row for row in self.maker.pools[shape.entity] if row[name] is not None]
        if pool:
            return pool[-1][name]
        column = shape.table.column(name)
        return None if column is None else making.usual(column.type, self.chance, tame=True)

    def _labelled(self) -> bool:
        return self.rules.labels and self.chance.random() < 0.3

    def _run(self, write: Write, facts: Facts) -> tuple[object, ...] | None:
        with self._execute(write, facts) as cursor:
            return cursor.fetchone()

    def _execute(self, write: Write, facts: Facts) -> psycopg.RawCursor[tuple[object, ...]]:
        self.said = write.text
        return psycopg.RawCursor(self.connection).execute(write.text.encode(), write.values(facts))

    def _key(self, shape: Shape, row: tuple[object, ...] | None, facts: Facts) -> dict[str, str]:
        """Of a row that was inserted; its facts get what the database has numbered."""
        assert row is not None
        return shape.numbers(row, facts)


def _overtaken(shape: Shape, before: Facts, now: Facts) -> frozenset[str]:
    """Columns left empty that may have been filled from what stood there before; journal.py reads it."""
    return frozenset(
        f"~{name}"
        for name, o in shape.required.items()
        if now[name] is None and o.source is not None and any(before.get(n) != now.get(n) for n in o.source.names())
    )


def _keyed(key: Mapping[str, str]) -> Facts:
    return {f"={name}": value for name, value in key.items()}
