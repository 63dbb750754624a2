"""A table becomes an entity's declaration: a line for all that the language has words for, and a remark for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from migdsl.introspect import lines
from migdsl.introspect.guess import Scope, rounded, sensitive
from migdsl.introspect.lines import Line
from migdsl.introspect.model import Column, ForeignKey, Table
from migdsl.introspect.words import WordlessError, comment, name, string, word
from migdsl.syntax import lexis

GUESS = "guess"


@dataclass(frozen=True, slots=True)
class Setting:
    """What an entity's text depends on beside its table. `scope` is None where nothing has a tenant; `place` is
    what follows `in`; `entities` are the names of all tables that are declared."""

    entities: Mapping[tuple[str, str], str]
    scope: Scope | None
    place: str


def entity(table: Table, setting: Setting) -> str:
    """The declaration; commented out, with the reason, where it can't be one."""
    head = f"entity {word(setting.entities[table.place])} in {setting.place}"
    body = "\n".join(_body(table, setting))
    text = f"{head} {{\n{body}\n}}"
    reason = undeclarable(table)
    if reason is None:
        return text
    why = comment(f"{table.schema}.{table.name} can't be declared: {reason}")
    return "\n".join([why, *(f"#   {line}" if line else "#" for line in text.splitlines())])


def undeclarable(table: Table) -> str | None:
    """Why a table can't be an entity, or None where it can."""
    if table.key is None:
        return "it has no primary key, and rows that can't be told apart can't be migrated in batches"
    for column in table.key.columns:
        try:
            lines.column(next(c for c in table.columns if c.name == column))
        except WordlessError as error:
            return f"a column of its key can't: {error}"
    try:
        name(table.name), name(table.schema)
    except WordlessError as error:
        return str(error)
    return None


def _body(table: Table, setting: Setting) -> Iterator[str]:
    yield from (comment(note) for note in table.notes)
    yield from (comment(f"trigger {t.name}: {t.events}: {t.function}{_assigning(t.assigns)}") for t in table.triggers)
    marked = set(_marked(table, setting))
    if table.readers:
        yield comment(f"read by {', '.join(table.readers)}")
    lost = set()
    for column in table.columns:
        try:
            yield str(_column(table, column, setting, [r for r in marked if r.columns == (column.name,)]))
        except WordlessError as error:
            lost.add(column.name)
            yield comment(f"column {column.name} {column.type.text} is not declared: {error}")
    yield from _constraints(table, setting, marked, lost)
    yield from _scope(setting)
    if table.rows:
        yield f"rows {_count(table.rows)}"


def _assigning(columns: tuple[str, ...]) -> str:
    return f", which sets {', '.join(columns)}" if columns else ""


def _marked(table: Table, setting: Setting) -> Iterator[ForeignKey]:
    """The references that stand behind a column's type: of one column, called as PostgreSQL calls them, one a column."""
    seen = set()
    for reference in table.references:
        usual = f"{table.name}_{'_'.join(reference.columns)}_fkey"
        if (
            len(reference.columns) == 1
            and reference.name == usual
            and reference.columns not in seen
            and (reference.schema, reference.table) in setting.entities
        ):
            seen.add(reference.columns)
            yield reference


def _column(table: Table, column: Column, setting: Setting, references: list[ForeignKey]) -> Line:
    marks, guessed = [], False
    if table.key is not None and table.key.columns == (column.name,):
        marks.append("key")
    if setting.scope is not None and setting.scope.kind == "tenant" and setting.scope.column == column.name:
        marks.append("tenant")
        guessed = True
    found = sensitive(table, column)
    if found is not None and "tenant" not in marks:
        marks.append(found)
        guessed = True
    if any(u.columns == (column.name,) and _usual_unique(table, u.name, column) and not u.notes for u in table.uniques):
        marks.append("unique")
    line = lines.column(column, *marks, remarks=(GUESS,) if guessed else ())
    pointing = [lines.reference_mark(reference, setting.entities) for reference in references]
    line = Line(line.text, (*line.remarks, *(note for reference in references for note in reference.notes)))
    if table.key is not None and table.key.columns == (column.name,):
        line = Line(line.text, (*line.remarks, *_key_remarks(table)))
    return Line(" ".join([line.text, *pointing]), line.remarks)


def _key_remarks(table: Table) -> tuple[str, ...]:
    assert table.key is not None
    usual = table.key.name == f"{table.name}_pkey"
    return (*(() if usual else (f"the key is called {table.key.name}",)), *table.key.notes)


def _usual_unique(table: Table, called: str | None, column: Column) -> bool:
    return called == f"{table.name}_{column.name}_key"


def _constraints(table: Table, setting: Setting, marked: set[ForeignKey], lost: set[str]) -> Iterator[str]:
    if table.key is not None and len(table.key.columns) > 1:
        yield str(Line(lines.key(table.key).text, _key_remarks(table)))
    for unique in table.uniques:
        column = table.column(unique.columns[0]) if len(unique.columns) == 1 and not unique.notes else None
        if column is None or column.name in lost or not _usual_unique(table, unique.name, column):
            yield _said(f"unique {unique.name}", lines.unique, unique)
    for reference in table.references:
        if reference not in marked or lost & set(reference.columns):
            usual = reference.name == f"{table.name}_{'_'.join(reference.columns)}_fkey"
            what = f"foreign key {reference.name} ({', '.join(reference.columns)})"
            yield _said(what, lines.reference, reference, setting.entities, not usual)
    for index in table.indexes:
        if index.valid:
            yield _said(f"index {index.name}", lines.index, index, table)
        else:
            yield comment(f"index {index.name} is not valid: CREATE INDEX CONCURRENTLY failed, or is at work")
    for check in table.checks:
        yield _said(f"check {check.name}", lines.check, check)
    for exclusion in table.exclusions:
        yield _said(f"exclusion {exclusion.name}", lines.exclusion, exclusion)


def _said(what: str, write: Callable[..., Line], *of: object) -> str:
    """The line, or a remark that says why there is none."""
    try:
        return str(write(*of))
    except WordlessError as error:
        return comment(f"{what} is not declared: {error}")


def _scope(setting: Setting) -> Iterator[str]:
    scope = setting.scope
    if scope is None or scope.kind == "tenant":
        return
    if scope.kind == "via" and scope.parent in setting.entities:
        yield f"tenant via {name(scope.column)} -> {word(setting.entities[scope.parent])}  {comment(GUESS)}"
    else:
        reason = scope.reason or "its parent is not declared"
        yield f"global because {string(reason)}  {comment(GUESS)}"


def _count(rows: int) -> str:
    """The shortest spelling that reads back as a whole number."""
    return next((text for text in rounded(rows) if lexis.count(text) is not None), str(rows))
