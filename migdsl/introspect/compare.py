"""A checked file and a catalogue become diagnostics: where the tables that the file declares are otherwise in the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.diagnostics.suggest import did_you_mean
from migdsl.introspect import columns, constraints
from migdsl.introspect.connect import Session
from migdsl.introspect.model import Catalog, Table, Trigger
from migdsl.introspect.normal import Server, type_texts
from migdsl.introspect.underway import Underway, underway
from migdsl.introspect.waiting import waiting
from migdsl.semantics import model
from migdsl.semantics.model import CheckedModule, Database, RetypeColumn

_OURS = "~migdsl"  # what a trigger of a migration begins with


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the comparison of a table needs: both sides, and what stands around them."""

    module: CheckedModule
    catalog: Catalog
    server: Server
    entities: Mapping[str, model.Table]
    tables: Mapping[tuple[str, str], Table]
    underway: Underway


def compare(module: CheckedModule, database: Database, catalog: Catalog, session: Session) -> tuple[Diagnostic, ...]:
    """All differences, declared entity by declared entity."""
    tables = [t for t in module.tables if t.database == database.name]
    retyped = (o.to.type.sql for c in module.changes for o in c.operations if isinstance(o, RetypeColumn))
    written = (*(c.type.sql for t in tables for c in t.columns), *retyped)
    types = type_texts(session, written, (database.schema, "public"))
    entities = {t.entity: t for t in module.tables}
    places = {t.place: t for t in catalog.tables}
    context = Comparison(module, catalog, Server(session, types), entities, places, underway(module, session))
    return (*_version(database, catalog), *(found for table in tables for found in _table(context, table)))


def _version(database: Database, catalog: Catalog) -> Iterator[Diagnostic]:
    said, real = database.version, catalog.version
    if said == real:
        return
    newer = said > real
    body = (
        "What is compiled may use what that server doesn't have."
        if newer
        else "What is compiled goes by the older one's rules; some of them have changed."
    )
    yield Diagnostic(
        "MIG736",
        Severity.ERROR if newer else Severity.WARNING,
        f"the file is for PostgreSQL {said}, and the server is PostgreSQL {real}",
        Label(database.span, f"says, or means, {said}"),
        body=body,
        help=f"engine postgresql {real}",
    )


def _table(context: Comparison, table: model.Table) -> Iterator[Diagnostic]:
    found = context.tables.get((table.schema, table.name)) or context.tables.get(context.underway.place(table))
    if found is None:
        yield _missing(context.catalog, table)
        return
    yield from columns.differences(table, found, context.server, context.underway)
    yield from constraints.differences(table, found, context.entities, context.underway)
    yield from waiting(context.module, table, found)
    for trigger in found.triggers:
        if not trigger.name.startswith(_OURS):
            yield _trigger(table, trigger)


def _missing(catalog: Catalog, table: model.Table) -> Diagnostic:
    place = f"{table.schema}.{table.name}"
    other = next((text for text in catalog.others if text.split(" (")[0].split(" of ")[0].endswith(f" {place}")), None)
    elsewhere = [t for t in catalog.tables if t.name == table.name]
    known = {f"{t.schema}.{t.name}": t for t in catalog.tables}
    near = f"{elsewhere[0].schema}.{elsewhere[0].name}" if elsewhere else did_you_mean(place, known)
    help_ = f"did you mean {near}?" if near else "run the revisions that make it, or leave the entity out"
    body = f"There is a {other}." if other else ""
    return Diagnostic(
        "MIG731",
        Severity.ERROR,
        f"the database has no table {place}",
        Label(table.span, "declared here"),
        body=body,
        help=help_,
    )


def _trigger(table: model.Table, trigger: Trigger) -> Diagnostic:
    sets = f" It sets {', '.join(trigger.assigns)}." if trigger.assigns else ""
    stamping = [name for name in trigger.assigns if name.lower() in _STAMPS]
    help_ = (
        f"a backfill would stamp {stamping[0]} of every row: see that nothing goes by it meanwhile"
        if stamping
        else "see that it may run for each row that is backfilled, and that it leaves the changed columns alone"
    )
    return Diagnostic(
        "MIG735",
        Severity.WARNING,
        f"`{table.entity}` has a trigger: {trigger.name}",
        Label(table.span, "its rows don't change unnoticed"),
        body=f"It runs {trigger.events}, and calls {trigger.function}.{sets}",
        help=help_,
    )


_STAMPS = frozenset("updated_at modified_at changed_at last_modified last_updated updated modified mtime".split())
