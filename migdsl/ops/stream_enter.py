"""The tables of a stream become the statement with which an application's transaction enters a side that it writes."""

from __future__ import annotations

from migdsl.dialect.names import literal
from migdsl.ops.stream_model import Moved, Side


def enter(moved: tuple[Moved, ...], side: Side) -> str:
    """Passes the fence, and gives the tenant as the ledger spells it and the number of each outbox's last key so far.

    The triggers would refuse the rows too, but an UPDATE that meets none on the wrong side is seen by no trigger. Numbers
    come from the sequence and not from the table: a serializable transaction would be told to try again for looking there.
    """
    first = moved[0]
    place = first.at(side)
    tenant = f"CAST(CAST(:tenant AS {place.tenant_type}) AS text)" if place.tenant else "CAST('' AS text)"
    numbers = "".join(f",\n       {_last(each.outbox(side))}" for each in moved)
    return f"""SELECT given.tenant{numbers}
  FROM (SELECT {tenant} AS tenant) AS given
 WHERE {first.fence}(given.tenant)"""


def rights(moved: tuple[Moved, ...], role: str) -> tuple[str, ...]:
    """What the role that writes needs for that on either side, beside its rights on the tables; `role` is SQL."""
    return (
        f"GRANT USAGE ON SCHEMA migdsl TO {role}",
        f"GRANT EXECUTE ON FUNCTION {moved[0].fence}(text, boolean) TO {role}",
        f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA migdsl TO {role}",
    )


def _last(outbox: str) -> str:
    sequence = f"CAST(pg_get_serial_sequence({literal(outbox)}, 'id') AS regclass)"
    return f"coalesce(pg_sequence_last_value({sequence}), 0)"
