"""Shapes become rows that keep all rules of the file: skewed tenants, the same keys in each of them, awkward values."""

from __future__ import annotations

import importlib
import json
import random
import uuid
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import psycopg

from migdsl.dialect.names import quote
from migdsl.dialect.types import SqlType
from migdsl.rehearsal import baseline, making, moving
from migdsl.rehearsal.hints import Hint, about, hinted, hints
from migdsl.rehearsal.journal import Connection, Journal, Row
from migdsl.rehearsal.model import Log, Settings, Undoable
from migdsl.rehearsal.shapes import Reference, Shape, origins
from migdsl.rehearsal.writing import NUMBER, Codes, Write, over, recorded, typed, whole
from migdsl.runtime.errors import safe_text
from migdsl.semantics.model import AddConstraint, CheckedModule, Column

_NOBODY = ""  # the tenant of tables that have none
_POOL = 250
_LATER = 10_000_000  # numbers that rows from before don't have
_TRIES = 8  # at a value that no row has had
_TURNS = 4  # at plainer rows in the place of those that the file's rules forbid


@dataclass(frozen=True, slots=True)
class Tenancy:
    """The tenants, the biggest first. Nobody writes rows of the `quiet` one; the last has no rows at all."""

    ids: tuple[str, ...]
    sizes: tuple[int, ...]
    quiet: str | None
    canary: str | None

    @property
    def busy(self) -> tuple[str, ...]:
        """Those whose rows are written."""
        return tuple(t for t, size in zip(self.ids, self.sizes, strict=True) if size and t != self.quiet)


def tenancy(module: CheckedModule, settings: Settings) -> Tenancy:
    """Tenants of very unequal size, the file's canary among them."""
    tenants = module.tenants
    if tenants is None or tenants.type is None or tenants.listing is None:
        return Tenancy((_NOBODY,), (settings.rows,), None, None)
    count = max(3, settings.tenants)
    canary = module.rollout.canary[:1]
    ids = [*canary, *(_tenant(tenants.type, settings.seed, n) for n in range(count - len(canary)))]
    weights = [n**-1.1 for n in range(1, count)]
    sizes = [max(3, int(settings.rows * weight / sum(weights))) for weight in weights]
    # The canary is neither the biggest nor the one without rows.
    ids[0], ids[1] = ids[1], ids[0]
    return Tenancy(tuple(ids), (*sizes, 0), ids[2] if count > 3 else None, ids[1])


def _tenant(of: SqlType, seed: int, number: int) -> str:
    if of.base == "uuid":
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"migdsl rehearsal {seed} {number}"))
    return making.fresh(of, number + 1, "tenant ") if making.freshable(of) else str(number + 1)


def seeded(seed: int) -> random.Random:
    """Of rows."""
    return random.Random(f"{seed} rows")  # noqa: S311 (nothing here is secret)


