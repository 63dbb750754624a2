"""`drop constraint`, `drop index`: gone after the soak, remembered, and on the way back made again without a long lock."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import dollar_tag, literal, qualified, quote
from migdsl.ops import dependents, names, standing, twins
from migdsl.ops.context import Context
from migdsl.ops.dependents import LAST
from migdsl.ops.model import Alone, Group, Lock, Part, Replay, Step
from migdsl.semantics.model import Constraint, DropColumn, DropConstraint, ReplicaIdentity
from migdsl.semantics.phrases import called, described
from migdsl.semantics.succession import successor

DROP = 1  # in contract: before the columns that it stands on, and after the foreign keys that point at it


def lower(context: Context, operation: DropConstraint) -> Iterator[Step]:
    """The steps of a `drop constraint` or a `drop index`; what makes it again is a step of the whole table."""
    found = dependents.named(context.table, operation.constraint)
    remembered = operation.irreversible is None
    yield _guard(context, found)
    if context.module.crossed(found):
        yield _cut(context, found)  # the file can't say of it that it is forgotten
    else:
        yield _drop(context, found, remembered=remembered)


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
        rank=_rank(context, found),
        up=parts,
    )


def _rank(context: Context, found: Constraint) -> int:
    if found.kind != "reference" or found.target is None:
        return DROP
    # One that points at a table which moves goes with that table: where its end is refused, so is the key's.
    gone = {o.column.name for o in context.change.operations if isinstance(o, DropColumn)}
    return LAST - 1 if dependents.parts(context, found) and not gone & set(found.columns) else DROP - 1


def _cut(context: Context, found: Constraint) -> Step:
    """A foreign key to what goes to another database: from the first switch on a row that it asks for may be missing here.

    All rows are there by now, and nobody writes there yet: it is the last moment.
    """
    table, name = context.table, called(context.table, found)
    assert found.target is not None
    parent, deletes = found.target.entity, found.target.on_delete
    subject = f"{dependents.subject(context, found)} {name}"
    keep = (dependents.keep(context, found), *_aside(context, found, subject))
    drop = f"ALTER TABLE {context.sql} DROP CONSTRAINT IF EXISTS {quote(name)}"
    tables = tuple((sql, Lock.ACCESS_EXCLUSIVE) for sql in sorted({context.sql, *_parent(context, parent)}))
    title = f"Drop {described(found)} of {table.entity}, before {parent} is written in the other database"
    lost = {"CASCADE": "deletes rows", "SET NULL": "empties the column", "SET DEFAULT": "resets the column"}
    title += f"; from here on nothing {lost[deletes]} of {table.entity} with {parent}" if deletes in lost else ""
    return Step(
        "validate",
        "drop_constraint",
        title,
        table,
        Lock.ACCESS_EXCLUSIVE,
        rank=DROP,
        up=(Group(tables, (_refuse(context, found, there=False), *keep, drop)),),
        down=(Replay(context.migration, subject, tables),),
    )


def _aside(context: Context, found: Constraint, subject: str) -> tuple[str, ...]:
    """What was kept just now goes under a name of its own: contract brings back what it has dropped itself, and no more.

    Where nothing was, since a killed run is repeated, what is there already stays.
    """
    of, kept = f"migration = {literal(context.migration)} AND revision =", literal(dependents.subject(context, found))
    return (
        (
            f"DELETE FROM migdsl.snapshot\n WHERE {of} {literal(subject)}\n"
            f"   AND EXISTS (SELECT FROM migdsl.snapshot WHERE {of} {kept})"
        ),
        f"UPDATE migdsl.snapshot SET revision = {literal(subject)}\n WHERE {of} {kept}",
    )


def _parent(context: Context, entity: str) -> set[str]:
    return {names.table(move.table) for move in context.module.moves if move.table.entity == entity}


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
