"""A table's move becomes the configuration of Debezium's PostgreSQL connector, with its outbox router: a JSON document.

The keys are those of the outbox; whoever consumes them reads the rows again, as the sync job does. Source of the fields:
Debezium, connector for PostgreSQL and Outbox Event Router.
"""

from __future__ import annotations

from migdsl.dialect.names import derived, dollar_tag, literal, quote
from migdsl.ops.stream_model import LEDGER, Moved
from migdsl.ops.stream_slot import dropped, publication_name, slot_name

# The defaults aren't ours: `decoderbufs`, and a publication of all tables that the connector makes by itself.
_FIXED = {
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "plugin.name": "pgoutput",
    "publication.autocreate.mode": "disabled",
    # What was there before comes through the outbox as well: there is nothing to take a snapshot of.
    "snapshot.mode": "no_data",
    "heartbeat.interval.ms": "10000",
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


def connector(tables: tuple[Moved, ...], environment: str, topic: str) -> dict[str, object]:
    """The connector of a stream, as it is posted to Kafka Connect. Secrets are read from the worker's environment, where
    `environment` begins the variables' names (`MONOLITH` for MONOLITH_HOST, …_PORT, …_USER, …_PASSWORD, …_DBNAME)."""
    first = tables[0]
    database = {
        f"database.{name}": f"${{env:{environment}_{name.upper()}}}"
        for name in ("hostname", "port", "user", "password", "dbname")
    }
    config = {
        **_FIXED,
        **_ROUTER,
        **database,
        "topic.prefix": topic,
        "slot.name": _slot(first),
        "publication.name": _publication(first),
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
        key = " || ',' || ".join(f"CAST(NEW.{name} AS text)" for name in moved.key_columns)
        body = f"""
BEGIN
  NEW.aggregateid := {key};
  NEW.payload := json_build_object('key', NEW.aggregateid, 'tenant', NEW.tenant, 'tenant_was', NEW.tenant_was)::text;
  RETURN NEW;
END"""
        tag = dollar_tag(body, "routed")
        found += [
            # It is as new as the columns: no row has to be rewritten.
            f"""ALTER TABLE {outbox}
    -- squawk-ignore adding-field-with-default
    ADD COLUMN IF NOT EXISTS event_id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS aggregatetype text NOT NULL DEFAULT {literal(moved.entity)},
    ADD COLUMN IF NOT EXISTS aggregateid text,
    ADD COLUMN IF NOT EXISTS type text NOT NULL DEFAULT 'written',
    ADD COLUMN IF NOT EXISTS payload text,
    -- squawk-ignore adding-field-with-default
    ADD COLUMN IF NOT EXISTS occurred_at timestamp NOT NULL DEFAULT (clock_timestamp() AT TIME ZONE 'UTC')""",
            (
                f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger\n"
                f"  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS {tag}{body}\n{tag}"
            ),
            f"CREATE OR REPLACE TRIGGER routed BEFORE INSERT ON {outbox}\n  FOR EACH ROW EXECUTE FUNCTION {function}()",
        ]
    listed = ", ".join(f"TABLE {moved.outbox('old')}" for moved in tables)
    # What is done is deleted, which isn't anybody's news.
    return (*found, f"CREATE PUBLICATION {quote(_publication(tables[0]))} FOR {listed}\n  WITH (publish = 'insert')")


def unread(tables: tuple[Moved, ...]) -> str:
    """A DO block that refuses to go on while a connector reads: it would fail, and begin again, for ever."""
    slot = _slot(tables[0])
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


def released(tables: tuple[Moved, ...]) -> str:
    """A DO block that drops the connector's slot, which stays when the connector is deleted, and keeps all WAL."""
    slot = _slot(tables[0])
    busy = f"delete the connector in Kafka Connect, then run this again: {deletion(tables[0])}"
    denied = f"run SELECT pg_drop_replication_slot({literal(slot)}) as a role that has REPLICATION, then this again"
    return dropped(slot, busy, denied)


def deletion(moved: Moved) -> str:
    """The command that deletes a stream's connector; `KAFKA_CONNECT_URL` is where Kafka Connect answers."""
    safe = (c if c.isascii() and (c.isalnum() or c in "-_.~") else _percent(c) for c in connector_name(moved))
    return f'curl -fsS -X DELETE "$KAFKA_CONNECT_URL/connectors/{"".join(safe)}"'


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
    return (f"DROP PUBLICATION IF EXISTS {quote(_publication(tables[0]))}", *functions)


def _publication(moved: Moved) -> str:
    return derived(publication_name(moved), suffix="debezium")


def _slot(moved: Moved) -> str:
    return derived(slot_name(moved), suffix="debezium")


def _listed(moved: Moved) -> str:
    """A table as the connector's list names it: a regular expression over `schema.table`."""
    name = moved.bare("old", "outbox")
    return f"{LEDGER}\\.{''.join(c if c.isalnum() or c == '_' else f'[{c}]' for c in name)}"
