"""A column's type and a number become a made-up value as SQL's text: ordinary ones, awkward ones, ones never given before."""

from __future__ import annotations

import json
import random
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Final

from migdsl.dialect.types import SqlType

# What breaks code that quotes, counts or compares carelessly. No NUL: PostgreSQL's texts can't hold one.
HOSTILE: Final = (
    "O'Brien",
    'say "hi"',
    "back\\slash",
    "",
    " ",
    "Zoë 名前",
    "👩‍🚀",
    "%s %% :x $1 {y}",
    "'; DROP TABLE x; --",
    "tab\tand\nline",
    "NULL",
    "\x01\x7f",
    "long " + "x" * 2_000,
)
_TEXTS: Final = frozenset(["text", "character varying", "character", "citext", "name"])
_SMALL: Final = MappingProxyType({"smallint": 32_000, "integer": 2_000_000_000, "bigint": 9_000_000_000_000})
_FLOATS: Final = frozenset(["numeric", "real", "double precision", "money"])
_DAY_ZERO: Final = date(2001, 1, 1)
_SPACE: Final = uuid.UUID("6d696764-736c-4000-8000-726568656172")
_LENGTH: Final = re.compile(r"\((\d+)")


def freshable(of: SqlType) -> bool:
    """Whether there are enough values of the type for each row to have one of its own."""
    return not of.array and not of.labels and (of.base in _TEXTS or of.base in _FRESH)


def texts(of: SqlType) -> bool:
    """Whether values of the type are texts of any kind."""
    return of.base in _TEXTS


def cut(of: SqlType, text: str) -> str:
    """The end of a text, in as many characters as the type holds."""
    return _cut(of, text)


def fresh(of: SqlType, number: int, hint: str = "") -> str:
    """A value that no other number gives; `hint` is what texts begin with."""
    if of.base in _TEXTS:
        return _cut(of, f"{hint}{number}")
    return _FRESH[of.base](number)


def usual(of: SqlType, chance: random.Random, *, tame: bool = False) -> str | None:
    """Some value of the type, often awkward; None where nobody here knows the type."""
    if of.labels:
        return chance.choice(of.labels)
    if of.array:
        inner = SqlType(of.sql.removesuffix("[]"), of.base)
        found = [usual(inner, chance, tame=True) for _ in range(chance.randint(0, 2))]
        return "{" + ",".join(json.dumps(each) for each in found if each is not None) + "}"
    if of.base in _TEXTS:
        return _text(of, chance, tame=tame)
    make = _USUAL.get(of.base.split(" ")[0] if of.base.startswith("interval") else of.base)
    value = None if make is None else make(chance)
    length = _LENGTH.search(of.sql)
    return value * int(length[1] if length else 1) if value is not None and of.base == "bit" else value


def _text(of: SqlType, chance: random.Random, *, tame: bool) -> str:
    if tame or chance.random() < 0.6:
        return _cut(of, chance.choice(("Ada", "Grace Hopper", "v")) + str(chance.randint(1, 999)))
    return _cut(of, chance.choice(HOSTILE))


def _cut(of: SqlType, text: str) -> str:
    """The end of it, which tells it apart, in as many characters as the type holds."""
    found = _LENGTH.search(of.sql)
    longest = int(found[1]) if found else 1 if of.base == "character" else 63 if of.base == "name" else 0
    return text[-longest:] if longest else text


def _whole(most: int) -> Callable[[int], str]:
    return lambda number: str(number % most)


def _minute(number: int) -> str:
    return (datetime(2001, 1, 1, tzinfo=UTC) + timedelta(minutes=number)).replace(tzinfo=None).isoformat(" ")


def _decimal(chance: random.Random) -> str:
    return str(chance.choice((0, 1, 7, 42)) + chance.choice((0, 0.25, 0.5)))


