"""`entity` becomes a checked table: columns, key, tenant column, and what stands on which columns."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Fix, fixes
from migdsl.diagnostics.suggest import did_you_mean
from migdsl.semantics import enums
from migdsl.semantics.constraints import constraints
from migdsl.semantics.defaults import default
from migdsl.semantics.expressions import expression
from migdsl.semantics.header import again, bad_number, free_schema
from migdsl.semantics.model import Column, Database, Table, Tenants
from migdsl.semantics.problems import Problems, sql_name
from migdsl.semantics.relations import references
from migdsl.semantics.types import column_type
from migdsl.source import Span
from migdsl.syntax import ast, lexis

_SYSTEM = frozenset("tableoid ctid xmin xmax cmin cmax".split())
_PLAIN_MARKS = frozenset(["key", "tenant", "pii", "phi", "unique"])  # they say no more than their word
_SENSITIVITY = ("public", "internal", "confidential", "pii", "phi", "unknown")


def table(
    problems: Problems, node: ast.Entity, databases: dict[str, Database], tenants: Tenants | None, word: str = "entity"
) -> Table:
    """An entity's table; `word` begins its declaration."""
    database, schema, name = place(problems, node, databases, f"{word} {_written(node.name)} in")
    columns = tuple(_columns(problems, node))
    settings = {i.key: i for i in node.items if isinstance(i, ast.Setting)}
    known = {c.name for c in columns}
    complete = node.name.text not in problems.broken
    key = _key(problems, node, columns)
    scope, reason = _scope(problems, node, settings, columns, tenants)
    return Table(
        entity=node.name.text,
        database=database,
        schema=schema,
        name=name,
        columns=columns,
        key=key if _fit(problems, node, key, columns) else (),
        scope=scope,
        scope_reason=reason,
        constraints=(*constraints(problems, node, columns, known if complete else None), *references(node)),
        rows=_rows(problems, settings.get("rows")),
        sensitivity=_sensitivity(problems, settings.get("sensitivity")),
        legacy=tuple((sql_name(i.column), i.note.value) for i in node.items if isinstance(i, ast.Legacy)),
        complete=complete,
        span=node.name.span,
        whole=node.span,
    )


def place(problems: Problems, node: ast.Entity, databases: dict[str, Database], begins: str) -> tuple[str, str, str]:
    """Where a table is: database, schema, name. `begins` is what stands before it."""
    parts = node.table
    if len(parts) == 1 and len(databases) == 1:
        only = next(iter(databases.values()))
        return only.name, only.schema, sql_name(parts[0])
    if not 2 <= len(parts) <= 3:
        span = parts[0].span.to(parts[-1].span)
        problems.error(
            "MIG001",
            span,
            "a table is written database.table or database.schema.table",
            "has too few or too many parts",
            help=_in_which(begins, parts, databases),
        )
        return "", "public", sql_name(parts[-1])
    found = databases.get(parts[0].text)
    if found is None:
        _no_database(problems, node, databases, begins)
    schema = sql_name(parts[1]) if len(parts) == 3 else (found.schema if found else "public")
    if len(parts) == 3:
        free_schema(problems, parts[1])
    return parts[0].text, schema, sql_name(parts[-1])


def _in_which(begins: str, parts: tuple[ast.Name, ...], databases: dict[str, Database]) -> str:
    """The same table with its database, where only that is missing."""
    known = [f"{begins} {name}.{_written(parts[0])}" for name in sorted(databases)[:3]]
    return " or ".join(known) if len(parts) == 1 else ""


def _no_database(problems: Problems, node: ast.Entity, databases: dict[str, Database], begins: str) -> None:
    """The first part is often meant as a schema, so the help says which part is which, and shows the line."""
    first, *rest = node.table
    if not databases or did_you_mean(first.text, databases) or first.text in problems.broken:
        problems.unknown("MIG103", "database", first.text, first.span, databases)
        return
    known = min(databases)
    table = ".".join(_written(part) for part in rest)
    help_ = f"the first part is the database, not the schema: {begins} {known}.{table}"
    if len(rest) == 1:
        help_ += f", or with the schema: {known}.{_written(first)}.{table}"
    if len(databases) > 1:
        help_ += f"; there is: {', '.join(sorted(databases)[:12])}"
    problems.error("MIG103", first.span, f"there is no database `{first.text}`", "not found", help=help_)


def _written(name: ast.Name) -> str:
    return '"' + name.text.replace('"', '""') + '"' if name.quoted else name.text


def _columns(problems: Problems, node: ast.Entity) -> Iterator[Column]:
    seen: dict[str, Span] = {}
    columns = [item for item in node.items if isinstance(item, ast.Column)]
    generated = [c.name.text for c in columns if any(m.kind == "generated" for m in c.marks)]
    stored = None
    if node.name.text not in problems.broken:
        stored = frozenset(sql_name(c.name) for c in columns if c.name.text not in generated)
    for item in columns:
        found = column(problems, item, stored)
        if found.name in seen:
            title = f"`{node.name.text}` has two columns called `{found.name}`"
            more = [(seen[found.name], "the first one")]
            problems.error(
                "MIG104",
                item.name.span,
                title,
                "the second one",
                more=more,
                help="unquoted names are folded to lower case",
            )
            continue
        seen[found.name] = item.name.span
        yield found


