"""The trigger that keeps old and new columns equal: made in expand, fills no more from enforce on, gone in contract."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import dollar_tag, literal
from migdsl.ops import attempts, names, outside, returning, triggers
from migdsl.ops.add_column import EXPAND_TABLE
from migdsl.ops.context import Context
from migdsl.ops.model import Group, Lock, Step
from migdsl.ops.pairs import fact
from migdsl.semantics.model import AddColumn, AddConstraint

OBJECTS, LAST = 1, 6  # ranks: what a trigger needs comes before it, and goes after it


def lower(context: Context) -> Iterator[Step]:
    """The trigger's life; nothing where no pair and no kept column needs one."""
    if not context.pairs and not context.kept and not context.outside:
        return
    yield _objects(context)
    yield _trigger(context)
    if context.pairs and _early(context):
        yield _take_turns(context)
    if context.pairs or context.outside:
        yield _stop_filling(context)
    yield from _drop(context)


def _left(context: Context) -> str:
    """What new code's writes no longer reach from then on."""
    columns = ", ".join(f"{context.table.entity}.{name}" for name in returning.staying(context))
    return f"; it keeps {columns} no longer, which nothing drops" if columns else ""


def _function(context: Context, *, fill: bool, turns: bool) -> str:
    named = (context.pairs, context.kept, context.outside)
    return triggers.function(context.migration, context.table, *named, fill=fill, turns=turns)


def _early(context: Context) -> bool:
    """Whether a unique index of a fact that has one already is built in validate, before old code is gone."""
    kept = {o.column.name for o in context.change.operations if isinstance(o, AddColumn) and o.complies}
    complying = (o for o in context.change.operations if isinstance(o, AddConstraint) and o.complies)
    kinds = (o.constraint for o in complying if o.constraint.kind == "unique" or o.constraint.unique_index)
    early = {fact(context.table, constraint) for constraint in kinds}
    return any(pair.locked and (pair.column in kept or early & set(pair.locked)) for pair in context.pairs)


def _create(context: Context, function: str) -> tuple[str, ...]:
    counter = names.counter(context.migration, context.table)
    return (
        f"CREATE SEQUENCE IF NOT EXISTS {counter} AS bigint",
        # Whoever may write the table must be able to count; the ledger's tables stay closed.
        f"GRANT USAGE ON SCHEMA {names.LEDGER} TO PUBLIC",
        f"GRANT USAGE ON SEQUENCE {counter} TO PUBLIC",
        *attempts.functions(context.migration, context.table, context.pairs),
        *([outside.function(context.migration, context.table)] if context.outside else []),
        function,
    )


def _drop_functions(context: Context) -> tuple[str, ...]:
    trigger = f"DROP FUNCTION IF EXISTS {names.function(context.migration, context.table)}()"
    named = [outside.drop_function(context.migration, context.table)] if context.outside else []
    return (trigger, *named, *attempts.drops(context.migration, context.table, context.pairs))


def _make_triggers(context: Context) -> tuple[str, ...]:
    own = triggers.trigger(context.migration, context.table)
    return (*own, *outside.triggers(context.migration, context.table, context.outside))


def _drop_triggers(context: Context) -> tuple[str, ...]:
    own = f"DROP TRIGGER IF EXISTS {names.trigger(context.migration)} ON {context.sql}"
    return (own, *outside.drop_triggers(context.migration, context.table, context.outside))


def _remove(context: Context) -> tuple[str, ...]:
    # The linter's rule guards sequences that give out keys; this one only counts, and is ours.
    ignored = "-- squawk-ignore ban-drop-sequence\n"
    counter = names.counter(context.migration, context.table)
    return *_drop_functions(context), f"{ignored}DROP SEQUENCE IF EXISTS {counter}"


def _objects(context: Context) -> Step:
    return Step(
        "expand",
        "create_function",
        f"Create the trigger function of {context.table.entity} and the counter of old code's writes",
        context.table,
        rank=OBJECTS,
        up=(Group((), _create(context, _function(context, fill=True, turns=False))),),
        down=(Group((), _remove(context)),),
    )


def _trigger(context: Context) -> Step:
    table = context.table
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    drop = _drop_triggers(context)
    columns = ", ".join([p.column for p in context.pairs] + [k.column for k in context.kept])
    title = f"Keep {table.entity}'s old and new columns in step from now on, whoever writes ({columns})"
    outer = ", ".join(o.column.name for o in context.outside)
    if outer:
        also = f"take the value of {outer} out of rows whose inputs old code changes"
        title = f"{title}; and {also}" if columns else also[0].upper() + also[1:]
    return Step(
        "expand",
        "create_trigger",
        title,
        table,
        Lock.ACCESS_EXCLUSIVE,
        rank=EXPAND_TABLE,
        up=(Group(lock, (_must_be_last(context), *drop, _proof(context), *_make_triggers(context))),),
        down=(Group(lock, drop),),
        precondition=_named_by(context),
    )


