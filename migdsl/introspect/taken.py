"""A migration and a live database become diagnostics: names that its steps give, and that somebody else has given already."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.introspect.connect import Session
from migdsl.ops import claims, names
from migdsl.ops.lower import lower
from migdsl.ops.model import Made, Step
from migdsl.semantics.model import AddColumn, AddConstraint, Change, CheckedModule, Database, RetypeColumn
from migdsl.semantics.phrases import called
from migdsl.source import Span

_LEDGER = """SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = 'migdsl' AND c.relname = 'snapshot'"""


def taken(module: CheckedModule, database: Database, session: Session) -> Iterator[Diagnostic]:
    """What expand would refuse: the question is the revision's own. A file without a migration gives no names."""
    if module.header is None or not module.changes:
        return
    ledger = session.rows(_LEDGER)
    if ledger and not ledger[0]["readable"]:
        return  # whose it is stands in the ledger, which is closed to this role
    for plan in lower(module).tables:
        change = next(c for c in module.changes if c.table == plan.table)
        steps = [step for step in plan.steps if step.place == database.name]
        for made in _there(session, module.header.name, steps, ledger=bool(ledger)):
            yield _diagnostic(change, made)


def _there(session: Session, migration: str, steps: list[Step], *, ledger: bool) -> tuple[Made, ...]:
    made = [each for found in claims.by_phase(steps).values() for each in found]
    rows = session.rows(claims.taken(migration, made, ledger=ledger)) if made else []
    return tuple(dict.fromkeys(Made(row["kind"], row["relation"], row["name"]) for row in rows))


def _diagnostic(change: Change, made: Made) -> Diagnostic:
    entity, column = change.table.entity, made.kind == "column"
    what = made.relation if made.kind == "relation" else f"the {made.kind} {made.name} of {made.relation}"
    ways = "drop it first, or give the new one another name" + ("" if column else ": … as NAME")
    return Diagnostic(
        "MIG737",
        Severity.ERROR,
        f"the migration would make {what}, which is in the database already",
        Label(_place(change, made), "would be called so"),
        body="It was not made by this migration, whose way back would take it along. Its first revision refuses to run.",
        help=f"declare it in `{entity}`, and change what is there; or {ways}",
    )


def _place(change: Change, made: Made) -> Span:
    return next((span for name, span in _given(change) if name == made.name), change.span)


def _given(change: Change) -> Iterator[tuple[str, Span]]:
    """Names that the file gives, or means, and where."""
    for operation in change.operations:
        if isinstance(operation, AddColumn):
            yield operation.column.name, operation.span
            yield from ((u.name or names.unique(change.table, u.columns), u.span) for u in operation.uniques)
        elif isinstance(operation, RetypeColumn):
            yield names.incoming(operation.column.name), operation.span
        elif isinstance(operation, AddConstraint):
            yield called(change.table, operation.constraint), operation.span
