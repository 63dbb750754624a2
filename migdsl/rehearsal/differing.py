"""Rows of a moving table are made to differ: the reconciliation finds them, mends one tenant's alone, and its metrics say so."""

from __future__ import annotations

import tempfile
from pathlib import Path

from migdsl.dialect.names import literal, quote
from migdsl.rehearsal import moving
from migdsl.rehearsal.belonging import whose
from migdsl.rehearsal.model import Mark
from migdsl.rehearsal.passage import WAY, Passage
from migdsl.rehearsal.scrutiny import BESIDE, DRIFT, fire
from migdsl.rehearsal.shapes import Shape

_SEEN = "its comparison must see every column, in every range"
# Those of a stream fire whoever writes.
_ALWAYS = b"""
SELECT quote_ident(tgname) FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND NOT tgisinternal AND tgname LIKE '~%%'"""


def planted(passage: Passage) -> None:
    """A row of each of two tenants, behind everybody's back."""
    for shape in passage.shapes:
        with passage.traffic.resting():
            passage.drained()
            _played(passage, shape, passage.project.planned.paths.reconcile(moving.move_of(shape).target))


def _played(passage: Passage, shape: Shape, path: str) -> None:
    log, start, own = passage.log, passage.log.now(), passage.tenants
    code, metrics = _reconciled(passage, path)
    if code:
        log.against("reconciliation", f"{shape.entity} isn't clean: {code}", path, WAY)
        return
    fire(passage, metrics, frozenset(), f"{shape.entity}, clean")
    both = own.canary is not None and own.quiet is not None
    asked = (own.canary, own.quiet) if both else (None,)
    rows = [row for tenant in asked if (row := _differing(passage, shape, tenant)) is not None]
    if not rows:
        return
    log.marks.append(Mark("fault", f"rows of {shape.entity} made to differ", start, log.now()))
    code, metrics = _reconciled(passage, path)
    if code == 0:
        what = f"rows of {shape.entity} that were made to differ were not found: {', '.join(rows)}"
        log.against("reconciliation", what, path, _SEEN)
    else:
        fire(passage, metrics, frozenset([DRIFT]), f"{shape.entity}, rows that differ", BESIDE)
    _mended(passage, shape, path, rows)


def _mended(passage: Passage, shape: Shape, path: str, rows: list[str]) -> None:
    log, canary, quiet = passage.log, passage.tenants.canary, passage.tenants.quiet
    if canary is not None and quiet is not None:
        before = _content(passage, shape, quiet)
        passage.job(path, "--repair", "--tenant", canary)
        if _content(passage, shape, quiet) != before:
            what = f"a job for one tenant alone changed rows of another in {shape.entity}"
            log.against("isolation", what, path, "each statement of it must be confined to :tenant_id")
        else:
            log.saw("isolation", f"{path} for one tenant left another's rows as they were, on both sides")
    passage.job(path, "--repair")
    if passage.job(path) != 0:
        log.against("reconciliation", f"{shape.entity} isn't clean after --repair", path, WAY)
    else:
        log.saw("reconciliation", f"{shape.entity}: {len(rows)} rows that were made to differ were found and mended")


def _differing(passage: Passage, shape: Shape, of: str | None) -> str | None:
    """The key of a row that has another row's value now; of one tenant, or of any."""
    columns = moving.plantable(shape)
    if columns is None:
        return None
    name, where, keys = columns
    desk, table = passage.end(shape, "new")
    shown = " || ' ' || ".join(f"t.{quote(n)}::text" for n in keys)
    mine, others = (whose(where, row) for row in "to")
    other = f"SELECT o.{name} FROM {table} AS o WHERE {others} = {mine} AND o.{name} IS DISTINCT FROM t.{name} LIMIT 1"
    own = f"{mine}::text = {literal(of)}" if of is not None else "TRUE"
    some = f"SELECT t.ctid FROM {table} AS t WHERE {own} AND EXISTS ({other}) ORDER BY {shown} LIMIT 1"
    with desk.transaction():
        desk.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
        statement = f"UPDATE {table} AS t SET {name} = ({other}) WHERE t.ctid = ({some}) RETURNING {shown}"
        row = desk.execute(statement.encode()).fetchone()
        desk.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER".encode())
        for (trigger,) in desk.execute(_ALWAYS, (table,)).fetchall():
            desk.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}".encode())
    return None if row is None else str(row[0])


def _content(passage: Passage, shape: Shape, tenant: str) -> tuple[str, ...]:
    """A digest of a tenant's rows on both sides."""
    move, found = moving.move_of(shape), []
    for side, where in (("old", whose(move.table, "t")), ("new", whose(move.target, "t"))):
        desk, table = passage.end(shape, side)
        query = f"SELECT md5(coalesce(string_agg(t::text, ' ' ORDER BY t::text), '')) FROM {table} AS t"
        own = f" WHERE {where}::text = {literal(tenant)}" if where is not None else ""
        row = desk.execute((query + own).encode()).fetchone()
        found.append(str(row[0]) if row else "")
    return tuple(found)


def _reconciled(passage: Passage, path: str) -> tuple[int, str]:
    """The job's exit code, and the metrics that it leaves."""
    with tempfile.TemporaryDirectory(prefix="migdsl-metrics-") as folder:
        file = Path(folder, "migdsl.prom")
        code = passage.job(path, "--metrics", str(file))
        return code, file.read_text(encoding="utf-8") if file.exists() else ""
