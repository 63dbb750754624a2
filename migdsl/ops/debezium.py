"""A table's move becomes the configuration of Debezium's PostgreSQL connector, with its outbox router: a JSON document.

The keys are those of the outbox; whoever consumes them reads the rows again, as the sync job does. Source of the fields:
Debezium, connector for PostgreSQL and Outbox Event Router.
"""

from __future__ import annotations

from typing import Final

from migdsl.dialect.names import derived, dollar_tag, literal, quote
from migdsl.ops.stream_model import LEDGER, Moved
from migdsl.ops.stream_slot import dropped, slot_name

# What a worker of Kafka Connect reads `${env:…}` with, where it is told to.
PROVIDER: Final = "org.apache.kafka.common.config.provider.EnvVarConfigProvider"
# The defaults aren't ours: `decoderbufs`, and a publication of all tables that the connector makes by itself.
_FIXED = {
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "plugin.name": "pgoutput",
    "publication.autocreate.mode": "disabled",
    # What was there before comes through the outbox as well: there is nothing to take a snapshot of.
    "snapshot.mode": "no_data",
    # What isn't in the publication moves a slot no further, and this database may write much else meanwhile: a word in the WAL,
    # which nobody gets to see, does.
    "heartbeat.interval.ms": "10000",
    "heartbeat.action.query": "SELECT pg_logical_emit_message(false, 'migdsl.heartbeat', '')",
    "message.prefix.exclude.list": "migdsl[.]heartbeat",
    "tombstones.on.delete": "false",
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.schemas.enable": "false",
}
_ROUTER = {
    "transforms": "outbox",
    "transforms.outbox.type": "io.debezium.transforms.outbox.EventRouter",
    "transforms.outbox.table.field.event.id": "event_id",
    "transforms.outbox.table.field.event.key": "aggregateid",
    "transforms.outbox.table.field.event.type": "type",
    "transforms.outbox.table.field.event.payload": "payload",
    "transforms.outbox.table.field.event.timestamp": "occurred_at",
    "transforms.outbox.route.by.field": "aggregatetype",
    "transforms.outbox.route.topic.replacement": "outbox.event.${routedByValue}",
    "transforms.outbox.table.op.invalid.behavior": "warn",
    "transforms.outbox.table.expand.json.payload": "true",
}
_ASKED = ("hostname", "port", "user", "password", "dbname")
# Types whose text is the same in whatever session.
_SPELT_ALIKE = frozenset(["smallint", "integer", "bigint", "uuid", "text", "character varying", "numeric", "boolean"])
_SPELLING = "SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'iso_8601' SET TimeZone = 'UTC' SET bytea_output = 'hex'"


def variables(url_env: str) -> tuple[str, ...]:
    """What a worker's environment holds of the database that `url_env` is the URL of: MONOLITH_HOSTNAME for MONOLITH_URL, …"""
    return tuple(f"{url_env.removesuffix('_URL')}_{name.upper()}" for name in _ASKED)


def connector(tables: tuple[Moved, ...], url_env: str) -> dict[str, object]:
    """The connector of a stream, as it is posted to Kafka Connect; secrets are read from the worker's environment."""
    first = tables[0]
    asked = zip(_ASKED, variables(url_env), strict=True)
    database = {f"database.{name}": f"${{env:{variable}}}" for name, variable in asked}
    config = {
        **_FIXED,
        **_ROUTER,
        **database,
        **dict.fromkeys(("topic.prefix", "slot.name", "publication.name"), _called(first)),
        "table.include.list": ",".join(_listed(moved) for moved in tables),
    }
    return {"name": connector_name(first), "config": dict(sorted(config.items()))}


def connector_name(moved: Moved) -> str:
    """What the stream's connector is called in Kafka Connect."""
    return f"{moved.migration}-{moved.stream}"


def prepare(tables: tuple[Moved, ...]) -> tuple[str, ...]:
    """What the router finds in the outboxes of the old side, and the publication that the connector reads."""
    found: list[str] = []
    for moved in tables:
        outbox, function = moved.outbox("old"), moved.named("old", "routed")
        body = f"""
BEGIN
  NEW.aggregateid := {_message_key(moved)};
  NEW.payload := json_build_object('key', {_named_key(moved)}, 'tenant', NEW.tenant, 'tenant_was', NEW.tenant_was)::text;
  RETURN NEW;
END"""
        tag = dollar_tag(body, "routed")
        found += [
            # It is as new as the columns: no row has to be rewritten.
            f"""ALTER TABLE {outbox}
    -- squawk-ignore adding-field-with-default
    ADD COLUMN IF NOT EXISTS event_id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS aggregatetype text NOT NULL DEFAULT {literal(_routed(moved.entity))},
    ADD COLUMN IF NOT EXISTS aggregateid text,
    ADD COLUMN IF NOT EXISTS type text NOT NULL DEFAULT 'written',
    ADD COLUMN IF NOT EXISTS payload text,
    -- squawk-ignore adding-field-with-default
    ADD COLUMN IF NOT EXISTS occurred_at timestamp NOT NULL DEFAULT (clock_timestamp() AT TIME ZONE 'UTC')""",
            (
                f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger\n"
                f"  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp{_spelling(moved)} AS {tag}{body}\n{tag}"
            ),
            f"CREATE OR REPLACE TRIGGER routed BEFORE INSERT ON {outbox}\n  FOR EACH ROW EXECUTE FUNCTION {function}()",
        ]
    listed = ", ".join(moved.outbox("old") for moved in tables)
    # What is done is deleted, which isn't anybody's news.
    return (*found, f"CREATE PUBLICATION {quote(_called(tables[0]))} FOR TABLE {listed}\n  WITH (publish = 'insert')")


