"""The connector's configuration against what Debezium and Kafka Connect know; both of them for real are the long form.

`debezium_properties.json` holds the names as the classes of each version tell them (`PostgresConnector`, `EventRouter`,
`JsonConverter`: their `config()`), and Connect's own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import errors

from migdsl.dialect.types import SqlType
from migdsl.ops import debezium
from migdsl.ops.stream_model import Column, Moved, Place
from migdsl.rehearsal.server import start_server
from tests.ops.connect import Worker, class_path, until, way_to, worker
from tests.ops.support import T1, Connection, one
from tests.ops.test_crossing import NUMBERS, OLD, Two, two

FACTS = json.loads(Path(__file__).with_name("debezium_properties.json").read_text(encoding="utf-8"))


def moved(*types: str, entity: str = "Order", stream: str = "Order") -> Moved:
    """A table whose key has columns of these types."""
    key = tuple(Column(f"k{n}", SqlType(name, name), f"t.k{n}") for n, name in enumerate(types, 1))
    place = Place("public", "orders", tuple(column.name for column in key), key)
    return Moved("leave", stream, entity, tuple(column.type for column in key), place, place)


def config(*tables: Moved) -> dict[str, str]:
    found: Any = debezium.connector(tables or (moved("bigint"),), "MONOLITH_URL")["config"]
    return dict(found)


@pytest.mark.parametrize("version", sorted(FACTS["debezium"]))
def test_every_property_is_one_that_debezium_knows(version: str):
    known = FACTS["debezium"][version]
    names = {*known["connector"], *FACTS["connect"]["3.9.0"], "transforms.outbox.type"}
    names |= {f"transforms.outbox.{name}" for name in known["router"]}
    names |= {f"value.converter.{name}" for name in known["converter"]}
    made = config()
    assert set(made) - names == set()
    assert {name: made[name] for name in known["values"] if made[name] not in known["values"][name]} == {}


def test_what_is_asked_for_by_name_has_no_capital():
    """Debezium gives the publication's name to pgoutput without quotes, and PostgreSQL 18 only warns of one that isn't there."""
    made = config(moved("bigint", stream="Order"))
    assert made["publication.name"] == made["publication.name"].lower() == made["slot.name"]
    assert f"CREATE PUBLICATION {made['publication.name']} " in debezium.prepare((moved("bigint"),))[-1]


def test_two_connectors_share_no_topic_of_their_own():
    assert (
        config(moved("bigint", stream="Order"))["topic.prefix"]
        != config(moved("bigint", stream="User"))["topic.prefix"]
    )


def test_a_topic_has_a_name_that_kafka_takes():
    assert debezium.topic("Order") == "outbox.event.Order"
    assert debezium.topic("Ärger 1") == "outbox.event..c4rger.201"
    assert "DEFAULT '.c4rger.201'" in debezium.prepare((moved("bigint", entity="Ärger 1"),))[0]


def routed(database: Connection, table: Moved, *values: object) -> dict[str, Any]:
    """What the trigger makes of a key."""
    columns = ", ".join(f"{n} {t.sql}" for n, t in zip(table.key_columns, table.key_types, strict=True))
    database.execute("CREATE SCHEMA IF NOT EXISTS migdsl")
    database.execute(f"CREATE TABLE {table.outbox('old')} ({columns}, tenant text, tenant_was text)".encode())
    for statement in debezium.prepare((table,))[:-1]:
        database.execute(statement.encode())
    given = ", ".join(["%s"] * len(values))
    insert = f"INSERT INTO {table.outbox('old')} VALUES ({given}, 't') RETURNING aggregateid, payload"
    key, payload = one(database, insert, *values)
    return {"message": key, **json.loads(str(payload))}


def test_a_key_is_spelt_alike_in_whatever_session(connection: Connection):
    connection.execute("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'; SET bytea_output = 'escape'")
    made = routed(connection, moved("timestamp with time zone", "bytea"), "2026-01-01 09:00+09", b"a,b")
    assert made["key"] == {"k1": "2026-01-01 00:00:00+00", "k2": "\\x612c62"}
    assert json.loads(made["message"]) == list(made["key"].values())


def test_keys_that_a_comma_would_make_equal_differ(connection: Connection):
    made = [routed(connection, moved("text", "text"), "a,b", "c")]
    connection.execute("DROP SCHEMA migdsl CASCADE")
    made.append(routed(connection, moved("text", "text"), "a", "b,c"))
    assert made[0]["message"] != made[1]["message"]
    assert made[1] == {"message": '["a", "b,c"]', "key": {"k1": "a", "k2": "b,c"}, "tenant": "t", "tenant_was": None}


def test_a_table_is_named_as_java_reads_it():
    table = moved("bigint")
    odd = Place("public", "a,b[1]^c\\d", table.old.key, table.old.columns)
    made = config(Moved("leave", "Order", "Order", table.key_types, odd, odd))
    assert made["table.include.list"] == r"migdsl\.leave_a\,b\[1\]\^c\\d_outbox"


TEXT = f"{NUMBERS}sync Order {{ by cdc debezium }}"
NAME, TOPIC = "leave-Order", "outbox.event.Order"
SLOT = "SELECT slot_name, plugin FROM pg_replication_slots"


@contextmanager
def connecting(tmp_path: Path) -> Iterator[tuple[Two, Worker]]:
    """Both databases after expand, and a worker that knows nothing of them yet. The connector's role may do the least."""
    class_path()
    settings = {"wal_level": "logical", "fsync": "off", "max_connections": "30"}
    with (
        start_server(tmp_path, settings=settings) as server,
        two(server, TEXT, OLD) as made,
        way_to(server.url) as port,
    ):
        made.old.execute("CREATE ROLE reader LOGIN REPLICATION")
        for side in ("old", "new"):
            made.side(side).up("expand")
        values = ("127.0.0.1", str(port), "reader", "any", urlsplit(made.urls[0]).path[1:])
        (tmp_path / "cdc.json").write_text(
            json.dumps(debezium.connector(moves(made), "MONOLITH_URL")), encoding="utf-8"
        )
        try:
            with worker(dict(zip(debezium.variables("MONOLITH_URL"), values, strict=True))) as kafka:
                yield made, kafka
        finally:
            made.old.execute("DROP ROLE reader")


