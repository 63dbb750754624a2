"""`move` to another database: keys of what is written wait in an outbox on each side, from expand to contract.

The sync job carries the rows over, and the switch turns a tenant's writes to the new side. Here is what the two chains of
revisions do: the same objects on both sides, a fence that lets a tenant write on one of them, and what takes it all away.
"""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import dollar_tag, literal, quote
from migdsl.ops import (
    constraints,
    drop_table,
    memory,
    moving,
    names,
    needed,
    numbering,
    owners,
    publishing,
    stream_grants,
    stream_sql,
    table_memory,
    turned,
)
from migdsl.ops.add_column import EXPAND_TABLE
from migdsl.ops.batches import Walk
from migdsl.ops.both_ways import Ways
from migdsl.ops.carried import Carried
from migdsl.ops.context import Context
from migdsl.ops.dependents import LAST
from migdsl.ops.listing import of_revision, reached
from migdsl.ops.model import Cost, Group, Lock, Part, Refill, Step
from migdsl.ops.returning import REFILL
from migdsl.ops.stream_model import Moved, Place, Side, other
from migdsl.ops.streams import sequences, stream_of
from migdsl.semantics.model import Change, CreateTable, Table
from migdsl.semantics.move_model import Move
from migdsl.semantics.phrases import placed

OBJECTS = moving.OBJECTS
_LANES = ("migdsl.lane", Lock.EXCLUSIVE)  # no applier is at work in this database


class Crossing:
    """One table of a stream, with what its lowering needs on both sides."""

    def __init__(self, context: Context, move: Move) -> None:
        self.context = context
        self.move = move
        self.stream = stream_of(context.migration, context.module, move)
        self.of = next(m for m in self.stream if m.entity == move.table.entity)
        # What is of the whole stream is done with its last table, and undone with it first.
        self.is_last = self.of is self.stream[-1]

    def table(self, side: Side) -> Table:
        """The table of a side."""
        return self.move.table if side == "old" else self.move.target

    def called(self, side: Side) -> str:
        """What people call the table of a side, so that the two are told apart."""
        return placed(self.table(side))

    def turned(self, moved: Moved, side: Side, going: str) -> tuple[str, ...]:
        """Asks once more whether every tenant writes on the new side. Rows that are led to their tenant have an owner in the
        stream, of whom it is asked."""
        if moved.at(side).looked_up:
            return ()
        return (turned.last(moved, turned.listed(self.context.module, self.table(side)), side, going),)

    def beside(self, side: Side) -> Context:
        """The surroundings of a side's table."""
        if side == "new":
            return self.context
        table = self.move.table
        return Context(self.context.migration, Change(table, (), table.span), self.context.module, (), ())


def lower(context: Context, operation: CreateTable) -> Iterator[Step]:
    """The steps on both sides, but for the table that is made."""
    assert operation.move is not None
    of = Crossing(context, operation.move)
    yield from _needed(of)
    yield _plain(of)
    yield from owners.lower(of.move.table)
    sides: tuple[Side, Side] = ("old", "new")
    for side in sides:
        yield _objects(of, side)
        yield _triggers(of, side)
    ways = Ways(Carried(context.migration, operation.table, operation.sources[0]), of.move)
    if of.is_last and of.move.sync.by == "cdc":
        # Before all that is one transaction: a slot can't be dropped in it.
        yield from publishing.lower(of, LAST - 2, (_LANES,))
    yield from moving.between_old(of.beside("old"), ways, (_LANES,))
    yield _drop(of)
    yield _let_go(of)
    yield _homewards(of)


# ------------------------------------------------------------------------------------------- expand


def _needed(of: Crossing) -> Iterator[Step]:
    """What the new database has to have already, for the table, for what stands on it, and for the ways home."""
    refusal = needed.refusal(of.context.module, of.move)
    if refusal is not None:
        of_target = f"{of.called('new')} needs"
        listed = ", ".join(each.shown for each in needed.needed(of.context.module, of.move))
        yield Step(
            "expand",
            "check_table",
            f"Refuse where the database {of.move.target.database} lacks what {of_target}, and say which: {listed}",
            of.move.target,
            rank=0,
            up=(Group((), (refusal,)),),
            precondition=f"the database {of.move.target.database} has what {of_target}: {listed}",
        )


