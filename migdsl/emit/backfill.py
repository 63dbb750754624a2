"""Fills become backfill jobs: files that show every statement that will run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migdsl.dialect.names import quote
from migdsl.emit.artifact import Artifact
from migdsl.emit.context import EmitContext
from migdsl.emit.python import block, docstring, formatted, names, quoted
from migdsl.emit.templates import render
from migdsl.ops import conditions
from migdsl.ops import names as objects
from migdsl.ops.batches import Walk
from migdsl.ops.carried import Carried
from migdsl.ops.demands import backfill_name
from migdsl.ops.model import Fill, TablePlan
from migdsl.semantics.policy import Pace


def emit(context: EmitContext) -> Iterator[Artifact]:
    """One job for each table that has something to fill."""
    for plan in context.planned.lowered.tables:
        if plan.fills:
            path = context.planned.paths.backfill(plan.table)
            yield Artifact(path, formatted(_text(context, plan, path)), "backfill")


def _text(context: EmitContext, plan: TablePlan, path: str) -> str:
    walked = plan.origin.table if plan.origin is not None else plan.table
    walk = Walk(walked)
    batch, remaining = _statements(context, plan)
    database = context.planned.module.database(plan.table.database)
    view: dict[str, object] = {
        "marker": context.marker,
        "docstring": docstring(_docstring(context, plan, path)),
        "migration": quoted(context.planned.plan.migration),
        "backfill": quoted(backfill_name(plan)),
        "table": quoted(objects.table(plan.table)),
        "database_env": quoted(database.url_env),
        "key": names(walked.key),
        "tenants": tenants(context, plan),
        "upper": block(walk.upper()),
        "next_bound": block(walk.bound()),
        "batch": block(batch),
        "count": block(walk.count(walk.after(), walk.upto())),
        "remaining": block(remaining),
        **_pace(context.planned.module.policy.pace(plan.table.entity)),
    }
    return render("backfill/job.py.j2", view)


def _statements(context: EmitContext, plan: TablePlan) -> tuple[str, str]:
    """What writes a batch, and what counts the rows that are left."""
    if plan.origin is not None:
        of = Carried(context.planned.plan.migration, plan.table, plan.origin)
        return of.batch(), of.remaining()
    wanted = " OR ".join(f.wanted for f in plan.fills)
    condition = wanted if len(plan.fills) == 1 else f"({wanted})"
    walk = Walk(plan.table)
    return walk.update(_assignments(plan.fills), condition), walk.count(condition)


def _pace(said: Pace | None) -> dict[str, object]:
    """What the file says of the pace, as arguments in Python; empty where the runtime's defaults hold."""
    if said is None:
        return {"hold": "", "pace": "", "retry": ""}
    rows = {"first": said.rows, "floor": said.rows, "ceiling": said.rows}
    pace = {"target_ms": said.target_ms, "duty": said.duty, "rows_per_second": said.rows_per_second, **rows}
    retry = {"attempts": said.attempts, "first_s": said.first_s, "longest_s": said.longest_s}
    hold = block(conditions.hold(said.pause)) if said.pause is not None else ""
    return {"hold": hold, "pace": _arguments(pace), "retry": _arguments(retry)}


def _arguments(values: Mapping[str, float | None]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items() if value is not None)


def _assignments(fills: tuple[Fill, ...]) -> str:
    if len(fills) == 1:
        return f"{quote(fills[0].column)} = {fills[0].source}"
    # Of several columns some may be filled already, by the trigger or by new code: those keep their value.
    each = (f"{quote(f.column)} = CASE WHEN {f.wanted} THEN {f.source} ELSE t.{quote(f.column)} END" for f in fills)
    return ",\n       ".join(each)


def tenants(context: EmitContext, plan: TablePlan) -> str:
    """The statement that lists the tenants, as Python; None where the table has none."""
    declared = context.planned.module.tenants
    if not plan.table.owned or declared is None or declared.listing is None:
        return "None"
    return block(declared.listing.text)


def _docstring(context: EmitContext, plan: TablePlan, path: str) -> str:
    database = context.planned.module.database(plan.table.database)
    columns, table = ", ".join(f.column for f in plan.fills), objects.table(plan.table)
    what = f"Fills {columns} of {table}"
    if plan.origin is not None:
        what = f"Inserts into {table} what the rows of {objects.table(plan.origin.table)} give"
    return f"""{what} for migration {context.planned.plan.migration}.

    python {path}             run, or go on where it stopped
    python {path} --dry-run   show the slices, write nothing
    python {path} --status    how far it is

The database is the one that {database.url_env} names. Stop it at any time: nothing is lost or done twice.{_once(plan)}"""


def _once(plan: TablePlan) -> str:
    if plan.origin is None:
        return ""
    return f"""

Not for tenants that are live already: a row that new code has deleted from {objects.table(plan.table)} would come back."""