_SHAPES: Final = MappingProxyType(
    {
        "point": "(%d,2)",
        "line": "{1,%d,2}",
        "lseg": "[(0,0),(1,%d)]",
        "box": "(2,9),(1,%d)",
        "path": "[(0,0),(1,%d)]",
        "polygon": "((0,0),(1,%d),(2,0))",
        "circle": "<(0,%d),1>",
    }
)
_SPANS: Final = MappingProxyType(
    {
        "int4range": "%d",
        "int8range": "%d",
        "numrange": "%d.5",
        "daterange": "2001-01-%02d",
        "tsrange": "2001-01-%02d 12:00:00",
        "tstzrange": "2001-01-%02d 12:00:00+00",
    }
)


def _shaped(text: str, chance: random.Random) -> str:
    return text % chance.randint(1, 9)


def _span(ends: str, chance: random.Random) -> str:
    first = chance.randint(1, 14)
    return f'["{ends % first}","{ends % (first + chance.randint(1, 14))}")'


def _spans(ends: str, chance: random.Random) -> str:
    return f"{{{_span(ends, chance)}}}"


_FRESH: Final[Mapping[str, Callable[[int], str]]] = MappingProxyType(
    {
        **{name: _whole(most) for name, most in _SMALL.items()},
        "numeric": str,
        "uuid": lambda number: str(uuid.uuid5(_SPACE, str(number))),
        "date": lambda number: (_DAY_ZERO + timedelta(days=number % 20_000)).isoformat(),
        "timestamp": _minute,
        "timestamp with time zone": lambda number: f"{_minute(number)}+00",
    }
)
_USUAL: Final[Mapping[str, Callable[[random.Random], str]]] = MappingProxyType(
    {
        **{name: lambda chance: str(chance.choice((0, 1, 2, 7, 42, 999))) for name in _SMALL},
        **dict.fromkeys(_FLOATS, _decimal),
        "boolean": lambda chance: chance.choice(("true", "false")),
        "uuid": lambda chance: str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "date": lambda chance: (_DAY_ZERO + timedelta(days=chance.randint(0, 9_000))).isoformat(),
        "timestamp": lambda chance: f"{_DAY_ZERO + timedelta(days=chance.randint(0, 9_000))} 12:34:56",
        "timestamp with time zone": lambda chance: f"{_DAY_ZERO + timedelta(days=chance.randint(0, 9_000))} 12:34:56+00",
        "time": lambda chance: f"{chance.randint(0, 23):02}:34:56",
        "interval": lambda chance: f"{chance.randint(0, 400)} minutes",
        "json": lambda chance: json.dumps({"n": chance.randint(0, 9), "text": chance.choice(HOSTILE[:8])}),
        "jsonb": lambda chance: json.dumps({"n": chance.randint(0, 9), "text": chance.choice(HOSTILE[:8])}),
        "bytea": lambda chance: "\\x" + chance.randbytes(chance.randint(0, 9)).hex(),
        "time with time zone": lambda chance: f"{chance.randint(0, 23):02}:34:56+00",
        "xml": lambda chance: f"<a n='{chance.randint(0, 9)}'/>",
        "bit": lambda chance: str(chance.randint(0, 1)),
        "bit varying": lambda chance: str(chance.randint(0, 1)),
        "oid": lambda chance: str(chance.randint(1, 99)),
        "pg_lsn": lambda chance: f"0/{chance.randint(1, 99)}",
        "tsvector": lambda chance: f"'a{chance.randint(0, 9)}' 'b'",
        "tsquery": lambda chance: f"'a{chance.randint(0, 9)}' & 'b'",
        "macaddr": lambda chance: f"08:00:2b:01:02:{chance.randint(16, 99)}",
        "macaddr8": lambda chance: f"08:00:2b:01:02:03:04:{chance.randint(16, 99)}",
        **{name: partial(_shaped, text) for name, text in _SHAPES.items()},
        **{name: partial(_span, ends) for name, ends in _SPANS.items()},
        **{name.replace("range", "multirange"): partial(_spans, ends) for name, ends in _SPANS.items()},
        "hstore": lambda chance: f'"n"=>"{chance.randint(0, 9)}"',
        "ltree": lambda chance: f"top.n{chance.randint(0, 9)}",
        "inet": lambda chance: f"10.0.0.{chance.randint(1, 254)}",
        "cidr": lambda chance: f"10.0.{chance.randint(1, 254)}.0/24",
    }
)
