"""What an operator reads of tenants, and of what has none."""

from __future__ import annotations

from typing import Any

import pytest

from migdsl.runtime.stream.jobs import called
from migdsl.runtime.stream.letting import RefusedError
from migdsl.runtime.stream.status import Status
from migdsl.runtime.stream.switch import Switch


@pytest.mark.parametrize(
    ("tenants", "lines"),
    [
        ({}, ["s: all on the old side"]),
        ({"": "new"}, ["s: all on the new side"]),
        ({"a": "old", "b": "new", "c": "new"}, ["s: 2 tenants new, 1 tenant old"]),
        (
            {"": "switching"},
            [
                "s: all between the sides",
                "  the table is between the sides: finish it with `switch --to new`, or turn back with `--to old`",
            ],
        ),
        (
            {"a": "switching"},
            [
                "s: 1 tenant switching",
                "  tenant 'a' is between the sides: finish it with `switch --tenant a --to new`, or turn back with `--to old`",
            ],
        ),
    ],
)
def test_the_status_says_who_writes_where(tenants: dict[str, str], lines: list[str]):
    assert Status("s", tenants, (), apart=True).to_text().split("\n") == lines


def test_no_message_speaks_of_a_tenant_where_there_is_none():
    nowhere: Any = None
    said = [called(""), str(RefusedError("", "55000")), Switch(nowhere, "", "new")._rival().args[0]]
    assert not [each for each in said if "tenant" in each or "''" in each]
    assert "tenant 'a'" in str(RefusedError("a", "40001"))
    assert "tenant 'a'" in Switch(nowhere, "a", "new")._rival().args[0]
