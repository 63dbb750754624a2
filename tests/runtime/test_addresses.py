"""A URL becomes what libpq connects to; a password that ends too early is never taken for a host, which messages quote."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from migdsl.runtime.address import conninfo_of
from migdsl.runtime.errors import UsageError


@pytest.mark.parametrize("password", ["xyz@zyx", "xyz/zyx", "7/zyx", "7@zyx/xyz", "xyz@", "x#z@zyx"])
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_password_that_a_url_can_not_hold_is_refused_unseen(password: str, scheme: str) -> None:
    with pytest.raises(UsageError) as raised:
        conninfo_of(f"{scheme}://app:{password}@db.internal:5432/shop", "a")
    assert not any(part in str(raised.value) for part in ("xyz", "zyx"))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://app:Winter%402026%2F%3F%23@db.internal:5432/shop", "shop"),
        ("postgresql://h1:5432,h2:5433/shop?user=a@b", "shop"),
        ("postgresql://app@[::1]:5432/sh%40p", "sh@p"),
        ("postgresql:///shop?host=/run/postgresql&application_name=me@here", "shop"),
        ("host=@abstract dbname=me@here", "me@here"),
        ("postgresql://app:wi#n?t=er@db/shop", "shop"),
        ("postgresql://app@db/shop?host=@abstract", "shop"),
    ],
)
def test_what_a_url_can_hold_is_taken(url: str, name: str) -> None:
    assert conninfo_to_dict(conninfo_of(url, "a"))["dbname"] == name
