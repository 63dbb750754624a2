"""Fills become backfill jobs: files that show every statement that will run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migdsl.dialect.names import quote
from migdsl.emit.artifact import Artifact
from migdsl.emit.context import EmitContext
from migdsl.emit.python import block, docstring, formatted, names, quoted
from migdsl.emit.templates import render
from migdsl.ops import health, python_batches
from migdsl.ops import names as objects
from migdsl.ops.batches import Walk
from migdsl.ops.carried import Carried
from migdsl.ops.demands import backfill_name
from migdsl.ops.model import Fill, TablePlan
from migdsl.ops.stream_slot import slot_name
from migdsl.planning.streams import streams
from migdsl.semantics.model import Table
from migdsl.semantics.policy import Pace


def emit(context: EmitContext) -> Iterator[Artifact]:
    """One job for each table that has something to fill."""
    for plan in context.planned.lowered.tables:
        if plan.fills:
            path = context.planned.paths.backfill(plan.table)
            yield Artifact(path, formatted(_text(context, plan, path)), "backfill")


def _text(context: EmitContext, plan: TablePlan, path: str) -> str:
    walked = _walked(plan)
    said = context.planned.module.policy.pace(plan.table.entity)
    walk = Walk(walked, order=said.order if said else None)
    batch, remaining = _statements(context, plan, walk)
    database = context.planned.module.database(plan.home)
    ours = tuple(slot_name(each.moved[0]) for each in streams(context.planned.lowered.tables) if each.moved[0].captured)
    hold = health.question(objects.table(_written(plan)), said.pause if said is not None else None, ours)
    view: dict[str, object] = {
        "marker": context.marker,
        "docstring": docstring(_docstring(context, plan, path)),
        "migration": quoted(context.planned.plan.migration),
        "backfill": quoted(backfill_name(plan)),
        "table": quoted(objects.table(plan.table)),
        "database_env": quoted(database.url_env),
        "key": names(walk.key),
        "tenants": tenants(context, plan),
        "tenants_env": tenants_env(context, plan),
        "what": "the tenant" if _written(plan).owned else "the work",
        "upper": block(walk.upper()),
        "next_bound": block(walk.bound()),
        "batch": block(batch),
        "count": block(walk.count(walk.after(), walk.upto())),
        "remaining": block(remaining),
        "order": _order(walk),
        "trigger": not plan.unfollowed,
        **_python(plan, walk),
        **_team(context, plan, said),
        "hold": block(hold),
        "enqueues": False,
        **_pace(said),
        **(_enqueueing(plan, objects.table(walked), hold) if plan.moved is not None else {}),
    }
    return render("backfill/job.py.j2", view)


def _enqueueing(plan: TablePlan, table: str, hold: str) -> dict[str, object]:
    from migdsl.emit import streams  # most migrations stay in one database

    return streams.of_backfill(plan, table, hold)


def _walked(plan: TablePlan) -> Table:
    """The table whose rows the batches go along."""
    return plan.origin.table if plan.origin is not None else plan.table


def _written(plan: TablePlan) -> Table:
    """The table whose locks and vacuum a batch makes room for."""
    return plan.table if plan.moved is None else _walked(plan)


def _statements(context: EmitContext, plan: TablePlan, walk: Walk) -> tuple[str, str]:
    """What writes a batch (where Python computes it: what reads one), and what counts the rows that are left."""
    if plan.origin is not None:
        of = Carried(context.planned.plan.migration, plan.table, plan.origin)
        return of.batch(walk.order), of.remaining()
    wanted = " OR ".join(f.wanted for f in plan.fills)
    condition = wanted if len(plan.fills) == 1 else f"({wanted})"
    if plan.fills[0].python is not None:
        return python_batches.reading(walk, plan.fills[0].python, condition), walk.count(condition)
    return walk.update(_assignments(plan.fills), condition), walk.count(condition)


def _python(plan: TablePlan, walk: Walk) -> dict[str, object]:
    """The function that computes a column, as Python; empty where SQL does."""
    fill, python, type_ = plan.fills[0], plan.fills[0].python, plan.fills[0].type
    if python is None or type_ is None:
        return {"function": ""}
    return {
        "function": quoted(python.function),
        "inputs": names(python.inputs),
        "document": type_.base in ("json", "jsonb") and not type_.array,
        "write": block(python_batches.writing(walk, fill.column, type_, python, fill.wanted)),
    }


def _order(walk: Walk) -> str:
    """What is to be known of an order that isn't the key's, as a comment; empty where it is."""
    if walk.order is None:
        return ""
    first = "newest or greatest" if walk.order.descending else "oldest or least"
    return f"By {' '.join(walk.order.column.split())}, {first} first."


def _team(context: EmitContext, plan: TablePlan, said: Pace | None) -> dict[str, object]:
    """Who works, whom they begin with, and how much may fail, as Python; empty where the runtime's defaults hold."""
    canary = context.planned.module.rollout.canary if plan.table.owned else ()
    budget = {"rows": said.budget.rows, "share": said.budget.share} if said and said.budget else {}
    return {
        "canary": names(canary) if canary else "",
        "workers": str(said.workers) if said and said.workers else "",
        "budget": ", ".join(
            f"{name}={value!r}" for name, value in budget.items() if value is not None or name == "rows"
        ),
        "engine": quoted(said.engine) if said and said.engine else "",
    }


