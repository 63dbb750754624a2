"""A table that moves becomes two that old and new code write: what each writes of a row's facts, and what both must hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence

import psycopg

from migdsl.dialect.names import literal, quote
from migdsl.dialect.sql import Expression
from migdsl.ops import names
from migdsl.rehearsal.hints import about
from migdsl.rehearsal.model import Undoable
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.writing import (
    GIVEN,
    LAST,
    NUMBER,
    Codes,
    Texts,
    Write,
    fact_of,
    over,
    place,
    recorded,
    typed,
    whole,
)
from migdsl.semantics.model import CheckedModule, Column
from migdsl.semantics.move_model import Move

Connection = psycopg.Connection[tuple[object, ...]]
Found = list[tuple[str, str]]
_AGE = {"old": "old code", "new": "new code", "both": "new code, both sides"}


def playable(module: CheckedModule) -> None:
    """Raises Undoable where a move can't be played."""
    for move in module.moves:
        if move.across and move.sync.variant == "debezium":
            entity = move.table.entity
            why = f"{entity} moves to another database by Debezium, which needs a Kafka Connect that a rehearsal doesn't have"
            way = (
                f"say `sync {entity} {{ by outbox }}` in a copy of the file, and rehearse that: outbox, sync job and switch are "
                "the same; try the connector on a Connect cluster of yours"
            )
            raise Undoable(why, way)
        computed = {name for name, _ in move.values}
        alike = [
            c.name for c in move.target.columns if c.name not in computed and move.table.column(c.name) is not None
        ]
        if alike:
            why = (
                f"{move.target.name}.{alike[0]} has the name of a column of {move.table.name} that it doesn't come from"
            )
            raise Undoable(why, "a rehearsal tells the two apart by their names: call it otherwise")


def move_of(shape: Shape) -> Move:
    """The move of a shape that has one."""
    assert shape.move is not None
    return shape.move


def keys(shape: Shape) -> tuple[tuple[str, str], ...]:
    """The key: each column of the new table with the old one's that it is."""
    found = {theirs: ours for ours, theirs in move_of(shape).copied}
    return tuple((found[name], name) for name in shape.key)


def given(shape: Shape) -> dict[str, Expression]:
    """The new table's columns that are written from a row's facts, each with what gives it."""
    columns = {c.name: c for c in move_of(shape).target.columns}
    return {name: value for name, value in move_of(shape).values if columns[name].generated is None}