def _plain(of: Crossing) -> Step:
    """What the new table would lack without a word, and numbers that nothing would give out there."""
    source = of.move.table
    place = names.table(source)
    numbered = {theirs for _, theirs, _, _ in sequences(of.move)}
    checks = [numbering.numbered(source, theirs) for theirs in sorted(numbered)]
    checks += [numbering.unnumbered(source, theirs) for _, theirs in of.move.copied if theirs not in numbered]
    body = f"""
BEGIN
  IF (SELECT c.relrowsecurity FROM pg_class AS c WHERE c.oid = {literal(place)}::regclass) THEN
    RAISE EXCEPTION 'row level security of % is not made again on the table that its rows move to', {literal(place)}
      USING ERRCODE = '55000', HINT = 'move it with a revision of your own, which creates the policies too';
  END IF;
{"".join(checks)}END"""
    tag = dollar_tag(body, "plain")
    title = f"Refuse where {of.called('old')} has row level security, or numbers from a sequence, that "
    title += f"{of.called('new')} would lack"
    return Step("expand", "check_table", title, source, rank=0, up=(Group((), (f"DO {tag}{body}\n{tag}",)),))


def _objects(of: Crossing, side: Side) -> Step:
    moved, context = of.of, of.beside(side)
    up = (*(moving.schema(context) if side == "new" else ()), *stream_sql.objects(moved, side), *_ranges(of, side))
    down = [*_restored(of, side), *stream_sql.drop_objects(moved, side)]
    if of.is_last:
        down += stream_sql.drop_stream(moved)
    if side == "new":
        down.append(memory.restore(context, moving.made(context)))
    fenced = (
        "lets each tenant write on one side"
        if of.move.table.owned
        else "lets everybody write on one side, the same one"
    )
    title = f"Create the outbox for keys of {of.called(side)} that wait to be carried over, and the fence that {fenced}"
    return Step(
        "expand",
        "create_outbox",
        title,
        of.table(side),
        rank=OBJECTS,
        up=(Group((), up),),
        down=(Group((), tuple(down)),),
        precondition=_by_tenant(of) if side == "old" and moved.old.tenant else None,
    )


def _by_tenant(of: Crossing) -> str:
    """What code may not do any more once the first tenant is on the new side; the same words for all tables of a stream."""
    *others, last = [moved.entity for moved in of.stream]
    entities = f"{', '.join(others)} and {last}" if others else last
    return (
        f"from the first switch on each statement of code writes rows of {entities} of one tenant alone, and none is a TRUNCATE: "
        "over tenants of both sides it fails as a whole (55000)"
    )


def _ranges(of: Crossing, side: Side) -> tuple[str, ...]:
    """The first switch sets the key ranges of both sides apart; what the old side could give out before is remembered."""
    if side == "new":
        return ()
    context = of.beside("old")
    return tuple(
        memory.in_full(
            memory.remember(
                context,
                f"sequence {place}.{column}",
                "format('ALTER SEQUENCE %s MAXVALUE %s', q.seqrelid::regclass, q.seqmax)",
                "pg_sequence AS q\n WHERE q.seqrelid = to_regclass(pg_get_serial_sequence("
                f"{literal(place)}, {literal(column)}))",
            )
        )
        for place, column, _, _ in sequences(of.move)
    )


def _restored(of: Crossing, side: Side) -> tuple[str, ...]:
    if side == "new":
        return ()
    context = of.beside("old")
    return tuple(memory.restore(context, f"sequence {place}.{column}") for place, column, _, _ in sequences(of.move))


