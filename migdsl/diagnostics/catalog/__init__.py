"""Every diagnostic code there is: the families' tuples become one table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from migdsl.diagnostics.code import Code

__all__ = ["all_codes"]


@cache
def all_codes() -> Mapping[str, Code]:
    """All codes by id, in the order of their ids; read-only. A code defined twice is a ValueError."""
    # Imported here because a command that reports nothing needs none of the prose.
    from migdsl.diagnostics.catalog import (
        completeness,
        names,
        operations,
        output,
        rollout,
        sql,
        syntax,
        tenancy,
        unsafe,
    )

    table: dict[str, Code] = {}
    families = (syntax, names, sql, tenancy, unsafe, operations, rollout, completeness, output)
    for code in (code for family in families for code in family.CODES):
        if code.id in table:
            raise ValueError(f"{code.id} is defined twice")
        table[code.id] = code
    return MappingProxyType(dict(sorted(table.items())))
