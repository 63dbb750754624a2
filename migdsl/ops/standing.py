"""What an entity says stands on its columns becomes SQL that finds it in the catalog, under whatever name it goes there."""

from __future__ import annotations

from collections.abc import Iterable

from migdsl.dialect.names import literal
from migdsl.semantics.model import Constraint

_TYPES = {"unique": "u", "check": "c", "reference": "f", "exclude": "x"}


def constraint(table: str, of: Constraint) -> str:
    """The oid of a declared constraint of `table` (as SQL), as a scalar subquery; NULL where none or several fit."""
    columns = _columns("c.conrelid", "k.attnum = ANY (c.conkey)")
    return f"""(SELECT min(c.oid) FROM pg_constraint AS c
             WHERE c.conrelid = {literal(table)}::regclass AND c.contype = '{_TYPES[of.kind]}'
               AND {_fits(of, "c.conname", columns)}
            HAVING count(*) = 1)"""


def plain_index(table: str, of: Constraint) -> str:
    """The oid of a declared index, or of a unique index that is declared as a unique and belongs to no constraint."""
    columns = _columns(
        "i.indrelid",
        "k.attnum IN (SELECT d.refobjsubid FROM pg_depend AS d\n"
        "                        WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid\n"
        "                          AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid)",
    )
    # A unique index with a condition or an expression is more than any `unique`, and more than an `index` too.
    kind = "i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL" if of.kind == "unique" else "NOT i.indisunique"
    return f"""(SELECT min(i.indexrelid) FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid
             WHERE i.indrelid = {literal(table)}::regclass AND {kind}
               AND NOT EXISTS (SELECT FROM pg_constraint AS c
                                WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))
               AND {_fits(of, "x.relname", columns)}
            HAVING count(*) = 1)"""


def index(table: str, of: Constraint) -> str:
    """The oid of the index that a declared index or unique is, or stands on."""
    if of.kind != "unique":
        return plain_index(table, of)
    return f"""coalesce((SELECT c.conindid FROM pg_constraint AS c WHERE c.oid = {constraint(table, of)}),
            {plain_index(table, of)})"""


def known(table: str, of: Constraint) -> str:
    """Whether a row `d` of pg_depend is that of a declared constraint or index; never NULL."""
    found = []
    if of.kind in _TYPES:
        found.append(f"(d.classid = 'pg_constraint'::regclass AND d.objid IS NOT DISTINCT FROM {constraint(table, of)})")
    if of.kind in ("unique", "index"):
        found.append(f"(d.classid = 'pg_class'::regclass AND d.objid IS NOT DISTINCT FROM {plain_index(table, of)})")
    return "\n          OR ".join(found)


def _fits(of: Constraint, name: str, columns: str) -> str:
    """By its columns, and by the name where the entity gives one: a twin may have that name already."""
    same = f"{columns} = {_names(of.uses)}"
    return f"{name} = {literal(of.name)} AND {same}" if of.name is not None else same


def _names(columns: Iterable[str]) -> str:
    return f"ARRAY[{', '.join(literal(c) for c in sorted(columns, key=str.encode))}]::text[]"


def _columns(table: str, which: str) -> str:
    return f"""(SELECT array_agg(k.attname::text ORDER BY k.attname::text COLLATE "C") FROM pg_attribute AS k
                    WHERE k.attrelid = {table} AND {which})"""
