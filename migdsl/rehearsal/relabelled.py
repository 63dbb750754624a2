"""Rows that get another key or another tenant, once each: the other side must follow, and nothing of it may stay behind."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import psycopg

from migdsl.dialect.names import literal, quote
from migdsl.rehearsal import moving
from migdsl.rehearsal.clients import Client
from migdsl.rehearsal.company import Company
from migdsl.rehearsal.crosser import Crosser
from migdsl.rehearsal.journal import Connection, Row
from migdsl.rehearsal.passage import Passage
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.troupe import Troupe
from migdsl.runtime.errors import safe_text
from migdsl.runtime.stream.jobs import Side
from migdsl.values import Value

_TRIES = 6  # rows, of which the table's own rules may keep some as they are
_WAY = "a row that gets another key or tenant is one row on the other side too: see what the trigger does on UPDATE"
Given = Mapping[str, str | None]
Rows = tuple[list[Row], list[Row]]


class Place(Value):
    """One side of a table, as its code knows it: a connection, the table's name there, and what facts are called there."""

    shape: Shape
    side: Side
    on: Connection
    name: str
    called: Mapping[str, str]

    def where(self, row: Row) -> str:
        """The condition under which it is that row."""
        return " AND ".join(f"{quote(self.called[n])}::text = {literal(v)}" for n, v in row.key.items())


def old_place(shape: Shape, on: Connection) -> Place:
    """What old code writes."""
    return Place(shape, "old", on, shape.name, {c.name: c.name for c in shape.table.columns})


def new_place(shape: Shape, on: Connection) -> Place:
    """The table that a moving one's rows go to."""
    return Place(shape, "new", on, shape.new_name, {theirs: ours for ours, theirs in moving.move_of(shape).copied})


def played(troupe: Troupe) -> None:
    """By old code, of each table that changes."""
    client = next(client for client in troupe.traffic.clients if client.code == "old")
    # What only Python computes nobody carries over.
    found = (s for s in troupe.shapes if (s.plan is not None or s.carried) and not s.leaves and not s.computed)
    with troupe.traffic.resting():
        for shape in found:
            rows = _some(troupe, client, shape)
            _both(troupe, old_place(shape, client.connection), troupe.desk, rows)


def carried(passage: Passage, side: Side) -> None:
    """By code of either age, of each table that moves to another database, where everybody writes that side; and the sync job
    carries it over."""
    client = passage.client(side)
    assert isinstance(client, Crosser)
    with passage.traffic.resting():
        with client.alone(side):
            rows = {shape.entity: _some(passage, client, shape) for shape in passage.shapes}
        # On the other side, too: or what comes of a row there would be no change of it.
        passage.drained()
        for shape in passage.shapes:
            with client.alone(side):
                place = (old_place if side == "old" else new_place)(shape, client.connection)
                _both(passage, place, passage.end(shape, side)[0], rows[shape.entity])


def _both(company: Company, place: Place, desk: Connection, rows: Rows) -> None:
    """A row of its own for each."""
    acts = (("key", partial(_rekeyed, company, place, desk)), ("tenant", partial(_handed, company, place)))
    told = [what for (what, act), some in zip(acts, rows, strict=True) if any(act(row) for row in some)]
    if told:
        company.log.saw("both_sides", f"{place.shape.entity}: a row got another {', and one another '.join(told)}")


def _some(company: Company, client: Client, shape: Shape) -> Rows:
    """Rows that nobody points at, of tenants whose rows are written: to get another key, and another tenant. The latter are new:
    what is to be unique in a tenant at the end others have in another one, and of new rows nobody has it."""
    tenants = company.tenants.busy if shape.table.owned else ("",)
    turns = [tenants[number % len(tenants)] for number in range(_TRIES)]
    made = [row for tenant in turns if (row := _made(client, shape, tenant)) is not None]
    if shape.referred:
        return made[::2], made[1::2]
    there = [company.journals[shape.entity].of(tenant)[number : number + 1] for number, tenant in enumerate(turns)]
    return [row for rows in there for row in rows], made


def _made(client: Client, shape: Shape, tenant: str) -> Row | None:
    try:
        return client.put(shape, tenant)
    except psycopg.Error:
        return None  # which the traffic tells


# ------------------------------------------------------------------------------------------- the acts


def _rekeyed(company: Company, place: Place, desk: Connection, row: Row) -> bool:
    shape = place.shape
    name = next((n for n in shape.key if n not in _pointing(shape)), None)
    value = _number(desk, place, name) if name is not None else None
    if name is not None and value is None:
        value = (_drawn(company, shape, row.tenant) or {}).get(name)
    if name is None or value is None or not _written(company, place, row, {name: value}):
        return False
    row.key = {**row.key, name: value}
    _acknowledged(place, row, {name: value})
    return True


def _handed(company: Company, place: Place, row: Row) -> bool:
    """To another tenant, with what it points at there."""
    shape, tenant = place.shape, place.shape.table.tenant
    others = [each for each in company.tenants.busy if each != row.tenant]
    names = _pointing(shape) & place.called.keys()
    if not shape.table.owned or not others or names & set(shape.key):
        return False
    facts = company.maker.owned(shape, others[0], dict(row.facts))
    given = {name: facts[name] for name in sorted(names)} if facts is not None else {}
    if not given or (tenant is not None and tenant not in given) or not _written(company, place, row, given):
        return False
    _acknowledged(place, row, given)
    company.journals[shape.entity].hand_over(row, others[0])
    return True


def _acknowledged(place: Place, row: Row, given: Given) -> None:
    row.facts |= given
    if place.side == "new":
        row.last = "new"  # what the old side alone has goes with a key that nobody has any more


def _pointing(shape: Shape) -> frozenset[str]:
    """Columns that say whose a row is, or what it belongs to."""
    tenant = {shape.table.tenant} if shape.table.tenant is not None else set()
    return frozenset({name for each in shape.references for name in each.columns} | tenant)


def _number(desk: Connection, place: Place, name: str) -> str | None:
    """The next one, where the database numbers that column."""
    query = "SELECT nextval(pg_get_serial_sequence(%s, %s))::text"
    row = desk.execute(query, (place.name, place.called[name])).fetchone()
    return str(row[0]) if row is not None and row[0] is not None else None


def _drawn(company: Company, shape: Shape, tenant: str) -> dict[str, str | None] | None:
    """Facts that no row has."""
    pool = company.maker.pools.setdefault(shape.entity, [])
    if not pool:
        company.maker.stock(shape)
    return company.maker.owned(shape, tenant, pool.pop()) if pool else None


def _written(company: Company, place: Place, row: Row, given: Given) -> bool:
    """Whether the row has these values now; what the table's own rules keep as it is stays, and nothing is wrong with it."""
    types = {name: place.shape.table.type_of(name).sql for name in given}
    said = {n: f"CAST({literal(v)} AS {types[n]})" if v is not None else "NULL" for n, v in given.items()}
    sets = ", ".join(f"{quote(place.called[name])} = {value}" for name, value in said.items())
    statement = f"UPDATE {place.name} SET {sets} WHERE {place.where(row)}"
    try:
        with place.on.transaction():
            return place.on.execute(statement.encode()).rowcount == 1
    except psycopg.Error as error:
        kept = isinstance(error, psycopg.IntegrityError | psycopg.errors.GeneratedAlways)
        if not kept or "migdsl" in (error.diag.context or ""):
            what = f"{place.shape.entity}: another {' and '.join(given)} is refused: {safe_text(error)}"
            company.log.against("traffic", what, f"UPDATE {place.name}", _WAY)
        return False