def _triggers(of: Crossing, side: Side) -> Step:
    moved, table = of.of, of.table(side)
    lock = (
        ((names.table(table), Lock.ACCESS_EXCLUSIVE),) if side == "old" else ()
    )  # the new one is as new as its triggers
    drop = stream_sql.drop_triggers(moved, side)
    back = stream_sql.gate(moved, "old", f"what {moved.stream} is written on is about to be taken away")
    what = "in which the sync job finds it" if side == "old" else "for the way back to the old side"
    precondition = None
    if side == "old":
        switched = "its tenant is being switched just then" if table.owned else "its rows are being switched just then"
        precondition = (
            f"code that writes {moved.entity} tries a transaction again on SQLSTATE 40001 ({switched}), and goes to the "
            f"other side on 55000 (it is written there by now){_of_elsewhere(of)}; {of.called('new')} has the grants that "
            "new code needs"
        )
    return Step(
        "expand",
        "create_trigger",
        f"Leave the key of each row that is written to {of.called(side)} in the outbox, in the writer's transaction, {what}",
        table,
        Lock.ACCESS_EXCLUSIVE if side == "old" else Lock.NONE,
        rank=EXPAND_TABLE,
        up=(Group(lock, (*drop, _proof(moved, other(side)), *stream_sql.triggers(moved, side), *_writable(of, side))),),
        # Where a killed run is repeated the new table may be gone already: it can't be locked first.
        down=(Group(lock, (back, *drop, *_strict_again(of, side))),),
        precondition=precondition,
    )


def _of_elsewhere(of: Crossing) -> str:
    """What else may be said on the wrong side, of a row that points at one which was born on the other side."""
    along = {m.entity: m for m in of.stream}
    targets = [c.target.entity for c in of.move.table.constraints if c.target and c.target.entity in along]
    which = " or ".join(dict.fromkeys(targets))
    return f" or 23503 (a row of {which} that was born there isn't here yet)" if targets else ""


def _always(of: Crossing, side: Side) -> Iterator[tuple[str, str]]:
    """Numbers that the old side's sequence alone may give: what the new side has in their place couldn't come home."""
    written = {column.name for column in of.of.old.columns} - set(of.move.table.key)
    for column in of.move.table.columns if side == "old" else ():
        if column.identity == "always" and column.name in written:
            yield column.name, f"identity {names.table(of.move.table)}.{column.name}"


def _writable(of: Crossing, side: Side) -> Iterator[str]:
    place = names.table(of.move.table)
    for column, subject in _always(of, side):
        own = f"a.attrelid = {literal(place)}::regclass AND a.attname = {literal(column)} AND a.attidentity = 'a'"
        set_ = f"ALTER TABLE {place} ALTER COLUMN {quote(column)} SET GENERATED"
        yield memory.remember(of.beside(side), subject, literal(f"{set_} ALWAYS"), f"pg_attribute AS a\n WHERE {own}")
        body = f"BEGIN IF EXISTS (SELECT FROM pg_attribute AS a WHERE {own}) THEN {set_} BY DEFAULT; END IF; END"
        tag = dollar_tag(body, "number")
        yield f"DO {tag}{body}{tag}"


def _strict_again(of: Crossing, side: Side) -> Iterator[str]:
    return (memory.restore(of.beside(side), subject) for _, subject in _always(of, side))


def _proof(moved: Moved, target: Side) -> str:
    """A DO block that has PostgreSQL resolve all that the rows of one side give the other, on no row."""
    here, there = moved.at(other(target)), moved.at(target)
    given = ",\n          ".join(f"CAST(({column.value}) AS {column.wire})" for column in there.columns)
    body = f"\nBEGIN\n  PERFORM {given}\n     FROM {here.table} AS t\n    WHERE FALSE;\nEND"
    tag = dollar_tag(body, "proof")
    return f"DO {tag}{body}\n{tag}"


# ------------------------------------------------------------------------------------------- contract


def _guarded(of: Crossing) -> str:
    table = of.of.old.table
    # Locked first: nobody writes it between the questions and its end.
    lock = f"    LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;\n"
    body = (
        f"\nBEGIN\n  IF to_regclass({literal(table)}) IS NOT NULL THEN\n{lock}{drop_table.guard(table)}  END IF;\nEND"
    )
    tag = dollar_tag(body, "guard")
    return f"DO {tag}{body}\n{tag}"


