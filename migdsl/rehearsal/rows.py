"""Shapes become rows that keep all rules of the file: skewed tenants, the same keys in each of them, awkward values."""

from __future__ import annotations

import importlib
import json
import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from migdsl.dialect.names import quote
from migdsl.dialect.types import SqlType
from migdsl.rehearsal import baseline, making, moving
from migdsl.rehearsal.journal import Connection, Journal, Row
from migdsl.rehearsal.model import Log, Settings, Undoable
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.writing import Codes, over, typed
from migdsl.semantics.model import AddConstraint, CheckedModule, Column

_NOBODY = ""  # the tenant of tables that have none
_POOL = 250
_LATER = 10_000_000  # numbers that rows from before don't have


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

    def fill(self, tenants: Tenancy) -> int:
        """Rows for every table and tenant; how many there are."""
        self._list(tenants)
        for shape in self.shapes:
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
        return sum(len(j.rows) for j in self.journals.values())

    def stock(self, shape: Shape) -> None:
        """Enough proven facts for the traffic to draw from."""
        pool = self.pools.setdefault(shape.entity, [])
        base = _LATER + self.serial.get(shape.entity, 0)
        self.serial[shape.entity] = self.serial.get(shape.entity, 0) + _POOL
        found = [self._candidate(shape, base + n, 0, tame=n % 4 == 0) for n in range(_POOL)]
        pool += self.proven(shape, found)

    def _list(self, tenants: Tenancy) -> None:
        """The tenants, in the table that `list` reads."""
        place = baseline.listing(self.module)
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
            if column.name in shape.fresh and making.freshable(column.type):
                # Keys of tenants are interleaved, as in a table that grew over years.
                own = number if self._scoped(shape, column.name) or number >= _LATER else number * 100 + place
                if self._empty(shape, column):
                    facts[column.name] = None
                    continue
                hint = making.usual(column.type, self.chance, tame=tame) or ""
                facts[column.name] = making.fresh(column.type, own, hint[:40] if column.name not in shape.key else "")
            else:
                facts[column.name] = self._usual(column, tame=tame)
        return facts

    def _empty(self, shape: Shape, column: Column) -> bool:
        """A column that may be empty now and then is, unless what is computed from it alone is to be unique."""
        sources = [o.source.names() for o in shape.paired if o.source is not None and column.name in o.source.names()]
        alone = any(len(names & shape.fresh) < 2 for names in sources)
        return column.nullable and not alone and self.chance.random() < 0.2

    def _usual(self, column: Column, *, tame: bool) -> str | None:
        if column.nullable and self.chance.random() < 0.25:
            return None
        return making.usual(column.type, self.chance, tame=tame)

    def _scoped(self, shape: Shape, name: str) -> bool:
        """Whether every rule that makes the column's values unique speaks of one tenant."""
        tenant = shape.table.tenant
        sets = [shape.key, *(c.columns for c in shape.table.constraints if c.kind in ("unique", "key"))]
        sets += [(c.name,) for c in shape.table.columns if c.unique]
        sets += [tuple(c.uses) for c in shape.table.constraints if c.unique_index]
        return tenant is not None and all(tenant in each for each in sets if name in each)

    def owned(self, shape: Shape, tenant: str, facts: dict[str, str | None]) -> dict[str, str | None] | None:
        """The facts with tenant and references; None where there is no row to refer to."""
        facts = facts | _owner(shape, tenant)
        columns = {c.name: c for c in shape.table.columns}
        for reference in shape.references:
            parent = self.journals[reference.entity].any_of(
                self._home(reference.entity, tenant), self.chance, parent=True
            )
            optional = any(columns[n].nullable for n in reference.columns)
            if parent is None and not optional:
                return None
            for name, target in zip(reference.columns, reference.targets, strict=True):
                known = None if parent is None else parent.key.get(target, parent.facts.get(target))
                facts[name] = None if optional and self.chance.random() < 0.2 else known
        return facts

    def _home(self, entity: str, tenant: str) -> str:
        parent = next(s for s in self.shapes if s.entity == entity)
        return tenant if parent.table.owned else _NOBODY

    def _proven(
        self, shape: Shape, wanted: list[dict[str, str | None]], tenants: Tenancy
    ) -> Iterator[tuple[str, dict[str, str | None]]]:
        """What is permitted, with its tenant; what isn't is tried once more with plainer values."""
        if not shape.table.owned:
            wanted = wanted[: max(3, len(wanted) // 4)]
        good = self.proven(shape, wanted)
        kept = {id(each) for each in good}
        tamed = [
            self._candidate(shape, _LATER // 2 + n, 0, tame=True) | _only_tenant(shape, each)
            for n, each in enumerate(wanted)
            if id(each) not in kept
        ]
        if tamed:
            good += self.proven(shape, tamed)
        for number, facts in enumerate(good):
            tenant = _NOBODY
            if shape.table.tenant is not None:
                tenant = facts[shape.table.tenant] or _NOBODY
            elif shape.table.owned:
                tenant = tenants.ids[number % max(1, len(tenants.ids) - 1)]
            whole = self.owned(shape, tenant, facts)
            if whole is not None:
                yield tenant, whole

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
        rules = _rules(shape)
        made = "".join(f", {over(o.source, 'j')} AS {quote(o.column.name)}" for o in shape.paired if o.source)
        fields = ", ".join(["n integer", *(f"{quote(c.name)} text" for c in shape.facts)])
        query = f"""
SELECT t.n FROM (SELECT j.*{made}
                   FROM (SELECT r.n, {typed(shape.facts)} FROM jsonb_to_recordset($1::jsonb) AS r ({fields})) AS j) AS t
 WHERE {' AND '.join(rules) or 'TRUE'} ORDER BY t.n"""
        rows = [{**facts, "n": number} for number, facts in enumerate(wanted)]
        with psycopg.RawCursor(self.connection) as cursor:
            return [int(str(n)) for (n,) in cursor.execute(query.encode(), [json.dumps(rows)]).fetchall()]

    def _compute(self, shape: Shape, found: list[dict[str, str | None]]) -> None:
        for made in shape.computed:
            for facts, value in zip(found, python_values(self.connection, shape, made.column.name, found), strict=True):
                facts[made.column.name] = value

    def _insert(self, shape: Shape, tenant: str, facts: dict[str, str | None]) -> None:
        write = Codes(shape).insert("old")
        try:
            with self.connection.transaction(), psycopg.RawCursor(self.connection) as cursor:
                row = cursor.execute(write.text.encode(), write.values(facts)).fetchone()
        except psycopg.errors.IntegrityError:
            return  # two made-up rows that are alike
        assert row is not None
        key = dict(zip(shape.key, map(str, row), strict=True))
        self.journals[shape.entity].add(Row(tenant, key, facts))


def _owner(shape: Shape, tenant: str) -> dict[str, str | None]:
    return {shape.table.tenant: tenant} if shape.table.tenant is not None else {}


def _only_tenant(shape: Shape, facts: Mapping[str, str | None]) -> dict[str, str | None]:
    return {shape.table.tenant: facts[shape.table.tenant]} if shape.table.tenant is not None else {}


def _rules(shape: Shape) -> list[str]:
    """What a row must keep, over `t`: checks that are there, checks to come, and ways there and back that lose nothing."""
    checks = [c.check for c in shape.table.constraints if c.check is not None]
    if shape.plan is not None:
        checks += [c.check for c in _coming(shape) if c.check is not None]
    rules = [f"{over(each, 't')} IS NOT FALSE" for each in checks]
    rules += moving.rules(shape) if shape.move is not None else ()
    rules += [f"t.{quote(o.column.name)} IS NOT NULL" for o in shape.paired if not o.column.nullable]
    backs = {back.column: over(back.expression, "t") for o in shape.made for back in o.backs}
    for made in (o for o in shape.paired if o.source is not None and o.source.names() & backs.keys()):
        assert made.source is not None
        there = made.source.rewritten(lambda n: backs.get(n, f"t.{quote(n)}"))
        rules.append(f"({there}) IS NOT DISTINCT FROM t.{quote(made.column.name)}")
    return rules


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
    inputs = [c for c in shape.written if c.name in made.python.inputs]
    fields = ", ".join(["n integer", *(f"{quote(c.name)} text" for c in inputs)])
    query = f"SELECT {typed(inputs)} FROM jsonb_to_recordset($1::jsonb) AS r ({fields}) ORDER BY r.n"
    rows = [{**{c.name: facts[c.name] for c in inputs}, "n": n} for n, facts in enumerate(found)]
    with psycopg.RawCursor(connection) as cursor:
        given = cursor.execute(query.encode(), [json.dumps(rows)]).fetchall()
    values = function([dict(zip([c.name for c in inputs], row, strict=True)) for row in given])
    return [None if value is None else str(value) for value in values]
