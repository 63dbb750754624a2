"""The catalogue's rows become frozen values, in an order that depends on names alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from migdsl.dialect.sameness import on_one_line
from migdsl.introspect import queries
from migdsl.introspect.connect import Session, UnreadableError
from migdsl.introspect.model import (
    Catalog,
    Check,
    Column,
    Exclusion,
    ForeignKey,
    Index,
    Key,
    Part,
    Table,
    TypeRef,
)
from migdsl.introspect.remarks import column_notes, constraint_notes, others, table_notes
from migdsl.introspect.triggers import triggers

Row = Mapping[str, Any]
OWN = "migdsl"  # the ledger's schema is none of the user's
_DELETING = {"r": "restrict", "c": "cascade", "n": "set null", "d": "set default"}


def read(session: Session) -> Catalog:
    """All tables of the database, apart from those of extensions and of PostgreSQL itself."""
    about = session.one(queries.DATABASE)
    version = about["version"]
    relations = [r for r in session.rows(queries.RELATIONS) if r["schema"] != OWN]
    source = _Source(
        relations={r["oid"]: r for r in relations},
        columns=_grouped(session.rows(queries.COLUMNS)),
        sequences={(r["relation"], r["number"]): r for r in session.rows(queries.SEQUENCES)},
        constraints=_grouped(session.rows(queries.fresh(queries.CONSTRAINTS, version, queries.CONSTRAINTS_FRESH))),
        indexes=_grouped(session.rows(queries.fresh(queries.INDEXES, version, queries.INDEXES_FRESH))),
        triggers=_grouped(session.rows(queries.TRIGGERS)),
        views=_grouped(session.rows(queries.VIEWS)),
        extras=_grouped(session.rows(queries.EXTRAS)),
    )
    declared = [r for r in relations if r["kind"] in "rp" and not r["partition"] and r["extension"] is None]
    tables = tuple(source.table(r) for r in declared)
    types = [r for r in session.rows(queries.TYPES) if r["schema"] != OWN]
    return Catalog(about["name"], version, tables, tuple(others(relations, types)))


def selected(catalog: Catalog, schemas: Collection[str], tables: Collection[str]) -> Catalog:
    """The part of the catalogue that was asked for: tables are named with or without their schema.

    Raises UnreadableError for a name that stands for nothing.
    """
    names = {t.schema for t in catalog.tables}
    for schema in schemas:
        if schema not in names:
            raise UnreadableError(f"there is no table in a schema `{schema}`", f"there is: {_listed(names)}")
    known = {t.name for t in catalog.tables} | {f"{t.schema}.{t.name}" for t in catalog.tables}
    for table in tables:
        if table not in known:
            raise UnreadableError(f"there is no table `{table}`", "name it as `schema.table` or `table`, unquoted")
    found = tuple(
        t
        for t in catalog.tables
        if (not schemas or t.schema in schemas) and (not tables or {t.name, f"{t.schema}.{t.name}"} & set(tables))
    )
    if not found and catalog.tables:
        raise UnreadableError("none of these tables is in one of these schemas", "leave --schema or --table out")
    everything = not schemas and not tables
    return Catalog(catalog.database, catalog.version, found, catalog.others if everything else ())


def _special(index: Row) -> bool:
    """Whether there is more to it than columns, expressions and operators."""
    return bool(index["collated"] or any(index["orders"]) or any(index["classes"]))


def _operators(called: str | None, schema: str | None) -> tuple[str, ...]:
    """An operator class that isn't the default, as the file would name it."""
    if called is None:
        return ()
    return (called,) if schema in (None, "pg_catalog") else (str(schema), called)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:12])


def _grouped(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row["relation"], []).append(row)
    return found


def sql_of(row: Row) -> str:
    """An expression as PostgreSQL prints it, with few parentheses and on one line."""
    if row["pretty"] is None:
        raise UnreadableError("the schema changed while it was read", "try again")
    return on_one_line(str(row["pretty"]))


