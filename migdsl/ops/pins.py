"""A column whose behaviour is unclear becomes the SQL that counts what it holds: by kind, and by value where that is harmless."""

from __future__ import annotations

from migdsl.dialect.names import quote
from migdsl.ops.batches import Walk
from migdsl.ops.model import Lowered
from migdsl.semantics.model import Column, Table
from migdsl.values import Value

_TEXTS = frozenset(["text", "character varying", "character", "citext", "name"])
_NUMBERS = frozenset(["smallint", "integer", "bigint", "real", "double precision", "numeric"])
_TIMES = frozenset(["date", "timestamp", "timestamp with time zone"])
_SPREAD = frozenset(["uuid", "json", "jsonb", "xml", "bytea", "interval", "real", "double precision"]) | _TIMES


class Look(Value):
    """The two statements of a column, over at most `:rows` rows from either end of a tenant's keys. `values` is None where
    values are personal, or no kinds."""

    column: str
    note: str
    classes: str
    values: str | None


def pinned_tables(lowered: Lowered) -> tuple[Table, ...]:
    """The tables that a migration touches, or fills others from, and that have such a column; each once."""
    origins = (p.origin.table for p in lowered.tables if p.origin is not None)
    touched = {t.entity: t for t in (*(p.table for p in lowered.tables), *origins)}
    return tuple(table for table in touched.values() if pinned(table))


def pinned(table: Table) -> tuple[Look, ...]:
    """A table's unclear columns, each once; those that the entity doesn't have are somebody else's problem."""
    notes: dict[str, list[str]] = {}
    for name, note in table.legacy:
        notes.setdefault(name, []).append(" ".join(note.split()))
    looks = ((table.column(name), "; ".join(dict.fromkeys(said))) for name, said in notes.items())
    return tuple(_look(table, column, note) for column, note in looks if column is not None)


def _look(table: Table, column: Column, note: str) -> Look:
    value = f"t.{quote(column.name)}"
    private = column.pii or column.phi or table.sensitivity in ("pii", "phi")
    harmless = not private and not column.key and not column.tenant
    kinds = harmless and not column.type.array and column.type.base not in _SPREAD
    return Look(
        column.name,
        note,
        _counted(table, _kind(column, value)),
        # One more than are kept, and one character more: whoever counts sees that there are too many.
        _counted(table, f"left({value}::text, 81)", "\n ORDER BY count(*) DESC, 1\n LIMIT 21") if kinds else None,
    )


def _counted(table: Table, what: str, most: str = "") -> str:
    walk, end = Walk(table), Walk(table, row="e", parents="q")
    keys, ends = ([f"{row}.{quote(c)}" for c in table.key] for row in ("t", "e"))
    looks = []
    for way in ("", " DESC"):
        order = ", ".join(f"{each}{way}" for each in ends)
        lines = (
            f"(SELECT {', '.join(ends)}",
            f"  FROM {end.source()}",
            f" {end.confined()}",
            f" ORDER BY {order}",
            " LIMIT :rows)",
        )
        looks.append("\n    ".join(line for line in lines if line.strip()))
    both = "\n   UNION ALL\n   ".join(looks)
    sampled = walk.confined(f"({', '.join(keys)}) IN (\n   {both})")
    return f"SELECT {what} AS seen, count(*)\n  FROM {walk.source()}\n {sampled}\n GROUP BY 1{most}"


def _kind(column: Column, value: str) -> str:
    """The kind of value that a row holds, as a SQL expression that tells no value."""
    base = column.type.base
    rules = [(f"{value} IS NULL", "NULL")]
    if column.type.array:
        rules += [(f"cardinality({value}) = 0", "an empty list")]
        other = "a list"
    elif base in _TEXTS:
        value = f"{value}::text"  # citext would call everything lower case
        rules += [
            (f"{value} = ''", "an empty text"),
            (f"btrim({value}, E' \\t\\n\\r') = ''", "blanks alone"),
            (f"{value} <> btrim({value}, E' \\t\\n\\r')", "a text with blanks around it"),
            (f"{value} ~ '^[0-9]+$'", "digits alone"),
            (f"{value} = lower({value}) AND {value} <> upper({value})", "lower case"),
            (f"{value} = upper({value}) AND {value} <> lower({value})", "upper case"),
        ]
        other = "mixed case, or no letters"
    elif base in _NUMBERS:
        rules += [(f"{value} < 0", "a negative number"), (f"{value} = 0", "zero")]
        other = "a positive number"
    elif base == "boolean":
        rules += [(value, "true")]
        other = "false"
    elif base in _TIMES:
        rules += [(f"NOT isfinite({value})", "infinity"), (f"{value} < '1970-01-02'", "a time before 1970")]
        other = "a time"
    elif base in ("json", "jsonb"):
        return f"coalesce('JSON ' || {base}_typeof({value}), 'NULL')"
    else:
        other = "a value"
    cases = "".join(f"\n         WHEN {condition} THEN '{name}'" for condition, name in rules)
    return f"CASE{cases}\n         ELSE '{other}'\n       END"
