"""A column, a constraint or an index becomes the line of an entity that declares it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from migdsl.introspect.model import Check, Column, Exclusion, ForeignKey, Index, Key, Part, Table
from migdsl.introspect.words import WordlessError, comment, default, is_null, name, names, sql, string, type_name, word

_CALL = re.compile(r'([a-z_][a-z0-9_]*)\(([a-z_][a-z0-9_]*|"(?:[^"]|"")+")\)')
Entities = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Line:
    """A statement and the remarks behind it."""

    text: str
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.text}  {comment('; '.join(self.remarks))}" if self.remarks else self.text


def column(of: Column, *marks: str, remarks: tuple[str, ...] = ()) -> Line:
    """`name type?` and its marks; `marks` come before those that the column itself brings."""
    text = f"{name(of.name)} {type_name(of.type)}{'?' if of.nullable else ''}"
    found = list(marks)
    if of.identity:
        found.append("identity always" if of.identity == "always" else "identity")
    if of.generated is not None:
        found.append(f"generated {sql(of.generated)}")
    if of.default is not None and not is_null(of.default):
        found.append(f"default {default(of.default, of.type)}")
    labels = of.type.labels if not text.split(" ", 1)[1].startswith("enum ") else ()
    shown = (f"enum: {', '.join(labels)}",) if labels else ()
    return Line(" ".join([text, *found]), (*remarks, *shown, *of.notes))


def key(of: Key) -> Line:
    """`key (a, b)`."""
    return Line(f"key {names(of.columns)}", of.notes)


def unique(of: Key) -> Line:
    """`unique (a, b) as name`."""
    return Line(f"unique {names(of.columns)}{_called(of.name)}", of.notes)


def check(of: Check) -> Line:
    """``check `SQL` as name``."""
    return Line(f"check {sql(of.expression)}{_called(of.name)}", of.notes)


def reference(of: ForeignKey, entities: Entities, named: bool = True) -> Line:
    """`(a, b) -> Other (c, d) on delete cascade as name`; WordlessError where the other table isn't declared."""
    entity = entities.get((of.schema, of.table))
    if entity is None:
        raise WordlessError(f"{of.schema}.{of.table} is not declared in this file")
    called = _called(of.name) if named else ""
    text = f"{names(of.columns)} -> {word(entity)} {names(of.targets)}{_deleting(of)}{called}"
    return Line(text, of.notes)


def reference_mark(of: ForeignKey, entities: Entities) -> str:
    """`-> Other.id on delete cascade`."""
    return f"-> {word(entities[of.schema, of.table])}.{name(of.targets[0])}{_deleting(of)}"


def index(of: Index, table: Table) -> Line:
    """`index (a, lower(b)) as name`, or `unique …`, with all that may follow."""
    head = "unique" if of.unique else "index"
    if of.unique and of.method != "btree":
        raise WordlessError(f"no unique index of the kind {of.method} can be said")
    text = f"{head} ({', '.join(_part(p, table) + _order(p) for p in of.parts)}){_called(of.name)}"
    if of.method != "btree":
        text += f" using {name(of.method)}"
    if of.include:
        text += f" include {names(of.include)}"
    if of.where is not None:
        text += f" where {sql(of.where)}"
    plain = of.where is None and not of.include and all(p.column and not _order(p) for p in of.parts)
    remarks = ("a unique index, no constraint",) if of.unique and plain else ()
    return Line(text, (*remarks, *_in_full(of)))


def _order(of: Part) -> str:
    text = f" {'.'.join(map(name, of.operators))}" if of.operators else ""
    text += " desc" if of.descending else ""
    return text if of.descending == of.nulls_first else f"{text} nulls {'first' if of.nulls_first else 'last'}"


def exclusion(of: Exclusion) -> Line:
    """``exclude using gist (room with "=", `SQL` with "&&") as name``."""
    parts = ", ".join(f"{_excluded(part)} with {string(operator)}" for part, operator in of.parts)
    where = f" where {sql(of.where)}" if of.where is not None else ""
    in_full = (of.definition,) if of.definition else ()
    return Line(f"exclude using {name(of.method)} ({parts}){where}{_called(of.name)}", (*of.notes, *in_full))


def _excluded(of: Part) -> str:
    return name(of.column) if of.column is not None else sql(_bare(of.expression or ""))


def _in_full(of: Index) -> tuple[str, ...]:
    return (of.definition,) if of.definition else ()


def _part(of: Part, table: Table) -> str:
    if of.column is not None:
        return name(of.column)
    text = of.expression or ""
    match = _CALL.fullmatch(text)
    if match is not None:
        inner = match[2][1:-1].replace('""', '"') if match[2].startswith('"') else match[2]
        if table.column(inner) is not None:
            return f"{name(match[1])}({name(inner)})"
    return sql(_bare(text))


def _bare(text: str) -> str:
    """An expression without the parentheses that stand around all of it."""
    if not (text.startswith("(") and text.endswith(")")) or "'" in text or '"' in text:
        return text
    depth = 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return text[1:-1] if at == len(text) - 1 else text
    return text


def _called(text: str | None) -> str:
    return f" as {name(text)}" if text else ""


def _deleting(of: ForeignKey) -> str:
    return f" on delete {of.on_delete}" if of.on_delete else ""
