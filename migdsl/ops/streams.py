"""Moves to another database become streams: which tables are switched together, and what each side gives the other."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import literal, quote
from migdsl.dialect.sql import Expression
from migdsl.ops import names, turned
from migdsl.ops.batches import Walk
from migdsl.ops.gates import since_left
from migdsl.ops.model import Gate, TablePlan
from migdsl.ops.pairs import inputs_of, over
from migdsl.ops.stream_model import ROW, Column, Follower, Moved, Place, Side
from migdsl.semantics.model import CheckedModule, CreateTable, Table
from migdsl.semantics.move_model import Move
from migdsl.values import replace


def streams(migration: str, module: CheckedModule) -> tuple[tuple[Moved, ...], ...]:
    """All streams of a module: tables that go from one database to the same other one are switched together.

    Tables of tenants are switched tenant by tenant, global ones as a whole: these are streams of their own.
    """
    ways: dict[tuple[str, str, bool], list[CreateTable]] = {}
    for each in module.created:
        if each.move is not None and each.move.across:
            table = each.move.table
            ways.setdefault((table.database, each.move.target.database, table.owned), []).append(each)
    return tuple(_stream(migration, module, group) for group in ways.values())


def stream_of(migration: str, module: CheckedModule, move: Move) -> tuple[Moved, ...]:
    """The stream that a table moves in, all of its tables."""
    return next(found for found in streams(migration, module) if move.table.entity in (m.entity for m in found))


def moved(migration: str, module: CheckedModule, move: Move) -> Moved:
    """A table as its stream has it."""
    return next(m for m in stream_of(migration, module, move) if m.entity == move.table.entity)


def _stream(migration: str, module: CheckedModule, group: list[CreateTable]) -> tuple[Moved, ...]:
    """Its tables, each with those whose rows belong to a tenant by way of it."""
    found: dict[str, Moved] = {}
    # From the last one: a table comes before those that it leads to the tenant.
    for each in reversed(group):
        followers = tuple(
            Follower(found[other.table.entity], *(_belonging(table, each.table.entity) for table in _both(other)))
            for other in group
            if other.table.via is not None and each.table.entity in (hop.entity for hop in other.table.via.hops)
        )
        made = _moved(migration, module, each, group[0].table.entity)
        cascaded = any(_cascades(table, [other.table.entity for other in group]) for table in _both(each))
        found[each.table.entity] = replace(made, followers=followers, cascaded=cascaded)
    return tuple(found[each.table.entity] for each in group)


def _cascades(table: Table, entities: list[str]) -> bool:
    targets = (c.target for c in table.constraints if c.target is not None)
    return any(target.entity in entities and target.on_delete == "CASCADE" for target in targets)


def _both(operation: CreateTable) -> tuple[Table, Table]:
    assert operation.move is not None
    return operation.move.table, operation.table


def _belonging(table: Table, entity: str) -> str:
    """The rows `t` of a table that belong to the row `@row` of one on their way."""
    assert table.via is not None
    hops = table.via.hops
    at = next(number for number, hop in enumerate(hops) if hop.entity == entity)
    joined = list(Walk(table).way())[:at]
    source = " JOIN ".join([f"{names.table(table)} AS t", *(f"{parent} ON {met}" for parent, met in joined)])
    return f"{source} WHERE {f'p{at}' if at else 't'}.{quote(hops[at].column)} = {ROW}.{quote(hops[at].key)}"


def _moved(migration: str, module: CheckedModule, operation: CreateTable, stream: str) -> Moved:
    move = operation.move
    assert move is not None
    table, target = move.table, operation.table
    forth = tuple(_column(target, name, table, value) for name, value in move.values)
    back = tuple(_column(table, b.column, target, b.expression) for b in move.backs)
    return Moved(
        migration,
        stream,
        table.entity,
        tuple(table.type_of(name) for name in table.key),
        _place(module, table, table.key, back),
        _place(module, target, target.key, forth),
        captured=move.sync.variant == "logical",
    )


def _column(table: Table, name: str, given: Table, value: Expression) -> Column:
    """A column of a table as a row of the other one gives it."""
    type_ = table.type_of(name)
    return Column(name, type_, over(given, value, "t"), not type_.built_in, inputs_of(given, value))


def _place(module: CheckedModule, table: Table, key: tuple[str, ...], columns: tuple[Column, ...]) -> Place:
    if table.via is not None:
        return _led(module, table, key, columns)
    tenant = table.tenant if table.scope == "tenant" else None
    if tenant is None:
        return Place(table.schema, table.name, key, columns, "", "text", "", "", tenant_column="")
    name = quote(tenant)
    type_ = table.type_of(tenant).sql
    return Place(
        table.schema,
        table.name,
        key,
        columns,
        f"{ROW}.{name}",
        type_,
        "",
        f"t.{name} = :tenant_id",
        tenant_column=tenant,
    )


def _led(module: CheckedModule, table: Table, key: tuple[str, ...], columns: tuple[Column, ...]) -> Place:
    """A table whose tenant stands in a row of another one, which the row's own columns lead to."""
    assert table.via is not None
    walk, hop, last = Walk(table), table.via.hops[0], table.via.hops[-1]
    (first, _), *others = walk.way()
    joined = "".join(f" JOIN {parent} ON {condition}" for parent, condition in others)
    owner = f"(SELECT {walk.tenant} FROM {first}{joined} WHERE p1.{quote(hop.key)} = {ROW}.{quote(hop.column)})"
    root = next(t for t in module.every if (t.database, t.schema, t.name) == (table.database, last.schema, last.name))
    type_ = root.type_of(table.via.tenant).sql
    confined = f"{walk.tenant} = :tenant_id"
    return Place(
        table.schema, table.name, key, columns, owner, type_, walk.source(), confined, looked_up=True, tenant_column=""
    )


