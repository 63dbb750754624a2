"""`drop constraint`, `drop index`: gone after the soak, remembered, and on the way back made again without a long lock."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import dollar_tag, literal, qualified, quote
from migdsl.ops import dependents, names, standing
from migdsl.ops.context import Context
from migdsl.ops.model import Alone, Group, Lock, Part, Step
from migdsl.semantics.model import Constraint, DropConstraint, ReplicaIdentity
from migdsl.semantics.phrases import called, described

FIRST, DROP = 0, 1  # ranks: before anything in expand, and before the columns that it stands on in contract


def lower(context: Context, operation: DropConstraint) -> Iterator[Step]:
    """The steps of a `drop constraint` or a `drop index`; what makes it again is a step of the whole table."""
    found = dependents.named(context.table, operation.constraint)
    yield _guard(context, found)
    yield _drop(context, found, remembered=operation.irreversible is None)


def _guard(context: Context, found: Constraint) -> Step:
    table = context.table
    return Step(
        "expand",
        "check_dependents",
        f"Refuse where {called(table, found)} of {table.entity} isn't what the entity says, or something else needs it",
        table,
        rank=FIRST,
        up=(Group((), (_refuse(context, found, there=True),)),),
    )


def _drop(context: Context, found: Constraint, *, remembered: bool) -> Step:
    table, name = context.table, called(context.table, found)
    instant = found.kind != "index"
    locks = dependents.locks(context, (found,)) if instant else ()
    keep = (dependents.qualifying(dependents.remember(context, (found,))),) if remembered else ()
    statements = (_refuse(context, found, there=False), *keep)
    parts: tuple[Part, ...]
    index = Alone(f"DROP INDEX CONCURRENTLY IF EXISTS {qualified(table.schema, name)}")
    if instant:
        parts = (Group(locks, (*statements, f"ALTER TABLE {context.sql} DROP CONSTRAINT IF EXISTS {quote(name)}")),)
        # What an entity calls unique may be an index alone.
        parts += (index,) if found.kind == "unique" else ()
    else:
        parts = (Group((), statements), index)
    again = "" if remembered else "; nothing will make it again, as the file says"
    return Step(
        "contract",
        "drop_constraint" if instant else "drop_index",
        f"Drop {described(found)} of {table.entity}{again}",
        table,
        Lock.ACCESS_EXCLUSIVE if instant else Lock.SHARE_UPDATE_EXCLUSIVE,
        reversible=remembered,
        rank=DROP,
        up=parts,
    )


def _refuse(context: Context, found: Constraint, *, there: bool) -> str:
    """Who else needs it: foreign keys of others, and replication. `there`: it must be as the entity says."""
    known = standing.index(context.sql, found) if found.kind in ("unique", "index") else None
    own = known or standing.constraint(context.sql, found)
    name = literal(called(context.table, found))
    lines = []
    if there:
        lines.append(f"""
  IF wanted IS NULL THEN
    RAISE EXCEPTION '% has no {"index" if found.kind == "index" else "constraint"} % on the columns that its entity says',
      {literal(context.sql)}, {name} USING ERRCODE = '55000';
  END IF;""")
    if known is not None:
        lines.append(f"""
  SELECT string_agg(pg_describe_object('pg_constraint'::regclass, f.oid, 0), ', ') INTO needed
    FROM pg_constraint AS f WHERE f.contype = 'f' AND f.conindid = wanted{_excepted(context)};""")
        if not any(isinstance(o, ReplicaIdentity) for o in context.change.operations):
            lines.append("""
  SELECT concat_ws(', ', needed, 'logical replication, which tells rows apart by it') INTO needed
    FROM pg_index AS i WHERE i.indexrelid = wanted AND i.indisreplident;""")
    body = f"""
DECLARE
  wanted oid := {own};
  needed text;
BEGIN{"".join(lines)}
  IF needed IS NOT NULL THEN
    RAISE EXCEPTION '% of % is still needed by: %', {name}, {literal(context.sql)}, needed
      USING ERRCODE = '55000', HINT = 'drop or change what is named first';
  END IF;
END"""
    tag = dollar_tag(body, "guard")
    return f"DO {tag}{body}\n{tag}"


def _excepted(context: Context) -> str:
    """But for foreign keys that this migration drops too, its own among them."""
    own = [(names.table(context.table), c) for c in dependents.dropped(context) if c.kind == "reference"]
    found = [standing.constraint(table, c) for table, c in (*own, *dependents.referring(context))]
    return "".join(f"\n     AND f.oid IS DISTINCT FROM {one}" for one in found)
