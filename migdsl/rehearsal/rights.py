"""Databases as they were before a migration become those of applications: roles that own nothing, whose grants may get lost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from migdsl.dialect.names import quote
from migdsl.executor.model import Project
from migdsl.ops import names
from migdsl.rehearsal.journal import Connection
from migdsl.rehearsal.model import Log
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.stage import Stage
from migdsl.runtime.errors import safe_text
from migdsl.semantics.model import CheckedModule, CreateTable, Table

# `report` reads single columns, by grants of theirs alone.
_CODES = ("old", "new", "report")
_MAY = "SELECT, INSERT, UPDATE, DELETE"
_SCHEMAS = b"""
SELECT nspname::text FROM pg_catalog.pg_namespace
 WHERE nspname NOT IN ('information_schema', 'migdsl') AND nspname NOT LIKE 'pg\\_%' ORDER BY nspname"""
_HIDES = b"SELECT count(*) > 0 FROM pg_catalog.pg_class WHERE relrowsecurity"
_NUMBERS = b"""
SELECT s.oid::regclass::text FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
 WHERE d.refobjid = to_regclass(%s) AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')"""
# NULL where there is no such table, or column.
_LACKS = b"SELECT NOT has_table_privilege(%s::name, to_regclass(%s), 'INSERT')"
_COLUMNS = b"""
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_catalog.pg_attribute
 WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"""
_CLOSED = b"""
SELECT f.place, f.name, f.before FROM unnest(%s::text[], %s::text[], %s::text[]) AS f (place, name, before)
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = to_regclass(f.place) AND a.attname = f.name AND NOT a.attisdropped
 WHERE NOT has_column_privilege(%s::name, a.attrelid, a.attnum, 'SELECT')"""
_THERE = b"SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname = ANY (%s)"
LACKING = "42501"
WAY = (
    "an application's role is no owner: the revision grants what its triggers need (GRANT … TO PUBLIC), or their functions are "
    "SECURITY DEFINER; and what takes the place of a table, a view or a column has its grants"
)
_GRANT = re.compile(r"^ *(GRANT [^;]+ TO ROLE);$", re.MULTILINE)
_FUNCTION = re.compile(r"PL/pgSQL function ([^\s(]+)\(")


def lacking(error: psycopg.Error) -> tuple[str, str] | None:
    """What a role may not do, and the way out; None where that isn't what has failed."""
    if error.sqlstate != LACKING:
        return None
    found = _FUNCTION.search(error.diag.context or "")
    inside = f", in the function {found[1]}" if found is not None else ""
    return f"{error.diag.message_primary}{inside}, to a role that has the rights of an application", WAY


@dataclass(frozen=True, slots=True)
class Place:
    """A database with its tables from before. `given`: tables to come that people give to new code, as the plan says; `asked`:
    what else code is told to ask for, over ROLE; `records`: its router writes into the ledger."""

    stage: Stage
    desk: Connection
    shapes: tuple[Shape, ...]
    given: tuple[Table, ...] = ()
    asked: tuple[str, ...] = ()
    records: bool = False


@dataclass(slots=True)
class Rights:
    """Who code connects as. `name`: what roles are called, each with an age of code; None: as whoever it is that rehearses."""

    places: tuple[Place, ...] = ()
    log: Log = field(default_factory=Log)
    name: str | None = None
    _told: set[str] = field(default_factory=set)

    def options(self, code: str) -> str:
        """Of a connection: nobody has to let a role in that is taken on by whoever may."""
        return "" if self.name is None else f" -c role={self.role(code)}"

    def role(self, code: str) -> str:
        """A role's name."""
        return f"{self.name}_{code}"

    def reached(self, phase: str) -> None:
        """People give what they are told to give at a phase; and who could read a column can read it still."""
        for place in self.places if self.name is not None else ():
            self._asked(place, phase)
            for table in place.given:
                self._new(place.desk, table)
            for shape in place.shapes:
                self._readable(place.desk, shape)

    def _asked(self, place: Place, phase: str) -> None:
        """docs/routing.md and the modules of dual writes say which."""
        new = self.role("new")
        if place.records and place.desk.execute(_LACKS, (new, "migdsl.event")).fetchone() == (True,):
            place.desk.execute(f"GRANT USAGE ON SCHEMA migdsl TO {new}".encode())
            place.desk.execute(f"GRANT SELECT, INSERT ON migdsl.event TO {new}".encode())
        for statement in place.asked if phase == "expand" else ():
            try:
                place.desk.execute(statement.replace(" TO ROLE", f" TO {new}").encode())
            except psycopg.Error as error:
                what = f"what the generated module asks to be granted can't be: {safe_text(error)}"
                self.log.against(
                    "traffic", what, statement, "the top of that module says which grants its code needs: see there"
                )

    def _new(self, desk: Connection, table: Table) -> None:
        new, name = self.role("new"), names.table(table)
        if desk.execute(_LACKS, (new, name)).fetchone() != (True,):
            return
        # A schema that was there has grants of its own, and stays when the table goes.
        enters = desk.execute("SELECT has_schema_privilege(%s::name, %s, 'USAGE')", (new, table.schema)).fetchone()
        if enters != (True,):
            desk.execute(f"GRANT USAGE ON SCHEMA {quote(table.schema)} TO {new}".encode())
        desk.execute(f"GRANT {_MAY} ON {name} TO {new}".encode())
        for (sequence,) in desk.execute(_NUMBERS, (name,)).fetchall():
            desk.execute(f"GRANT USAGE, SELECT ON SEQUENCE {sequence} TO {new}".encode())

    def _readable(self, desk: Connection, shape: Shape) -> None:
        """By grants of single columns: a column that takes the place of another has what that one had."""
        followed = [list(each) for each in zip(*_followed(shape), strict=True)]
        for table, column, before in desk.execute(_CLOSED, (*followed, self.role("report"))).fetchall():
            was, now = f"{shape.name}.{before}", f"{table}.{column}"
            it = "it any more" if now == was else f"{now}, which is that column now"
            what = f"a role with SELECT on {was} alone may not read {it}"
            if what not in self._told:
                self._told.add(what)
                way = (
                    f"what takes the place of {was} gets the grants of that column, too (GRANT SELECT ({column}) ON …)"
                )
                self.log.against("traffic", what, "", way)


