"""A row's tenant becomes what its trigger does before and after it leaves the key: pass the fence, and take along what follows.

A tenant that stands in another row is looked up, and may change under one's hands. Whoever changes it waits for those who have
passed the fence of the former tenant, keeps others out, and tells of the rows that go along; whoever waited looks again.
"""

from __future__ import annotations

from migdsl.dialect.names import literal
from migdsl.ops.stream_model import ROW, Moved, Side


def advisory(moved: Moved, tenant: str) -> str:
    """The lock that a tenant's writers share, and the switch has for itself."""
    return f"hashtextextended({literal(moved.marker + '/')} || {tenant}, 8)"


def passed(moved: Moved, side: Side, variable: str, row: str) -> str:
    """Lines of PL/pgSQL that find out whose a row is, and pass that fence; of an UPDATE that stays with its tenant once."""
    place = moved.at(side)
    tenant = place.tenant_of(row)
    again = "" if row == "OLD" else "TG_OP = 'UPDATE' AND its_tenant IS NOT DISTINCT FROM was_tenant"
    if not place.looked_up:
        fence = f"    PERFORM {moved.fence}({variable});"
        if again:
            fence = (
                "    IF TG_OP = 'INSERT' OR its_tenant IS DISTINCT FROM was_tenant THEN\n"
                f"      PERFORM {moved.fence}({variable});\n    END IF;"
            )
        return f"    {variable} := {tenant};\n{fence}"
    lines = [
        "LOOP  -- its owner may have gone to another tenant while this waited",
        f"  {variable} := {tenant};",
        *([f"  EXIT WHEN {again};"] if again else []),
        f"  PERFORM {moved.fence}({variable});",
        f"  EXIT WHEN {variable} IS NOT DISTINCT FROM {tenant};",
        "END LOOP;",
    ]
    return "\n".join(f"    {line}" for line in lines)


def leaves(moved: Moved, side: Side) -> str:
    """Where others belong by way of the row: before it goes to another tenant, nobody writes what belongs to the former.

    A snapshot from before would not see all that goes along. One from before of somebody else meets the row of `side`, and fails.
    """
    if not moved.followers:
        return ""
    place = moved.at(side)
    return f"""  IF TG_OP = 'UPDATE' THEN
    was_tenant := {place.tenant_of("OLD")};
    IF was_tenant IS DISTINCT FROM {place.tenant_of("NEW")} THEN
      IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'a row of % and what belongs to it go to another tenant where each statement sees what others wrote',
          {literal(place.table)} USING ERRCODE = '0A000', HINT = 'do it in a transaction that is READ COMMITTED';
      END IF;
      PERFORM pg_advisory_xact_lock({advisory(moved, "was_tenant")});
      PERFORM {moved.fence}(was_tenant);
      -- Once is enough: of many versions in one transaction each would be looked at by the next.
      UPDATE migdsl.side AS side SET since = side.since
       WHERE {moved.scope}
         AND side.tenant = was_tenant AND side.xmin <> CAST(pg_current_xact_id() AS xid);
    END IF;
  END IF;
"""


def taken_along(moved: Moved, side: Side) -> str:
    """What belongs to a row that went to another tenant has gone there too: the switches of both wait for it."""
    if not moved.followers:
        return ""
    found = []
    for follower in moved.followers:
        other = follower.moved
        key = other.at(side).keyed("t")
        columns = ", ".join(["lane", *other.key_columns, "tenant", "tenant_was"])
        values = ", ".join([other.lane(key), *key, "its_tenant", "was_tenant"])
        rows = (follower.old if side == "old" else follower.new).replace(ROW, "NEW")
        found.append(f"    INSERT INTO {other.outbox(side)} ({columns})\n    SELECT {values}\n      FROM {rows};")
    lines = "\n".join(found)
    return f"""  IF TG_OP = 'UPDATE' AND its_tenant IS DISTINCT FROM was_tenant THEN
{lines}
  END IF;
"""
