"""A migration and a live database become diagnostics: what its first revision would refuse, asked by the revision's own SQL."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.names import literal
from migdsl.introspect.connect import Session
from migdsl.introspect.underway import underway
from migdsl.ops.lower import lower
from migdsl.ops.model import Group, Lowered, Step
from migdsl.semantics.model import Change, CheckedModule, CreateTable, Database, Operation
from migdsl.source import Span

_ASKS = frozenset(["check_dependents", "check_table", "check_twin"])
_LATE = "CALL migdsl.refuse_dependents("
_REFUSED = "55000"
_MADE = ("CREATE OR REPLACE FUNCTION migdsl.", "CREATE OR REPLACE PROCEDURE migdsl.")
_FORBIDDEN = frozenset(["42501", "25006"])  # no right to temporary objects, or a standby


def refusals(module: CheckedModule, database: Database, session: Session) -> Iterator[Diagnostic]:
    """What expand's questions answer. `session` may make temporary functions; nothing of it must be committed.

    A migration that has begun has asked them already, and found nothing.
    """
    if module.header is None or not module.changes or underway(module, session).begun:
        return
    lowered = lower(module).of(database.name)
    questions = list(_questions(lowered, database))
    unable = _prepare(session, lowered) if questions else None
    if unable is not None:
        yield _unasked(module.header.span, unable)
        return
    told: set[str] = set()
    for step, sql in questions:
        for said in _asked(session, sql):
            message = " ".join((said.message_primary or "").split())
            if message not in told:
                told.add(message)
                yield _diagnostic(next(c for c in module.changes if _about(c, step)), step, sql, said)


def _about(change: Change, step: Step) -> bool:
    """Whether a step is one of a change: of its table, or of what its rows come from."""
    sources = (source.table for o in change.operations if isinstance(o, CreateTable) for source in o.sources)
    return step.table in (change.table, *sources)


def _questions(lowered: Lowered, database: Database) -> Iterator[tuple[Step, str]]:
    """What expand asks, and then what contract asks of columns before it drops them: views."""
    for phase in ("expand", "contract"):
        for step in lowered.phase(phase):
            if step.table is not None and step.table.database == database.name:
                found = (sql for part in step.up if isinstance(part, Group) for sql in part.statements)
                yield from ((step, sql) for sql in found if step.operation in _ASKS or sql.startswith(_LATE))


def _prepare(session: Session, lowered: Lowered) -> str | None:
    """Makes the procedures that the questions call, for this transaction alone; why that can't be done, or None."""
    made = (
        sql
        for step in lowered.phase("expand")
        if step.operation == "create_procedures"
        for part in step.up
        if isinstance(part, Group)
        for sql in part.statements
        if any(head in sql for head in _MADE)
    )
    try:
        with session.attempt():
            session.connection.execute("SET LOCAL check_function_bodies = off")
            for sql in made:
                session.connection.execute(_temporary(sql).encode())
    except psycopg.Error as error:
        if error.sqlstate in _FORBIDDEN:
            return " ".join((error.diag.message_primary or "").split())
        raise
    return None


def _temporary(sql: str) -> str:
    """The same beside the transaction's own objects. Before the first migration there is no ledger's schema."""
    return sql.replace("'migdsl'::regnamespace", "to_regnamespace('migdsl')").replace("migdsl.", "pg_temp.")


def _asked(session: Session, sql: str) -> Iterator[psycopg.errors.Diagnostic]:
    try:
        with session.attempt():
            session.connection.execute(sql.replace("CALL migdsl.", "CALL pg_temp.", 1).encode())
    except psycopg.Error as error:
        # What isn't there, or is otherwise, the comparison tells.
        if error.sqlstate == _REFUSED:
            yield error.diag


def _diagnostic(change: Change, step: Step, sql: str, said: psycopg.errors.Diagnostic) -> Diagnostic:
    late = step.phase == "contract"
    return Diagnostic(
        "MIG738",
        Severity.WARNING if late else Severity.ERROR,
        f"{step.phase} would refuse: {' '.join((said.message_primary or '').split())}",
        Label(_place(change, sql), "for this"),
        body=(
            "There is time from expand on, when both columns are there."
            if late
            else "Its first revision asks this before it changes anything."
        ),
        help=" ".join((said.message_hint or "").split()),
    )


def _place(change: Change, sql: str) -> Span:
    """The operation whose column the question names."""
    return next((o.span for o in change.operations if _named(o, sql)), change.span)


def _named(operation: Operation, sql: str) -> bool:
    column = getattr(operation, "column", None)
    return column is not None and not isinstance(column, str) and f", {literal(column.name)}," in sql


def _unasked(place: Span, why: str) -> Diagnostic:
    return Diagnostic(
        "MIG738",
        Severity.WARNING,
        "what expand would refuse can't be asked here",
        Label(place, "not asked"),
        body=f"The database says: {why}. The questions are put by functions of one transaction, which is rolled back.",
        help="ask the primary, by a role with the right TEMPORARY on the database",
    )