# ------------------------------------------------------------------------------------------- gates


def carried(of: Moved, side: Side = "old") -> Gate:
    """Nothing that was written on a side waits to be carried over, and nothing has been set aside."""
    own = f"migration = {literal(of.migration)} AND entity = {literal(of.entity)}"
    return Gate(
        f"carried_{of.entity}",
        f"all that was written to {of.entity} on the {side} side has been carried over, and no row is a dead letter",
        f"""SELECT CASE WHEN waiting > 0 THEN {literal(f"rows of {of.entity} wait to be carried over: ")} || waiting
            WHEN letters > 0 THEN {literal(f"rows of {of.entity} that can not be carried over: ")} || letters END
  FROM (SELECT (SELECT count(*) FROM (SELECT FROM {of.outbox(side)} LIMIT 100000) AS few) AS waiting,
               (SELECT count(*) FROM migdsl.dead_letter WHERE {own}) AS letters) AS left_over""",
        (of.outbox(side),),
    )


def agreed(of: Moved) -> Gate:
    """The rows have come: the newest reconciliation of all tenants found nothing."""
    own = f"migration = {literal(of.migration)} AND kind = 'reading' AND subject = {literal(f'problems:{of.entity}')}"
    return Gate(
        f"arrived_{of.entity}",
        f"the newest reconciliation of {of.entity} found all rows on the new side",
        f"""SELECT CASE WHEN max(id) IS NULL THEN {literal(f"rows of {of.entity} have not been compared yet")}
            ELSE (SELECT {literal(f"the newest reconciliation of {of.entity} found problems: ")} || newest.value
                    FROM migdsl.event AS newest WHERE newest.id = max(event.id) AND newest.value <> '0') END
  FROM migdsl.event WHERE {own} AND {since_left(of.migration, 'event')}""",
    )


def lagging(of: Moved, seconds: float) -> Gate:
    """The sync job has been heard of lately, and is not too far behind."""
    own = f"migration = {literal(of.migration)} AND kind = 'reading' AND subject = {literal(f'sync_lag:{of.entity}')}"
    return Gate(
        f"sync_lag_{of.entity}",
        f"what is written to {of.entity} is at most {seconds:g} seconds behind on the other side",
        f"""SELECT CASE WHEN max(id) IS NULL OR max(at) < clock_timestamp() - interval '5 minutes'
            THEN {literal(f"the sync job of {of.entity} has not told for 5 minutes how far it is: is it running?")}
            ELSE (SELECT {literal(f"{of.entity} is behind on the other side by seconds: ")} || newest.value
                    FROM migdsl.event AS newest WHERE newest.id = max(event.id) AND newest.value::numeric > {seconds:g}) END
  FROM migdsl.event WHERE {own}""",
    )


def unburied(of: Moved) -> Gate:
    """No row has been set aside, on either side, as far as the sync job has told."""
    own = (
        f"migration = {literal(of.migration)} AND kind = 'reading' AND subject = {literal(f'dead_letters:{of.entity}')}"
    )
    return Gate(
        f"dead_letters_{of.entity}",
        f"no row of {of.entity} is a dead letter",
        f"""SELECT CASE WHEN max(id) IS NULL
            THEN {literal(f"the sync job of {of.entity} has not told of dead letters: is it running?")}
            ELSE (SELECT {literal(f"rows of {of.entity} that can not be carried over: ")} || newest.value
                    FROM migdsl.event AS newest WHERE newest.id = max(event.id) AND newest.value <> '0') END
  FROM migdsl.event WHERE {own}""",
    )


def gates(module: CheckedModule, plans: tuple[TablePlan, ...], database: str, seconds: int) -> Iterator[Gate]:
    """What contract asks of the streams that have a side in a database."""
    told: set[str] = set()
    for plan in plans:
        if plan.moved is None or plan.move is None:
            continue
        at_home = plan.home == database
        if at_home:
            yield carried(plan.moved)
        if plan.moved.stream not in told:
            told.add(plan.moved.stream)
            tables = stream_of(plan.moved.migration, module, plan.move)
            side: Side = "old" if at_home else "new"
            yield turned.gate(tables, turned.listed(module, plan.move.table if at_home else plan.table), seconds, side)


def sequences(move: Move) -> tuple[tuple[str, str, str, str], ...]:
    """The columns that give out numbers on both sides: old table and column, new table and column, as SQL and bare."""
    return tuple((names.table(move.table), theirs, names.table(move.target), ours) for ours, theirs in move.numbered)
