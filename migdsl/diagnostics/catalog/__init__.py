"""Every diagnostic code there is: the families' tuples become one table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from migdsl.diagnostics.code import Code

__all__ = ["FAMILIES", "all_codes"]

# By the first digit of a code: what the family is called, and what it is about.
FAMILIES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "0": ("Syntax", "what can be wrong before any name has a meaning"),
        "1": ("Names and types", "what can be wrong with what a word stands for"),
        "2": ("SQL", "what can be wrong between backticks"),
        "3": ("Tenancy and personal data", "what could let data, or a secret, end up where it doesn't belong"),
        "4": ("Unsafe operations", "what would break running code or lose data"),
        "5": ("Rollout and rollback", "what could reach everybody at once, or nobody"),
        "6": ("Completeness", "what is missing before others can rely on the plan"),
        "7": ("Output", "what can go wrong between the plan and the disk"),
        "8": ("APIs", "what would leave clients without a version, a day or a place to go"),
    }
)


@cache
def all_codes() -> Mapping[str, Code]:
    """All codes by id, in the order of their ids; read-only. A code defined twice is a ValueError."""
    # Imported here because a command that reports nothing needs none of the prose.
    from migdsl.diagnostics.catalog import (
        apis,
        carrying,
        completeness,
        moving,
        names,
        operations,
        output,
        replacing,
        rollout,
        sql,
        syntax,
        tenancy,
        unsafe,
    )

    table: dict[str, Code] = {}
    families = (
        syntax,
        names,
        sql,
        tenancy,
        unsafe,
        operations,
        carrying,
        moving,
        rollout,
        completeness,
        replacing,
        output,
        apis,
    )
    for code in (code for family in families for code in family.CODES):
        if code.id in table:
            raise ValueError(f"{code.id} is defined twice")
        table[code.id] = code
    return MappingProxyType(dict(sorted(table.items())))
