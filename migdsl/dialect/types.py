"""PostgreSQL's types: a type as written becomes its canonical SQL, or a list of what it may have meant."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from migdsl.dialect.names import qualified, quote

_ALIASES = {
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "float": "double precision",
    "decimal": "numeric",
    "bool": "boolean",
    "char": "character",
    "varchar": "character varying",
    "timestamptz": "timestamp with time zone",
    "timestamp without time zone": "timestamp",
    "timetz": "time with time zone",
    "time without time zone": "time",
    "varbit": "bit varying",
}
# An interval may keep some of its fields only; seconds may have a precision.
_INTERVALS = tuple(
    f"interval {fields}"
    for fields in (
        "year|month|day|hour|minute|second|year to month|day to hour|day to minute|day to second|hour to minute|"
        "hour to second|minute to second"
    ).split("|")
)
_KNOWN = frozenset(
    [
        *"smallint integer bigint real numeric money boolean text citext uuid json jsonb xml bytea date time timestamp".split(),
        "interval",
        *_INTERVALS,
        *"inet cidr macaddr macaddr8 bit point line lseg box path polygon circle tsvector tsquery name oid hstore ltree".split(),
        *"int4range int8range numrange tsrange tstzrange daterange vector geometry geography pg_lsn txid_snapshot".split(),
        *"int4multirange int8multirange nummultirange tsmultirange tstzmultirange datemultirange pg_snapshot".split(),
        "double precision",
        "character varying",
        "character",
        "bit varying",
        "timestamp with time zone",
        "time with time zone",
    ]
)
# No equality operator, so that neither triggers nor reconciliation could tell whether two values differ.
_INCOMPARABLE = frozenset("json xml point line lseg box path polygon circle geometry geography".split())
# How many arguments a type takes at most; one that isn't here takes none.
_ARGUMENTS = {
    "numeric": 2,
    **dict.fromkeys("character bit time timestamp interval vector".split(), 1),
    **dict.fromkeys(["character varying", "bit varying", "timestamp with time zone", "time with time zone"], 1),
    **dict.fromkeys((name for name in _INTERVALS if name.endswith("second")), 1),
}
_DIGITS = re.compile(r"\d+")
# What stands for a number with a sequence of its own.
SERIAL = {"serial": "integer", "bigserial": "bigint", "smallserial": "smallint"}


@dataclass(frozen=True, slots=True)
class SqlType:
    """A type. `sql` is its canonical spelling, `base` the same without length, precision and array brackets.

    `labels` are those of an enum that is spelt out. `known` is False where it only stands in for a type that could not be read.
    `serial`: it was written as one, a number with a sequence of its own.
    """

    sql: str
    base: str
    array: bool = False
    known: bool = True
    labels: tuple[str, ...] = ()
    serial: bool = field(default=False, compare=False)

    @property
    def built_in(self) -> bool:
        """Whether every database has it, or gets it with an extension of that name."""
        return self.base in _KNOWN

    @property
    def comparable(self) -> bool:
        """Whether values of it can be compared for equality."""
        return self.base not in _INCOMPARABLE


def known_names() -> list[str]:
    """What a built-in type may be called, for suggestions."""
    return sorted(_KNOWN | set(_ALIASES) | set(SERIAL))


def resolve(
    name: str, schema: str | None, quoted: bool, args: tuple[str, ...], suffix: str, dims: int
) -> SqlType | None:
    """The type that was written, or None where PostgreSQL has none of that name.

    Quoted and qualified names are the user's own types and are taken as they are.
    """
    brackets = "[]" * dims
    arguments = f"({', '.join(args)})" if args else ""
    if schema is not None or quoted:
        sql = qualified(schema, name) if schema is not None else quote(name)
        return SqlType(sql + arguments + brackets, sql, bool(dims))
    whole = " ".join(part for part in (name.lower(), suffix.lower()) if part)
    base = _ALIASES.get(whole, whole)
    base = SERIAL.get(base, base)
    if whole == "float" and len(args) == 1 and _counts(base, args):
        base, args, arguments = ("real" if int(args[0]) <= 24 else "double precision"), (), ""
    if base not in _KNOWN or len(args) > _ARGUMENTS.get(base, 0) or not _counts(base, args):
        return None
    return SqlType(_spell(base, arguments) + brackets, base, bool(dims), serial=whole in SERIAL)


def _counts(base: str, args: tuple[str, ...]) -> bool:
    """Whether the arguments are whole numbers, of a size to be told; a scale may be negative, and round before the point."""
    digits = [arg.removeprefix("-" if base == "numeric" and at else "") for at, arg in enumerate(args)]
    return all(each.isdecimal() and each.isascii() and len(each) <= 10 for each in digits)


def _spell(base: str, arguments: str) -> str:
    """`timestamp with time zone` + `(3)` → `timestamp(3) with time zone`."""
    head, _, zone = base.partition(" with time zone")
    return head + arguments + (" with time zone" if base != head else zone)


def in_place(old: SqlType, new: SqlType) -> bool:
    """Whether PostgreSQL changes the type of a column without rewriting its table, nor its indexes.

    Of arrays it converts each element, and so rewrites.
    """
    if old.array or new.array or not (old.known and new.known):
        return old.sql == new.sql
    if (old.base, new.base) == ("character varying", "text"):
        return True
    if old.base != new.base:
        return False
    before, after = _numbers(old.sql), _numbers(new.sql)
    if old.base == "numeric" and len(before) == 2 and len(after) == 2:
        return after[1] == before[1] and after[0] >= before[0]
    if old.base in ("character varying", "bit varying", "numeric"):
        return not after or (len(before) == len(after) == 1 and after >= before)
    return before == after


def lossless(old: SqlType, new: SqlType) -> bool:
    """Whether a cast takes every value, no two of them to the same one, under any settings of the session."""
    if old.sql == new.sql or in_place(old, new):
        return True
    if old.array or new.array or not (old.known and new.known):
        return False
    if old.base in WHOLE and new.base in WHOLE:
        return WHOLE.index(old.base) < WHOLE.index(new.base)
    if new.base == "numeric" and (old.base in WHOLE or old.base == "numeric"):
        return _digits_fit(old, new)
    if new.base == "timestamp" and old.base == "timestamp":
        return (_numbers(old.sql) or [6]) <= (_numbers(new.sql) or [6])
    return (old.base, new.sql) in _WIDER or _without_blanks(old, new)


def _without_blanks(old: SqlType, new: SqlType) -> bool:
    """Whether it loses but the blanks that fill it up: two that differ by them alone were equal before."""
    longest = (_numbers(new.sql) or [_LONGEST])[0]
    texts = old.base == "character" and new.base in ("text", "character varying")
    return texts and longest >= (_numbers(old.sql) or [1])[0]


WHOLE = ("smallint", "integer", "bigint")
_LONGEST = 10_485_760
_DIGITS_OF = {"smallint": [5, 0], "integer": [10, 0], "bigint": [19, 0]}
_WIDER = frozenset(
    [("real", "double precision"), ("date", "timestamp"), ("jsonb", "text"), ("uuid", "text"), ("boolean", "text")]
    + [(whole, "text") for whole in WHOLE]
)


def _digits_fit(old: SqlType, new: SqlType) -> bool:
    """Whether all digits before and behind the point have room."""
    room = _numbers(new.sql)
    if not room:
        return True
    needed = _DIGITS_OF.get(old.base) or _numbers(old.sql)
    if not needed:
        return False
    before, after = ([*numbers, 0][:2] for numbers in (needed, room))
    return after[1] >= before[1] and after[0] - after[1] >= before[0] - before[1]


def _numbers(sql: str) -> list[int]:
    return [int(number) for number in _DIGITS.findall(sql.partition("(")[2].partition(")")[0])]