def _followed(shape: Shape) -> Iterator[tuple[str, str, str]]:
    """A table (SQL), a column of it, and the column from before that this one is."""
    # Of a table that gets a new name, the old one is a view by then.
    known = {shape.name, shape.name if shape.move is not None else shape.new_name}
    yield from ((table, c.name, c.name) for table in sorted(known) for c in shape.table.columns)
    yield from ((shape.name, o.column.name, o.like) for o in shape.made if o.like is not None)
    if shape.move is not None and not shape.move.across:
        yield from ((shape.new_name, ours, theirs) for ours, theirs in shape.move.copied)


def by_hand(module: CheckedModule, database: str) -> tuple[Table, ...]:
    """Tables to come of a database, on which people give new code its grants: what moves within one has those of the old one."""
    made = [o for change in module.changes for o in change.operations if isinstance(o, CreateTable)]
    return tuple(o.table for o in made if o.table.database == database and (o.move is None or o.move.across))


def wanted(project: Project) -> tuple[str, ...]:
    """What the modules of dual writes tell people to grant, over ROLE: as they are played, and not as they were compiled."""
    paths = project.planned.paths
    modules = dict.fromkeys(paths.dual_writes(move.table) for move in project.planned.module.moves)
    texts = [project.texts.get(path, "") for path in modules]
    return tuple(dict.fromkeys(each for text in texts for each in _GRANT.findall(text)))


# ------------------------------------------------------------------------------------------- given, and taken back


@contextmanager
def lent(places: Sequence[Place], log: Log, *, keep: bool) -> Iterator[Rights]:
    """Roles with what applications have before a migration, until the block ends; none of them where nobody may make any."""
    name = _name(places[0].desk)
    rights = Rights(tuple(places), log)
    try:
        try:
            _made(places, name, log)
            rights.name = name
        except psycopg.errors.InsufficientPrivilege as error:
            log.notes.append(
                f"not played: rights of an application ({safe_text(error)}): code ran as the role of --url"
            )
        yield rights
    finally:
        if not keep:
            _taken(places, name, log)


def _name(desk: Connection) -> str:
    """Roles are the whole server's, and a database is rehearsed in by one at a time."""
    row = desk.execute("SELECT oid::text FROM pg_catalog.pg_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return f"migdsl_rehearsal_{row[0]}"


def _made(places: Sequence[Place], name: str, log: Log) -> None:
    desk = places[0].desk
    hidden = any(place.desk.execute(_HIDES).fetchone() == (True,) for place in places)
    _taken(places, name, log)  # of a rehearsal that was killed
    for code in _CODES:
        role = f"{name}_{code}"
        desk.execute(f"CREATE ROLE {role} NOLOGIN{' BYPASSRLS' if hidden else ''}".encode())
        desk.execute(f"GRANT {role} TO CURRENT_USER".encode())
    desk.execute(f"GRANT {name}_old TO {name}_new".encode())
    for place in places:
        for statement in _before(place, name):
            place.desk.execute(statement.encode())
    if hidden:
        log.notes.append("code passes by row level security: its policies are the tables' own, and aren't rehearsed")
    log.saw("traffic", "code has the rights of an application, and not those of the tables' owner")


def _before(place: Place, name: str) -> Iterator[str]:
    """What an application has: all that is there, since triggers of its own may write what no entity is."""
    for (schema,) in place.desk.execute(_SCHEMAS).fetchall():
        inside = f"IN SCHEMA {quote(str(schema))} TO {name}_old"
        yield f"GRANT USAGE ON SCHEMA {quote(str(schema))} TO {name}_old, {name}_report"
        yield f"GRANT {_MAY} ON ALL TABLES {inside}"
        yield f"GRANT USAGE, SELECT ON ALL SEQUENCES {inside}"
        yield f"GRANT EXECUTE ON ALL ROUTINES {inside}"
    for shape in place.shapes:
        for (columns,) in place.desk.execute(_COLUMNS, (shape.name,)).fetchall():
            yield f"GRANT SELECT ({columns}) ON {shape.name} TO {name}_report"


def _taken(places: Sequence[Place], name: str, log: Log) -> None:
    """With all that they were given, in every database; by other connections, since those of the play may be in the middle of
    something that was interrupted."""
    known = [f"{name}_{code}" for code in _CODES]
    try:
        for place in places:
            with place.stage.connect() as desk:
                desk.execute("SET lock_timeout = '20s'")
                roles = ", ".join(str(role) for (role,) in desk.execute(_THERE, (known,)).fetchall())
                if roles:
                    desk.execute(f"DROP OWNED BY {roles}".encode())
        with places[0].stage.connect() as desk:
            for (role,) in desk.execute(_THERE, (known,)).fetchall():
                desk.execute(f"DROP ROLE {role}".encode())
    except psycopg.Error as error:
        log.notes.append(f"the roles {name}_… are left behind ({safe_text(error)}): DROP OWNED BY, then DROP ROLE")