class MovedCodes(Codes):
    """What code of both ages writes: old code the old table, new code either, by what the flag says."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.values = given(shape)

    def columns(self, side: str) -> tuple[str, ...]:
        if side == "old":
            return super().columns(side)
        own = self._numbers(side).values()
        return (*(n for n in self.values if n not in own), *(o.column.name for o in self.shape.plain))

    def insert(self, side: str) -> Write:
        """What the database answers is `shape.answered`, as text."""
        if side == "old":
            return super().insert(side)
        answered = {**{theirs: ours for ours, theirs in keys(self.shape)}, **self._numbers(side)}
        columns = {name: self.values.get(name) for name in self.columns(side)}
        return self._inserted(side, columns, {name: answered[name] for name in self.shape.answered})

    def _numbers(self, side: str) -> dict[str, str]:
        """Facts that are numbers of the database's, each with what it is called on a side."""
        found = {c.name: move_of(self.shape).copy_of(c.name) for c in self.shape.numbered}
        return {theirs: theirs if side == "old" else ours for theirs, ours in found.items() if ours is not None}

    def upsert(self, side: str) -> Write:
        """A second write: the row of that key, whether or not it is there."""
        texts = Texts()
        fixed = self._fixed(side)
        rest = [name for name in self.columns(side) if name not in fixed]
        pairs = [(name, self._key(theirs, texts)) for name, theirs in self._key_of(side)]
        numbers = {name: theirs for theirs, name in self._numbers(side).items() if name not in dict(pairs)}
        pairs += [(name, fact_of(self.shape, texts)(theirs)) for name, theirs in numbers.items()]
        tenant = [n for n in self.columns(side) if n in fixed and n not in dict(pairs)]
        pairs += [(name, self._said(side, name, texts)) for name in (*tenant, *rest)]
        sets = ", ".join(f"{quote(n)} = excluded.{quote(n)}" for n in rest)
        listed, values = (", ".join(part) for part in (map(quote, dict(pairs)), (value for _, value in pairs)))
        conflict = ", ".join(quote(name) for name, _ in self._key_of(side))
        return texts.made(
            f"INSERT INTO {self._name(side)} ({listed}) OVERRIDING SYSTEM VALUE VALUES ({values})\n"
            f"ON CONFLICT ({conflict}) DO UPDATE SET {sets} RETURNING {self._keys(side)}"
        )

    def update(self, side: str, columns: Iterable[str]) -> Write:
        if side == "old":
            return super().update(side, columns)
        texts = Texts()
        fixed = self._fixed(side)
        sets = ", ".join(f"{quote(n)} = {self._said(side, n, texts)}" for n in self.columns(side) if n not in fixed)
        where = self._of_row(side, texts)
        return texts.made(f"UPDATE {self._name(side)} SET {sets} WHERE {where} RETURNING {self._keys(side)}")

    def delete(self, side: str) -> Write:
        if side == "old":
            return super().delete(side)
        texts = Texts()
        where = self._of_row(side, texts)
        return texts.made(f"DELETE FROM {self._name(side)} WHERE {where} RETURNING {self._keys(side)}")

    def read(self, side: str, columns: Sequence[str], by: Sequence[str] = ()) -> Write:
        if side == "old":
            return super().read(side, columns, by)
        texts = Texts()
        asked = ", ".join(f"{quote(n)} IS NOT DISTINCT FROM {self._said(side, n, texts)}" for n in columns)
        where = " AND ".join(f"{quote(n)} = {self._said(side, n, texts)}" for n in by) or self._of_row(side, texts)
        return texts.made(f"SELECT {asked or 'true'} FROM {self._name(side)} WHERE {where}")

    def _key_of(self, side: str) -> tuple[tuple[str, str], ...]:
        """A side's key columns, each with the old one's name."""
        return tuple((theirs if side == "old" else ours, theirs) for ours, theirs in keys(self.shape))

    def _keys(self, side: str) -> str:
        return ", ".join(f"{quote(name)}::text" for name, _ in self._key_of(side))

    def _fixed(self, side: str) -> frozenset[str]:
        """Columns that say which row it is."""
        tenant = self.shape.table.tenant if side == "old" else move_of(self.shape).target.tenant
        return frozenset({name for name, _ in self._key_of(side)} | ({tenant} if tenant else set()))

    def _of_row(self, side: str, texts: Texts) -> str:
        parts = [f"{quote(name)} = {self._key(theirs, texts)}" for name, theirs in self._key_of(side)]
        tenant = move_of(self.shape).target.tenant
        if tenant is not None and tenant not in dict(self._key_of(side)):
            parts.append(f"{quote(tenant)} = {self._said(side, tenant, texts)}")
        return " AND ".join(parts)

    def _fact(self, texts: Texts) -> Callable[[str], str]:
        """A key that the database has given is known by the row alone."""
        read = fact_of(self.shape, texts)
        given_ = frozenset() if self.shape.given_key else frozenset(self.shape.key) - texts.drawn
        return lambda name: self._key(name, texts) if name in given_ else read(name)

    def _said(self, side: str, name: str, texts: Texts) -> str:
        if side == "old":
            return self._value(name, texts)
        if name in self.values:
            return f"({self.values[name].rewritten(self._fact(texts))})"
        return texts.parameter(name, move_of(self.shape).target.type_of(name).sql)


def known(shape: Shape, side: str, last: str, *, home: bool, filled: bool) -> list[str]:
    """The columns of a side of which it is certain what they hold."""
    move = move_of(shape)
    if side == "old":
        copied = {theirs for _, theirs in move.copied}
        sure = copied if home or last == "new" else {c.name for c in shape.written}
        return [c.name for c in shape.written if c.name in sure and c.type.comparable]
    return [n for n in given(shape) if move.target.type_of(n).comparable] if filled else []


# ------------------------------------------------------------------------------------------- what is made up


def _there(shape: Shape, alias: str) -> Callable[[str], str]:
    """A column of the new table, as the facts of a row called `alias` give it."""
    values, target = given(shape), move_of(shape).target

    def spell(name: str) -> str:
        column = target.column(name)
        if name in values:
            return cast(values[name].rewritten(_facts(shape, alias)), column)
        if column is not None and column.generated is not None:
            return cast(column.generated.rewritten(spell), column)
        return f"{alias}.{quote(name)}"

    return spell