class _Source:
    """All that was read, by table."""

    def __init__(
        self,
        relations: Mapping[int, Row],
        columns: Mapping[int, list[Row]],
        sequences: Mapping[tuple[int, int], Row],
        constraints: Mapping[int, list[Row]],
        indexes: Mapping[int, list[Row]],
        triggers: Mapping[int, list[Row]],
        views: Mapping[int, list[Row]],
        extras: Mapping[int, list[Row]],
    ) -> None:
        self._relations = relations
        self._columns = columns
        self._sequences = sequences
        self._constraints = constraints
        self._indexes = indexes
        self._triggers = triggers
        self._views = views
        self._extras = extras
        self._children: dict[int, list[Row]] = {}
        for each in relations.values():
            for parent in each["parents"]:
                self._children.setdefault(parent, []).append(each)
        self._numbers = {oid: {r["number"]: str(r["name"]) for r in rows} for oid, rows in columns.items()}

    def table(self, row: Row) -> Table:
        """One relation with all that stands on it."""
        oid = row["oid"]
        constraints = self._constraints.get(oid, [])
        indexes = self._indexes.get(oid, [])
        of_kind = {kind: [k for k in constraints if k["kind"] == kind] for kind in "pucfxn"}
        unproven = {number for k in of_kind["n"] if not k["validated"] for number in k["columns"]}
        details = {i["oid"]: i for i in indexes}
        return Table(
            schema=row["schema"],
            name=row["name"],
            kind=row["kind"],
            rows=self._rows(row),
            columns=tuple(self._column(c, unproven) for c in self._columns.get(oid, [])),
            key=next((self._key(oid, k, details) for k in of_kind["p"]), None),
            uniques=tuple(self._key(oid, k, details) for k in of_kind["u"]),
            checks=tuple(Check(k["name"], sql_of(k), constraint_notes(k)) for k in of_kind["c"]),
            references=tuple(self._reference(oid, k) for k in of_kind["f"]),
            indexes=tuple(self._index(oid, i) for i in indexes if not i["constrained"]),
            exclusions=tuple(self._exclusion(oid, k, details[k["index"]]) for k in of_kind["x"]),
            triggers=tuple(triggers(self._triggers.get(oid, []))),
            readers=tuple(f"{v['schema']}.{v['name']}" for v in self._views.get(oid, [])),
            notes=tuple(table_notes(row, self._parents(row), self._children.get(oid, []), self._extras.get(oid, []))),
        )

    def _parents(self, row: Row) -> list[Row]:
        return [self._relations[oid] for oid in row["parents"] if oid in self._relations]

    def _rows(self, row: Row) -> int | None:
        """The planner's estimate; of a partitioned table, that of all its partitions."""
        if row["kind"] != "p":
            return int(row["rows"]) if row["rows"] > 0 else None
        parts = (self._rows(r) for r in self._children.get(row["oid"], []))
        return sum(count or 0 for count in parts) or None

    def _column(self, row: Row, unproven: Collection[int]) -> Column:
        identity = {"a": "always", "d": "by default"}.get(row["identity"])
        computed = row["generated"] != ""
        expression = sql_of(row) if row["pretty"] is not None else None
        return Column(
            name=row["name"],
            type=TypeRef(
                row["type"],
                row["type_schema"],
                row["type_name"],
                row["type_kind"],
                row["array"],
                tuple(row["labels"] or ()),
            ),
            nullable=not row["required"] or row["number"] in unproven,
            default=None if computed else expression,
            identity=identity,
            generated=expression if computed else None,
            virtual=row["generated"] == "v",
            notes=tuple(
                column_notes(
                    row, self._sequences.get((row["relation"], row["number"])), unproven=row["number"] in unproven
                )
            ),
        )

    def _key(self, oid: int, row: Row, indexes: Mapping[int, Row]) -> Key:
        names = self._numbers[oid]
        index = indexes.get(row["index"])
        notes = list(constraint_notes(row))
        if index is not None and len(index["columns"]) > index["keys"]:
            notes.append(f"include ({', '.join(names[n] for n in index['columns'][index['keys'] :])})")
        if index is not None and index["nulls_not_distinct"]:
            notes.append("nulls not distinct")
        return Key(row["name"], tuple(names[n] for n in row["columns"]), tuple(notes))

    def _reference(self, oid: int, row: Row) -> ForeignKey:
        target = self._relations.get(row["target"])
        theirs = self._numbers.get(row["target"], {})
        notes = constraint_notes(row)
        if row["set_columns"]:
            only = ", ".join(self._numbers[oid][n] for n in row["set_columns"])
            notes = (*notes, f"on delete {_DELETING[row['deleting']]} ({only}) only")
        return ForeignKey(
            name=row["name"],
            columns=tuple(self._numbers[oid][n] for n in row["columns"]),
            schema=target["schema"] if target else "pg_catalog",
            table=target["name"] if target else "?",
            targets=tuple(theirs.get(n, "?") for n in row["targets"]),
            on_delete=_DELETING.get(row["deleting"]),
            notes=notes,
        )

    def _exclusion(self, oid: int, row: Row, index: Row) -> Exclusion:
        parts = self._parts(oid, index)
        return Exclusion(
            name=row["name"],
            method=index["method"],
            parts=tuple(zip(parts, row["operators"], strict=True)),
            where=sql_of(index) if index["pretty"] is not None else None,
            definition=row["definition"] if _special(index) or len(index["columns"]) > index["keys"] else None,
            notes=constraint_notes(row),
        )

    def _parts(self, oid: int, row: Row) -> tuple[Part, ...]:
        if None in row["parts"]:
            raise UnreadableError("the schema changed while it was read", "try again")
        keys = row["keys"]
        return tuple(
            Part(
                self._numbers[oid][number] if number > 0 else None,
                None if number > 0 else on_one_line(text),
                bool(order & 1),
                bool(order & 2),
                _operators(called, schema),
            )
            for number, text, order, called, schema in zip(
                row["columns"][:keys],
                row["parts"][:keys],
                row["orders"],
                row["classes"],
                row["class_schemas"],
                strict=True,
            )
        )

    def _index(self, oid: int, row: Row) -> Index:
        names = self._numbers[oid]
        keys = row["keys"]
        special = row["collated"] or row["nulls_not_distinct"]
        return Index(
            name=row["name"],
            parts=self._parts(oid, row),
            method=row["method"],
            unique=row["unique"],
            include=tuple(names[number] for number in row["columns"][keys:]),
            where=sql_of(row) if row["pretty"] is not None else None,
            definition=row["definition"] if special else None,
            valid=row["valid"],
        )