def column(problems: Problems, node: ast.Column, known: frozenset[str] | None = None) -> Column:
    """A column with its marks; one may be generated from the columns `known` (None where they aren't all known)."""
    marks: dict[str, ast.Mark] = {}
    for mark in node.marks:
        if mark.kind in marks:
            same = mark.kind in _PLAIN_MARKS
            place = f"column `{sql_name(node.name)}`"
            again(problems, mark.span, marks[mark.kind].span, mark.kind, place, same=same)
        marks.setdefault(mark.kind, mark)
    free_name(problems, node.name)
    if node.type.labels is not None:
        enums.check_type(problems, node)
    literal = marks["default"].literal if "default" in marks else None
    generated = marks["generated"].sql if "generated" in marks else None
    identity = marks.get("identity")
    return Column(
        name=sql_name(node.name),
        type=column_type(problems, node.type),
        nullable=node.nullable,
        span=node.name.span,
        key="key" in marks,
        tenant="tenant" in marks,
        pii="pii" in marks,
        phi="phi" in marks,
        unique="unique" in marks,
        default=default(problems, literal) if literal else None,
        identity=("always" if identity.always else "by default") if identity else None,
        generated=expression(problems, generated, "generated", known) if generated else None,
        type_span=node.type.span,
        null_span=node.null,
    )


def free_name(problems: Problems, name: ast.Name) -> None:
    """Report a name that PostgreSQL keeps for itself, in every table."""
    if sql_name(name) in _SYSTEM:
        title = f"`{sql_name(name)}` is a column that PostgreSQL has in every table"
        problems.error("MIG417", name.span, title, "no column of a table can be called so", help="use another name")


def _key(problems: Problems, node: ast.Entity, columns: tuple[Column, ...]) -> tuple[str, ...]:
    named = [i for i in node.items if isinstance(i, ast.Key)]
    marked = tuple(c.name for c in columns if c.key)
    if named and (marked or len(named) > 1):
        place = named[-1].span
        first = next(c.span for c in columns if c.key) if marked else named[0].span
        again(problems, place, first, "key", f"`{node.name.text}`")
    key = tuple(sql_name(n) for n in named[0].columns) if named else marked
    if not key and node.name.text not in problems.broken:
        title = f"`{node.name.text}` has no key"
        body = (
            "Backfill, resume and reconciliation walk a table along its primary key; "
            "without one a row can't be told from its twin."
        )
        help_ = "mark the primary key's column: id bigint key; or several: key (a, b)"
        fix = _marking(node, "id", "key")
        problems.error("MIG108", node.name.span, title, "no column is marked `key`", body=body, help=help_, fix=fix)
    return key


def _marking(node: ast.Entity, name: str, mark: str) -> Fix | None:
    """The mark behind the type of the column of this name, if there is one that is NOT NULL."""
    for item in node.items:
        if isinstance(item, ast.Column) and sql_name(item.name) == name and not item.nullable:
            after = Span(item.span.path, item.type.span.end, item.type.span.end)
            return fixes.inserting(after, f" {mark}", f"`{name}` is marked `{mark}`", safe=False)
    return None


def _fit(problems: Problems, node: ast.Entity, key: tuple[str, ...], columns: tuple[Column, ...]) -> bool:
    """Whether every row has a key: a walk along it would never come to one that is NULL."""
    loose = [c for c in columns if c.name in key and c.nullable]
    for column_ in loose:
        title = f"the key of `{node.name.text}` may be NULL"
        body = "Batches walk along the key: a row without one would never be filled, and nobody would notice."
        help_ = "a primary key's columns are NOT NULL: leave the `?` out"
        fix = fixes.replacing(column_.null_span, "", "the `?` goes", safe=True) if column_.null_span else None
        problems.error("MIG108", column_.span, title, "nullable", body=body, help=help_, fix=fix)
    return not loose


def _scope(
    problems: Problems,
    node: ast.Entity,
    settings: dict[str, ast.Setting],
    columns: tuple[Column, ...],
    tenants: Tenants | None,
) -> tuple[str, str | None]:
    marked = [c for c in columns if c.tenant]
    everywhere = settings.get("global_entity")
    if everywhere is not None:
        return "global", everywhere.texts[0].value
    if any(isinstance(i, ast.TenantVia) for i in node.items):
        return "via", None
    if tenants is not None and tenants.none_because:
        return "global", tenants.none_because
    if len(marked) > 1:
        again(problems, marked[1].span, marked[0].span, "tenant", f"`{node.name.text}`")
    if not marked and node.name.text not in problems.broken:
        title = f"`{node.name.text}` doesn't say which column holds the tenant"
        name = (tenants.key if tenants else None) or "tenant_id"
        help_ = f'mark it: {name} uuid tenant; or say why it has none: global because "…"'
        fix = _marking(node, name, "tenant")
        problems.error("MIG302", node.name.span, title, "no column is marked `tenant`", help=help_, fix=fix)
    if marked and marked[0].nullable:
        title = f"the tenant column `{marked[0].name}` may be NULL"
        body = "Rows without a tenant belong to nobody: no batch would reach them, and contract would lose their data."
        help_ = "give those rows a tenant and make the column NOT NULL first"
        # Whether the database lets it be NULL, only a look at the database can tell.
        null = marked[0].null_span
        fix = fixes.replacing(null, "", "the `?` goes, if the column is NOT NULL already", safe=False) if null else None
        problems.error("MIG304", marked[0].span, title, "nullable", body=body, help=help_, fix=fix)
    return "tenant", None


def _rows(problems: Problems, setting: ast.Setting | None) -> int | None:
    if setting is None:
        return None
    found = lexis.count(setting.numbers[0].raw)
    if found is None:
        bad_number(problems, setting.numbers[0], "count", "500k")
    return found


def _sensitivity(problems: Problems, setting: ast.Setting | None) -> str | None:
    if setting is None:
        return None
    word = setting.words[0]
    if word.text not in _SENSITIVITY:
        problems.unknown("MIG106", "sensitivity", word.text, word.span, _SENSITIVITY)
        return None
    return word.text