def _facts(shape: Shape, alias: str) -> Callable[[str], str]:
    """A column of a row's facts; the journal has its key under names of its own."""
    own = shape.key if alias == "j" else ()
    return lambda name: f"{alias}.{quote(place(shape, name) if name in own else name)}"


def cast(text: str, column: Column | None) -> str:
    return f"({text})" if column is None else f"CAST(({text}) AS {column.type.sql})"


def homes(shape: Shape) -> dict[str, Expression]:
    """The old table's columns that the new one gives."""
    return {back.column: back.expression for back in move_of(shape).backs}


def rules(shape: Shape) -> Iterator[tuple[str, frozenset[str]]]:
    """What facts must keep, over `t`, so that there is a row on either side, and the way there and back loses nothing; and the
    columns that it is about, where a value alone can break it."""
    there = _there(shape, "t")
    for check in (c.check for c in move_of(shape).target.constraints if c.check is not None):
        if check.names() <= _told(shape):
            yield f"({check.rewritten(there)}) IS NOT FALSE", about(shape, check.tree)
    yield from ((rule, frozenset()) for rule in _lossless(shape, there))


def _told(shape: Shape) -> frozenset[str]:
    """The new table's columns that facts give; of the others only the database knows."""
    known = {*given(shape), *(o.column.name for o in shape.plain)}
    generated = [c for c in move_of(shape).target.columns if c.generated is not None and c.generated.names() <= known]
    return frozenset(known | {c.name for c in generated})


def _lossless(shape: Shape, there: Callable[[str], str]) -> Iterator[str]:
    move, told = move_of(shape), _told(shape)
    sure = {name: each for name, each in homes(shape).items() if each.names() <= told}
    back = {name: cast(each.rewritten(there), shape.table.column(name)) for name, each in sure.items()}
    for name in given(shape):
        column = move.target.column(name)
        if column is not None and not column.nullable:
            yield f"{there(name)} IS NOT NULL"
    for name, value in back.items():
        column = shape.table.column(name)
        if column is not None and not column.nullable:
            yield f"{value} IS NOT NULL"
    for name in (n for n, value in given(shape).items() if value.names() & back.keys()):
        again = given(shape)[name].rewritten(lambda n: back[n] if n in back else f"t.{quote(n)}")
        yield f"{cast(again, move.target.column(name))} IS NOT DISTINCT FROM {there(name)}"


# ------------------------------------------------------------------------------------------- what is judged


def missing(shape: Shape) -> str:
    """How many rows of the old table the new one has not got yet, as SQL."""
    key = " AND ".join(f"n.{quote(ours)} = t.{quote(theirs)}" for ours, theirs in keys(shape))
    return f"SELECT count(*) FROM {shape.name} AS t WHERE NOT EXISTS (SELECT FROM {shape.new_name} AS n WHERE {key})"


def apart(
    old: Connection,
    new: Connection,
    shape: Shape,
    rows: list[dict[str, object]],
    *,
    filled: bool,
    home: bool,
    early: bool = True,
) -> Found:
    """What isn't on both sides as it was acknowledged: (verdict, sentence), by key alone. `rows` as the journal tells them.

    `early`: what new code has written is on the new side even before the backfill has passed.
    """
    found: Found = []
    if _is_there(old, shape.name):
        found += _looked(old, shape, rows, "old", tuple(_old_side(shape, home=home)), True)
    if _is_there(new, shape.new_name):
        found += _looked(new, shape, rows, "new", tuple(_new_side(shape)), filled, early)
    return found


def _is_there(connection: Connection, name: str) -> bool:
    return connection.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchone() == (True,)


Condition = tuple[str, str, str]