def moves(made: Two) -> tuple[Moved, ...]:
    return tuple(plan.moved for plan in made.lowered.tables if plan.moved is not None)


def begin(kafka: Worker, folder: Path) -> None:
    """A worker alone forgets its connectors, and knows their offsets."""
    kafka.run(debezium.creation("cdc.json"), folder)
    assert kafka.task(NAME)["state"] == "RUNNING"


def killed_under_writers(made: Two, kafka: Worker, folder: Path) -> None:
    """Writers go on while nobody reads."""
    ended = threading.Event()

    def write() -> None:
        with psycopg.connect(made.urls[0], autocommit=True) as writer:
            while not ended.wait(0.005):
                writer.execute("INSERT INTO orders (tenant_id) VALUES (%s)", (T1,))

    writing = threading.Thread(target=write)
    writing.start()
    try:
        before = len(kafka.broker.read(TOPIC))
        until(lambda: len(kafka.broker.read(TOPIC)) > before + 20, "nothing comes")
        kafka.kill()
        kafka.start()
        begin(kafka, folder)
    finally:
        ended.set()
        writing.join()


@pytest.mark.long("MIGDSL_LONG")
def test_a_real_connector_reads_what_is_written_from_its_post_to_its_deletion(tmp_path: Path):
    with connecting(tmp_path) as (made, kafka):
        posted = json.loads((tmp_path / "cdc.json").read_text(encoding="utf-8"))
        asked = f"/connector-plugins/{posted['config']['connector.class'].rpartition('.')[2]}/config/validate"
        answer = kafka.ask(asked, {**posted["config"], "name": posted["name"]})
        assert answer["error_count"] == 0
        assert set(posted["config"]) - {each["value"]["name"] for each in answer["configs"]} == set()
        waiting = f"SELECT FROM ({debezium.nobody_reads(moves(made)[0])} SELECT NULL WHERE false) AS why"
        assert len(made.old.execute(waiting.encode()).fetchall()) == 1
        begin(kafka, tmp_path)
        assert made.old.execute(waiting.encode()).fetchall() == []
        until(lambda: one(made.old, "SELECT count(*) FROM pg_stat_replication") == (1,), "the connector doesn't read")
        # Its own, under our name, and no publication but ours.
        assert made.old.execute(SLOT).fetchall() == [("migdsl_leave_order_debezium", "pgoutput")]
        assert made.old.execute("SELECT pubname FROM pg_publication").fetchall() == [("migdsl_leave_order_debezium",)]

        made.old.execute("INSERT INTO orders (tenant_id) VALUES (%s)", (T1,))
        (message,) = until(lambda: kafka.broker.read(TOPIC), "no message comes")
        outbox = "SELECT event_id, extract(epoch FROM occurred_at) FROM migdsl.leave_orders_outbox"
        event, at = one(made.old, outbox)
        assert message.key() == b"1"
        assert json.loads(message.value()) == {"key": {"id": "1"}, "tenant": str(T1)}
        assert (dict(message.headers()), message.timestamp()[1]) == ({"id": str(event).encode()}, int(at * 1000))

        killed_under_writers(made, kafka, tmp_path)
        rows = {str(key).encode() for (key,) in made.old.execute("SELECT id FROM orders")}
        until(lambda: {message.key() for message in kafka.broker.read(TOPIC)} == rows, "a row is missing")

        # Nothing is written to the outbox for long; the WAL is let go all the same.
        made.old.execute("CREATE TABLE busy AS SELECT generate_series(1, 1000)")
        (end,) = one(made.old, "SELECT pg_current_wal_lsn()")
        passed = f"SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots"
        until(lambda: one(made.old, passed) == (True,), "the slot keeps what nobody waits for")

        made.job("once")
        made.turn("new")
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match="a connector reads") as refused:
            made.side("old").up("contract")
        command = debezium.deletion(moves(made)[0])
        assert command in str(refused.value.diag.message_hint)
        kafka.run(command, tmp_path)
        until(lambda: one(made.old, "SELECT count(*) FROM pg_stat_replication") == (0,), "the connector goes on")
        made.side("old").up("contract")
        assert made.old.execute(SLOT).fetchall() == made.old.execute("SELECT FROM pg_publication").fetchall() == []

        # And back: a connector of the same name, and a slot that begins later.
        made.side("old").down("contract")
        begin(kafka, tmp_path)
        made.turn("old")
        made.old.execute("INSERT INTO orders (id, tenant_id) VALUES (-1, %s)", (T1,))
        until(
            lambda: b"-1" in {message.key() for message in kafka.broker.read(TOPIC)}, "it isn't told of what is written"
        )
