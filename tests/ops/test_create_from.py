"""New tables filled from others: what the trigger carries over, batches beside writers, there and back."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import psycopg
import pytest

from migdsl.runtime.sql import statement as bound
from migdsl.workspace import compile_files
from tests.ops.killing import killed_anywhere
from tests.ops.story import Story, Walk, both_versions, sees
from tests.ops.support import T1, T2, Migration, all_rows, codes, mig, one

CUSTOMER = """
entity Customer in app.customers {
  id bigint key
  tenant_id uuid tenant
  name text
  street text?
  city text?
  index (tenant_id, id)
}"""
ADDRESS = """
create Address in app.addresses {
  customer_id bigint key
  tenant_id uuid tenant
  street text
  city text
  note text?
  index (tenant_id, customer_id)
  from Customer {
    customer_id = id
    tenant_id = tenant_id
    street = street
    city = `coalesce(city, '')`
    where `street IS NOT NULL`
  }
}"""
TEXT = mig(CUSTOMER, ADDRESS)
DDL = """
CREATE TABLE customers (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, name text NOT NULL, street text, city text);
CREATE INDEX ON customers (tenant_id, id)"""
SEED = f"""{DDL};
INSERT INTO customers SELECT n, CASE WHEN n % 2 = 0 THEN '{T1}'::uuid ELSE '{T2}' END, 'c' || n,
       CASE WHEN n % 3 > 0 THEN 's' || n END, CASE WHEN n % 5 > 0 THEN 'b' || n END
  FROM generate_series(1, 400) AS n"""
# Independent of what is generated: every address that isn't what the customer says, missing, or too many.
WRONG = """
SELECT coalesce(c.id, a.customer_id) FROM (SELECT * FROM customers WHERE street IS NOT NULL) AS c
  FULL JOIN addresses AS a ON a.customer_id = c.id
 WHERE (c.tenant_id, c.street, coalesce(c.city, '')) IS DISTINCT FROM (a.tenant_id, a.street, a.city)"""


@pytest.fixture
def shop(expanded: Callable[..., Migration]) -> Migration:
    return expanded(TEXT, DDL)


def run(migration: Migration, *statements: str) -> None:
    """One transaction."""
    with migration.connection.transaction():
        for statement in statements:
            migration.connection.execute(statement.encode())


def insert(key: int, street: str = "'a'", city: str = "'b'", tenant: str = T1) -> str:
    return f"INSERT INTO customers VALUES ({key}, '{tenant}', 'c{key}', {street}, {city})"


def address(key: int, street: str, tenant: str = T1) -> str:
    return f"INSERT INTO addresses VALUES ({key}, '{tenant}', '{street}', 'b')"


def addresses(migration: Migration) -> list:
    return all_rows(migration.connection, "SELECT customer_id, street, city FROM addresses ORDER BY 1")


class TestOldCode:
    """It knows the old table alone, and each of its writes counts."""

    @pytest.mark.parametrize(
        ("statements", "expected", "counted"),
        [
            ([], [(1, "a", "b")], 1),
            (["UPDATE customers SET street = 'x', city = NULL"], [(1, "x", "")], 2),
            (["UPDATE customers SET name = 'other'"], [(1, "a", "b")], 1),
            (["UPDATE customers SET street = NULL"], [], 2),
            (["UPDATE customers SET street = NULL", "UPDATE customers SET street = 'y'"], [(1, "y", "b")], 3),
            (["DELETE FROM customers"], [], 2),
            (["DELETE FROM customers", insert(1, "'again'")], [(1, "again", "b")], 3),
            (["UPDATE customers SET id = 7"], [(7, "a", "b")], 2),
            (["UPDATE customers SET id = 7, street = 'x'"], [(7, "x", "b")], 3),
            (["UPDATE customers SET id = 7, street = NULL"], [], 3),
            (["TRUNCATE customers"], [], 2),
            (["TRUNCATE customers", insert(1, "'again'")], [(1, "again", "b")], 3),
            (["UPDATE addresses SET street = 'new'", "TRUNCATE customers"], [], 2),
        ],
    )
    def test_is_carried_over(self, shop: Migration, statements: list[str], expected: list, counted: int):
        for statement in (insert(1), *statements):
            run(shop, statement)
        assert addresses(shop) == expected
        assert shop.old_writes() == counted

    def test_several_writes_in_one_transaction(self, shop: Migration):
        run(shop, insert(1), "UPDATE customers SET street = 'x'", "UPDATE customers SET id = 2", insert(1, "'one'"))
        assert addresses(shop) == [(1, "one", "b"), (2, "x", "b")]
        run(shop, "DELETE FROM customers WHERE id = 1", insert(1, "'two'"), "DELETE FROM customers WHERE id = 2")
        assert addresses(shop) == [(1, "two", "b")]

    def test_rows_are_imported_anew_in_one_transaction(self, shop: Migration):
        run(shop, insert(1), insert(2))
        run(shop, "TRUNCATE customers", insert(2, "'x'"), insert(3, "'y'"))
        assert addresses(shop) == [(2, "x", "b"), (3, "y", "b")]

    def test_all_go_at_once_by_way_of_another_table(self, shop: Migration):
        run(shop, insert(1))
        run(
            shop,
            "CREATE TABLE above (id bigint PRIMARY KEY)",
            "ALTER TABLE customers ADD CONSTRAINT up FOREIGN KEY (id) REFERENCES above NOT VALID",
        )
        run(
            shop,
            "CREATE TABLE beside (id bigint REFERENCES addresses ON DELETE CASCADE)",
            "INSERT INTO beside VALUES (1)",
        )
        run(shop, "TRUNCATE above CASCADE")
        assert addresses(shop) == []

    def test_an_insert_that_meets_another_row_counts(self, shop: Migration):
        run(shop, address(1, "new"))
        run(shop, insert(1, "'old'"))
        assert addresses(shop) == [(1, "new", "b")]
        assert shop.old_writes() == 1

    def test_a_row_without_a_street_has_no_address(self, shop: Migration):
        run(shop, insert(1, "NULL"))
        assert addresses(shop) == []
        assert shop.old_writes() == 0

    def test_another_tenant_takes_the_row_along(self, shop: Migration):
        run(shop, insert(1))
        run(shop, f"UPDATE customers SET tenant_id = '{T2}'")
        assert all_rows(shop.connection, "SELECT tenant_id::text, street FROM addresses") == [(T2, "a")]

    def test_its_rights_on_the_new_table_are_none(self, shop: Migration):
        run(shop, "DROP ROLE IF EXISTS migdsl_old_code", "CREATE ROLE migdsl_old_code")
        try:
            run(shop, "GRANT USAGE ON SCHEMA public TO migdsl_old_code", "GRANT ALL ON customers TO migdsl_old_code")
            run(shop, "SET LOCAL ROLE migdsl_old_code", insert(1), "UPDATE customers SET street = 'x'")
            assert addresses(shop) == [(1, "x", "b")]
            run(shop, "GRANT CREATE, USAGE ON SCHEMA public, migdsl TO migdsl_old_code")
            function = one(shop.connection, "SELECT oid::regproc::text FROM pg_proc WHERE prosecdef")[0]
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="for function"):
                run(
                    shop,
                    "SET LOCAL ROLE migdsl_old_code",
                    "CREATE TABLE mine (LIKE customers)",
                    f"CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION {function}()",
                )
        finally:
            run(shop, "DROP OWNED BY migdsl_old_code", "DROP ROLE migdsl_old_code")

    def test_what_replication_applies_is_carried_over(self, shop: Migration):
        run(shop, "SET LOCAL session_replication_role = replica", insert(1))
        assert addresses(shop) == [(1, "a", "b")]


class TestNewCode:
    """What it wrote stays, and what it has written itself doesn't count."""

    @pytest.mark.parametrize("first", ["customer", "address"])
    def test_both_tables_in_one_transaction_in_any_order(self, shop: Migration, first: str):
        both = [insert(1, "'mine'"), address(1, "mine")]
        run(shop, *(both if first == "customer" else both[::-1]))
        both = ["UPDATE customers SET street = 'x'", "UPDATE addresses SET street = 'x'"]
        run(shop, *(both if first == "customer" else both[::-1]))
        both = ["UPDATE customers SET id = 2", "UPDATE addresses SET customer_id = 2"]
        run(shop, *(both if first == "customer" else both[::-1]))
        assert addresses(shop) == [(2, "x", "b")]
        both = ["DELETE FROM customers", "DELETE FROM addresses"]
        run(shop, *(both if first == "customer" else both[::-1]))
        assert addresses(shop) == []
        assert shop.old_writes() == 0

    def test_a_row_that_it_writes_twice_in_one_transaction_is_its_own(self, shop: Migration):
        run(shop, insert(1, "'first'"), "UPDATE customers SET street = 'second'", address(1, "second"))
        assert addresses(shop) == [(1, "second", "b")]
        assert shop.old_writes() == 0

    @pytest.mark.parametrize("write", ["street = 'old'", "street = NULL", "city = 'old'"])
    def test_old_code_does_not_undo_it(self, shop: Migration, write: str):
        run(shop, insert(1))
        run(shop, "UPDATE addresses SET street = 'new'")
        before = shop.old_writes()
        run(shop, f"UPDATE customers SET {write}")
        assert addresses(shop) == [(1, "new", "b")]
        assert shop.old_writes() == before + 1

    def test_a_row_that_it_deleted_does_not_come_back(self, shop: Migration):
        run(shop, insert(1))
        run(shop, "DELETE FROM addresses")
        run(shop, "UPDATE customers SET street = 'old'")
        assert addresses(shop) == []

    def test_it_goes_along_with_another_key(self, shop: Migration):
        run(shop, insert(1))
        run(shop, "UPDATE addresses SET street = 'new', note = 'n'")
        run(shop, "UPDATE customers SET id = 9")
        assert all_rows(shop.connection, "SELECT customer_id, street, note FROM addresses") == [(9, "new", "n")]

    def test_it_goes_with_the_row_that_it_belongs_to(self, shop: Migration):
        run(shop, insert(1))
        run(shop, "UPDATE addresses SET street = 'new'")
        run(shop, "DELETE FROM customers")
        assert addresses(shop) == []

    def test_a_key_that_is_taken_does_not_stop_old_code(self, shop: Migration):
        run(shop, insert(1), insert(2, "NULL"))
        run(shop, address(3, "other"))
        run(shop, "UPDATE customers SET id = 3 WHERE id = 1")
        assert addresses(shop) == [(1, "a", "b"), (3, "other", "b")]