def _looked(
    connection: Connection,
    shape: Shape,
    rows: list[dict[str, object]],
    side: str,
    conditions: tuple[Condition, ...],
    all_there: bool,
    early: bool = True,
) -> Found:
    """One side against the journal; `all_there`: a row that only old code has written must be there too, `early` any other."""
    where = move_of(shape).table if side == "old" else move_of(shape).target
    key = [(theirs if side == "old" else ours, theirs) for ours, theirs in keys(shape)]
    own = {name: quote(place(shape, name)) for name in shape.key}
    fields = ", ".join([recorded(shape), f"{LAST} text", f"{GIVEN} text[]", *(f"{each} text" for each in own.values())])
    cast = [f"CAST(r.{each} AS {shape.table.type_of(name).sql}) AS {each}" for name, each in own.items()]
    picked = ", ".join([f"r.{NUMBER}", f"r.{LAST}", f"r.{GIVEN}", typed(shape.facts), *cast])
    joined = " AND ".join(f"t.{quote(name)} = j.{own[theirs]}" for name, theirs in key)
    facts = whole(shape, f"SELECT {picked} FROM jsonb_to_recordset($1::jsonb) AS r ({fields})")
    said = "".join(f", {condition} AS c{number}" for number, (_, _, condition) in enumerate(conditions))
    query = f"""
WITH j AS MATERIALIZED ({facts})
SELECT coalesce({', '.join(f"t.{quote(n)}::text, j.{own[m]}::text" for n, m in key[:1])}), coalesce(j.{LAST}, 'old'),
       t.{quote(key[0][0])} IS NULL, j.{NUMBER} IS NULL{said}
  FROM j FULL JOIN {names.table(where)} AS t ON {joined}"""
    found: Found = []
    with psycopg.RawCursor(connection) as cursor:
        for key_, last, lost, extra, *wrong in cursor.execute(query.encode(), [json.dumps(rows)]).fetchall():
            row = f"{shape.entity} {key_}"
            if lost and (all_there or (early and last != "old")):
                verdict = "both_sides" if side == "new" and last == "old" else "acknowledged_writes"
                found.append((verdict, f"{row} is lost on the {side} side (last written by {_AGE[str(last)]})"))
            elif extra:
                found.append(("acknowledged_writes", f"{row} should not be there, on the {side} side"))
            elif not lost:
                bad = [conditions[at] for at, value in enumerate(wrong) if value]
                found += [(v, f"{row}: {what} (last written by {_AGE[str(last)]})") for v, what, _ in bad]
    return found


def _old_side(shape: Shape, *, home: bool) -> Iterator[Condition]:
    """As old code wrote it; of what new code alone wrote, as the file says that it comes back, or as it was where that agrees."""
    back, there = homes(shape), _there(shape, "j")
    after = "TRUE" if home else f"j.{LAST} = 'new'"
    for column in (c for c in shape.written if c.name not in shape.key):
        name = column.name
        differs = _differs(column, f"t.{quote(name)}", f"j.{quote(name)}")
        uses = [e for e in given(shape).values() if name in e.names()]
        agree = " AND ".join(f"{over(e, 't')} IS NOT DISTINCT FROM ({e.rewritten(_facts(shape, 'j'))})" for e in uses)
        ways = (
            [f"NOT ({_differs(column, f't.{quote(name)}', cast(back[name].rewritten(there), column))})"]
            if name in back
            else []
        )
        ways += [f"({agree})"] if name in back and agree and _pure(shape, uses) else []
        # What comes of nothing that new code could change is given to rows that it makes, and otherwise stays as it was.
        ways += ["TRUE"] if name in back and back[name].names() <= {ours for ours, _ in keys(shape)} else []
        loose = f"{after} AND ({' OR '.join(ways) or 'TRUE'})"
        yield "acknowledged_writes", f"{name} isn't what was written", f"{differs} AND NOT ({loose})"


def _pure(shape: Shape, uses: list[Expression]) -> bool:
    """Whether these can be asked of any row: comparable, that is."""
    return all(shape.table.type_of(n).comparable for e in uses for n in e.names())


def _new_side(shape: Shape) -> Iterator[Condition]:
    """What the facts give, whoever wrote them; and what new code alone knows, as it wrote it."""
    target, there = move_of(shape).target, _there(shape, "j")
    own = {ours for ours, _ in keys(shape)}
    for name in (n for n in given(shape) if n not in own):
        column = target.column(name)
        assert column is not None
        yield "both_sides", f"{name} isn't what the file gives", _differs(column, f"t.{quote(name)}", there(name))
    for made in shape.plain:
        name = quote(made.column.name)
        strict = f"{literal(made.column.name)} = ANY (j.{GIVEN})"
        differs = _differs(made.column, f"t.{name}", f"j.{name}")
        yield "acknowledged_writes", f"{made.column.name} isn't what was written", f"{differs} AND {strict}"


def _differs(column: Column, one: str, other: str) -> str:
    text = "" if column.type.comparable else "::text"
    return f"({one}){text} IS DISTINCT FROM ({other}){text}"
