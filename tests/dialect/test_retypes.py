"""Which changes of type PostgreSQL makes without a rewrite, and which casts lose nothing."""

from __future__ import annotations

import re

import pytest

from migdsl.dialect.types import SqlType, in_place, lossless, resolve


def of(text: str) -> SqlType:
    brackets = text.endswith("[]")
    name, _, rest = text.removesuffix("[]").partition("(")
    args = tuple(re.findall(r"\d+", rest))
    found = resolve(name, None, False, args, "", int(brackets))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("varchar(10)", "varchar(20)"),
        ("varchar(10)", "varchar"),
        ("varchar(10)", "text"),
        ("numeric(10,2)", "numeric(12,2)"),
        ("numeric(10,2)", "numeric"),
        ("varbit(3)", "varbit(5)"),
    ],
)
def test_in_place(old: str, new: str):
    assert in_place(of(old), of(new))
    assert lossless(of(old), of(new))
    assert not in_place(of(new), of(old))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("smallint", "bigint"),
        ("integer", "bigint"),
        ("integer", "numeric"),
        ("integer", "numeric(12,2)"),
        ("numeric(10,2)", "numeric(12,4)"),
        ("real", "double precision"),
        ("date", "timestamp"),
        ("timestamp(3)", "timestamp"),
        ("integer", "text"),
        ("uuid", "text"),
        ("char(5)", "text"),
        ("char(5)", "varchar(5)"),
        ("char", "varchar"),
    ],
)
def test_lossless_by_a_rewrite(old: str, new: str):
    assert not in_place(of(old), of(new))
    assert lossless(of(old), of(new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bigint", "integer"),
        ("integer", "numeric(11,2)"),
        ("numeric(10,2)", "numeric(11,4)"),
        ("numeric", "numeric(10,2)"),
        ("text", "varchar(10)"),
        ("timestamp", "timestamptz"),
        ("timestamptz", "timestamp"),
        ("timestamp", "date"),
        ("char(5)", "varchar(4)"),
        ("char(5)", "char(6)"),
        ("text", "char(5)"),
        ("json", "jsonb"),
        ("money", "numeric"),
        ("integer[]", "bigint[]"),
        ("varchar(10)[]", "text[]"),
        ("integer", "uuid"),
    ],
)
def test_what_may_fail_lose_or_depend_on_the_session(old: str, new: str):
    assert not in_place(of(old), of(new))
    assert not lossless(of(old), of(new))
