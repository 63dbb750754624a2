"""A move from end to end on a real database: there, back and forward again, beside writers, killed, mended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import psycopg
import pytest
from alembic.util import CommandError

from migdsl.cli.against import differences
from tests.folding.support import finished
from tests.ops.killing import killed_anywhere
from tests.ops.moves import ORDERS, SEED, TEXT, WRONG, Moving
from tests.ops.owned import OWNED
from tests.ops.story import Story, Walk
from tests.ops.support import T1, T2, mig

# All of it takes minutes: MIGDSL_MOVES=full.
full = pytest.mark.long("MIGDSL_MOVES")
long = pytest.mark.long("MIGDSL_LONG")


def told(story: Story, schema: str) -> list[str]:
    """What differs between a file and the database, but for the server's version."""
    found = differences([story.url], {"schema.mig": schema})
    return [f"{d.code} {d.title}" for d in found if "the server is PostgreSQL" not in d.title]


def test_there_and_back(walk: Walk):
    def equal(story: Story) -> None:
        assert story.rows(WRONG) == []
        assert story.rows("SELECT count(*) FROM sales.purchases") == story.rows("SELECT count(*) FROM orders")
        assert told(story, TEXT) == []

    def unscathed(story: Story) -> None:
        """The backfill, which looks like new code to the trigger, has changed nothing of the old."""
        assert story.rows("SELECT count(*) FROM orders WHERE status = id % 5") == [(300,)]
        equal(story)

    def alone(story: Story) -> None:
        """The old table is gone; its numbers go on, and what pointed at it points at the new one."""
        insert = f"INSERT INTO sales.purchases (tenant_id, no, state, total) VALUES ('{T1}', 'fresh', 'paid', 12) RETURNING id"
        assert story.rows(insert) == [(301,)]
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            story.execute(f"INSERT INTO lines VALUES (900, '{T1}', 9000)")
        story.execute("DELETE FROM sales.purchases WHERE id = 298")
        assert story.rows("SELECT count(*) FROM lines WHERE order_id = 298") == [(0,)]
        assert told(story, finished({"m.mig": TEXT}, into="schema.mig")["schema.mig"]) == []
        assert told(story, TEXT) != []

    def home(story: Story) -> None:
        assert story.rows("SELECT number, status, total_cents FROM orders WHERE id = 301") == [("fresh", 1, 1200)]
        assert story.rows("SELECT count(*) FROM orders") == [(300,)]
        equal(story)
        story.execute(f"INSERT INTO orders (tenant_id, number, status, total_cents) VALUES ('{T1}', 'after', 0, 1)")
        assert story.rows("SELECT max(id) FROM sales.purchases") == [(302,)]
        story.execute("DELETE FROM orders WHERE id > 300")

    looks = {"backfill": unscathed, "enforce": equal, "contract": alone, "back contract": home, "back enforce": equal}
    walk(TEXT, SEED, looks)


