"""Turns errors of an applied batch into whose they are: a row's, which is set aside by its key, or everybody's."""

from __future__ import annotations

from typing import Final

import psycopg

from migdsl.runtime.errors import Remedy, remedy

# The server itself is in trouble, or the transaction is: whoever raised it, the next row fares no better.
_EVERYBODYS: Final = frozenset({"25", "53", "57", "58", "F0", "HV", "XX"})


def of_the_rows(error: psycopg.Error) -> bool:
    """Whether the error stems from the rows: from their data, or from what a trigger or a function makes of them.

    A function may refuse a row under any SQLSTATE, and then the error has a context, which says where. What the statement
    itself may not do (a table that may not be written) has none, and would be the same for every row.
    """
    what = remedy(error)
    if what is Remedy.HALVE:
        return True
    state = error.sqlstate or ""
    return what is Remedy.STOP and error.diag.context is not None and bool(state) and state[:2] not in _EVERYBODYS
