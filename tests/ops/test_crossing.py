"""What a move to another database takes along, and what it asks for there, on two real databases."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import errors

from migdsl.introspect.connect import address, asking
from migdsl.introspect.refusals import refusals
from migdsl.ops.lower import lower
from migdsl.ops.model import Lowered
from migdsl.ops.needed import copies, needed
from migdsl.planning.build import build
from migdsl.planning.works import works
from migdsl.rehearsal.server import Server, start_server
from migdsl.runtime.stream.cli import main
from migdsl.runtime.stream.jobs import Stream
from migdsl.workspace import compile_files
from tests.conftest import ENGINE
from tests.ops.declared import ddl
from tests.ops.support import T1, Connection, Migration, checked, ledger, lowered, mig, one, statements

HEAD = """
migration leave { ticket "MIG-1"; type service_extraction; owner "orders" }
service orders { owner "orders" }
database orders { engine postgresql 15; url env ORDERS_URL; service orders }
database monolith { engine postgresql 15; url env MONOLITH_URL }
tenants { key tenant_id uuid; list in monolith `SELECT id FROM tenants ORDER BY id` }
cutover { ramp 50%, 100% every 1h; writes after reads }
flag leave { stage off for all }
""".replace("postgresql 15", f"postgresql {ENGINE}")
NUMBERS = HEAD + """
entity Order in monolith.orders {
  id bigserial key
  tenant_id uuid tenant
  number bigint identity always
  seq serial
  index (tenant_id, id)
}
move Order to orders.orders { id = id; tenant_id = tenant_id; number = number; seq = seq }
"""
OLD = """
CREATE TABLE tenants (id uuid PRIMARY KEY);
CREATE TABLE orders (id bigserial PRIMARY KEY, tenant_id uuid NOT NULL, number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
                     seq serial NOT NULL);
