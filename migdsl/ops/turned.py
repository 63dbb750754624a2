"""Whether every tenant writes on the new side becomes one question: a gate of contract, and what is asked last of all."""

from __future__ import annotations

from migdsl.dialect.names import dollar_tag, literal
from migdsl.ops.gates import lasting
from migdsl.ops.model import Gate
from migdsl.ops.stream_model import ROW, Moved, Side
from migdsl.semantics.model import CheckedModule, Table


def gate(tables: tuple[Moved, ...], listing: str | None, seconds: int, side: Side = "old") -> Gate:
    """Every tenant writes on the new side, and has for the soak. `listing`: the tenants, where this database knows them.

    Who isn't listed any more, and has no row here, is gone: nothing of it can be lost, and nobody can switch it.
    """
    of, entities, days = tables[0], _entities(tables), lasting(seconds)
    until = f"to_char(latest + interval '{seconds} seconds', 'YYYY-MM-DD HH24:MI TZ')"
    soak = f"""
            WHEN latest > clock_timestamp() - interval '{seconds} seconds'
            THEN {literal(f"the soak of {days} since the last switch of {entities} lasts until ")} || {until}"""
    title = f"all writes of {entities} have gone to the new side for {days}"
    # With the tables that go its rows can't be looked for: they were, before these went.
    needs = tuple(m.old.table for m in tables) if side == "old" and of.old.tenant else ()
    return Gate(f"written_new_{of.stream}", title, _question(tables, listing, side, soak), needs)


def last(moved: Moved, listing: str | None, side: Side, going: str) -> str:
    """A DO block that asks the same of one table when it is locked and about to go; but for the soak, which is over."""
    body = f"""
DECLARE
  found text;
BEGIN
  IF to_regclass({literal(moved.at(side).table)}) IS NULL THEN
    RETURN;  -- a killed run is repeated: all of it was done
  END IF;
  found := (
{_question((moved,), listing, side)}
  );
  IF found IS NOT NULL THEN
    RAISE EXCEPTION '%; %', found, {literal(going)}
      USING ERRCODE = '55000', HINT = {literal("run the sync job's `switch --to new` for every tenant first")};
  END IF;
END"""
    tag = dollar_tag(body, "gate")
    return f"DO {tag}{body}\n{tag}"


def listed(module: CheckedModule, table: Table) -> str | None:
    """The statement that lists the tenants, where it can be asked in the table's own database."""
    tenants = module.tenants
    if tenants is None or tenants.listing is None or not table.owned or module.listed_in(table) is not None:
        return None
    return tenants.listing.text


def _question(tables: tuple[Moved, ...], listing: str | None, side: Side, soak: str = "") -> str:
    of, entities = tables[0], _entities(tables)
    # Whom nobody could switch is told of to the other side with no beginning.
    unlisted = "side.since > '-infinity'" if listing is None else "false"
    known = f"SELECT side.tenant, {unlisted} FROM migdsl.side WHERE {of.scope}"
    if not of.old.tenant:
        known += "\n         UNION ALL SELECT '', true"
    if listing is not None:
        listed = f"(\n{listing.strip().rstrip(';')}\n) AS listed (tenant)"
        known += f"\n         UNION ALL SELECT CAST(listed.tenant AS text), true FROM {listed}"
    known = (
        f"SELECT every.tenant, bool_or(every.listed) FROM (\n{known}\n) AS every (tenant, listed) GROUP BY every.tenant"
    )
    rows = " OR ".join(f"EXISTS ({_rows_of(m, side)})" for m in tables) if of.old.tenant else "true"
    told = literal(f"tenants that do not write {entities} on the new side: ") + " || behind"
    told = told if of.old.tenant else literal(f"the writes of {entities} have not been turned over to the new side")
    state = "coalesce(found.state, others.state)" if of.old.tenant else "found.state"
    behind, joined, newcomers = f"{state} IS DISTINCT FROM 'new'", "", ""
    if of.old.tenant:
        joined = f"\n          LEFT JOIN migdsl.side AS others ON {of.newcomers}"
        way_out = "run the sync job's `switch --all --to new`"
        still = literal(f"tenants that come would write {entities} on the old side: {way_out}")
        newcomers = f"""
            WHEN NOT EXISTS (SELECT FROM migdsl.side AS others WHERE {of.newcomers} AND others.state = 'new')
            THEN {still}"""
    return f"""SELECT CASE WHEN behind > 0
            THEN {told}
            WHEN left_over > 0
            THEN {literal(f"tenants that are not listed any more, do not write {entities} on the new side, and still have rows ")}
                 || 'here (list them again and switch them, or delete the rows): ' || left_over{newcomers}{soak} END
  FROM (SELECT count(*) FILTER (WHERE {behind} AND known.listed) AS behind,
               count(*) FILTER (WHERE {behind} AND NOT known.listed AND ({rows})) AS left_over,
               max(found.since) FILTER (WHERE NOT ({behind})) AS latest
          FROM ({known}) AS known (tenant, listed)
          LEFT JOIN migdsl.side AS found
            ON found.migration = {literal(of.migration)} AND found.stream = {literal(of.stream)}
           AND found.tenant = known.tenant{joined}) AS side"""


def _entities(tables: tuple[Moved, ...]) -> str:
    return " and ".join(m.entity for m in tables)


def _rows_of(of: Moved, side: Side) -> str:
    """The rows that the tenant `known.tenant` has on a side."""
    place = of.at(side)
    tenant = f"CAST(nullif(known.tenant, '') AS {place.tenant_type})"
    confined = place.confined.replace(":tenant_id", tenant)
    if not place.looked_up:
        confined = f"({confined} OR (known.tenant = '' AND {place.tenant.replace(ROW, 't')} IS NULL))"  # nobody's
    return f"SELECT FROM {place.reads or f'{place.table} AS t'} WHERE {confined}"
