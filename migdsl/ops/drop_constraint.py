"""`drop constraint`, `drop index`: gone after the soak, remembered, and on the way back made again without a long lock."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import dollar_tag, literal, qualified, quote
from migdsl.ops import dependents, standing, twins
from migdsl.ops.context import Context
from migdsl.ops.model import Alone, Group, Lock, Part, Step
from migdsl.semantics.model import Constraint, DropConstraint, ReplicaIdentity
from migdsl.semantics.phrases import called, described
from migdsl.semantics.succession import successor

DROP = 1  # in contract: before the columns that it stands on, and after the foreign keys that point at it


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
        rank=dependents.FIRST,
        up=(Group((), (_refuse(context, found, there=True),)),),
    )


def _drop(context: Context, found: Constraint, *, remembered: bool) -> Step:
    table, name = context.table, called(context.table, found)
    instant = found.kind != "index"
    locks = dependents.locks(context, (found,)) if instant else ()
    keep = (dependents.keep(context, found),) if remembered else ()
    statements = (_refuse(context, found, there=False), *keep)
    waiting = _waiting(context, found)
    parts: tuple[Part, ...]
    index = Alone(f"DROP INDEX CONCURRENTLY IF EXISTS {qualified(table.schema, name)}", when=waiting)
    if instant:
        drop = f"ALTER TABLE {context.sql} DROP CONSTRAINT IF EXISTS {quote(name)}"
        parts = (Group(locks, _while(waiting, *statements, drop)),)
        # What an entity calls unique may be an index alone.
        parts += (index,) if found.kind == "unique" else ()
    else:
        parts = (Group((), _while(waiting, *statements)), index)
    again = "" if remembered else "; nothing will make it again, as the file says"
    return Step(
        "contract",
        "drop_constraint" if instant else "drop_index",
        f"Drop {described(found)} of {table.entity}{again}",
        table,
        Lock.ACCESS_EXCLUSIVE if instant else Lock.SHARE_UPDATE_EXCLUSIVE,
        reversible=remembered,
        rank=DROP - 1 if found.kind == "reference" else DROP,
        up=parts,
    )


def _waiting(context: Context, found: Constraint) -> str | None:
    """Asks whether what gets its name still waits for it: run again after a kill, the name may be the new one's already."""
    heir = successor(context.change, found)
    if heir is None:
        return None
    name = twins.temporary(context, heir)
    if heir.constraint.kind == "index":
        return f"SELECT 'waits' WHERE to_regclass({literal(qualified(context.table.schema, name))}) IS NOT NULL"
    own = f"conrelid = {literal(context.sql)}::regclass AND conname = {literal(name)}"
    return f"SELECT 'waits' FROM pg_constraint WHERE {own}"


def _while(asked: str | None, *statements: str) -> tuple[str, ...]:
    """The statements, run where the question has an answer."""
    if asked is None:
        return statements
    inner = "".join(f"    {statement};\n" for statement in statements)
    body = f"\nBEGIN\n  IF EXISTS ({asked}) THEN\n{inner}  END IF;\nEND"
    tag = dollar_tag(body, "waits")
    return (f"DO {tag}{body}\n{tag}",)


def _refuse(context: Context, found: Constraint, *, there: bool) -> str:
    """Who else needs it: others' foreign keys, but for those that this migration drops too, and replication."""
    own = [standing.said(context.table, c) for c in dependents.dropped(context) if c.kind == "reference"]
    others = [standing.said(table, c) for table, c in dependents.referring(context)]
    stays = not any(isinstance(o, ReplicaIdentity) for o in context.change.operations)
    return standing.call("refuse_needed", standing.said(context.table, found), [*own, *others], stays, there)
