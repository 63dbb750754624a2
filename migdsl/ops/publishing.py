"""A stream whose writes others read becomes its publication, and what takes publication and slot away again.

A slot that is dropped doesn't come back with a transaction that fails. So it goes when the gates have held, and when all has
been asked that could keep the tables from going.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from migdsl.dialect.names import dollar_tag, literal
from migdsl.ops import debezium, drop_table, moving, names, stream_slot, stream_sql
from migdsl.ops.add_column import EXPAND_TABLE
from migdsl.ops.model import Alone, Group, Lock, Step
from migdsl.ops.stream_model import Moved
from migdsl.semantics.phrases import placed

if TYPE_CHECKING:
    from migdsl.ops.crossing import Crossing

# What reads the outboxes or the tables of a whole stream comes when all of them are there, and goes before.
CAPTURE = EXPAND_TABLE + 1


def lower(of: Crossing, rank: int, held: tuple[tuple[str, Lock], ...]) -> Iterator[Step]:
    """The steps of a stream by `cdc`, all of the old side; `rank` is contract's before that of the tables' end.

    `held` are locks: with them the publication goes in the transaction that drops the tables.
    """
    yield _published(of)
    if _debezium(of):
        title = f"Refuse while a connector still reads the outboxes of {_listed(of)}"
        up = (Group((), (debezium.unread(of.stream),)),)
        yield Step("contract", "check_slot", title, of.move.table, rank=0, up=up)
    yield _gone(of, rank, held)


def _debezium(of: Crossing) -> bool:
    return of.move.sync.variant == "debezium"


def _listed(of: Crossing) -> str:
    moving = {m.table.entity: m.table for m in of.context.module.moves}
    return ", ".join(placed(moving[m.entity]) for m in of.stream)


def _publish(of: Crossing) -> tuple[str, ...]:
    create = debezium.prepare(of.stream) if _debezium(of) else stream_slot.publish(of.stream, of.beside("old").version)
    return (_wal_level(), _unpublish(of)[0], *create)


def _unpublish(of: Crossing) -> tuple[str, ...]:
    return debezium.take_back(of.stream) if _debezium(of) else (stream_slot.unpublish(of.stream),)


def _wal_level() -> str:
    body = """
BEGIN
  IF current_setting('wal_level') <> 'logical' THEN
    RAISE EXCEPTION 'the WAL of this server says too little to read writes from it: wal_level is %', current_setting('wal_level')
      USING ERRCODE = '55000', HINT = 'set wal_level = logical, which takes a restart; or sync by outbox';
  END IF;
END"""
    tag = dollar_tag(body, "level")
    return f"DO {tag}{body}\n{tag}"


def _published(of: Crossing) -> Step:
    what = f"the keys that are written to {_listed(of)}"
    if _debezium(of):
        what = f"the outboxes of {_listed(of)}, as Debezium's router reads them"
    return Step(
        "expand",
        "create_publication",
        f"Publish {what}",
        of.move.table,
        Lock.ACCESS_EXCLUSIVE,
        rank=CAPTURE,
        up=(Group((), _publish(of)),),
        down=(Group((), (_at_home(of), *_unread(of), *_unpublish(of))), *_dropped_back(of)),
    )


def _at_home(of: Crossing) -> str:
    """A publication that is gone doesn't come back where the way back is refused further on."""
    return stream_sql.gate(of.of, "old", f"what {of.of.stream} is read by is about to be taken away")


def _unread(of: Crossing) -> tuple[str, ...]:
    """What keeps a publication from going: of ours the slot, which the way back has dropped; of Debezium's a connector."""
    return (debezium.unread(of.stream),) if _debezium(of) else (stream_slot.no_slot(of.of),)


def _dropped_back(of: Crossing) -> tuple[Alone, ...]:
    return (Alone(debezium.released(of.stream)),) if _debezium(of) else ()


def _gone(of: Crossing, rank: int, held: tuple[tuple[str, Lock], ...]) -> Step:
    release = debezium.released(of.stream) if _debezium(of) else stream_slot.released(of.of)
    title = f"Drop the replication slot of {_listed(of)}, which else keeps all WAL, then the publication"
    asked = tuple(question for moved in of.stream for question in _done(of, moved))
    return Step(
        "contract",
        "drop_publication",
        title,
        of.move.table,
        rank=rank,
        # With the publication there, a slot that is made again can be read from, should what comes next not come.
        up=(Group((), asked), Alone(release), Group(held, _unpublish(of))),
        down=(Group((), _publish(of)),),
    )


def _done(of: Crossing, moved: Moved) -> tuple[str, ...]:
    """What is asked again when the table is locked and about to go."""
    going = f"{moved.old.table} is about to be dropped, and what reads its writes"
    ours = (*_of_publication(moved), *_of_family(of, moved))
    body = f"\nBEGIN\n{drop_table.guard(moved.old.table, ours)}END"
    tag = dollar_tag(body, "guard")
    return *of.turned(moved, "old", going), stream_sql.drained(moved, "old"), f"DO {tag}{body}\n{tag}"


def _of_publication(moved: Moved) -> tuple[tuple[str, str], ...]:
    name = literal(stream_slot.publication_name(moved))
    return (("pg_publication_rel", f"o.prpubid = (SELECT p.oid FROM pg_publication AS p WHERE p.pubname = {name})"),)


def _of_family(of: Crossing, moved: Moved) -> tuple[tuple[str, str], ...]:
    """The foreign keys of other old tables, which go with the tables."""
    module = of.beside("old").module
    tables = sorted(names.table(m.table) for m in module.moves if moved.old.table in moving.released(module, m.table))
    theirs = ", ".join(f"to_regclass({literal(table)})" for table in tables)
    return (
        (("pg_constraint", f"o.contype = 'f' AND o.confrelid = c.oid AND o.conrelid IN ({theirs})"),) if tables else ()
    )
