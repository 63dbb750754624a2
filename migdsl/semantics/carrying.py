"""The settings of `backfill` that say who fills rows, in which order and how many may fail become checked values."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping

from migdsl.semantics import sensitive
from migdsl.semantics.header import again, bad_number
from migdsl.semantics.model import (
    AddColumn,
    Change,
    Column,
    CreateTable,
    DropColumn,
    Operation,
    Python,
    RequireColumn,
    RetypeColumn,
    Table,
)
from migdsl.semantics.policy import Budget, Order
from migdsl.semantics.problems import Problems, sql_name
from migdsl.syntax import ast, lexis
from migdsl.values import replace

ENGINES = ("local", "procrastinate", "celery")
_MOST_WORKERS = 64
_UNORDERED = frozenset("xid xid8 cid aclitem".split())  # equality is all they have
_FUNCTION = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*(?:\.[^\W\d]\w*)*)")


def workers(problems: Problems, number: ast.Number | None) -> int | None:
    """How many tenants one process works on at a time."""
    found = lexis.count(number.raw) if number else None
    if number is not None and (not found or found > _MOST_WORKERS):
        bad_number(problems, number, f"number of workers from 1 to {_MOST_WORKERS}", "4")
    return found


def budget(problems: Problems, number: ast.Number | None) -> Budget | None:
    """How many rows may be set aside: a number of them, or a share of all."""
    if number is None:
        return None
    rows, share = lexis.count(number.raw), lexis.percent(number.raw)
    if rows is None and share is None:
        bad_number(problems, number, "number of rows, or percentage of all", "100")
        return None
    return Budget(rows, round(share / 100, 8) if share is not None else None)


def engine(problems: Problems, settings: tuple[ast.Setting, ...]) -> str | None:
    """What hands tenants to workers."""
    for setting in settings:
        if setting.key == "backfill_engine":
            word = setting.words[0]
            if word.text in ENGINES:
                return word.text
            problems.unknown("MIG106", "engine", word.text, word.span, ENGINES)
    return None


def walked(change: Change) -> Table:
    """The table along which batches walk: of a table that is filled from another one, that one."""
    sources = (s.table for o in change.operations if isinstance(o, CreateTable) for s in o.sources)
    return next(sources, change.table)


def order(
    problems: Problems, nodes: tuple[ast.Order, ...], change: Change, changes: Mapping[str, Change]
) -> Order | None:
    """The column that rows are walked by, before their key; None where none is named, or it won't do."""
    for extra in nodes[1:]:
        again(problems, extra.span, nodes[0].span, "order", "the backfill")
    for node in nodes[:1]:
        table, name = walked(change), sql_name(node.column)
        column = table.column(name)
        if column is None:
            if table.complete:
                known = [c.name for c in table.columns]
                problems.unknown("MIG102", "column", name, node.column.span, known, f"in `{table.entity}`")
            return None
        here = changes.get(table.entity)
        why = _unfit(column, here.operations if here else ())
        if any(isinstance(o, CreateTable) and o.move is not None and o.move.across for o in change.operations):
            why = ("goes to another database, by its key", "leave the order out: what is put into the outbox are keys")
        if why is None:
            return Order(column.name, node.descending, node.column.span)
        title, (label, help_) = f"batches can't walk `{table.entity}` by `{name}`", why
        problems.error("MIG432", node.column.span, title, label, more=[(column.span, "declared here")], help=help_)
    return None


def _unfit(column: Column, operations: tuple[Operation, ...]) -> tuple[str, str] | None:
    """Why batches can't walk by a column, and the way out; None where they can."""
    if column.nullable:
        return (
            "may be NULL",
            "a row without a value has no place in that order: leave the order out, or name a NOT NULL column",
        )
    if column.pii or column.phi:
        what = "is personal data, and the ledger keeps how far the batches are"
        return what, "name a column that tells nothing of a person"
    if column.tenant:
        return "is the same in every row of a tenant", "batches are one tenant's anyway: leave the order out"
    if not column.type.comparable or column.type.base in _UNORDERED:
        return (
            f"{column.type.sql} has no order",
            "name a column of a type with an order, such as a number or a timestamp",
        )
    moved = (DropColumn, RetypeColumn)
    if any(isinstance(o, moved) and o.column.name == column.name for o in operations):
        return "changes in this migration, and its index with it", "name a column that stays as it is"
    return None


def with_python(problems: Problems, nodes: list[ast.Backfill], changes: Mapping[str, Change]) -> Mapping[str, Change]:
    """The changes by entity, with the Python function of each column that one fills."""
    found = dict(changes)
    for node in nodes:
        for extra in node.usings[1:]:
            again(problems, extra.span, node.usings[0].span, "using", "the backfill")
        change = found.get(node.entity.text)
        if node.usings and change is not None:
            found[node.entity.text] = _computed(problems, node, node.usings[0], change)
    return found