@dataclass(slots=True)
class Maker:
    """Makes facts for new rows, and proves in the database that the file's rules permit them."""

    module: CheckedModule
    shapes: tuple[Shape, ...]
    journals: Mapping[str, Journal]
    connection: Connection
    chance: random.Random
    log: Log
    serial: dict[str, int] = field(default_factory=dict)
    pools: dict[str, list[dict[str, str | None]]] = field(default_factory=dict)
    # What was said of columns; values that no row may have again, those that keep the rules of their column alone, sets of
    # values that are to be unique; tables of which no more rows can be made.
    _hints: dict[str, Mapping[str, Hint]] = field(default_factory=dict)
    _used: dict[tuple[str, str], dict[str, set[int]]] = field(default_factory=dict)
    _good: dict[tuple[str, str], list[str | None]] = field(default_factory=dict)
    _alike: set[tuple[object, ...]] = field(default_factory=set)
    _dry: set[str] = field(default_factory=set)

    def fill(self, tenants: Tenancy) -> int:
        """Rows for every table and tenant; how many there are."""
        self._list(tenants)
        for shape in self.shapes:
            self.fill_one(shape, tenants)
        return sum(len(self.journals[shape.entity].rows) for shape in self.shapes)

    def fill_one(self, shape: Shape, tenants: Tenancy) -> None:
        """Rows for one table. Raises Undoable."""
        wanted = [
            self._candidate(shape, number, place, tame=False) | _owner(shape, tenant)
            for place, (tenant, size) in enumerate(zip(tenants.ids, tenants.sizes, strict=True))
            for number in range(1, size + 1)
        ]
        for tenant, facts in self._proven(shape, wanted, tenants):
            self._insert(shape, tenant, facts)
        if not self.journals[shape.entity].rows and wanted:
            way = "give rows of yours with --schema, or loosen what its checks demand of made-up values"
            raise Undoable(f"no row could be made for {shape.entity} that keeps all rules of the file", way)

    def put(self, shape: Shape, tenant: str, number: int, values: Mapping[str, str | None]) -> None:
        """A row with these values; what they leave open is made up."""
        facts = self.owned(shape, tenant, self._candidate(shape, number, 0, tame=True))
        if facts is not None:
            self._insert(shape, tenant, {**facts, **values}, Codes(shape).put())

    def stock(self, shape: Shape) -> None:
        """Enough proven facts for the traffic to draw from, while more can be made."""
        pool = self.pools.setdefault(shape.entity, [])
        if shape.entity in self._dry:
            return
        base = _LATER + self.serial.get(shape.entity, 0)
        self.serial[shape.entity] = self.serial.get(shape.entity, 0) + _POOL
        found = [self._candidate(shape, base + n, 0, tame=n % 4 == 0) for n in range(_POOL)]
        pool += self.proven(shape, found)
        if not pool:
            self._dry.add(shape.entity)

    def _list(self, tenants: Tenancy) -> None:
        """The tenants, in the table that `list` reads. Raises Undoable where its rows are nobody's, and so made up."""
        place = baseline.listing(self.module)
        table = baseline.declared(self.module, place) if place is not None else None
        if table is not None and not table.owned:
            why = f"`list` reads {table.entity}, whose rows are nobody's: made up, they would be no tenants"
            way = f"say `tenant` of the column of {table.entity} that `list` reads, or leave the entity out of a copy of the file"
            raise Undoable(why, way)
        if place is None or baseline.declared(self.module, place) is not None or baseline.elsewhere(self.module):
            return
        (schema, name), column = place
        statement = f"INSERT INTO {quote(schema)}.{quote(name)} ({quote(column)}) VALUES (%s) ON CONFLICT DO NOTHING"
        for tenant in tenants.ids:
            self.connection.execute(statement.encode(), (tenant,))

    # --------------------------------------------------------------------------------------- one row

    def _candidate(self, shape: Shape, number: int, place: int, *, tame: bool) -> dict[str, str | None]:
        """Facts without tenant and references. Numbers are the same in each tenant where they may be."""
        facts: dict[str, str | None] = {}
        for column in shape.facts:
            # Keys of tenants are interleaved, as in a table that grew over years.
            own = number if self._scoped(shape, column.name) or number >= _LATER else number * 100 + place
            if column in shape.numbered:
                facts[column.name] = making.fresh(column.type, number)
            elif column.name in shape.fresh and making.freshable(column.type):
                empty = self._empty(shape, column)
                facts[column.name] = None if empty else self._fresh(shape, column, own, place, tame=tame)
            else:
                facts[column.name] = self._usual(shape, column, tame=tame)
        return facts

    def _fresh(self, shape: Shape, column: Column, number: int, place: int, *, tame: bool) -> str:
        """A value that no row of that place has had, or no row at all; of a column with rules of its own one that may keep to
        them."""
        used = self._used.setdefault((shape.entity, column.name), {})
        within = place if number < _LATER // 2 and self._scoped(shape, column.name) else None
        for value in self._various(shape, column, number, tame=tame):
            if value not in used or (within is not None and within not in used[value]):
                break
        used.setdefault(value, set()).add(place)
        return value

    def _various(self, shape: Shape, column: Column, number: int, *, tame: bool) -> Iterator[str]:
        """Values to choose from, the last of them if need be."""
        hint = self._hint(shape, column)
        if hint is not None and hint.ruled and self.chance.random() < 0.7:
            for _ in range(_TRIES if number >= _LATER // 2 else 1):
                value = hinted(column.type, hint, self.chance)
                if value is not None:
                    yield value
        before = making.usual(column.type, self.chance, tame=tame) or ""
        for turn in range(_TRIES):
            yield making.fresh(column.type, number + turn * _LATER, before[:40] if column.name not in shape.key else "")

    def _hint(self, shape: Shape, column: Column) -> Hint | None:
        if shape.entity not in self._hints:
            self._hints[shape.entity] = hints(shape)
        return self._hints[shape.entity].get(column.name)

    def _empty(self, shape: Shape, column: Column) -> bool:
        """A column that may be empty now and then is, unless what is computed from it alone is to be unique."""
        sources = [o.source.names() for o in shape.paired if o.source is not None and column.name in o.source.names()]
        alone = any(len(names & shape.fresh) < 2 for names in sources)
        return column.nullable and not alone and self.chance.random() < 0.2

    def _usual(self, shape: Shape, column: Column, *, tame: bool) -> str | None:
        if column.nullable and self.chance.random() < 0.25:
            return None
        hint, good = self._hint(shape, column), self._good.get((shape.entity, column.name))
        if good and self.chance.random() < 0.7:
            return self.chance.choice(good)
        if hint is not None and self.chance.random() < (0.8 if hint.ruled else 0.4):
            value = hinted(column.type, hint, self.chance)
            if value is not None:
                return making.cut(column.type, value) if making.texts(column.type) else value
        return making.usual(column.type, self.chance, tame=tame)

    def _scoped(self, shape: Shape, name: str) -> bool:
        """Whether every rule that makes the column's values unique, now or at the end, speaks of one tenant."""
        tenant = shape.table.tenant
        sets = [shape.key, *(c.columns for c in shape.table.constraints if c.kind in ("unique", "key"))]
        sets += [(c.name,) for c in shape.table.columns if c.unique]
        sets += [tuple(c.uses) for c in shape.table.constraints if c.unique_index]
        sets += [tuple(origins(shape.made, each)) for each in shape.later]
        return tenant is not None and all(tenant in each for each in sets if name in each)

    def owned(self, shape: Shape, tenant: str, facts: dict[str, str | None]) -> dict[str, str | None] | None:
        """The facts with tenant and references; None where there is no row to refer to."""
        facts = facts | _owner(shape, tenant)
        columns = {c.name: c for c in shape.table.columns}
        for reference in shape.references:
            optional = [n for n in reference.columns if columns[n].nullable and n not in shape.key]
            if optional and self.chance.random() < 0.2:
                facts |= dict.fromkeys(optional)
                continue
            home = self._home(reference.entity, tenant)
            parent = self.journals[reference.entity].any_of(home, self.chance, parent=True)
            found = self._pointing(shape, reference, parent, facts)
            if found is None and not optional:
                return None
            facts |= found if found is not None else dict.fromkeys(optional)
        return facts

    def _pointing(
        self, shape: Shape, reference: Reference, parent: Row | None, facts: Mapping[str, str | None]
    ) -> dict[str, str | None] | None:
        """The key of a row to point at; the very first row of a table that points at itself points at itself."""
        if parent is None and (reference.entity != shape.entity or not shape.given_key):
            return None
        known = facts if parent is None else {**parent.facts, **parent.key}
        found = {name: known.get(target) for name, target in zip(reference.columns, reference.targets, strict=True)}
        return None if None in found.values() else found

    def _home(self, entity: str, tenant: str) -> str:
        return tenant if self.journals[entity].shape.table.owned else _NOBODY

    def _proven(
        self, shape: Shape, wanted: list[dict[str, str | None]], tenants: Tenancy
    ) -> Iterator[tuple[str, dict[str, str | None]]]:
        """What is permitted, with its tenant; what isn't is tried once more with plainer values."""
        if not shape.table.owned:
            wanted = wanted[: max(3, len(wanted) // 4)]
        good = self.proven(shape, wanted)
        for turn in range(_TURNS):
            kept = {id(each) for each in good}
            wanted = [each for each in wanted if id(each) not in kept]
            if not wanted:
                break
            base = _LATER // 2 + turn * _LATER // 20
            wanted = [
                self._candidate(shape, base + n, 0, tame=True) | _only_tenant(shape, each)
                for n, each in enumerate(wanted)
            ]
            good += self.proven(shape, wanted)
        for number, facts in enumerate(good):
            tenant = _NOBODY
            if shape.table.tenant is not None:
                tenant = facts[shape.table.tenant] or _NOBODY
            elif shape.table.owned:
                tenant = tenants.ids[number % max(1, len(tenants.ids) - 1)]
            placed = self.owned(shape, tenant, facts)
            if placed is not None:
                yield tenant, placed

    def proven(self, shape: Shape, wanted: list[dict[str, str | None]]) -> list[dict[str, str | None]]:
        """Those facts that the file's checks and expressions permit; Python's values are added to them."""
        found: list[dict[str, str | None]] = []
        halves = [wanted] if wanted else []
        while halves:
            some = halves.pop()
            try:
                with self.connection.transaction():
                    permitted = self._permitted(shape, some)
            except psycopg.Error:
                if len(some) > 1:
                    halves += [some[: len(some) // 2], some[len(some) // 2 :]]
                continue
            found += [some[n] for n in permitted]
        self._compute(shape, found)
        return found

    def _permitted(self, shape: Shape, wanted: Sequence[Mapping[str, str | None]]) -> list[int]:
        rules = list(_rules(shape))
        said = "".join(f", ({rule})" for rule, _ in rules)
        made = "".join(f", {over(o.source, 'j')} AS {quote(o.column.name)}" for o in shape.paired if o.source)
        facts = f"SELECT r.{NUMBER}, {typed(shape.facts)} FROM jsonb_to_recordset($1::jsonb) AS r ({recorded(shape)})"
        query = f"""
SELECT t.{NUMBER}{said} FROM (SELECT j.*{made} FROM ({whole(shape, facts)}) AS j) AS t ORDER BY t.{NUMBER}"""
        rows = [{**facts, NUMBER.strip('"'): number} for number, facts in enumerate(wanted)]
        with psycopg.RawCursor(self.connection) as cursor:
            found = cursor.execute(query.encode(), [json.dumps(rows)]).fetchall()
        for number, *kept in found:
            broken = {names for (_, names), ok in zip(rules, kept, strict=True) if not ok}
            alone = {name for names in {names for _, names in rules} - broken if len(names) == 1 for name in names}
            self._learn(
                shape, wanted[int(str(number))], alone if broken else frozenset(self._hints.get(shape.entity, ()))
            )
        return [int(str(number)) for number, *kept in found if all(kept)]

    def _learn(self, shape: Shape, facts: Mapping[str, str | None], names: Set[str]) -> None:
        """Values that keep the rules of their column, or all rules of their row."""
        for name in sorted((names & facts.keys()) - shape.fresh):
            hint = self._hints.get(shape.entity, {}).get(name)
            good = self._good.setdefault((shape.entity, name), [])
            if hint is not None and hint.ruled and len(good) < _POOL:
                good.append(facts[name])

    def _compute(self, shape: Shape, found: list[dict[str, str | None]]) -> None:
        for made in shape.computed:
            for facts, value in zip(found, python_values(self.connection, shape, made.column.name, found), strict=True):
                facts[made.column.name] = value

    def _insert(self, shape: Shape, tenant: str, facts: dict[str, str | None], said: Write | None = None) -> None:
        write = said if said is not None else Codes(shape).insert("old")
        if any(self._taken(shape, each, facts) for each in shape.tight):
            return
        try:
            with self.connection.transaction(), psycopg.RawCursor(self.connection) as cursor:
                row = cursor.execute(write.text.encode(), write.values(facts)).fetchone()
        except (psycopg.errors.IntegrityError, psycopg.errors.DataError):
            return  # two made-up rows that are alike, or one that only the table's own triggers refuse
        except psycopg.Error as error:
            why = f"{shape.entity} takes no row: {safe_text(error)}"
            raise Undoable(why, "rehearse on a server that can: --url URL") from None
        assert row is not None
        self.journals[shape.entity].add(Row(tenant, shape.numbers(row, facts), facts))

    def _taken(self, shape: Shape, columns: frozenset[str], facts: Mapping[str, str | None]) -> bool:
        """Whether another row has these values, which are to be told apart some day."""
        own = [facts.get(name) for name in sorted(columns | {shape.table.tenant or ""})]
        found = (shape.entity, columns, *own)
        if found in self._alike:
            return None not in [facts.get(name) for name in columns]
        self._alike.add(found)
        return False


def _owner(shape: Shape, tenant: str) -> dict[str, str | None]:
    return {shape.table.tenant: tenant} if shape.table.tenant is not None else {}


def _only_tenant(shape: Shape, facts: Mapping[str, str | None]) -> dict[str, str | None]:
    return {shape.table.tenant: facts[shape.table.tenant]} if shape.table.tenant is not None else {}


def _rules(shape: Shape) -> Iterator[tuple[str, frozenset[str]]]:
    """What a row must keep, over `t`, and the columns that it is about, where a value alone can break it: checks that are there,
    checks to come, and ways there and back that lose nothing."""
    checks = [c.check for c in shape.table.constraints if c.check is not None]
    if shape.plan is not None:
        checks += [c.check for c in _coming(shape) if c.check is not None]
    yield from ((f"{over(each, 't')} IS NOT FALSE", about(shape, each.tree)) for each in checks)
    yield from moving.rules(shape) if shape.move is not None else ()
    for made in (o for o in shape.paired if not o.column.nullable):
        yield f"t.{quote(made.column.name)} IS NOT NULL", frozenset()
    backs = {back.column: over(back.expression, "t") for o in shape.made for back in o.backs}
    for made in (o for o in shape.paired if o.source is not None and o.source.names() & backs.keys()):
        assert made.source is not None
        there = made.source.rewritten(lambda n: backs.get(n, f"t.{quote(n)}"))
        yield f"({there}) IS NOT DISTINCT FROM t.{quote(made.column.name)}", frozenset()


def _coming(shape: Shape) -> Iterator[Any]:
    yield from (o.constraint for o in shape.done if isinstance(o, AddConstraint))


def python_values(
    connection: Connection, shape: Shape, column: str, found: Sequence[Mapping[str, str | None]]
) -> list[str | None]:
    """What a Python function of the file's makes of these facts, as texts."""
    made = next(o for o in shape.computed if o.column.name == column)
    assert made.python is not None
    if not found:
        return []
    module, _, name = made.python.function.partition(":")
    function = getattr(importlib.import_module(module), name)
    inputs = ", ".join(f"g.{quote(name)}" for name in made.python.inputs)
    facts = f"SELECT r.{NUMBER}, {typed(shape.facts)} FROM jsonb_to_recordset($1::jsonb) AS r ({recorded(shape)})"
    query = f"SELECT {inputs} FROM ({whole(shape, facts)}) AS g ORDER BY g.{NUMBER}"
    rows = [{**each, NUMBER.strip('"'): number} for number, each in enumerate(found)]
    with psycopg.RawCursor(connection) as cursor:
        given = cursor.execute(query.encode(), [json.dumps(rows)]).fetchall()
    values = function([dict(zip(made.python.inputs, row, strict=True)) for row in given])
    return [None if value is None else str(value) for value in values]
