"""Tables over there that a moved table points at: they have the rows of what they are a copy of, before anything moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from migdsl.executor.model import Project
from migdsl.planning.build import build
from migdsl.rehearsal import baseline, several
from migdsl.rehearsal.copies import Copies
from migdsl.rehearsal.journal import Journal
from migdsl.rehearsal.model import Log, Settings, Undoable
from migdsl.rehearsal.rows import Maker, seeded, tenancy
from migdsl.rehearsal.server import Server
from migdsl.rehearsal.shapes import shapes
from tests.conftest import ENGINE
from tests.ops.support import checked

HEAD = f"""
migration leave {{ ticket "MIG-1" }}
database shop {{ engine postgresql {ENGINE}; url env SHOP_URL }}
database orders {{ engine postgresql {ENGINE}; url env ORDERS_URL }}
tenants {{ key tenant_id uuid; list in shop `SELECT id FROM tenants ORDER BY id` }}
"""
CUSTOMER = """
entity Customer in shop.customers { id bigint key identity; tenant_id uuid tenant; name text pii; index (tenant_id, id) }
entity Order in shop.orders {
  id bigint key; tenant_id uuid tenant; customer_id bigint -> Customer.id; note text?; index (tenant_id, id)
}
move Order to orders.orders {
  id = id; tenant_id = tenant_id; buyer_id = customer_id; note = note
  (buyer_id) -> Copy
}"""
COPY = HEAD + CUSTOMER + """
entity Copy in orders.copies {
  number bigint key identity; tenant_id uuid tenant; name text pii; since date; index (tenant_id, number)
}
"""
PLAIN = HEAD + """
entity Order in shop.orders { id bigint key; tenant_id uuid tenant; kind text; index (tenant_id, id) }
entity Kind in orders.kinds { code text key; global because "the same for all"; check `code ~ '^[a-z]{4}$'` as code_ok }
move Order to orders.orders { id = id; tenant_id = tenant_id; kind = kind; (kind) -> Kind }
"""
TOO_NARROW = COPY.replace("since date;", "since date; check `name IS NULL` as nothing;")
MOVED = HEAD + CUSTOMER + """
entity Copy in orders.copies { id bigint key; tenant_id uuid tenant; name text pii; index (tenant_id, id) }
move Customer to orders.customers { id = id; tenant_id = tenant_id; name = name }
"""


@contextmanager
def filled(server: Server, text: str) -> Iterator[tuple[psycopg.Connection, psycopg.Connection]]:
    """Both databases of a file, filled as for a rehearsal."""
    module, _ = checked(text)
    project = Project(build(module, "", "contract"), "leave.mig", "", {})
    settings, log = Settings(rows=30, tenants=4), Log()
    tenants = tenancy(module, settings)
    with ExitStack() as stack:
        near, far = (stack.enter_context(_made(server, project, name)) for name in ("shop", "orders"))
        copies = Copies(project, "orders", far, tenants, 1, log)
        copies.first()
        own = several.part(project, "shop").planned.module
        tables = tuple(map(copies.pointing, shapes(own, project.planned.lowered)))
        journals = {shape.entity: Journal(shape) for shape in tables}
        maker = Maker(own, tables, {**copies.journals, **journals}, near, seeded(1), log)
        assert maker.fill(tenants) == sum(len(j.rows) for j in journals.values()) > 20
        copies.then(journals)
        yield near, far


@contextmanager
def _made(server: Server, project: Project, name: str) -> Iterator[psycopg.Connection]:
    database = f"migdsl_test_copies_{name}"
    try:
        with psycopg.connect(server.create_database(database), autocommit=True) as connection:
            for statement in baseline.ddl(several.part(project, name).planned.module):
                connection.execute(statement.encode())
            yield connection
    finally:
        server.drop_database(database)


def rows(connection: psycopg.Connection, query: str) -> set[tuple[object, ...]]:
    return set(connection.execute(query.encode()).fetchall())


def test_a_copy_has_the_rows_that_keys_point_at(pg: Server):
    with filled(pg, COPY) as (near, far):
        own = rows(near, "SELECT id, tenant_id, name FROM customers")
        assert rows(far, "SELECT number, tenant_id, name FROM copies") == own != set()
        assert far.execute("SELECT count(*) FROM copies WHERE since IS NULL").fetchone() == (0,)


def test_of_what_is_no_copy_rows_are_made_up_first(pg: Server):
    with filled(pg, PLAIN) as (near, far):
        used = rows(near, "SELECT kind FROM orders")
        assert used
        assert used <= rows(far, "SELECT code FROM kinds")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TOO_NARROW, "Copy can't hold the rows that the keys of Order"),
        (MOVED, "Copy is a copy of Customer, which moves too"),
    ],
)
def test_what_nobody_could_keep_is_refused(pg: Server, text: str, why: str):
    with pytest.raises(Undoable, match=why), filled(pg, text):
        pass
