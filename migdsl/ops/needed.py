"""A table that moves becomes what its new database has to have: functions, types, collations, operator classes, tables.

Nobody but that database knows whether it has them; so its expand asks before it does anything else, and says which are missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.dialect import sql as dialect
from migdsl.dialect import types
from migdsl.dialect.functions import AGGREGATES, SETS, STABLE, STRICT, VOLATILE, WINDOW
from migdsl.dialect.names import dollar_tag, literal, quote
from migdsl.dialect.pgquery import Tree
from migdsl.dialect.sql import Expression
from migdsl.ops import names
from migdsl.semantics.model import CheckedModule, Constraint, Table
from migdsl.semantics.move_model import Move
from migdsl.values import Value

# Types that come with an extension of that name, or with one that has another name.
_EXTENSIONS = {"citext": "", "hstore": "", "ltree": "", "vector": "", "geometry": "postgis", "geography": "postgis"}
# PostgreSQL's own: whatever isn't here is asked for, and is found where it is PostgreSQL's too.
_PLAIN = frozenset(
    "age array_append array_cat array_position array_remove array_replace array_to_string concat concat_ws date_bin format "
    "json_build_array json_build_object jsonb_build_array jsonb_build_object jsonb_set make_date make_interval make_timestamptz "
    "num_nonnulls num_nulls overlay row_to_json string_to_array timezone to_json to_jsonb to_tsquery to_tsvector trim".split()
)
_CORE = AGGREGATES | SETS | STABLE | STRICT | VOLATILE | WINDOW | _PLAIN
# How a kind is asked for, given its name; the catalogue of the others, with its prefix and what tells whether one is seen.
_ASKED = {"type": "to_regtype", "collation": "to_regcollation", "table": "to_regclass"}
_CATALOGUES = {
    "function": ("pg_proc", "pro", "pg_function_is_visible"),
    "operator class": ("pg_opclass", "opc", "pg_opclass_is_visible"),
}


class Needed(Value):
    """One thing: `kind` is function, type, collation, operator class or table; `parts` are its schema, where that is said, and
    its name; `whence` is where it comes from."""

    kind: str
    parts: tuple[str, ...]
    whence: str = ""

    @property
    def name(self) -> str:
        """As SQL."""
        return ".".join(map(quote, self.parts))

    @property
    def shown(self) -> str:
        """As people call it."""
        return f"the {self.kind} {self.name}" + (f" ({self.whence})" if self.whence else "")


class Copy(Value):
    """A table of the new database at which the target points: a copy of `original`, where that is known."""

    constraint: Constraint
    table: Table
    original: Table | None


def needed(module: CheckedModule, move: Move) -> tuple[Needed, ...]:
    """All of it, each once, in the order of kinds and names."""
    found = {*_types(move.target), *_tables(module, move), *_called(move)}
    return tuple(sorted(found, key=lambda each: (each.kind, each.name, each.whence)))


def copies(module: CheckedModule, move: Move) -> tuple[Copy, ...]:
    """The tables that stay where the target goes, and that it points at; none where the two are in one database."""
    tables = {table.entity: table for table in module.tables}
    pointing = (
        [c for c in move.target.constraints if c.target is not None and not c.target.moved] if move.across else []
    )
    copied = dict(move.copied)
    found = []
    for constraint in pointing:
        table = tables.get(constraint.target.entity) if constraint.target else None
        if table is not None and table.database == move.target.database:
            theirs = tuple(copied.get(column, "") for column in constraint.columns)
            same = (c for c in move.table.constraints if c.target is not None and c.columns == theirs)
            of = next((c.target.entity for c in same if c.target is not None), "")
            found.append(Copy(constraint, table, tables.get(of)))
    return tuple(found)


def refusal(module: CheckedModule, move: Move) -> str | None:
    """A DO block that says which of them the database hasn't got; None where nothing but PostgreSQL is needed."""
    found = needed(module, move)
    if not found:
        return None
    lines = ",\n               ".join(f"({literal(each.shown)}, {_there(each)})" for each in found)
    hint = (
        "create what is missing there (CREATE EXTENSION, or the definition of the other database), then run this again; "
        "or say it in the file without"
    )
    body = f"""
DECLARE
  missing text;
BEGIN
  SELECT string_agg(given.what, ', ' ORDER BY given.what) INTO missing
    FROM (VALUES {lines}) AS given (what, there)
   WHERE NOT given.there;
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'the database % has not got what % needs: %', current_database(), {literal(names.table(move.target))}, missing
      USING ERRCODE = '55000', HINT = {literal(hint)};
  END IF;
END"""
    tag = dollar_tag(body, "needed")
    return f"DO {tag}{body}\n{tag}"


def _there(each: Needed) -> str:
    if each.kind in _ASKED:
        return f"{_ASKED[each.kind]}({literal(each.name)}) IS NOT NULL"
    catalogue, prefix, visible = _CATALOGUES[each.kind]
    *schema, name = each.parts
    where = f"{visible}(o.oid)"
    if schema:
        where = f"o.{prefix}namespace = to_regnamespace({literal(quote(schema[-1]))})"
    return f"EXISTS (SELECT FROM {catalogue} AS o WHERE o.{prefix}name = {literal(name)} AND {where})"


def _types(target: Table) -> Iterator[Needed]:
    for column in target.columns:
        if column.type.base in _EXTENSIONS:
            yield _extended(column.type.base)


def _extended(name: str) -> Needed:
    return Needed("type", (name,), f"of the extension {_EXTENSIONS[name] or name}")


def _tables(module: CheckedModule, move: Move) -> Iterator[Needed]:
    for copy in copies(module, move):
        yield Needed("table", (copy.table.schema, copy.table.name), copy.table.entity)


def _called(move: Move) -> Iterator[Needed]:
    """What expressions use that are computed there: defaults, checks, indexes, what is generated, and the ways home."""
    for tree in _trees(move):
        for kind, node in dialect.walk(tree):
            if kind == "FuncCall":
                yield from _named("function", node["funcname"])
            elif kind == "TypeCast" and isinstance(node.get("typeName"), dict):
                yield from _cast(node["typeName"])
            elif kind == "CollateClause":
                yield from _named("collation", node["collname"])
    for constraint in move.target.constraints:
        for part in constraint.index.parts if constraint.index else ():
            if part.operators:
                yield Needed("operator class", part.operators)


def _named(kind: str, found: Iterable[Tree]) -> Iterator[Needed]:
    parts = tuple(str(each["String"]["sval"]) for each in found)
    if parts[0] != "pg_catalog" and not (kind == "function" and len(parts) == 1 and parts[0] in _CORE):
        yield Needed(kind, parts)


def _cast(type_name: Tree) -> Iterator[Needed]:
    parts = tuple(str(each["String"]["sval"]) for each in type_name["names"])
    own = types.resolve(parts[-1], None, quoted=False, args=(), suffix="", dims=0) is not None
    if parts[-1] in _EXTENSIONS and len(parts) == 1:
        yield _extended(parts[-1])
    elif parts[0] != "pg_catalog" and not (len(parts) == 1 and own):
        yield Needed("type", parts)


def _trees(move: Move) -> Iterator[Tree]:
    target = move.target
    for column in target.columns:
        if column.default is not None:
            yield dialect.expression(column.default).tree
    found: list[Expression | None] = [column.generated for column in target.columns]
    for each in target.constraints:
        found.append(each.check)
        shape = each.index or each.exclude
        found += [part.expression for part in shape.parts] if shape else []
        found += [shape.where] if shape else []
    found += [back.expression for back in move.backs]
    yield from (each.tree for each in found if each is not None)