CREATE INDEX ON orders (tenant_id, id);
"""
NEEDS = HEAD + """
entity Customer in monolith.customers { id bigint key; tenant_id uuid tenant; index (tenant_id, id) }
entity CustomerCopy in orders.customer_copies { id bigint key; tenant_id uuid tenant; index (tenant_id, id) }
entity Order in monolith.orders {
  id bigint key
  tenant_id uuid tenant
  customer_id bigint? -> Customer.id
  iban text? default `app.unknown()`
  name text?
  status smallint
  check `valid_iban(iban) AND lower(name COLLATE "de-x-mine") <> concat('a', 'b')` as iban_ok
  index (tenant_id, id)
  index (tenant_id, customer_id)
}
move Order to orders.orders {
  id = id
  tenant_id = tenant_id
  customer_id = customer_id
  iban = iban
  name = name
  state text = `CASE status WHEN 0 THEN 'open' ELSE 'paid' END`
  back status = `state_of(state)`
  (customer_id) -> CustomerCopy
}
"""


@dataclass(frozen=True, slots=True)
class Two:
    """Both databases, with a connection to each, and what happens in each."""

    urls: tuple[str, str]
    old: Connection
    new: Connection
    lowered: Lowered
    stream: Stream

    def side(self, name: str) -> Migration:
        here = "monolith" if name == "old" else "orders"
        return Migration(self.old if name == "old" else self.new, self.lowered.of(here))

    def turn(self, side: str) -> None:
        """Who writes from now on, and whoever comes; a switch would ask for a backfill first."""
        for connection in (self.old, self.new):
            for stream, tenant in (("Order", T1), ("Order/newcomers", "")):
                connection.execute(
                    "INSERT INTO migdsl.side (migration, stream, tenant, state) VALUES ('leave', %s, %s, %s)"
                    " ON CONFLICT (migration, stream, tenant) DO UPDATE SET state = excluded.state",
                    (stream, tenant, side),
                )

    def job(self, *words: str) -> None:
        assert main(self.stream, ["--old-url", self.urls[0], "--new-url", self.urls[1], *words]) == 0


@contextmanager
def two(server: Server, text: str, ddl: str) -> Iterator[Two]:
    """The databases with the ledgers there, and nothing run."""
    found = compile_files({"m.mig": text}, "m.mig")
    assert found.ok, found.diagnostics
    (job,) = (a for a in found.artifacts if a.kind == "sync")
    space: dict[str, object] = {"__name__": "generated"}
    exec(compile(job.text, job.path, "exec"), space)
    stream = space["STREAM"]
    assert isinstance(stream, Stream)
    assert found.module is not None
    names = [f"migdsl_{uuid.uuid4().hex}" for _ in range(2)]
    urls = [server.create_database(name) for name in names]
    try:
        with psycopg.connect(urls[0], autocommit=True) as old, psycopg.connect(urls[1], autocommit=True) as new:
            old.execute(ddl.encode())
            for connection in (old, new):
                ledger(connection)
            yield Two((urls[0], urls[1]), old, new, lower(found.module), stream)
    finally:
        for name in names:
            server.drop_database(name)


_GRANTED = """
SELECT has_function_privilege(%(role)s, f.oid, 'EXECUTE'), has_table_privilege(%(role)s, o.oid, 'SELECT WITH GRANT OPTION'),
       has_sequence_privilege(%(role)s, pg_get_serial_sequence(o.oid::regclass::text, 'id'), 'USAGE'),
       has_function_privilege('public', f.oid, 'EXECUTE')
  FROM pg_proc AS f, pg_class AS o WHERE f.proname LIKE '%%fence' AND o.relname LIKE '%%outbox'"""


@pytest.fixture(scope="module")
def logical(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"wal_level": "logical", "fsync": "off", "full_page_writes": "off", "max_connections": "30"}
    with start_server(tmp_path_factory.mktemp("logical"), settings=settings) as server:
        yield server


def test_the_database_that_is_left_comes_first():
    assert lower(checked(NUMBERS)[0]).databases == ("monolith", "orders")


def test_a_serial_of_a_table_that_is_made_gives_out_numbers():
    mail = "in app.mails { id bigserial key; tenant_id uuid tenant; no smallserial }"
    made = [s for step in lowered(mig(f"create Mail {mail}")).steps for part in step.up for s in statements(part)]
    (table,) = (statement for statement in made if statement.startswith("CREATE TABLE"))
    assert "id bigint GENERATED BY DEFAULT AS IDENTITY NOT NULL" in table
    assert "no smallint GENERATED BY DEFAULT AS IDENTITY NOT NULL" in table
    there = ddl(mig(f"entity Mail {mail}"), rows=0)
    assert "id bigint DEFAULT nextval('public.mails_id_seq') NOT NULL" in there
    assert "ALTER SEQUENCE public.mails_id_seq OWNED BY public.mails.id" in there


def test_every_number_is_given_out_once_and_comes_home(pg: Server):
    """Serial, identity, and one that nobody may write: none is lost on the new side, none is given out on both."""
    with two(pg, NUMBERS, OLD) as made:
        made.old.execute("INSERT INTO tenants VALUES (%s)", (T1,))
        made.old.execute("INSERT INTO orders (tenant_id) SELECT %s FROM generate_series(1, 3)", (T1,))
        for side in ("old", "new"):
            made.side(side).up("expand")
        made.old.execute("UPDATE orders SET tenant_id = tenant_id")
        made.job("once")
        made.job("sequences")
        given = made.new.execute
        made.old.execute("INSERT INTO orders (tenant_id) VALUES (%s)", (T1,))
        made.job("once")
        assert one(made.new, "SELECT max(id), max(number), max(seq) FROM orders") == (4, 4, 4)
        made.turn("new")
        given("INSERT INTO orders (tenant_id) VALUES (%s)", (T1,))
        given("UPDATE orders SET number = number + 100 WHERE id = 4")
        made.job("once")
        last = one(made.old, "SELECT id, number, seq FROM orders ORDER BY id DESC LIMIT 1")
        assert all(value > 1_000 for value in last)
        assert one(made.old, "SELECT number FROM orders WHERE id = 4") == (104,)
        # On the way back it is as it was.
        made.turn("old")
        for side in ("new", "old"):
            made.side(side).down("expand")
        with pytest.raises(errors.GeneratedAlways):
            made.old.execute("INSERT INTO orders (tenant_id, number) VALUES (%s, 7)", (T1,))
        assert one(made.old, "SELECT max(seqmax) FROM pg_sequence") == (9_223_372_036_854_775_807,)


def test_what_an_application_may_do_with_fence_and_outbox_comes_back_with_them(pg: Server):
    """By role, not by everybody: contract drops them, and its way back makes them anew."""
    role = f"migdsl_app_{uuid.uuid4().hex}"
    with two(pg, NUMBERS, OLD) as made:
        made.old.execute("INSERT INTO tenants VALUES (%s)", (T1,))
        for side in ("old", "new"):
            made.side(side).up("expand")
        made.old.execute(f"CREATE ROLE {role}".encode())
        try:
            (fence,) = one(made.old, "SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE '%fence'")
            for connection in (made.old, made.new):
                (outbox,) = one(connection, "SELECT oid::regclass::text FROM pg_class WHERE relname LIKE '%outbox'")
                connection.execute(f"GRANT EXECUTE ON FUNCTION {fence} TO {role}".encode())
                connection.execute(f"GRANT SELECT ON {outbox} TO {role} WITH GRANT OPTION".encode())
                connection.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA migdsl TO {role}".encode())
            made.job("once")
            made.turn("new")
            for side in ("new", "old"):
                made.side(side).up("contract")
            assert one(made.old, "SELECT count(*) FROM pg_proc WHERE proname LIKE '%fence'") == (0,)
            for side in ("old", "new"):
                made.side(side).down("contract")
            for connection in (made.old, made.new):
                found = connection.execute(_GRANTED, {"role": role}).fetchone()
                assert found == (True, True, True, False)
        finally:
            for connection in (made.old, made.new):
                connection.execute(f"DROP OWNED BY {role}".encode())
            made.old.execute(f"DROP ROLE {role}".encode())


def test_numbers_that_the_file_says_nothing_of_are_refused(pg: Server):
    text = NUMBERS.replace("  seq serial\n", "  seq integer\n")
    with two(pg, text, OLD) as made:
        for how in (
            "nothing: it is a serial",
            "SET DEFAULT nextval('loose')",
            "DROP DEFAULT, ALTER COLUMN seq ADD GENERATED BY DEFAULT AS IDENTITY",
        ):
            if "loose" in how:
                made.old.execute("CREATE SEQUENCE loose; ALTER SEQUENCE orders_seq_seq OWNED BY NONE")
            if "DEFAULT" in how:
                made.old.execute(f"ALTER TABLE orders ALTER COLUMN seq {how}".encode())
            with pytest.raises(errors.ObjectNotInPrerequisiteState, match="a sequence gives out seq of public"):
                made.side("old").up("expand")
        assert one(made.old, "SELECT to_regclass('migdsl.leave_orders_outbox')") == (None,)


def test_what_the_new_database_lacks_is_said_before_anything_happens(pg: Server):
    module, _ = checked(NEEDS)
    (move,) = module.moves
    assert [each.shown for each in needed(module, move)] == [
        'the collation "de-x-mine"',
        "the function app.unknown",
        "the function state_of",
        "the function valid_iban",
        "the table public.customer_copies (CustomerCopy)",
    ]
    (copy,) = copies(module, move)
    assert copy.original is not None
    assert (copy.table.entity, copy.original.entity) == ("CustomerCopy", "Customer")
    there = """CREATE SCHEMA app; CREATE COLLATION "de-x-mine" FROM "C";
      CREATE FUNCTION app.unknown() RETURNS text LANGUAGE sql AS 'SELECT ''x''';
      CREATE FUNCTION state_of(text) RETURNS smallint LANGUAGE sql AS 'SELECT 0::smallint';
      CREATE FUNCTION valid_iban(text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
      CREATE TABLE customer_copies (id bigint PRIMARY KEY, tenant_id uuid NOT NULL)"""
    with two(pg, NEEDS, "CREATE TABLE tenants (id uuid)") as made:
        with pytest.raises(errors.ObjectNotInPrerequisiteState) as refused:
            made.side("new").up("expand")
        with asking(address(made.new.info.dsn)) as session:
            (found,) = refusals(module, module.database("orders"), session)
        assert found.code == "MIG738"
        for each in needed(module, move):
            assert each.shown in str(refused.value)
            assert each.shown in found.title
        assert "concat" not in str(refused.value)
        assert one(made.new, "SELECT to_regclass('migdsl.leave_orders_outbox')") == (None,)
        statements = there.split(";\n")
        for statement in statements:
            made.new.execute(statement.encode())
        made.side("new").up("expand")
        assert one(made.new, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'") == (1,)
        # The command that the runbook has shows what the copy lacks.
        made.old.execute(
            "CREATE TABLE orders (customer_id bigint); INSERT INTO orders VALUES (7), (7), (8), (9), (NULL)"
        )
        made.new.execute("INSERT INTO customer_copies SELECT n, gen_random_uuid() FROM generate_series(1, 8) AS n")
        (told,) = (w for w in works(build(module, "", "contract"), "expand") if w.kind == "told")
        path = {
            **os.environ,
            "PATH": f"{pg.bin}:{os.environ['PATH']}",
            "MONOLITH_URL": made.urls[0],
            "ORDERS_URL": made.urls[1],
        }
        done = subprocess.run(["sh", "-c", told.command], env=path, capture_output=True, text=True, check=True)
        assert done.stdout == "9\n"


SLOTS = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"
PUBLISHED = "SELECT count(*) FROM pg_publication"


def test_the_slot_goes_with_contract_and_can_be_made_again(logical: Server):
    with two(logical, f"{NUMBERS}sync Order {{ by cdc logical }}", OLD) as made:
        side = made.side("old")
        side.up("expand")
        made.side("new").up("expand")
        made.job("slot", "--create")
        (release,) = (s for s in publishing_of(side.lowered) if "pg_drop_replication_slot" in s)
        made.old.execute("CREATE ROLE plain; GRANT USAGE ON SCHEMA migdsl TO plain")
        made.old.execute(
            "GRANT INSERT ON migdsl.event TO plain; GRANT USAGE ON ALL SEQUENCES IN SCHEMA migdsl TO plain"
        )
        try:
            made.old.execute("SET ROLE plain")
            with pytest.raises(errors.ObjectNotInPrerequisiteState, match="the role plain may not drop"):
                made.old.execute(release.encode())
        finally:
            made.old.execute("RESET ROLE; DROP OWNED BY plain; DROP ROLE plain")
        assert (one(made.old, SLOTS), one(made.old, PUBLISHED)) == ((1,), (1,))
        # A tenant that isn't there yet keeps the slot, although nobody asked the gates.
        made.old.execute("INSERT INTO tenants VALUES (%s)", (T1,))
        made.old.execute("INSERT INTO migdsl.side (migration, stream, tenant) VALUES ('leave', 'Order', %s)", (T1,))
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match="do not write Order on the new side: 1"):
            side.up("contract")
        assert (one(made.old, SLOTS), one(made.old, PUBLISHED)) == ((1,), (1,))
        made.turn("new")
        side.up("contract")
        assert (one(made.old, SLOTS), one(made.old, PUBLISHED)) == ((0,), (0,))
        assert one(made.old, "SELECT to_regclass('orders')") == (None,)
        side.down("contract")
        assert one(made.old, PUBLISHED) == (1,)
        # It was dropped on purpose, so that nothing is lost.
        made.job("slot", "--create")
        made.job("slot", "--drop")


@contextmanager
def connector(made: Two) -> Iterator[None]:
    """What Debezium does: its slot is there, and is read from until the block ends."""
    name = "migdsl_leave_order_debezium"
    made.old.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (name,))
    reading = psycopg.connect(made.urls[0], autocommit=True, replication="database")
    try:
        options = f"""proto_version '1', publication_names '{name}'"""
        reading.pgconn.exec_(f"START_REPLICATION SLOT {name} LOGICAL 0/0 ({options})".encode())
        yield
    finally:
        reading.pgconn.finish()
        made.old.execute("SELECT pg_terminate_backend(active_pid, 60000) FROM pg_replication_slots WHERE active")


def test_a_connector_that_reads_keeps_everything(logical: Server):
    with two(logical, f"{NUMBERS}sync Order {{ by cdc debezium }}", OLD) as made:
        side = made.side("old")
        side.up("expand")
        with connector(made):
            for way, phase in ((side.up, "contract"), (side.down, "expand")):
                with pytest.raises(errors.ObjectNotInPrerequisiteState, match="a connector reads") as refused:
                    way(phase)
                assert "curl -fsS -X DELETE" in str(refused.value.diag.message_hint)
            (release,) = (s for s in publishing_of(side.lowered) if "pg_drop_replication_slot" in s)
            with pytest.raises(errors.ObjectNotInPrerequisiteState, match=r"process \d+ reads from"):
                made.old.execute(release.replace("1 .. 30", "1 .. 2").encode())
            assert (one(made.old, SLOTS), one(made.old, PUBLISHED)) == ((1,), (1,))
            assert one(made.old, "SELECT to_regclass('orders')") != (None,)
        made.old.execute("UPDATE migdsl.side SET state = 'new' WHERE stream = 'Order/newcomers'")
        side.up("contract")
        assert (one(made.old, SLOTS), one(made.old, PUBLISHED)) == ((0,), (0,))


def publishing_of(lowered: Lowered) -> list[str]:
    (step,) = (s for s in lowered.phase("contract") if s.operation == "drop_publication")
    return [text for part in step.up for text in statements(part)]


FAMILY = HEAD + """
entity Shop in monolith.shops { id bigint key; tenant_id uuid tenant; index (tenant_id, id) }
entity Order in monolith.orders {
  id bigint key
  tenant_id uuid tenant
  shop_id bigint -> Shop.id
  index (tenant_id, id)
  index (shop_id)
}
entity Line in monolith.lines {
  id bigint key
  order_id bigint -> Order.id on delete cascade
  index (order_id)
  tenant via order_id -> Order
}
move Order to orders.orders {
  id = id
  tenant_id = tenant_id
  shop_id = shop_id
  omit shop_id -> Shop because "shops stay"
}
move Line to orders.lines { id = id; order_id = order_id }
"""
FAMILY_OLD = """
CREATE TABLE tenants (id uuid PRIMARY KEY);
CREATE TABLE shops (id bigint PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE INDEX ON shops (tenant_id, id);
CREATE TABLE orders (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, shop_id bigint NOT NULL REFERENCES shops);
CREATE INDEX ON orders (tenant_id, id);
CREATE INDEX ON orders (shop_id);
CREATE TABLE lines (id bigint PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE);
CREATE INDEX ON lines (order_id);
"""
LETTER = """INSERT INTO migdsl.dead_letter (migration, entity, row_key, error_class, template)
            VALUES ('leave', 'Line', '[1]', '23503', 'x')"""
LEFT = """SELECT to_regclass('orders') IS NOT NULL, to_regclass('lines') IS NOT NULL,
                 (SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint WHERE contype = 'f')"""


@pytest.mark.parametrize("by", ["outbox", "cdc logical"])
def test_an_owner_goes_with_its_children_or_stays_with_them(logical: Server, by: str):
    """Without it nobody could tell whose they are. All foreign keys stay: nothing undoes what isn't applied."""
    with two(logical, f"{FAMILY}sync Order {{ by {by} }}", FAMILY_OLD) as made:
        side = made.side("old")
        side.up("expand")
        made.side("new").up("expand")
        made.turn("new")
        before = one(made.old, LEFT)
        assert before == (True, True, "lines_order_id_fkey orders_shop_id_fkey")
        for create, drop, told in (
            ("CREATE VIEW report AS SELECT count(*) FROM lines", "DROP VIEW report", r"still used by: .*view report"),
            (LETTER, "DELETE FROM migdsl.dead_letter", "written to public.lines has not all been carried over"),
        ):
            made.old.execute(create.encode())
            with pytest.raises(errors.ObjectNotInPrerequisiteState, match=told):
                side.up("contract")
            made.old.execute(drop.encode())
            assert one(made.old, LEFT) == before, told
        side.up("contract")
        assert one(made.old, LEFT) == (False, False, None)