def _texts(moved: Moved) -> tuple[str, ...]:
    return tuple(f"CAST(NEW.{name} AS text)" for name in moved.key_columns)


def _message_key(moved: Moved) -> str:
    """One column as it is, several as a JSON array: a comma may be part of a text."""
    texts = _texts(moved)
    return texts[0] if len(texts) == 1 else f"json_build_array({', '.join(texts)})::text"


def _named_key(moved: Moved) -> str:
    """The key by its columns' names, all texts: JSON's numbers end at 2^53."""
    named = (f"{literal(name)}, {text}" for name, text in zip(moved.old.key, _texts(moved), strict=True))
    return f"json_build_object({', '.join(named)})"


def _spelling(moved: Moved) -> str:
    """Settings by which a key is spelt alike in whatever session it is written; most keys need none."""
    return "" if all(type_.base in _SPELT_ALIKE for type_ in moved.key_types) else f"\n  {_SPELLING}"


def topic(entity: str) -> str:
    """The topic that the router sends an entity's messages to."""
    return f"outbox.event.{_routed(entity)}"


def _routed(entity: str) -> str:
    """An entity as part of a topic's name, in which Kafka knows ASCII's letters and digits alone."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else f".{ord(c):x}" for c in entity)


def unread(tables: tuple[Moved, ...]) -> str:
    """A DO block that refuses to go on while a connector reads: it would fail, and begin again, for ever."""
    slot = _called(tables[0])
    hint = f"delete the connector in Kafka Connect first: {deletion(tables[0])}"
    body = f"""
DECLARE
  reader integer;
BEGIN
  SELECT s.active_pid INTO reader FROM pg_catalog.pg_replication_slots AS s
   WHERE s.slot_name = {literal(slot)} AND s.database = current_database() AND s.active;
  IF FOUND THEN
    RAISE EXCEPTION 'a connector reads from the replication slot % (process %)', {literal(slot)}, reader
      USING ERRCODE = '55000', HINT = {literal(hint)};
  END IF;
END"""
    tag = dollar_tag(body, "gate")
    return f"DO {tag}{body}\n{tag}"


def nobody_reads(moved: Moved) -> str:
    """The first reason for a backfill to wait: what is enqueued before the connector has made its slot becomes no message."""
    name = literal(_called(moved))
    return f"""SELECT 'there is no slot that the connector reads from: post it to Kafka Connect, and look at its status'
 WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = {name} AND database = current_database()
                      AND confirmed_flush_lsn IS NOT NULL AND wal_status IS DISTINCT FROM 'lost')
 UNION ALL
"""


def released(tables: tuple[Moved, ...]) -> str:
    """A DO block that drops the connector's slot, which stays when the connector is deleted, and keeps all WAL."""
    slot = _called(tables[0])
    busy = f"delete the connector in Kafka Connect, then run this again: {deletion(tables[0])}"
    denied = f"run SELECT pg_drop_replication_slot({literal(slot)}) as a role that has REPLICATION, then this again"
    return dropped(slot, busy, denied)


def deletion(moved: Moved) -> str:
    """The command that deletes a stream's connector; `KAFKA_CONNECT_URL` is where Kafka Connect answers. Its offsets go
    first: kept, they make a connector of that name fail that is posted again, once its slot has been dropped."""
    safe = (c if c.isascii() and (c.isalnum() or c in "-_.~") else _percent(c) for c in connector_name(moved))
    at = f'"$KAFKA_CONNECT_URL/connectors/{"".join(safe)}'
    # It is stopped a moment after it is told to.
    patiently = "--retry 30 --retry-delay 1 --retry-all-errors"
    return f'curl -fsS -X PUT {at}/stop" && curl -fsS {patiently} -X DELETE {at}/offsets" && curl -fsS -X DELETE {at}"'


def creation(path: str) -> str:
    """The command that posts the connector that the file at `path` describes."""
    from shlex import quote  # most migrations have no connector

    return (
        f"curl -fsS -X POST -H 'Content-Type: application/json' --data {quote('@' + path)} "
        '"$KAFKA_CONNECT_URL/connectors"'
    )


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def take_back(tables: tuple[Moved, ...]) -> tuple[str, ...]:
    """The way back of `prepare`; the connector goes before, and its slot by `released`."""
    functions = (f"DROP FUNCTION IF EXISTS {moved.named('old', 'routed')}() CASCADE" for moved in tables)
    return (f"DROP PUBLICATION IF EXISTS {quote(_called(tables[0]))}", *functions)


def _called(moved: Moved) -> str:
    """Slot, publication and the prefix of the connector's own topics: lower case, since the connector gives the publication's
    name to `pgoutput` without quotes, which then finds none that has a capital; and no other connector's."""
    return derived(slot_name(moved), suffix="debezium")


def _listed(moved: Moved) -> str:
    """A table as the connector's list names it: one of Java's regular expressions over `schema.table`, split at commas."""
    name = moved.bare("old", "outbox")
    return f"{LEDGER}\\.{''.join(c if c.isalnum() or c == '_' or not c.isascii() else chr(92) + c for c in name)}"
