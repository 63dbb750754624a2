"""What the database holds becomes findings: the journal against the rows, the catalog against what the file declares."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import psycopg

from migdsl.diagnostics import Diagnostic, Severity
from migdsl.dialect.names import literal
from migdsl.executor.model import Project
from migdsl.folding import Finishing, Unfoldable, finish
from migdsl.introspect.compare import compare
from migdsl.introspect.connect import Address, UnreadableError, reading
from migdsl.introspect.read import read
from migdsl.rehearsal.journal import Connection, Journal, View, apart, carried_apart
from migdsl.rehearsal.leftover import undone
from migdsl.rehearsal.model import Log
from migdsl.rehearsal.rows import python_values
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.stage import Stage
from migdsl.syntax.unit import Files, unit
from migdsl.workspace import check

_MANY = 3  # findings of a kind that are told of one look; the rest is counted
_WAYS = {
    "acknowledged_writes": "what was acknowledged must be found again: see what in this step wrote the column",
    "both_sides": "the trigger (expand) or the backfill doesn't do what `from` and `back` say",
}


def rows(connection: Connection, journals: Mapping[str, Journal], view: View, log: Log) -> None:
    """Every acknowledged write is there, on both sides. Only while nobody writes."""
    told: dict[str, list[str]] = {}
    for journal in journals.values():
        if journal.shape.leaves and not _there(connection, journal.shape.name):
            continue
        try:
            found = apart(connection, journal, view)
            found += carried_apart(connection, journal) if view.filled else []
        except psycopg.Error as error:
            found = [("acknowledged_writes", f"{journal.shape.entity} can't be looked at: {error}")]
        found += _computed(connection, journal) if view.filled else []
        for verdict, what in found:
            told.setdefault(verdict, []).append(what)
    count = sum(1 for j in journals.values() for row in j.rows if row.alive)
    for verdict, ways in _WAYS.items():
        log.saw(verdict, f"{log.step}: {count} rows")
        for what in told.get(verdict, [])[:_MANY]:
            log.against(verdict, what, "", ways)
        if len(told.get(verdict, [])) > _MANY:
            log.against(verdict, f"and {len(told[verdict]) - _MANY} rows more", "", ways)


def _there(connection: Connection, name: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchone()
    return row is not None and row[0] is True


def _computed(connection: Connection, journal: Journal) -> list[tuple[str, str]]:
    """Columns that Python computes hold what it gives, or nothing, where old code has changed what it is computed from."""
    shape, found = journal.shape, []
    for made in shape.computed:
        name = made.column.name
        query = f"SELECT {_keys(shape)}, {_quoted(name)}::text FROM {shape.name}"
        if not _column(connection, shape, name):
            continue
        held = {tuple(map(str, row[:-1])): row[-1] for row in connection.execute(query.encode()).fetchall()}
        living = [row for row in journal.rows if row.alive]
        wanted = python_values(connection, shape, name, [row.facts for row in living])
        for row, value in zip(living, wanted, strict=True):
            key = tuple(row.key[n] for n in shape.key)
            if held.get(key) is not None and held[key] != value:
                found.append(
                    ("both_sides", f"{shape.entity} {' '.join(key)}: {name} isn't what {_function(made)} gives")
                )
    return found


def _function(made: object) -> str:
    return str(getattr(getattr(made, "python", None), "function", "its function"))


def _keys(shape: Shape) -> str:
    return ", ".join(f"{_quoted(n)}::text" for n in shape.key)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _column(connection: Connection, shape: Shape, name: str) -> bool:
    query = "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s AND NOT attisdropped"
    return connection.execute(query, (shape.name, name)).fetchone() == (1,)


# ------------------------------------------------------------------------------------------- the catalog


def back(stage: Stage, before: tuple[str, ...], log: Log, what: str) -> None:
    """The catalog is as it was before the step that was taken back."""
    now = stage.dump()
    if now == before:
        log.saw("catalog_back", what)
        return
    lines = difflib.unified_diff("\n".join(before).split("\n"), "\n".join(now).split("\n"), n=0, lineterm="")
    changed = [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---") and line[1:].strip()]
    said = "; ".join(" ".join(line.split()) for line in changed[:3])
    way = "the downgrade must take back all that the upgrade made, and bring back all that it took"
    log.against("catalog_back", f"after {what} the catalog isn't what it was: {said}", "", way)


_WHOLE = "rehearsal-whole.mig"  # uses all files that have entities when the migration is over


def target(
    stages: Mapping[str, Stage], project: Project, files: Mapping[str, str], main: str, log: Log, *, ours: bool = True
) -> None:
    """The catalogs, of databases by their names, are what the file says that the tables are at the end.

    `ours`: the tables were made of the entities, so that whatever is there besides was left by the migration.
    """
    texts = _folded(project, files, main)
    if isinstance(texts, str):
        log.unplayed["catalog_target"] = f"migdsl finish would refuse: {texts}"
        return
    found = check(Files(texts), _WHOLE)
    if found.module is None or not found.module.databases:
        log.unplayed["catalog_target"] = "what migdsl finish would leave can't be read"
        return
    differing: list[Diagnostic] = []
    try:
        for base in (base for base in found.module.databases if base.name in stages):
            with reading(Address(stages[base.name].url, None)) as session:
                differing += compare(found.module, base, read(session), session)
    except UnreadableError as error:
        log.against("catalog_target", error.why, "", error.help)
        return
    for each in [d for d in differing if d.severity is Severity.ERROR and d.code != "MIG736"][:_MANY]:
        log.against(
            "catalog_target", f"{each.code}: {each.title}", "", "the last revisions don't lead to what the file says"
        )
    for name, stage in stages.items() if ours else ():
        undone(stage, tuple(t for t in found.module.tables if t.database == name), log)
    log.saw("catalog_target", f"{len(found.module.tables)} tables")


def _folded(project: Project, files: Mapping[str, str], main: str) -> Mapping[str, str] | str:
    """The file's entities as `migdsl finish` would leave them; why not, where it can't."""
    module = project.planned.module
    whole = Files(dict(files))
    try:
        folded = finish(Finishing(unit(whole, main), module, "2000-01-01", None, "rehearsal/schema.mig", True))
    except Unfoldable as error:
        return error.title
    texts = {path: text for path, text in {**files, **folded}.items() if path != main}
    return {**texts, _WHOLE: "".join(f'use "{path}"\n' for path in sorted(texts))}


def exists(connection: Connection, name: str) -> bool:
    """Whether there is such a relation (SQL)."""
    return connection.execute(f"SELECT to_regclass({literal(name)}) IS NOT NULL".encode()).fetchone() == (True,)