def test_the_expressions_are_proven_before_anything_changes(expanded: Callable[..., Migration]):
    text = TEXT.replace("coalesce(city, '')", "no_such_function(city)")
    with pytest.raises(psycopg.errors.UndefinedFunction):
        expanded(text, DDL)


def job(story: Story, ends: list[int]) -> Thread:
    """The backfill, running; its exit code goes to `ends`."""
    found = Thread(target=lambda: ends.append(story.job("backfills")))
    found.start()
    return found


@both_versions
def test_a_batch_inserts_a_row_as_it_is_and_not_as_it_was(walk: Walk):
    """It stands still in the middle, and what it has not come to yet changes."""
    story, ends = walk(TEXT, SEED, looks=None), list[int]()
    story.upgrade("m_expand")
    with psycopg.connect(story.url) as other:
        other.execute(f"INSERT INTO addresses VALUES (2, '{T1}', 'in the way', '')".encode())
        running = job(story, ends)
        while not story.rows("SELECT FROM pg_locks WHERE NOT granted"):
            assert running.is_alive()
        story.execute("UPDATE customers SET street = 'x' WHERE id = 20")
        story.execute("DELETE FROM customers WHERE id = 22")
        story.execute("UPDATE customers SET street = NULL WHERE id = 26")
        other.rollback()
    running.join()
    assert ends == [0]
    assert story.rows("SELECT street FROM addresses WHERE customer_id IN (20, 22, 26)") == [("x",)]
    assert story.rows(WRONG) == []


