"""Comparisons and violations become reconciliation jobs: files that show every statement that will run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migdsl.emit.artifact import Artifact
from migdsl.emit.backfill import tenants, tenants_env
from migdsl.emit.compare_sql import Between, Comparing
from migdsl.emit.context import EmitContext
from migdsl.emit.python import block, docstring, formatted, names, quoted
from migdsl.emit.templates import render
from migdsl.emit.unlisted import unlisted
from migdsl.ops import conditions, homeward
from migdsl.ops import names as objects
from migdsl.ops.both_ways import Ways
from migdsl.ops.carried import Carried
from migdsl.ops.model import TablePlan
from migdsl.planning.facts import sides
from migdsl.semantics.model import Table
from migdsl.semantics.policy import Pace
from migdsl.syntax import lexis

_STATEMENTS = (
    "next_bound compare_old compare_new differing_old differing_new left right violated violating "
    "repair_old repair_new insert_missing delete_extra left_new right_new insert_old delete_old other_env stream "
    "sorted_old sorted_new"
).split()


def emit(context: EmitContext) -> Iterator[Artifact]:
    """One job for each table that changes."""
    for plan in context.planned.lowered.tables:
        path = context.planned.paths.reconcile(plan.table)
        yield Artifact(path, formatted(_text(context, plan, path)), "reconcile")


def _text(context: EmitContext, plan: TablePlan, path: str) -> str:
    database = context.planned.module.database(plan.home)
    listed = "None" if plan.leaves else tenants(context, plan)
    view: dict[str, object] = {
        "marker": context.marker,
        "docstring": docstring(_docstring(context, plan, path)),
        "migration": quoted(context.planned.plan.migration),
        "entity": quoted(plan.table.entity),
        "table": quoted(objects.table(plan.table if plan.moved is None or plan.origin is None else plan.origin.table)),
        "database_env": quoted(database.url_env),
        "key": names(plan.table.key),
        "tenants": listed,
        "whose": "the tenant's" if plan.table.owned else "the",
        "of_each": ", tenant by tenant" if plan.table.owned else "",
        "tenants_env": tenants_env(context, plan) if listed != "None" else "",
        **dict.fromkeys(_STATEMENTS, ""),
        **_comparison(context, plan),
        "unlisted": block(unlisted(context.planned.module, plan)) if listed != "None" else "",
        "invariants": list(_invariants(context, plan)),
        "old_writes": block(_old_writes(plan.counter)) if plan.counter else "",
        "private": private(plan.table),
        **_careful(context.planned.module.policy.pace(plan.table.entity)),
    }
    return render("reconcile/job.py.j2", view)


def _comparison(context: EmitContext, plan: TablePlan) -> dict[str, object]:
    """The statements that compare, as Python; of a table that goes away as a whole there are none: the counter is all."""
    if plan.leaves:
        return {}
    if plan.moved is not None:
        from migdsl.emit import streams  # most migrations stay in one database

        return streams.of_reconciliation(context, plan, plan.moved)
    if plan.origin is not None:
        between = Between(plan, Carried(context.planned.plan.migration, plan.table, plan.origin))
        more = {"insert_missing": between.of.insert(), "delete_extra": between.delete()}
        sides = {name: _side(getattr(between, name)()) for name in ("left", "right")}
        if plan.move is not None:
            ways = Ways(between.of, plan.move)
            more |= {"insert_old": homeward.of_one(ways), "delete_old": between.delete_old()}
            sides |= {name: _side(getattr(between, name)()) for name in ("left_new", "right_new")}
        return {**sides, **_blocks(more), **_of_rows(between)}
    sql = Comparing(plan)
    if not plan.two_sided:
        return _of_rows(sql)
    old, new = [c.drifted_old for c in plan.comparisons], [c.drifted_new for c in plan.comparisons]
    found = {
        "next_bound": sql.next_bound(),
        "compare_old": sql.compare(old),
        "compare_new": sql.compare(new),
        "differing_old": sql.differing(old),
        "differing_new": sql.differing(new),
    }
    return {**_blocks(found), **_of_rows(sql)}


def _of_rows(sql: Comparing) -> dict[str, object]:
    found = {"repair_old": sql.repair(new=False), "repair_new": sql.repair(new=True)}
    if sql.plan.violations:
        found |= {"violated": sql.violated(), "violating": sql.violating()}
    return _blocks(found)


def _blocks(statements: Mapping[str, str | None]) -> dict[str, object]:
    return {name: block(sql) if sql is not None else "" for name, sql in statements.items()}


def _side(statements: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("digest", "next_bound", "rows"), map(block, statements), strict=True))


def private(table: Table) -> str:
    """The columns of the key with personal data, as Python; empty where there are none. MIG305 refuses such a key."""
    columns = [column for name in table.key if (column := table.column(name)) is not None]
    found = tuple(column.name for column in columns if column.pii or column.phi)
    return names(found) if found else ""


def _careful(said: Pace | None) -> dict[str, object]:
    """What the file says of the backfill's pace binds the reconciliation too; how long a look takes is its own."""
    if said is None:
        return {"hold": "", "duty": "", "rows_per_second": ""}
    return {
        "hold": block(conditions.hold(said.pause)) if said.pause is not None else "",
        "duty": repr(said.duty) if said.duty is not None else "",
        "rows_per_second": repr(said.rows_per_second) if said.rows_per_second is not None else "",
    }


def _invariants(context: EmitContext, plan: TablePlan) -> Iterator[tuple[str, str]]:
    """Texts and statements, as Python. Of what a user's statement returns only the number of rows leaves the database."""
    for each in context.planned.module.policy.invariants(plan.table.entity):
        sql = lexis.dedent(each.statement.text).rstrip().rstrip(";")
        yield quoted(each.text), block(f"SELECT count(*)\n  FROM (\n{sql}\n) AS broken")


def _old_writes(counter: str) -> str:
    return f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {counter}"


def _asks(plan: TablePlan) -> str:
    """What is left to ask where there are no two sides."""
    if plan.violations:
        return "Looks for what would break a constraint to come in"
    return "Counts rows whose tenant the list leaves out in" if plan.table.owned else "Finds nothing to compare in"


def _docstring(context: EmitContext, plan: TablePlan, path: str) -> str:
    what = ", ".join(c.column for c in plan.comparisons)
    compares = f"Compares {what} of" if what else _asks(plan)
    table = objects.table(plan.table)
    if plan.origin is not None:
        came = objects.table(plan.origin.table)
        # The tables of two databases may be called alike.
        came, table = (came, table) if plan.moved is None else sides(plan)
        compares = f"Compares the rows of {came} with those of"
    repair = ""
    if any(c.mended_old for c in plan.comparisons) or plan.origin is not None:
        repair = f"\n    python {path} --repair    make rows right from the side that is true, then compare again"
    if plan.leaves:
        compares = "Counts who still writes"
    ends = "no difference and no violation of a constraint to come"
    if plan.table.owned and not plan.leaves:
        ends = "no difference, no violation of a constraint to come, no tenant that the list leaves out"
    return f"""{compares} {table} for migration {context.planned.plan.migration}.

    python {path}             compare, record the result in the ledger
    python {path} --json      the same, as JSON{repair}
    python {path} --for 10m   stop after that time; --resume goes on from there

Exit code 0 means: {ends}."""
