"""What a move between databases is made of: statements that PostgreSQL can parse, names that fit, and the connector's keys."""

from __future__ import annotations

import json

import pytest

from migdsl.dialect import pgquery
from migdsl.dialect.types import SqlType
from migdsl.ops import debezium, stream_carry, stream_compare, stream_slot, stream_sql
from migdsl.ops.stream_model import Column, Moved, Place, Side
from migdsl.runtime.sql import bind_names

BIGINT, TEXT, MOOD = SqlType("bigint", "bigint"), SqlType("text", "text"), SqlType("app.mood", "app.mood")
NAME = SqlType("character(3)", "character")


def odd(*, captured: bool = False) -> Moved:
    """Names that must be quoted, a key of two columns, types of the database's own, and no equality."""
    key = (Column("Id", BIGINT, 't."Id"'), Column("o'clock", TEXT, 't."o\'clock"'))
    rest = (
        Column("mood", MOOD, "t.mood", own=True),
        Column("doc", SqlType("json", "json"), "t.doc"),
        Column("c", NAME, "t.c"),
    )
    old = Place("App", 'order "x"', ("Id", "o'clock"), (*key, *rest), tenant='@row."Tenant"', tenant_column="Tenant")
    new = Place("public", "o" * 63, ("Id", "o'clock"), (*key, *rest), tenant='@row."Tenant"', tenant_column="Tenant")
    return Moved("m'1", "Order", "Order", (BIGINT, TEXT), old, new, 8, captured)


SIDES: tuple[Side, Side] = ("old", "new")


def statements(moved: Moved) -> list[str]:
    found = [
        stream_sql.gate(moved, "old", "it's 100% so"),
        stream_sql.drained(moved, "old"),
        stream_slot.checked(moved, stream_slot.COLUMN_LISTS),
    ]
    found += [*stream_slot.publish((moved,), 15), stream_slot.unpublish((moved,)), stream_slot.no_slot(moved)]
    found += [*debezium.prepare((moved,)), *debezium.take_back((moved,)), *stream_sql.drop_stream(moved)]
    found += [stream_slot.released(moved), debezium.unread((moved,)), debezium.released((moved,))]
    for side in SIDES:
        found += [*stream_sql.objects(moved, side), *stream_sql.triggers(moved, side)]
        found += [*stream_sql.drop_triggers(moved, side), *stream_sql.drop_objects(moved, side)]
        carry = stream_carry.carry(moved, side)
        found += [getattr(carry, name) for name in carry.FIELDS if name != "outbox"]
        found += [getattr(each, name) for each in stream_compare.compared(moved, side) for name in each.FIELDS]
    enqueue = stream_carry.enqueue(moved)
    return [*found, *(getattr(enqueue, name) for name in enqueue.FIELDS), stream_compare.repaired(moved)]


@pytest.mark.parametrize("captured", [False, True])
def test_every_statement_is_one_that_postgresql_can_read(captured: bool):
    for sql in statements(odd(captured=captured)):
        pgquery.parse(bind_names(sql)[0])


def test_before_15_a_publication_has_whole_tables():
    moved = odd(captured=True)
    *_, old, new = [stream_slot.publish((moved, moved), version)[-1] for version in (14, 15)]
    assert ' FOR TABLE "App"."order ""x""", "App"."order ""x"""\n' in old
    columns = """("Id", "o'clock", "Tenant")"""
    assert f' FOR TABLE "App"."order ""x""" {columns}, "App"."order ""x""" {columns}\n' in new


def test_what_is_too_long_is_refused_and_not_cut_on_its_way():
    wires = {column.name: column.wire for column in odd().new.columns}
    assert wires == {"Id": "bigint", "o'clock": "text", "mood": "text", "doc": "json", "c": "text"}


def test_names_fit_and_differ():
    moved = odd()
    names = {moved.bare(side, what) for side in SIDES for what in ("outbox", "stream", "truncated", "routed")}
    assert len(names) == 8
    assert all(len(name.encode()) <= 63 for name in names)
    assert len(stream_slot.slot_name(moved)) <= 63
    assert set(stream_slot.slot_name(moved)) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")


def test_the_connector_has_what_debezium_needs_and_no_secret():
    made = debezium.connector((odd(),), "MONOLITH_URL")
    config = made["config"]
    assert isinstance(config, dict)
    assert json.loads(json.dumps(made)) == made
    assert config["plugin.name"] == "pgoutput"
    assert config["publication.autocreate.mode"] == "disabled"
    assert config["snapshot.mode"] == "no_data"
    assert config["database.password"] == "${env:MONOLITH_PASSWORD}"
    assert config["transforms.outbox.route.topic.replacement"] == "outbox.event.${routedByValue}"
    needed = (
        "topic.prefix slot.name publication.name table.include.list heartbeat.interval.ms tombstones.on.delete".split()
    )
    router = [f"table.field.event.{name}" for name in ("id", "key", "type", "payload", "timestamp")]
    router += ["type", "route.by.field", "table.op.invalid.behavior"]
    assert {*needed, *(f"transforms.outbox.{name}" for name in router)} <= set(config)
    columns = {config[f"transforms.outbox.{name}"] for name in router[:5]} | {
        config["transforms.outbox.route.by.field"]
    }
    added = debezium.prepare((odd(),))[0]
    assert all(f"ADD COLUMN IF NOT EXISTS {name} " in added for name in columns)
    assert config["table.include.list"] == r"migdsl\.m\'1_App_order\ \"x\"_outbox"