def _pace(said: Pace | None) -> dict[str, object]:
    """What the file says of the pace, as arguments in Python; empty where the runtime's defaults hold."""
    if said is None:
        return {"pace": "", "retry": ""}
    rows = {"first": said.rows, "floor": said.rows, "ceiling": said.rows}
    pace = {"target_ms": said.target_ms, "duty": said.duty, "rows_per_second": said.rows_per_second, **rows}
    retry = {"attempts": said.attempts, "first_s": said.first_s, "longest_s": said.longest_s}
    return {"pace": _arguments(pace), "retry": _arguments(retry)}


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
    return tenants_of(context, _written(plan))


def tenants_of(context: EmitContext, table: Table) -> str:
    """The same of a table that needn't change."""
    declared = context.planned.module.tenants
    if not table.owned or declared is None or declared.listing is None:
        return "None"
    return block(declared.listing.text)


def tenants_env(context: EmitContext, plan: TablePlan) -> str:
    """The variable of the database that has that list, as Python; empty where it is the table's own."""
    return tenants_env_of(context, _written(plan))


def tenants_env_of(context: EmitContext, table: Table) -> str:
    """The same of a table that needn't change."""
    found = context.planned.module.listed_in(table) if table.owned else None
    return quoted(found.url_env) if found is not None else ""


def _docstring(context: EmitContext, plan: TablePlan, path: str) -> str:
    database = context.planned.module.database(plan.home)
    columns, table = ", ".join(f.column for f in plan.fills), objects.table(plan.table)
    what = f"Fills {columns} of {table}"
    if plan.origin is not None:
        what = f"Inserts into {table} what the rows of {objects.table(plan.origin.table)} give"
    if plan.moved is not None:
        what = f"Puts the keys of all rows of {plan.moved.old.table} into the outbox, from where the sync job carries them over,"
    return f"""{what} for migration {context.planned.plan.migration}.

    python {path}             run, or go on where it stopped
    python {path} --dry-run   show the slices, write nothing
    python {path} --status    how far it is
    python {path} --pause     here or elsewhere: after the batches at hand, until --resume

The database is the one that {database.url_env} names. Stop it at any time: nothing is lost or done twice.{_special(plan)}"""


def _special(plan: TablePlan) -> str:
    if plan.origin is None:
        return _imported(plan)
    if plan.move is not None:
        return ""
    return f"""

Not for tenants that are live already: a row that new code has deleted from {objects.table(plan.table)} would come back."""


def _imported(plan: TablePlan) -> str:
    python = plan.fills[0].python
    if python is None:
        return ""
    return f"""

{python.function} computes it, and is imported from the folder where the job is run, or from PYTHONPATH. Run the job
once more, with --again, when no old code is left: what old code writes has no value until then."""
