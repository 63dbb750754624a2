"""Columns that nobody is sure of become tests of the old system: files that show every statement that will run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migdsl.emit.artifact import Artifact
from migdsl.emit.backfill import tenants_env_of, tenants_of
from migdsl.emit.context import EmitContext
from migdsl.emit.python import block, docstring, formatted, quoted
from migdsl.emit.templates import render
from migdsl.ops import names as objects
from migdsl.ops.pins import Look, pinned, pinned_tables
from migdsl.semantics.model import Table


def emit(context: EmitContext) -> Iterator[Artifact]:
    """One test file for each table that the migration touches and that has such a column."""
    for table in pinned_tables(context.planned.lowered):
        path = context.planned.paths.characterization(table)
        yield Artifact(path, formatted(_text(context, table, path)), "characterization")


def _text(context: EmitContext, table: Table, path: str) -> str:
    looks = pinned(table)
    view: dict[str, object] = {
        "marker": context.marker,
        "docstring": docstring(_docstring(context, table, looks, path)),
        "migration": quoted(context.planned.plan.migration),
        "entity": quoted(table.entity),
        "schema": quoted(table.schema),
        "table": quoted(table.name),
        "database_env": quoted(context.planned.module.database(table.database).url_env),
        "tenants": tenants_of(context, table),
        "tenants_env": tenants_env_of(context, table),
        "pins": [_pin(look, number) for number, look in enumerate(looks, 1)],
    }
    return render("characterization/test.py.j2", view)


def _pin(look: Look, number: int) -> dict[str, str]:
    # Columns may be called anything, and two may differ in what no Python name can hold.
    word = re.sub(r"[^a-z0-9]+", "_", look.column.lower()).strip("_")
    named = f"{number}_{word}" if word else str(number)
    return {
        "name": f"PIN_{named.upper()}",
        "test": f"test_{named}",
        "docstring": docstring(look.note),
        "column": quoted(look.column),
        "note": quoted(look.note),
        "classes": block(look.classes),
        "by_value": block(look.values) if look.values is not None else "",
    }


def _docstring(context: EmitContext, table: Table, looks: tuple[Look, ...], path: str) -> str:
    what = ", ".join(look.column for look in looks)
    snapshot = path.rsplit("/", 1)[-1].removesuffix(".py") + ".snapshot.json"
    env = context.planned.module.database(table.database).url_env
    return f"""Pins what {what} of {objects.table(table)} holds in the system that {context.planned.plan.migration} changes.

    python {path}             the first run records, each later one compares
    python {path} --record    what it holds now is what is meant: record it anew
    pytest {path}             the same as tests

It reads the database that {env} names, in read-only transactions of some seconds at most: of 25 tenants (the same ones each
time) the first and the last 1,000 rows. What it saw is kept beside this file in {snapshot}, which is committed: kinds of values
and their shares, and no value of a column with personal data."""