def _named_by(context: Context) -> str | None:
    """What new code must do for columns that only it can compute."""
    if not context.outside:
        return None
    columns = ", ".join(o.column.name for o in context.outside)
    inputs = ", ".join(dict.fromkeys(name for o in context.outside if o.python for name in o.python.inputs))
    return (
        f"new code names {columns} in each INSERT, and in each UPDATE that changes {inputs}, even where the value stays;"
        f" where it reads a NULL it computes {columns} itself, until enforce"
    )


def _proof(context: Context) -> str:
    return triggers.proof(context.migration, context.table, context.pairs, context.kept, context.outside)


def _must_be_last(context: Context) -> str:
    """Triggers fire in the order of their names: one after ours could undo what ours has made equal."""
    name = literal(names.trigger_name(context.migration))
    body = f"""
DECLARE
  later text;
BEGIN
  SELECT string_agg(t.tgname, ', ' ORDER BY t.tgname) INTO later
    FROM pg_trigger AS t
   WHERE t.tgrelid = {literal(context.sql)}::regclass AND NOT t.tgisinternal
     AND t.tgtype & 1 = 1 AND t.tgtype & 2 = 2 AND t.tgtype & 20 <> 0
     AND t.tgname COLLATE "C" > {name} AND t.tgname NOT LIKE '~migdsl%';
  IF later IS NOT NULL THEN
    RAISE EXCEPTION 'these triggers of % would run after the one that keeps its columns equal: %',
      {literal(context.sql)}, later
      USING ERRCODE = '55000', HINT = 'rename them to sort before it: ALTER TRIGGER ... RENAME TO ...';
  END IF;
END"""
    tag = dollar_tag(body, "guard")
    return f"DO {tag}{body}\n{tag}"


def _stop_filling(context: Context) -> Step:
    return Step(
        "enforce",
        "replace_function",
        (
            f"Stop filling NULLs of {context.table.entity} on UPDATE: every row has been filled"
            if context.pairs
            else f"Take no value out of rows of {context.table.entity} any more: no old code is left"
        ),
        context.table,
        # Before a NOT NULL binds what this would have taken out.
        rank=0 if context.outside else OBJECTS,
        up=(Group((), (_function(context, fill=False, turns=True),)),),
        down=(Group((), (_function(context, fill=True, turns=_early(context)),)),),
        precondition=None if _early(context) else _room_for_turns(context, "enforce"),
    )


def _take_turns(context: Context) -> Step:
    return Step(
        "validate",
        "replace_function",
        f"Let writers of one {context.table.entity} take turns, before a second unique index stands for it",
        context.table,
        rank=OBJECTS,
        up=(Group((), (_function(context, fill=True, turns=True),)),),
        down=(Group((), (_function(context, fill=True, turns=False),)),),
        precondition=_room_for_turns(context, "validate"),
    )


def _room_for_turns(context: Context, since: str) -> str | None:
    """What a lock a row asks of those who insert many rows at once: they fill a table that all sessions share."""
    facts = sum(len(pair.locked) for pair in context.pairs)
    if not facts:
        return None
    each = "a lock" if facts == 1 else f"{facts} locks"
    share = "half" if facts == 1 else f"1/{2 * facts}"
    return (
        f"between {since} and contract nothing inserts or copies many rows into {context.sql} in one transaction: each new"
        f" {context.table.entity} takes {each} until that ends, and where the server's lock table is full, statements of any"
        f" session fail (53200); {share} of max_locks_per_transaction times max_connections rows at one time leave room for"
        " others, larger loads go in parts"
    )


def _drop(context: Context) -> Iterator[Step]:
    table = context.table
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    yield Step(
        "contract",
        "drop_trigger",
        f"Drop the trigger of {table.entity}: no old code is left that it serves{_left(context)}",
        table,
        Lock.ACCESS_EXCLUSIVE,
        rank=EXPAND_TABLE,
        up=(Group(lock, _drop_triggers(context)),),
        down=(Group(lock, (*_drop_triggers(context), *_make_triggers(context))),),
    )
    yield Step(
        "contract",
        "drop_function",
        # The counter is the ledger's: contract's gate reads it when a killed run is repeated, and after the way back a
        # counter that began at 0 again would contradict every reading of it.
        f"Drop the trigger function of {table.entity}; the counter of old code's writes stays in the ledger",
        table,
        rank=LAST,
        up=(Group((), _drop_functions(context)),),
        down=(Group((), _create(context, _function(context, fill=False, turns=True))),),
    )
