"""A table's move to another database becomes the statements that compare both sides, each in its own database."""

from __future__ import annotations

from migdsl.dialect.names import quote
from migdsl.ops.stream_kept import agreeing, held
from migdsl.ops.stream_model import Column, Moved, Place, Side
from migdsl.values import Value

# Of a value by itself: the hash of NULL is 0, and so is that of a numeric 0 under the seed 1, and of a float's 0 under 0.
VALUE_SEED = 2
# A column, its value over the row `t`, and what the old side has in its place.
_Given = tuple[Column, str, tuple[str, ...]]


class Compared(Value):
    """One side's statements; parameters as in the runtime's `Side`."""

    digest: str
    next_bound: str
    rows: str


def compared(moved: Moved, truth: Side, *, portable: bool = False) -> tuple[Compared, Compared]:
    """What should be there, by the side that is right, and what is on the other one: the first runs where the truth is.

    Both are compared as the new side has them: what it has merged into one value, the old side keeps as it was. And what old
    columns are given by it is compared, too, column by column: what the new side has more exactly, it keeps.
    `portable`: hashes that agree between major versions of PostgreSQL too, at ten times the cost.
    """
    given: list[_Given] = []
    there: list[_Given] = []
    for column in moved.new.columns:
        back = agreeing(moved.old, moved.new, column) or ()
        given.append((column, column.value, tuple(held(each, f"t.{quote(each.name)}") for each in back)))
        there.append((column, f"t.{quote(column.name)}", tuple(held(each, each.value) for each in back)))
    old, new = _side(moved, moved.old, given, portable), _side(moved, moved.new, there, portable)
    return (old, new) if truth == "old" else (new, old)


def repaired(moved: Moved, truth: Side = "old") -> str:
    """What mends a row, run where the truth is: whatever is wrong with it over there, its key goes through the outbox again."""
    place = moved.at(truth)
    parameters = [":key"] if len(place.key) == 1 else [f":key_{n}" for n in range(1, len(place.key) + 1)]
    keys = [f"CAST({name} AS {type_.sql})" for name, type_ in zip(parameters, moved.key_types, strict=True)]
    tenant = f"CAST(CAST(:tenant_id AS {place.tenant_type}) AS text)" if place.tenant else "''"
    return f"""INSERT INTO {moved.outbox(truth)} (lane, {", ".join(moved.key_columns)}, tenant)
SELECT {moved.lane(tuple(keys))}, {", ".join(keys)}, {tenant}
  FROM {moved.fence}({tenant}, false) AS fence (passed)
 WHERE fence.passed"""


def _side(moved: Moved, place: Place, values: list[_Given], portable: bool) -> Compared:
    names = moved.new.key
    reads = place.reads or f"{place.table} AS t"
    key = place.keyed("t")
    pairs = [(column.name, _value(column, sql), back) for column, sql, back in values if column.name not in names]
    named = ", ".join(f"{sql} AS {quote(name)}" for sql, name in zip(key, names, strict=True))
    where = f" WHERE {_within(place, key)}"
    row = [*key, *(sql for _, sql, _ in pairs)]
    columns = ",\n       ".join(
        [named, f"{_hash([*key], portable)} AS migdsl_key"]
        + [f"{_hashes(sql, back, portable)} AS {quote(name)}" for name, sql, back in pairs]
    )
    return Compared(
        digest=f"SELECT count(*) AS rows,\n       {_digest(key, row, portable)} AS hash\n  FROM {reads}\n{where}",
        next_bound=f"SELECT {named}\n  FROM {reads}\n{where}\n ORDER BY {', '.join(key)}\nOFFSET :skip\n LIMIT 1",
        rows=f"SELECT {columns}\n  FROM {reads}\n{where}\n ORDER BY {', '.join(key)}",
    )


def _hashes(sql: str, back: tuple[str, ...], portable: bool) -> str:
    """A value's hash, and behind it that of what the old side has in its place: one that is the same is enough."""
    own = _hash([sql], portable, VALUE_SEED)
    return own if not back else f"concat_ws(' ', {own},\n         {_hash([*back], portable, VALUE_SEED)})"


def _within(place: Place, key: tuple[str, ...]) -> str:
    several = len(key) > 1
    row = f"({', '.join(key)})" if several else key[0]

    def bound(name: str) -> str:
        return f"({', '.join(f':{name}_{n}' for n in range(1, len(key) + 1))})" if several else f":{name}"

    first = "_1" if several else ""
    lines = [place.confined] if place.tenant else []
    lines += [
        f"({row} > {bound('after')} OR :after{first} IS NULL)",
        f"({row} <= {bound('upto')} OR :upto{first} IS NULL)",
    ]
    return "\n   AND ".join(lines)


def _value(column: Column, sql: str) -> str:
    """A value as the column holds it; an enum's hash is one database's own, and what has no equality has no hash."""
    if column.own or not column.comparable:
        return f"CAST({sql} AS text)"
    return f"CAST({sql} AS {column.type.sql})"


def _digest(key: tuple[str, ...], row: list[str], portable: bool) -> str:
    """The rows' hashes, added up. Each has its key's hash as its seed: with one for all, two rows that have each other's
    values would add up to the same, since a row's hash is its columns' by constant factors."""
    if not portable:
        return f"sum(hash_record_extended(ROW({', '.join(row)}),\n         {_hash([*key], portable)}))"
    return f"sum({_half(row, 1)}) * 18446744073709551616\n         + sum({_half(row, 2)})"


def _hash(values: list[str], portable: bool, seed: int = 1) -> str:
    return _half(values, 1) if portable else f"hash_record_extended(ROW({', '.join(values)}), {seed})"


def _half(values: list[str], which: int) -> str:
    """One of the two halves of a row's md5 as a bigint."""
    return f"CAST(CAST('x' || substr(md5(ROW({', '.join(values)})::text), {1 if which == 1 else 17}, 16) AS bit(64)) AS bigint)"
