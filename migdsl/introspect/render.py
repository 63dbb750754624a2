"""A catalogue becomes a file in the language, laid out as `migdsl fmt` leaves it, in which no check finds an error."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from migdsl.formatting import format_source
from migdsl.introspect import guess
from migdsl.introspect.entity import GUESS, Setting, entity, undeclarable
from migdsl.introspect.guess import Tenancy
from migdsl.introspect.model import Catalog, Table
from migdsl.introspect.settle import settled
from migdsl.introspect.words import WordlessError, comment, name, sql, string, type_name
from migdsl.source import SourceFile

OLDEST, NEWEST = 14, 18  # of the engines that the language knows
_WORD = re.compile(r"[a-z_][a-z0-9_]*")


def render(catalog: Catalog, variable: str | None, whole: Catalog | None = None) -> str:
    """The declarations of all tables. `variable` is the environment variable with the URL, which is in no output.

    `whole` is all of the database, where the catalogue is a part of it: names and guesses go by all tables.
    """
    whole = whole or catalog
    tenancy = guess.tenancy(whole)
    schema = _schema(catalog)
    entities = _entities(catalog, schema, tenancy, guess.entity_names(whole.tables))
    sections = [*_head(catalog, schema, variable, tenancy), *entities, *_others(catalog)]
    text = settled("\n\n".join(sections) + "\n")
    return format_source(SourceFile("", text)).text


def _head(catalog: Catalog, schema: str, variable: str | None, tenancy: Tenancy | None) -> Iterator[str]:
    yield comment(f"What was found in the database {catalog.database}. Look at every line that says `{GUESS}`.")
    version = min(max(catalog.version, OLDEST), NEWEST)
    known = version == catalog.version
    unknown = "" if known else f"  {comment(f'the server is {catalog.version}, which migdsl does not know')}"
    setting = "" if schema == "public" else f"schema {name(schema)}\n"
    url = f"url env {variable or 'DATABASE_URL'}"
    yield f"database {_database(catalog)} {{\nengine postgresql {version}{unknown}\n{url}\n{setting}}}"
    if not catalog.tables:
        return
    if tenancy is None:
        yield f"tenants none because {string('no column looks like a tenant')}  {comment(GUESS)}"
        return
    column = f"key {name(tenancy.column)} {type_name(tenancy.type)}"
    yield f"tenants {{\n{column}  {comment(GUESS)}\nlist {sql(tenancy.listing)}  {comment(GUESS)}\n}}"


def _database(catalog: Catalog) -> str:
    """The database's name as a word; a name that is none would make every line hard to read."""
    plain = re.sub(r"\W+", "_", catalog.database).strip("_").lower()
    return plain if _WORD.fullmatch(plain) else "app"


def _schema(catalog: Catalog) -> str:
    """The schema that need not be said: public, or else the one with the most tables."""
    counts = Counter(table.schema for table in catalog.tables if _writable(table.schema))
    if not counts or "public" in counts:
        return "public"
    return min(counts, key=lambda schema: (-counts[schema], schema))


def _writable(text: str) -> bool:
    try:
        return bool(name(text))
    except WordlessError:
        return False


def _entities(
    catalog: Catalog, schema: str, tenancy: Tenancy | None, every: Mapping[tuple[str, str], str]
) -> Iterator[str]:
    declared = {table.place: every[table.place] for table in catalog.tables if undeclarable(table) is None}
    database = _database(catalog)
    for table in catalog.tables:
        scope = tenancy.scopes[table.place] if tenancy is not None else None
        entities = declared if table.place in declared else {**declared, table.place: every[table.place]}
        yield entity(table, Setting(entities, scope, _place(database, schema, table)))


def _place(database: str, schema: str, table: Table) -> str:
    parts = [table.name] if table.schema == schema else [table.schema, table.name]
    return ".".join([database, *map(_shown, parts)])


def _shown(text: str) -> str:
    return name(text) if _writable(text) else string(text)


def _others(catalog: Catalog) -> Iterator[str]:
    if catalog.others:
        yield "\n".join([comment("Not tables of yours, and so not declared:"), *map(comment, catalog.others)])