def _drop(of: Crossing) -> Step:
    source, moved = of.move.table, of.of
    context = of.beside("old")
    subject = f"move {names.table(source)}"
    moving_too = {m.table.entity for m in context.module.moves}
    own = [c for c in source.constraints if c.kind == "reference" and c.target and c.target.entity not in moving_too]
    parents = sorted({names.table(constraints.parent_of(context, c)[0]) for c in own})
    # The old table may be gone already where a killed run is repeated: it can't be locked first.
    # As appliers do it, the lanes before the table: whoever waits for the table would hold one that is about to go.
    locks = (_LANES, *((table, Lock.ACCESS_EXCLUSIVE) for table in parents))
    up = (
        _guarded(of),
        *of.turned(moved, "old", f"{moved.old.table} is about to be dropped"),
        stream_sql.drained(moved, "old"),
        table_memory.remember(context.migration, subject, names.table(source)),
        stream_grants.remember(moved, "old"),
        f"-- squawk-ignore ban-drop-table\nDROP TABLE IF EXISTS {names.table(source)}",
        *stream_sql.drop_objects(moved, "old"),
        *([stream_sql.drop_fence(moved)] if of.is_last else []),
    )
    down = (
        memory.restore(context, subject),
        *stream_sql.objects(moved, "old"),
        stream_grants.restore(context, moved, "old"),
        *stream_sql.drop_triggers(moved, "old"),
        *stream_sql.triggers(moved, "old"),
    )
    return Step(
        "contract",
        "drop_table",
        f"Drop {of.called('old')}, whose rows are in {of.called('new')}, with its outbox; refused while something else "
        "depends on it",
        source,
        Lock.ACCESS_EXCLUSIVE,
        rank=LAST,
        up=(Group(locks, up),),
        down=(Group(locks if parents else (), down),),
    )


def _let_go(of: Crossing) -> Step:
    """On the new side writes need no fence any more, and leave no keys."""
    moved, table = of.of, of.move.target
    drop = stream_sql.drop_triggers(moved, "new")
    lock = (_LANES, (names.table(table), Lock.ACCESS_EXCLUSIVE))
    up = (
        *of.turned(moved, "new", f"the fence of {moved.new.table} is about to be dropped"),
        *drop,
        stream_grants.remember(moved, "new"),
        *stream_sql.drop_objects(moved, "new"),
        *([stream_sql.drop_fence(moved)] if of.is_last else []),
    )
    made = (*stream_sql.objects(moved, "new"), stream_grants.restore(of.context, moved, "new"))
    return Step(
        "contract",
        "drop_trigger",
        f"Drop fence, outbox and triggers of {of.called('new')}: nothing is carried back any more",
        table,
        Lock.ACCESS_EXCLUSIVE,
        rank=LAST,
        up=(Group(lock, up),),
        down=(Group(lock, (*made, *drop, *stream_sql.triggers(moved, "new"))),),
    )


def _homewards(of: Crossing) -> Step:
    """The rows come home by the stream: their keys go into the outbox of the new side."""
    moved, context = of.of, of.context
    walk = Walk(of.move.target)
    place: Place = moved.new
    key = place.keyed("t")
    tenant = f"CAST({walk.tenant} AS text)" if place.looked_up else place.tenant_of("t")
    batch = f"""INSERT INTO {moved.outbox("new")} (lane, {", ".join(moved.key_columns)}, tenant)
SELECT {moved.lane(key)}, {", ".join(key)}, {tenant}
  FROM {walk.source()}
 {walk.confined(walk.after(), walk.upto())}"""
    title = (
        f"On the way back: put the keys of all rows of {of.called('new')} into its outbox, from where the sync job "
        "carries them home to "
        f"{of.called('old')}"
    )
    title_of = f"the outbox of {place.name}"
    part = Refill(title_of, of_revision(context), walk.upper(), walk.bound(), batch, of.move.target.key)
    down: tuple[Part, ...] = part, *reached(context, f"a place in {title_of}")
    return Step("contract", "refill", title, of.move.target, cost=Cost.BATCHES, rank=REFILL, down=down)