def drift(story: Story, *statements: str) -> None:
    """Writes that no trigger carries."""
    with psycopg.connect(story.url) as connection:
        for table in ("orders", "sales.purchases"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
        for statement in statements:
            connection.execute(statement.encode())
        for table, way in (("orders", "forth"), ("sales.purchases", "back")):
            connection.execute(f'ALTER TABLE {table} ENABLE ALWAYS TRIGGER "~migdsl_m_sales_purchases_{way}"'.encode())


@full
def test_reconciliation_mends_the_side_that_is_not_the_truth(walk: Walk):
    story = walk(TEXT, SEED, looks=None)
    story.upgrade("m_expand")
    assert story.job("reconcile") == 1  # nothing is filled
    assert story.job("backfills") == 0
    assert story.job("reconcile") == 0
    statuses = story.rows("SELECT id, status FROM orders ORDER BY 1")
    apart = (
        "UPDATE sales.purchases SET state = 'open' WHERE id = 2",
        "DELETE FROM sales.purchases WHERE id = 294",
        f"INSERT INTO sales.purchases (id, tenant_id, no, state, total) VALUES (900, '{T1}', 'x', 'paid', 1)",
    )
    last = "SELECT * FROM migdsl.reconciliation ORDER BY id DESC LIMIT 2"
    counts = f"SELECT sum(mismatched), sum(missing), sum(extra) FROM ({last}) AS last"
    drift(story, *apart)
    assert story.job("reconcile") == 1
    assert story.rows(counts) == [(1, 1, 1)]
    assert story.job("reconcile", "--repair", "--delete") == 0
    assert story.rows("SELECT id, status FROM orders ORDER BY 1") == statuses
    assert story.rows(WRONG) == []
    story.execute("INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('m', 'stage', 'all', 'live')")
    assert story.job("reconcile") == 0
    story.execute("UPDATE sales.purchases SET total = 1.239 WHERE id = 4")  # what back rounds is no difference
    drift(story, *apart)
    assert story.job("reconcile") == 1
    assert story.rows(counts) == [(1, 1, 1)]
    assert story.job("reconcile", "--repair", "--delete") == 0
    assert story.rows("SELECT status FROM orders WHERE id IN (2, 294, 900) ORDER BY id") == [(0,), (1,)]
    assert story.rows("SELECT total::float FROM sales.purchases WHERE id = 4") == [(1.239,)]
    assert story.rows("SELECT status FROM orders WHERE id = 9") == [(4,)]  # which back would make 3


class Clients:
    """Old code on one side and new code on the other, each on rows of its own and on rows that both write."""

    def __init__(self, story: Story, moving: Moving, old_code: bool = True) -> None:
        self.story = story
        self.moving = moving
        self.errors: list[str] = []
        self.journal: dict[int, tuple[str, int] | None] = {}
        self.written = 0
        self.stop = Event()
        (self.last,) = story.rows(moving.last)[0]
        self.threads = [Thread(target=self.run, args=(n, old_code and n % 2 == 0)) for n in range(4)]

    def run(self, number: int, is_old: bool) -> None:
        round_, own = 0, range(number + 1, 301, 4)
        with psycopg.connect(self.story.url, options="-c lock_timeout=20s -c deadlock_timeout=50ms") as connection:
            while not self.stop.wait(0.002):
                round_ += 1
                key = own[round_ * 7 % len(own)]
                try:
                    fresh = self.last + 4 * round_ + number
                    for statement in self.moving.writes(key, number, round_, fresh, is_old):
                        connection.execute(statement.encode())
                    connection.commit()
                    self.written += 1
                except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                    connection.rollback()  # whoever it is tries again
                except psycopg.Error as error:
                    connection.rollback()
                    self.errors.append(f"{type(error).__name__} {error.sqlstate} {error}")


@contextmanager
def at_work(story: Story, moving: Moving, *, old_code: bool = True) -> Iterator[None]:
    clients = Clients(story, moving, old_code)
    for thread in clients.threads:
        thread.start()
    try:
        yield
        while clients.written <= 40 and not clients.errors and any(t.is_alive() for t in clients.threads):
            clients.stop.wait(0.01)
    finally:
        clients.stop.set()
        for thread in clients.threads:
            thread.join()
    assert clients.errors == []
    assert clients.written > 40


@pytest.mark.parametrize("moving", [ORDERS, pytest.param(OWNED, marks=long)], ids=["orders", "owned"])
def test_no_write_is_lost_beside_writers_there_and_back_and_there_again(walk: Walk, moving: Moving):
    story = walk(moving.text, moving.seed, looks=None)
    story.upgrade("m_expand")
    with at_work(story, moving):
        assert story.job("backfills", "--batch", "7") == 0
        assert story.job("backfills", "--batch", "7", "--again") == 0
    assert story.rows(moving.wrong) == []
    story.execute("INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('m', 'stage', 'all', 'live')")
    with at_work(story, moving):
        story.job("reconcile", "--repair")
    story.stage("live")
    with at_work(story, moving):
        story.upgrade("m_enforce")
        story.downgrade()
        story.upgrade("m_enforce")
    assert story.rows(moving.wrong) == []
    assert story.job("reconcile") == 0
    story.stage("complete")
    with at_work(story, moving, old_code=False):
        story.upgrade("m_contract")
    with at_work(story, moving, old_code=False):
        story.downgrade()
    assert story.rows(moving.wrong) == []
    with at_work(story, moving):
        pass
    assert story.rows(moving.wrong) == []
    assert story.job("reconcile") == 0
    story.stage("complete")
    story.upgrade("m_contract")
    story.downgrade()
    story.downgrade()
    story.downgrade()


def test_no_row_is_left_on_the_side_that_the_way_back_drops(walk: Walk):
    """Those of a tenant that is listed no more come home as well; those of nobody keep the way back from its end."""
    story = walk(TEXT, SEED, looks=None)
    story.upgrade("m_expand")
    assert story.job("backfills") == 0
    assert story.job("reconcile") == 0
    story.stage("live")
    story.upgrade("m_enforce")
    story.stage("complete")
    story.upgrade("m_contract")
    story.execute(f"DELETE FROM tenants WHERE id = '{T2}'")
    story.execute("ALTER TABLE sales.purchases ALTER COLUMN tenant_id DROP NOT NULL")
    story.execute("INSERT INTO sales.purchases (id, no, state, total) VALUES (900, 'secret', 'paid', 1)")
    said = "rows of sales.purchases that have not come home to public.orders: 1, of tenants: 0"
    with pytest.raises(CommandError, match=said) as refused:
        story.downgrade()
    assert "secret" not in str(refused.value)
    story.execute(f"UPDATE sales.purchases SET tenant_id = '{T1}' WHERE id = 900")
    story.downgrade()
    assert story.rows(WRONG) == []
    assert story.rows("SELECT count(*), count(*) FILTER (WHERE id = 900) FROM orders") == [(301, 1)]
    story.downgrade()
    with pytest.raises(CommandError, match="the deployed stage of all is complete, and off for all is needed"):
        story.downgrade(lowered=False)
    story.downgrade()
    assert story.rows("SELECT count(*) FROM orders") == [(301,)]


@full
@pytest.mark.parametrize("moving", [ORDERS, OWNED], ids=["orders", "owned"])
@pytest.mark.parametrize("revision", ["m_expand", "m_contract"])
def test_killed_anywhere_it_can_be_run_again(walk: Walk, revision: str, moving: Moving):
    story = walk(moving.text, moving.seed, looks=None)

    def whole() -> None:
        if revision == "m_contract":
            assert story.rows(moving.wrong) == []

    killed_anywhere(story, revision, whole)


FAMILY = """
entity Parent in app.parents {
  id integer
  tenant_id uuid tenant
  name text unique
  kind text default "plain"
  code integer default `nextval('codes')`
  key (tenant_id, id)
}
entity Child in app."chil""dren" {
  no bigint key default `nextval('numbers')`
  tenant_id uuid tenant
  "was" integer
  "Größe" numeric(6, 2)
  made timestamptz default `now()`
  (tenant_id, "was") -> Parent (tenant_id, id) on delete cascade
  index (tenant_id, no)
}
move Parent to app.elders { ident = id; tenant_id = tenant_id; name = name; kind = kind; code = code }
move Child to app."select" {
  "gives" = no
  tenant_id = tenant_id
  "was" = "was"
  "n" text = `"Größe"::text -- a comment`
  back "Größe" = `"n"::numeric`
  made = made
  after 20d
}"""
FAMILY_DDL = f"""
CREATE SEQUENCE codes;
CREATE TABLE parents (id integer NOT NULL, tenant_id uuid NOT NULL, name text NOT NULL UNIQUE, kind text NOT NULL DEFAULT 'plain',
                      code integer NOT NULL DEFAULT nextval('codes'), PRIMARY KEY (tenant_id, id));
CREATE SEQUENCE numbers;
CREATE TABLE "chil""dren" (no bigint PRIMARY KEY DEFAULT nextval('numbers'), tenant_id uuid NOT NULL, "was" integer NOT NULL,
  "Größe" numeric(6, 2) NOT NULL, made timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (tenant_id, "was") REFERENCES parents ON DELETE CASCADE);
ALTER SEQUENCE numbers OWNED BY "chil""dren".no;
CREATE INDEX ON "chil""dren" (tenant_id, no);
INSERT INTO parents SELECT n, CASE WHEN n % 2 = 0 THEN '{T1}'::uuid ELSE '{T2}' END, 'p' || n FROM generate_series(1, 40) AS n;
INSERT INTO "chil""dren" (tenant_id, "was", "Größe")
SELECT CASE WHEN n % 2 = 0 THEN '{T1}'::uuid ELSE '{T2}' END, 1 + (n + 39) % 40, n / 4.0 FROM generate_series(1, 100) AS n"""


@full
def test_two_that_point_at_each_other_move_together(walk: Walk):
    """With a key of several columns, names that need quotes, and numbers from sequences of their own."""

    def cascades(story: Story) -> None:
        story.execute(f"INSERT INTO elders (ident, tenant_id, name) VALUES (90, '{T1}', 'new')")
        story.execute(f"INSERT INTO \"select\" (tenant_id, was, n) VALUES ('{T1}', 90, '1.50')")
        assert story.rows('SELECT no, "Größe"::float, "was" FROM "chil""dren" WHERE "was" = 90') == [(101, 1.5, 90)]
        story.execute("DELETE FROM parents WHERE id = 90")
        assert story.rows("SELECT count(*) FROM elders") == [(40,)]
        assert story.rows('SELECT count(*) FROM "select"') == [(100,)]

    def alone(story: Story) -> None:
        assert story.rows("SELECT to_regclass('parents'), to_regclass('numbers')::text") == [(None, "numbers")]
        story.execute("DELETE FROM elders WHERE ident = 40")
        assert story.rows('SELECT count(*) FROM "select"') == [(98,)]

    def home(story: Story) -> None:
        assert story.rows('SELECT count(*) FROM "chil""dren"') == [(98,)]

    walk(mig(FAMILY), FAMILY_DDL, {"backfill": cascades, "contract": alone, "back contract": home})


@long
def test_rows_that_belong_by_way_of_others_there_and_back(walk: Walk):
    """Three tables over three hops, of which the last stays; numbers of a serial, and what stays and points at one of them."""

    def equal(story: Story) -> None:
        assert story.rows(OWNED.wrong) == []
        assert told(story, OWNED.text) == []

    def alone(story: Story) -> None:
        """The old tables are gone; numbers go on, foreign keys lead to the new ones."""
        assert told(story, finished({"m.mig": OWNED.text}, into="schema.mig")["schema.mig"]) == []
        insert = "INSERT INTO work.jobs (plan_id, title, hours) VALUES (1, 'fresh', 2) RETURNING number"
        assert story.rows(insert) == [(301,)]
        assert story.rows("INSERT INTO work.plans (account_id, name) VALUES (1, 'fresh') RETURNING ident") == [(31,)]
        story.execute("DELETE FROM work.plans WHERE ident = 2")
        gone = "SELECT count(*) FROM {} WHERE {} NOT IN (SELECT number FROM work.jobs)"
        assert story.rows(gone.format('"select"', "job")) == story.rows(gone.format("notes", "task_no")) == [(0,)]

    def home(story: Story) -> None:
        assert story.rows("SELECT no, minutes FROM tasks WHERE title = 'fresh'") == [(301, 120)]
        assert story.rows("SELECT count(*) FROM projects") == [(30,)]
        equal(story)
        story.execute("INSERT INTO tasks (project_id, title, minutes) VALUES (1, 'after', 1)")
        assert story.rows("SELECT max(number) FROM work.jobs") == [(302,)]

    walk(OWNED.text, OWNED.seed, {"backfill": equal, "enforce": equal, "contract": alone, "back contract": home})


@long
def test_each_side_is_led_by_its_own_owners(walk: Walk):
    """Rows that are another's, nobody's, or gone on one side: found, and mended from the side that is true."""
    story = walk(OWNED.text, OWNED.seed, looks=None)
    story.upgrade("m_expand")
    assert story.job("backfills", "--tenant", T1) == 0
    owners = "projects AS p ON p.id = plan_id JOIN accounts AS a ON a.id = account_id"
    assert story.rows(f"SELECT DISTINCT a.tenant_id::text FROM work.jobs JOIN {owners}") == [(T1,)]
    assert story.job("backfills") == 0
    assert story.job("reconcile") == 0
    off, on = (f"ALTER TABLE work.{{}} {word} TRIGGER USER" for word in ("DISABLE", "ENABLE"))
    apart = {
        "jobs": "UPDATE work.jobs SET plan_id = 2 WHERE number = 6; UPDATE work.jobs SET plan_id = 8 WHERE number = 7;"
        "DELETE FROM work.jobs WHERE number = 9; UPDATE work.jobs SET title = 'x' WHERE number = 10",
        "plans": "DELETE FROM work.plans WHERE ident = 20",
    }
    for truth in ("off", "live"):
        story.execute(
            f"INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('m', 'stage', 'all', '{truth}')"
        )
        tasks = story.rows("SELECT count(*) FROM tasks")
        for table, statements in apart.items():
            story.execute(f"{off.format(table)}; {statements}; {on.format(table)}")
        assert story.job("reconcile") == 1
        for _ in range(3):  # what is an owner's comes first, and jobs go by the alphabet
            story.job("reconcile", "--repair", "--delete")
        assert story.rows(OWNED.wrong) == []
        assert story.job("reconcile") == 0
        assert (story.rows("SELECT count(*) FROM tasks") == tasks) is (truth == "off")