@both_versions
@pytest.mark.parametrize(
    "write", ["UPDATE customers SET street = 'x' WHERE id = 2", "DELETE FROM customers WHERE id = 2"]
)
def test_a_snapshot_from_before_a_batch_is_told_to_try_again(walk: Walk, write: str):
    story = walk(TEXT, SEED, looks=None)
    story.upgrade("m_expand")
    with psycopg.connect(story.url) as client:
        client.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        client.execute("SELECT count(*) FROM customers")
        assert story.job("backfills") == 0
        client.execute(write.encode())
        with pytest.raises(psycopg.errors.SerializationFailure):
            client.commit()
        client.execute(write.encode())
        client.commit()
    assert story.rows(WRONG) == []


def test_a_batch_looks_its_rows_up_in_the_new_table(walk: Walk):
    """A join would read all that the tenant has there: with each batch more than with the one before."""
    story = walk(TEXT, SEED, looks=None)
    story.upgrade("m_expand")
    assert story.job("backfills") == 0
    (path,) = (story.folder / "backfills").rglob("*.py")
    batch = bound("EXPLAIN " + runpy.run_path(str(path))["JOB"].batch)
    values = batch.bind({"tenant_id": T1, "after": "390", "upto": "400"})
    with psycopg.RawCursor(story.connection) as cursor:
        plan = "\n".join(str(line) for (line,) in cursor.execute(batch.text.encode(), values))
    assert "SubPlan" in plan, plan
    assert "Join" not in plan, plan