def _computed(problems: Problems, node: ast.Backfill, using: ast.Using, change: Change) -> Change:
    operation = _target(problems, node, using, change)
    python = _python(problems, using, change)
    # Where it can't be told which is meant, none of them is said to lack a value: the cause has been told.
    meant = [operation] if operation is not None else [o for o in _fillable(change) if not o.complies]
    operations = tuple(_filled(o, python, change.table) if o in meant else o for o in change.operations)
    return replace(change, operations=operations)


def _filled(operation: Operation, python: Python, table: Table) -> Operation:
    if isinstance(operation, AddColumn):
        return replace(operation, python=python, column=sensitive.private(operation.column, table, python.inputs))
    return replace(operation, python=python)


def _fillable(change: Change) -> list[AddColumn | RequireColumn]:
    """The operations whose column SQL doesn't fill."""
    return [o for o in change.operations if isinstance(o, AddColumn | RequireColumn) and not o.source]


def _target(
    problems: Problems, node: ast.Backfill, using: ast.Using, change: Change
) -> AddColumn | RequireColumn | None:
    """The operation whose column Python fills."""
    entity = change.table.entity
    known = _fillable(change)
    if any(isinstance(o, CreateTable) for o in change.operations):
        title = f"Python fills no column of `{entity}`: its rows come from another table, as SQL says"
        help_ = "add the column once the rows are there, in a migration of its own, and let Python fill it then"
        problems.error("MIG433", using.span, title, "has nothing to fill", help=help_)
        return None
    if node.column is None:
        title = "nothing says which column this function computes"
        example = known[0].column.name if known else "column"
        help_ = f"name it: backfill {entity}.{example} {{ using python … }}"
        problems.error("MIG433", using.span, title, "computes one column", help=help_)
        return None
    name = sql_name(node.column)
    found = next((o for o in known if o.column.name == name), None)
    if found is None:
        filled = next((o for o in change.operations if getattr(getattr(o, "column", None), "name", "") == name), None)
        if isinstance(filled, AddColumn | RequireColumn):
            title, label = f"`{entity}.{name}` is computed twice", "by Python as well"
            help_ = "keep one of them: where SQL can say it, `from` is the better one, since the trigger knows it too"
            problems.error("MIG433", using.span, title, label, more=[(filled.span, "by `from`")], help=help_)
        elif filled is not None:
            title = f"`{entity}.{name}` is neither added nor required by this migration"
            help_ = f"Python fills a new column, or the NULLs of one: add {name} …, or require {name}"
            problems.error("MIG433", using.span, title, "Python has nothing to fill", help=help_)
        else:
            names = [o.column.name for o in known]
            where = f"that Python could fill in `{entity}`"
            problems.unknown("MIG102", "column", name, node.column.span, names, where)
    return found


def _python(problems: Problems, using: ast.Using, change: Change) -> Python:
    written = using.function.value
    match = _FUNCTION.fullmatch(written)
    if match is None or any(keyword.iskeyword(word) for word in re.split("[.:]", written)):
        title = f"`{written}` names no function"
        help_ = 'a module, a colon and the function in it: using python "app.normalise:email" from email'
        problems.error("MIG433", using.function.span, title, "not of the form module:function", help=help_)
    return Python(written, tuple(_inputs(problems, using, change)), using.span)


def _inputs(problems: Problems, using: ast.Using, change: Change) -> Iterator[str]:
    """The columns that the function is given."""
    table = change.table
    seen: set[str] = set()
    for node in using.inputs:
        name = sql_name(node)
        column = table.column(name)
        if column is None:
            if table.complete:
                known = [c.name for c in table.columns]
                problems.unknown(
                    "MIG102", "column", name, node.span, known, f"in `{table.entity}` before the migration"
                )
            continue
        why = _unreadable(column) if name not in seen else ("is named already", "once is enough")
        seen.add(name)
        if why is None:
            yield name
        else:
            title = f"Python can't be given `{table.entity}.{name}`"
            problems.error("MIG433", node.span, title, why[0], help=why[1])


def _unreadable(column: Column) -> tuple[str, str] | None:
    if column.generated is not None:
        inner = ", ".join(sorted(column.generated.names()))
        return "is generated, and not there yet when a row is written", f"name what it is generated from: {inner}"
    if not column.type.comparable:
        return (
            f"{column.type.sql} has no equality, and a value that changes meanwhile must be noticed",
            "leave it out, or store it in a type with equality: jsonb for json",
        )
    return None
