"""The streams of a migration become files: the sync job, Debezium's connector, and what jobs on two databases say besides."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import literal
from migdsl.emit import dual_writes
from migdsl.emit.artifact import Artifact, canonical_json
from migdsl.emit.context import EmitContext
from migdsl.emit.python import block, quoted
from migdsl.emit.sync_job import Keys, SyncJob, text
from migdsl.ops import debezium
from migdsl.ops import names as objects
from migdsl.ops.demands import backfill_name
from migdsl.ops.model import TablePlan
from migdsl.ops.stream_carry import enqueue
from migdsl.ops.stream_compare import Compared, compared, repaired
from migdsl.ops.stream_model import Moved
from migdsl.ops.streams import sequences
from migdsl.planning.streams import Stream, streams, texts_of_key
from migdsl.semantics.model import Table
from migdsl.semantics.move_model import Move

_MOST = {"smallint": 32_767, "integer": 2_147_483_647}


def emit(context: EmitContext) -> Iterator[Artifact]:
    """A sync job for each stream, and a connector where Debezium is to read it."""
    for stream in streams(context.planned.lowered.tables):
        path = context.planned.paths.sync(stream.table)
        job = _job(context, stream, path)
        yield Artifact(path, text(context.marker, job), "sync")
        if stream.by == "application":
            path = context.planned.paths.dual_writes(stream.table)
            made = dual_writes.text(context.marker, job, path, context.planned.paths.flags)
            yield Artifact(path, made, "dual_writes")
        if stream.variant == "debezium":
            config = debezium.connector(stream.moved, context.planned.module.database(stream.old).url_env)
            yield Artifact(context.planned.paths.cdc(stream.table), canonical_json(config), "cdc")


def _job(context: EmitContext, stream: Stream, path: str) -> SyncJob:
    module = context.planned.module
    listing = module.tenants.listing if module.tenants is not None and stream.table.owned else None
    elsewhere = module.listed_in(stream.table)
    return SyncJob(
        stream.moved,
        path,
        module.database(stream.old).url_env,
        module.database(stream.new).url_env,
        tuple(backfill_name(plan) for plan in stream.plans),
        tuple(_keys(plan.move) for plan in stream.plans if plan.move is not None),
        listing.text if listing is not None else None,
        "old" if elsewhere is None else "new",
        stream.lag_s,
    )


def _keys(move: Move) -> tuple[Keys, ...]:
    """Where both sides' numbers come from; none where the writers make them."""
    return tuple(
        Keys(old, new, _MOST.get(move.table.type_of(theirs).base, 9_223_372_036_854_775_807), (theirs, ours))
        for old, theirs, new, ours in sequences(move)
    )


def of_backfill(plan: TablePlan, table: str, hold: str) -> dict[str, object]:
    """What a job says that enqueues the keys of all rows; `hold` is what its database says of waiting."""
    assert plan.moved is not None
    assert plan.move is not None
    made = enqueue(plan.moved)
    first = debezium.nobody_reads(plan.moved) if plan.move.sync.variant == "debezium" else ""
    waiting = f"SELECT given.reason FROM (\n{first}{made.hold}\n) AS given (reason) LIMIT 1"
    return {
        "enqueues": True,
        "table": quoted(table),
        "upper": block(made.upper),
        "next_bound": block(made.next_bound),
        "batch": block(made.batch),
        "count": block(made.count),
        "remaining": block(made.remaining),
        "hold": block(f"SELECT nullif(concat_ws('; ',\n       ({hold}),\n       ({waiting})), '')"),
    }


def of_reconciliation(context: EmitContext, plan: TablePlan, moved: Moved) -> dict[str, object]:
    """What a job says that compares a table of one database with one of another."""
    found: dict[str, object] = {}
    for truth, names in (("old", ("left", "right")), ("new", ("left_new", "right_new"))):
        sides = compared(moved, "old" if truth == "old" else "new", portable=_portable(context, plan))
        found |= {name: _side(side) for name, side in zip(names, sides, strict=True)}
    mended = block(repaired(moved))
    found |= dict.fromkeys(("repair_old", "insert_missing", "delete_extra"), mended)
    again = block(repaired(moved, "new"))
    found |= dict.fromkeys(("repair_new", "insert_old", "delete_old"), again)
    return {
        **found,
        "other_env": quoted(context.planned.module.database(plan.table.database).url_env),
        "stream": quoted(moved.stream),
        "patience_s": repr(_lag(context, moved)),
        **_sorted(plan),
    }


def _sorted(plan: TablePlan) -> dict[str, object]:
    """The collations of the key on either side, where it has texts."""
    move = plan.move
    if move is None or not texts_of_key(move.table):
        return {}
    tables = (("sorted_old", move.table), ("sorted_new", move.target))
    return {name: block(_collations(table)) for name, table in tables}


def _collations(table: Table) -> str:
    columns = ", ".join(literal(name) for name in table.key)
    shown = "CASE WHEN c.collname = 'default' THEN d.datcollate ELSE c.collname END"
    return f"""SELECT CAST(c.oid::regcollation AS text) AS collation, {shown} AS shown
  FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_collation AS c ON c.oid = a.attcollation
  JOIN pg_catalog.pg_database AS d ON d.datname = current_database()
 WHERE a.attrelid = CAST({literal(objects.table(table))} AS regclass)
   AND a.attname IN ({columns})
 ORDER BY array_position(ARRAY[{columns}], CAST(a.attname AS text))"""


def _lag(context: EmitContext, moved: Moved) -> float:
    """How long a row may be on its way."""
    found = streams(context.planned.lowered.tables)
    return float(next(each.lag_s for each in found if each.name == moved.stream))


def _portable(context: EmitContext, plan: TablePlan) -> bool:
    """Hashes of two major versions needn't be the same."""
    module = context.planned.module
    return module.database(plan.home).version != module.database(plan.table.database).version


def _side(side: Compared) -> dict[str, str]:
    return {"digest": block(side.digest), "next_bound": block(side.next_bound), "rows": block(side.rows)}


__all__ = ["emit", "of_backfill", "of_reconciliation"]