class Clients:
    """Old and new code at work on rows of their own; `errors` are what any of them met."""

    def __init__(self, story: Story, new: bool) -> None:
        self.story = story
        self.errors: list[str] = []
        self.written = 0
        self.stop = Event()
        (self.last,) = story.rows("SELECT max(id) FROM customers")[0]
        self.threads = [Thread(target=self.run, args=(n, new and n % 2 == 1)) for n in range(4)]

    def run(self, number: int, new: bool) -> None:
        round_, own = 0, range(number + 1, 401, 4)
        with psycopg.connect(self.story.url, options="-c lock_timeout=2s") as connection:
            while not self.stop.wait(0.002):
                round_ += 1
                key = own[round_ * 7 % len(own)]
                try:
                    for statement in self.writes(key, f"{number}.{round_}", 4 * round_ + number, new):
                        connection.execute(statement.encode())
                    connection.commit()
                    self.written += 1
                except psycopg.Error as error:
                    connection.rollback()
                    self.errors.append(f"{type(error).__name__} {error.sqlstate}")

    def writes(self, key: int, value: str, round_: int, new: bool) -> list[str]:
        tenant = f"(SELECT tenant_id FROM customers WHERE id = {key})"
        fresh = self.last + round_
        upsert = f"INSERT INTO addresses SELECT {key}, tenant_id, '{value}', '' FROM customers WHERE id = {key}"
        own = [f"{upsert} ON CONFLICT (customer_id) DO UPDATE SET street = excluded.street, city = ''"] if new else []
        return [
            [f"UPDATE customers SET street = '{value}', city = NULL WHERE id = {key}", *own],
            [f"UPDATE customers SET street = NULL WHERE id = {key}"]
            + ([f"DELETE FROM addresses WHERE customer_id = {key}"] if new else []),
            [insert(fresh, f"'{value}'", tenant=(T1, T2)[key % 2]), f"DELETE FROM customers WHERE id = {fresh - 32}"],
            [f"UPDATE customers SET name = '{value}' WHERE id = {key}", f"SELECT {tenant}"],
        ][round_ // 4 % 4]


@contextmanager
def at_work(story: Story, new: bool = False) -> Iterator[Clients]:
    clients = Clients(story, new)
    for thread in clients.threads:
        thread.start()
    try:
        yield clients
        while clients.written <= 16 and not clients.errors and any(t.is_alive() for t in clients.threads):
            clients.stop.wait(0.01)
    finally:
        clients.stop.set()
        for thread in clients.threads:
            thread.join()
    assert clients.errors == []
    assert clients.written > 16


@both_versions
def test_no_write_is_lost_beside_writers(walk: Walk):
    story = walk(TEXT, SEED, looks=None)
    with at_work(story):
        story.upgrade("m_expand")
    with at_work(story, new=True):
        assert story.job("backfills", "--batch", "7") == 0
        assert story.job("backfills", "--batch", "7", "--again") == 0
    assert story.rows(WRONG) == []
    assert story.job("reconcile") == 0
    story.stage("live")
    with at_work(story, new=True):
        story.upgrade("m_enforce")
    assert story.rows(WRONG) == []
    story.stage("complete")
    story.upgrade("m_contract")
    story.downgrade()
    with at_work(story):
        pass
    with at_work(story):
        story.downgrade()
        story.downgrade()


def test_reconciliation_tells_what_differs_until_new_code_has_the_last_word(walk: Walk):
    story = walk(TEXT, SEED, looks=None)
    story.upgrade("m_expand")
    assert story.job("reconcile") == 1  # nothing is filled
    assert story.job("backfills") == 0
    assert story.job("reconcile") == 0
    story.execute("UPDATE addresses SET street = 'x' WHERE customer_id = 2")
    story.execute("DELETE FROM addresses WHERE customer_id = 4")
    story.execute(f"INSERT INTO addresses VALUES (9000, '{T1}', 's', '')")
    assert story.job("reconcile") == 1
    last = "SELECT * FROM migdsl.reconciliation ORDER BY id DESC LIMIT 2"
    assert story.rows(f"SELECT sum(mismatched), sum(missing), sum(extra) FROM ({last}) AS last") == [(1, 1, 1)]
    story.execute("INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('m', 'stage', 'all', 'live')")
    assert story.job("reconcile") == 0
    story.execute("UPDATE addresses SET street = NULL WHERE customer_id = 2")
    assert story.job("reconcile") == 1  # a violation counts always


def test_rows_of_tenants_that_nobody_lists_are_told(walk: Walk):
    story = walk(TEXT, SEED, looks=None)
    story.upgrade("m_expand")
    assert story.job("backfills") == 0
    story.execute(insert(9000, tenant="33333333-3333-3333-3333-333333333333"))
    assert story.job("reconcile") == 1


BOUND = """
entity Org in app.orgs { id bigint key; tenant_id uuid tenant }
entity Person in app."pe""ople" {
  "order" integer
  tenant_id uuid tenant
  "was" text?
  "loop" varchar(40)
  "Größe" text?
  org bigint?
  key (tenant_id, "order")
}
create Card in app.{TABLE} {
  "gives" bigint
  "n" uuid tenant
  "was" integer
  "loop" varchar(20)
  "Größe" text? unique
  org bigint?
  key ("n", "gives")
  check `length("loop") < 15` as "too ""long"
  (org) -> Org (id) on delete set null
  ("n", "gives") -> Person (tenant_id, "order") on delete cascade
  index (org)
  from Person {
    "gives" = "order"
    "n" = tenant_id
    "was" = `length("was")::integer -- a comment`
    "loop" = "loop"
    "Größe" = `"Größe"`
    org = org
  }
}"""
BOUND_DDL = f"""
CREATE TABLE orgs (id bigint PRIMARY KEY, tenant_id uuid NOT NULL);
INSERT INTO orgs SELECT n, CASE WHEN n % 2 = 0 THEN '{T1}'::uuid ELSE '{T2}' END FROM generate_series(1, 4) AS n;
CREATE TABLE "pe""ople" ("order" integer, tenant_id uuid, "was" text, "loop" varchar(40) NOT NULL, "Größe" text, org bigint,
                         PRIMARY KEY (tenant_id, "order"));
INSERT INTO "pe""ople" SELECT n / 2, CASE WHEN n % 2 = 0 THEN '{T1}'::uuid ELSE '{T2}' END, 'w' || n, 'l' || n,
       CASE WHEN n % 3 > 0 THEN 'g' || n END, CASE WHEN n % 4 > 0 THEN 2 - n % 2 END
  FROM generate_series(2, 41) AS n"""


@both_versions
@pytest.mark.parametrize("table", ['"ca""rd"', '"' + "ü" * 31 + 'x"', '"select"'])
def test_names_that_need_quotes_and_constraints_that_wait(walk: Walk, table: str):
    def binds(story: Story) -> None:
        story.execute(
            f"INSERT INTO \"pe\"\"ople\" VALUES (900, '{T1}', 'w', 'far too long for the new table', 'g2', 99)"
        )
        assert story.rows(f'SELECT "loop", org FROM {table} WHERE gives = 900') == [(None, 99)]
        story.execute('DELETE FROM "pe""ople" WHERE "order" = 900')

    text = mig(BOUND.replace("{TABLE}", table))
    named = (
        f"SELECT contype::text FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype <> 'n' ORDER BY 1"
    )
    looks = {
        "expand": sees(named, ("p",)),
        "backfill": binds,
        "enforce": sees(named, ("c",), ("f",), ("f",), ("p",), ("u",)),
    }
    walk(text, BOUND_DDL, looks)


def test_a_value_that_can_not_be_computed_stops_nobody_but_enforce(walk: Walk):
    text = TEXT.replace("city text\n  note", "city integer\n  note").replace("`coalesce(city, '')`", "`city::integer`")
    story = walk(text, SEED.replace("'b' || n END", "n END"), looks=None)
    story.upgrade("m_expand")
    story.execute("UPDATE customers SET city = 'none' WHERE id = 2")
    story.execute(insert(9000, city="'none'"))
    story.execute("DELETE FROM customers WHERE city IS NULL")
    assert story.job("backfills") == 0
    assert story.job("reconcile") == 1
    story.execute("UPDATE customers SET city = '3' WHERE city = 'none'")
    assert story.job("reconcile") == 0
    assert story.rows("SELECT city FROM addresses WHERE customer_id IN (2, 9000)") == [(3,), (3,)]


def test_a_column_that_moved_goes_in_the_same_migration(walk: Walk):
    gone = 'drop street after 20d irreversible because "moved"\n  drop city after 20d irreversible because "moved"'
    text = mig(CUSTOMER, ADDRESS, f"change Customer {{\n  {gone}\n}}")
    walk(text, SEED, {"contract": sees("SELECT count(*) FROM addresses", (267,))})


def test_what_excludes_binds_from_the_start_and_stops_nobody(walk: Walk):
    exclude = 'where `street IS NOT NULL`\n  }\n  exclude using btree (street with "=")'
    story = walk(TEXT.replace("where `street IS NOT NULL`\n  }", exclude), SEED, looks=None)
    story.upgrade("m_expand")
    story.execute("UPDATE customers SET street = 's4' WHERE id = 2")
    assert story.job("backfills") == 1  # one of two has no room
    assert story.job("reconcile") == 1
    story.execute(insert(9000, "'s8'"))
    story.execute("UPDATE customers SET street = 's8' WHERE id = 10")
    story.execute("UPDATE customers SET street = 's2' WHERE id IN (2, 4, 9000)")
    story.execute("UPDATE customers SET street = id WHERE id IN (2, 4, 10, 9000)")
    assert story.job("backfills", "--again") == 0
    assert story.rows(WRONG) == [(10,)]  # which had no room for its street, and differs since
    assert story.job("reconcile") == 1


def test_keys_alone(walk: Walk):
    columns, values = "customer_id bigint key; tenant_id uuid tenant", "customer_id = id; tenant_id = tenant_id"
    members = f"create Member in app.members {{ {columns}; from Customer {{ {values} }} }}"
    walk(mig(CUSTOMER, members), SEED, {"backfill": sees("SELECT count(*) FROM members", (400,))})


def test_without_tenants(walk: Walk):
    text = TEXT.replace(" uuid tenant", " uuid")
    text = (
        text[: text.index("tenants {")]
        + 'tenants none because "one customer"\n'
        + text[text.index("entity Customer") :]
    )
    walk(
        f"{text}cutover {{ ramp by request }}\n", SEED, {"backfill": sees(f"SELECT count(*) FROM ({WRONG}) AS w", (0,))}
    )


def test_the_batches_get_an_index_of_the_other_table(walk: Walk):
    indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'customers'"
    text, ddl = TEXT.replace("  index (tenant_id, id)\n", ""), SEED.replace(
        "CREATE INDEX ON customers (tenant_id, id);", ""
    )
    walk(text, ddl, {"before": sees(indexes, (1,)), "expand": sees(indexes, (2,)), "contract": sees(indexes, (1,))})


@pytest.mark.parametrize("revision", ["m_expand", "m_enforce", "m_contract"])
def test_killed_anywhere_it_can_be_run_again(walk: Walk, revision: str):
    story = walk(mig(BOUND.replace("{TABLE}", "cards")), BOUND_DDL, looks=None)
    killed_anywhere(story, revision)


def test_a_table_with_parts_is_refused_before_anything_changes(walk: Walk):
    ddl = DDL.replace("city text);", "city text) PARTITION BY HASH (id);")
    story = walk(TEXT, ddl, looks=None)
    before = story.dump()
    with pytest.raises(Exception, match="partitioned"):
        story.upgrade("m_expand")
    assert story.dump() == before


def filled(columns: str, values: str, more: str = "") -> str:
    return mig(CUSTOMER, f"create Address in app.addresses {{ {columns}; from Customer {{ {values} }} }}", more)


OWN = "id bigint key; tenant_id uuid tenant"
SAME = "id = id; tenant_id = tenant_id"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (filled(OWN, SAME), []),
        (filled("id numeric key; tenant_id uuid tenant", SAME), ["MIG428"]),
        (filled("id integer key; tenant_id uuid tenant", SAME), ["MIG428"]),
        (filled(OWN, "id = `id + 1`; tenant_id = tenant_id"), ["MIG428"]),
        (filled(OWN, "tenant_id = tenant_id"), ["MIG428"]),
        (filled(OWN, "id = id"), ["MIG428"]),
        (filled(OWN, "id = id; tenant_id = `gen_random_uuid()`"), ["MIG205"]),
        (filled(OWN, "id = id; tenant_id = `coalesce(tenant_id, tenant_id)`"), ["MIG428"]),
        (filled("name text key; tenant_id uuid tenant", "name = name; tenant_id = tenant_id"), ["MIG428"]),
        (filled("tenant_id uuid key tenant", "tenant_id = tenant_id"), ["MIG428"]),
        (filled(f"{OWN}; street text", SAME), ["MIG401"]),
        (filled(f"{OWN}; street text default 'x'".replace("'", '"'), SAME), []),
        (filled(f"{OWN}; no bigint identity", f"{SAME}; no = id"), ["MIG428"]),
        (filled(f"{OWN}; body json", f"{SAME}; body = `to_json(name)`"), ["MIG109"]),
        (filled(f"{OWN}; short varchar(3)", f"{SAME}; short = name"), ["MIG413"]),
        (filled(OWN, f"{SAME}; where `city::integer > 0`"), ["MIG428"]),
        (filled(OWN, f"{SAME}; id = id"), ["MIG013"]),
        (filled(f'{OWN}; exclude using gist (id with "=")', SAME), []),
        (filled(OWN, SAME, 'drop entity Customer irreversible because "moved"'), ["MIG428"]),
        (filled(OWN, SAME, "change Customer { rename table to clients }"), ["MIG428"]),
        (filled(f"{OWN}; n text", f"{SAME}; n = `name || ''`", "change Customer { retype name integer }"), ["MIG428"]),
    ],
)
def test_what_is_refused(text: str, found: list[str]):
    told = [code for code in codes(text) if code in {"MIG401", "MIG428", "MIG413", "MIG109", "MIG013", "MIG205"}]
    assert told[:1] == found
    assert found or codes(text) == []


def test_two_tables_at_once_are_refused():
    text = TEXT.replace(
        "  from Customer {", "  from Customer { customer_id = id; tenant_id = tenant_id }\n  from Customer {"
    )
    assert codes(text) == ["MIG428"] or "MIG428" in codes(text)


def test_the_plan_says_what_is_true_of_it():
    found = compile_files({"m.mig": TEXT}, "m.mig", through="contract")
    texts = {a.kind: " ".join(a.text.split()) for a in found.artifacts}
    assert "--again" not in texts["runbook"]  # a row that new code has deleted would come back
    assert "A trigger carries what is written to Customer over to Address" in texts["plan"]
    assert "with one-way triggers" in texts["plan"]
    assert "public.addresses and public.customers is confined to one tenant" in texts["plan"]
    assert "Address is dropped with all that was written there alone" in texts["runbook"]
    assert "triggers keep both sides equal" not in texts["plan"]
