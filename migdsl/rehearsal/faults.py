"""What goes wrong in production, on purpose: a killed job, rows that offend."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from migdsl.dialect.names import quote
from migdsl.ops.model import TablePlan
from migdsl.rehearsal import belonging, unfilled
from migdsl.rehearsal.journal import Row
from migdsl.rehearsal.model import Mark
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.troupe import Troupe
from migdsl.rehearsal.waiting import until
from migdsl.rehearsal.writing import Codes

_BUSY = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'migdsl %'
   AND pid <> pg_backend_pid() AND wait_event_type = 'Lock' AND pg_blocking_pids(pid) @> ARRAY[{}]"""
_CONNECTED = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name LIKE {} AND application_name <> {}"""
_MOST_S = 60.0


# ------------------------------------------------------------------------------------------- the backfill


def killed(troupe: Troupe, plan: TablePlan) -> None:
    """A backfill that is killed with SIGKILL in the middle of a tenant, behind a row that somebody holds."""
    rows = unfilled.wanting(troupe, plan, troupe.tenants.quiet) if troupe.tenants.quiet is not None else []
    if not rows:
        return
    start = troupe.log.now()
    path = troupe.project.planned.paths.backfill(plan.table)
    with psycopg.connect(troupe.stage.url, application_name="rehearsal somebody") as holder:
        unfilled.hold(holder, plan, rows[len(rows) // 2][1])
        process = troupe.spawned(path, "--batch", "1", "--duty", "1", "--workers", "1")
        try:
            waiting = _BUSY.format(holder.info.backend_pid)
            met = until(
                lambda: process.poll() is not None or troupe.desk.execute(waiting.encode()).fetchone() != (0,), _MOST_S
            )
            ended = process.poll()
        finally:
            process.kill()
            process.wait()
        holder.rollback()
    named = (_sql(f"migdsl {troupe.project.name}%"), _sql(_own_name(troupe)))
    until(
        lambda: troupe.desk.execute(_CONNECTED.format(*named).replace("%", "%%").encode(), ()).fetchone() == (0,),
        _MOST_S,
    )
    troupe.log.marks.append(Mark("fault", f"backfill of {plan.table.entity} killed", start, troupe.log.now()))
    done = troupe.desk.execute(_PROGRESS, (troupe.project.name, plan.table.entity)).fetchone()
    assert done is not None
    if met and ended is None:
        troupe.log.saw("backfill", f"{plan.table.entity} killed after {done[0]} of {done[1]} rows")
        return
    how = "it didn't come so far" if ended is None else f"it ended by itself, with {ended}"
    troupe.log.unplayed["backfill"] = (
        f"the backfill of {plan.table.entity} was to be killed at a row that is held: {how}"
    )


_PROGRESS = b"""
SELECT coalesce(sum(rows_scanned), 0)::text, coalesce(sum(rows_planned), 0)::text FROM migdsl.slice
 WHERE migration = %s AND backfill LIKE %s || '%%'"""


def _own_name(troupe: Troupe) -> str:
    row = psycopg.conninfo.conninfo_to_dict(troupe.ledger.conninfo)
    return str(row.get("application_name", ""))


def _sql(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def resumed(troupe: Troupe, plan: TablePlan) -> None:
    """After the job was run again: each row of the tenant that nobody writes was passed once, and none is left."""
    quiet = troupe.tenants.quiet
    if quiet is None:
        return
    row = troupe.desk.execute(_PASSED, (troupe.project.name, quiet, plan.table.entity)).fetchone()
    assert row is not None
    scanned, planned, open_ = row
    if scanned != planned or open_:
        what = f"backfill of {plan.table.entity}: {scanned} rows passed of {planned}, {open_} slices open"
        way = "each batch must move the watermark in its own transaction, and cover (after, upto]"
        troupe.log.against("backfill", what, troupe.project.planned.paths.backfill(plan.table), way)
    else:
        troupe.log.saw("backfill", f"{plan.table.entity} resumed: {scanned} of {planned} rows passed, each once")


_PASSED = b"""
SELECT coalesce(sum(rows_scanned), 0)::text, coalesce(sum(rows_planned), 0)::text,
       count(*) FILTER (WHERE state <> 'succeeded')::int
  FROM migdsl.slice WHERE migration = %s AND tenant = %s AND backfill LIKE %s || '%%'"""


# ------------------------------------------------------------------------------------------- rows that offend


def offended(troupe: Troupe) -> list[tuple[Shape, Row]]:
    """Rows that break what is to be unique at the end, as old code may write them until then: to be mended later."""
    found = []
    tenant = troupe.tenants.quiet
    for shape in (s for s in troupe.shapes if s.later and not s.leaves and tenant is not None and s.table.tenant):
        pool = troupe.maker.pools.setdefault(shape.entity, [])
        if not pool:
            troupe.maker.stock(shape)
        inputs = _inputs(shape)
        kept = set(_unique_now(shape)) | set(shape.key)
        like = next(
            (r for r in troupe.journals[shape.entity].of(tenant or "") if all(r.facts[n] for n in inputs)), None
        )
        if like is None or not pool or inputs <= kept:
            continue
        drawn = troupe.maker.owned(shape, tenant or "", pool.pop())
        if drawn is None:
            continue
        facts = {**drawn, **{n: like.facts[n] for n in inputs - kept}}
        write = Codes(shape).insert("old")
        try:
            with troupe.desk.transaction(), psycopg.RawCursor(troupe.desk) as cursor:
                row = cursor.execute(write.text.encode(), write.values(facts)).fetchone()
        except psycopg.errors.IntegrityError:
            continue  # what it has of two rows keeps no rule of the file
        assert row is not None
        added = Row(tenant or "", shape.numbers(row, facts), facts)
        troupe.journals[shape.entity].add(added)
        found.append((shape, added))
    return found


def _inputs(shape: Shape) -> set[str]:
    made = {o.column.name: o.source.names() for o in shape.paired if o.source is not None}
    return {n for columns in shape.later for c in columns for n in made.get(c, frozenset([c]))} - {
        shape.table.tenant or ""
    }


def _unique_now(shape: Shape) -> Iterator[str]:
    yield from (c.name for c in shape.table.columns if c.unique)
    for constraint in shape.table.constraints:
        if constraint.kind in ("unique", "key") or constraint.unique_index:
            yield from constraint.uses


def mended(troupe: Troupe, offending: list[tuple[Shape, Row]]) -> None:
    """Their owners take them away."""
    for shape, row in offending:
        facts = {**row.facts, **{f"={n}": v for n, v in row.key.items()}}
        write = Codes(shape).delete("old")
        with psycopg.RawCursor(troupe.desk) as cursor:
            cursor.execute(write.text.encode(), write.values(facts))
        row.alive = False


_THERE = "SELECT bool_and(to_regclass(t) IS NOT NULL) FROM unnest(%s::text[]) AS t"


def content(troupe: Troupe, tenant: str) -> dict[str, str]:
    """A digest of all that a tenant has, by table."""
    found = {}
    tables = [(s.name, s.table) for s in troupe.shapes]
    tables += [(s.new_name, s.move.target) for s in troupe.shapes if s.move is not None]
    tables += [(f"{quote(c.table.schema)}.{quote(c.table.name)}", c.table) for s in troupe.shapes for c in s.carried]
    for name, table in tables:
        asked = [name, *belonging.owners(table)]
        there = troupe.desk.execute(_THERE, (asked,)).fetchone()
        whose = belonging.whose(table, "t")
        if whose is not None and there == (True,):
            query = f"SELECT md5(coalesce(string_agg(t::text, ' ' ORDER BY t::text), '')) FROM {name} AS t"
            row = troupe.desk.execute(f"{query} WHERE {whose}::text = %s".encode(), (tenant,)).fetchone()
            found[name] = str(row[0]) if row else ""
    return found
