"""`--repair` makes right what differs, from the side that is the tenant's truth: one row at a time, and nothing else."""

from __future__ import annotations

import threading

import psycopg
import pytest

from migdsl.runtime.reconcile.between import Between
from tests.runtime.comparing import A, B, Site, parts_at, planted, shop_at, site

WRONG = """
SELECT count(*) FROM (SELECT * FROM customers WHERE street IS NOT NULL) AS c
  FULL JOIN addresses AS a ON a.customer_id = c.id AND a.tenant_id = c.tenant_id
 WHERE (a.street, a.city) IS DISTINCT FROM (c.street, coalesce(c.city, ''))"""


@pytest.fixture
def shop(database: str) -> Site:
    return shop_at(database)


@pytest.fixture
def parts(database: str) -> Site:
    return parts_at(database)


def test_between_two_tables_what_differs_or_is_missing_follows_and_what_is_too_much_is_left(shop: Site):
    planted(shop)
    customers = shop.all("SELECT * FROM customers ORDER BY id")
    done = shop.report("--repair")
    found = {t["tenant"]: t for t in done.json["tenants"]}
    assert done.code == 1
    assert [(t["repaired"], t["mismatched"], t["missing"], t["extra"]) for t in found.values()] == [(4, 0, 0, 2)] * 2
    assert found[A]["unrepaired"] == [["nothing mends a row that is extra", 2]]
    assert shop.one(WRONG) == 4
    cleared = shop.report("--delete")
    assert (cleared.code, cleared.json["totals"]["repaired"]) == (0, 4)
    assert (shop.one(WRONG), shop.all("SELECT * FROM customers ORDER BY id")) == (0, customers)
    again = shop.report("--repair", "--delete")
    assert (again.code, again.json["totals"]["repaired"]) == (0, 0)
    assert shop.one("SELECT count(*) FROM migdsl.event WHERE kind = 'job' AND value LIKE 'repaired %'") == 4


def test_only_rows_of_the_tenant_that_was_asked_for_are_written(shop: Site):
    planted(shop)
    others = shop.all("SELECT * FROM addresses WHERE tenant_id = %s ORDER BY 1", B)
    assert shop.report("--delete", "--tenant", A).json["totals"]["repaired"] == 6
    assert shop.all("SELECT * FROM addresses WHERE tenant_id = %s ORDER BY 1", B) == others
    # The key alone doesn't make a row the tenant's.
    assert shop.job.repair_old is not None
    foreign = shop.job.repair_old.replace(":tenant_id", f"'{A}'").replace(":key", "(SELECT min(id) FROM customers)")
    assert shop.one("SELECT tenant_id::text FROM customers ORDER BY id LIMIT 1") == B
    assert shop.run(foreign) == 0


def test_while_the_old_is_the_truth_the_new_columns_follow_and_the_old_stay(parts: Site):
    parts.untriggered("UPDATE parts SET grams = 7, remark = 'x' WHERE place IN (1, 1500, 3000)")
    parts.untriggered("UPDATE parts SET remark = 'y' WHERE place = 2")
    old = parts.all("SELECT place, weight, note FROM parts ORDER BY place")
    done = parts.report("--repair")
    assert (done.code, done.json["totals"]["repaired"]) == (0, 4)
    assert parts.all("SELECT place, weight, note FROM parts ORDER BY place") == old
    assert parts.one("SELECT count(*) FROM parts WHERE grams <> length(weight) OR remark <> upper(note)") == 0


def test_once_the_new_is_the_truth_the_old_columns_follow_and_the_new_stay(parts: Site):
    parts.untriggered("UPDATE parts SET grams = 7 WHERE place IN (1, 1500)")
    # What new code wrote and the old can't give back: `from` of it is another, and nobody may undo it.
    parts.run("UPDATE parts SET remark = 'MiXed' WHERE place = 2")
    parts.stage("all", "live")
    new = parts.all("SELECT place, grams, remark FROM parts ORDER BY place")
    done = parts.report("--repair")
    assert (done.code, done.json["totals"]["repaired"], done.json["totals"]["lossy"]) == (0, 2, 1)
    assert parts.all("SELECT place, grams, remark FROM parts ORDER BY place") == new
    assert parts.all("SELECT weight FROM parts WHERE place IN (1, 1500)") == [("xxxxxxx",), ("xxxxxxx",)]


def test_a_row_that_cannot_be_mended_stops_no_other_and_shows_no_value(parts: Site):
    parts.untriggered("UPDATE parts SET remark = 'short' WHERE place IN (1, 2, 3)")
    parts.run("ALTER TABLE parts ADD CHECK (remark <> 'SECRET-2') NOT VALID")
    done = parts.report("--repair")
    (broken,) = (t for t in done.json["tenants"] if t["unrepaired"])
    assert (done.code, done.json["totals"]["repaired"], done.json["totals"]["mismatched"]) == (1, 2, 1)
    assert broken["unrepaired"] == [["CheckViolation 23514", 1]]
    assert "SECRET" not in done.out + done.err


def test_a_tenant_that_is_switched_meanwhile_is_left_alone(shop: Site, monkeypatch: pytest.MonkeyPatch):
    shop.untriggered("UPDATE addresses SET street = 'x' WHERE customer_id IN (9, 18)")
    again = Between.again

    def then_live(self, *args):
        found = again(self, *args)
        shop.stage("all", "live")
        return found

    monkeypatch.setattr(Between, "again", then_live)
    done = shop.reconcile("--repair")
    assert (done.code, done.out) == (2, "")
    assert "was switched while its rows were mended" in done.err
    assert shop.one("SELECT count(*) FROM addresses WHERE street = 'x'") == 2


def test_a_row_that_is_written_meanwhile_is_mended_from_what_was_written(shop: Site):
    """The mender waits for the writer, and then reads the row as it has become."""
    shop.untriggered("UPDATE addresses SET street = 'x' WHERE customer_id = 9")
    said = []
    with psycopg.connect(shop.url) as writer:
        writer.execute("UPDATE customers SET street = 'fresh' WHERE id = 9")
        mending = threading.Thread(target=lambda: said.append(shop.report("--repair")))
        mending.start()
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while not shop.one(waiting) and mending.is_alive():
            pass
        writer.commit()
        mending.join()
    assert (said[0].code, shop.one("SELECT street FROM addresses WHERE customer_id = 9")) == (0, "fresh")


def test_after_the_swap_a_retyped_column_says_that_nothing_mends_it(parts: Site):
    parts.untriggered("UPDATE parts SET grams = 7 WHERE place = 1")
    assert parts.job.repair_old is not None
    gone = parts.job.repair_old.replace("SET grams", "SET gone")
    done = parts.reconcile("--repair", repair_old=gone)
    assert done.code == 3
    assert "column" in done.err
    assert "does not exist" in done.err


WIDER = """migration wider { ticket "MIG-1" }
database app { engine postgresql 15; url env DATABASE_URL }
tenants { key tenant_id uuid; list `SELECT id FROM tenants ORDER BY id` }
entity Item in app.items { id integer key; tenant_id uuid tenant; index (tenant_id, id) }
change Item { retype id bigint }
flag wider { stage off for all }
"""
ITEMS = (
    "CREATE TABLE items (id integer PRIMARY KEY, tenant_id uuid NOT NULL)",
    "CREATE INDEX ON items (tenant_id, id)",
)


def test_a_row_is_known_by_its_key_when_that_is_what_differs(database: str):
    """The key stands beside what is said of each column, under the same name."""
    items = site(database, WIDER, "Item", ITEMS)
    items.run("INSERT INTO items SELECT g, %s FROM generate_series(1, 9) AS g", A)
    items.untriggered("UPDATE items SET id_migdsl_new = 70 WHERE id = 7")
    done = items.report()
    assert (done.code, done.rows(A)) == (1, {("7",): ("mismatched", ["id"])})
    assert items.report("--repair").code == 0
    assert items.one("SELECT count(*) FROM items WHERE id_migdsl_new <> id") == 0


PRICES = """migration prices { ticket "MIG-1" }
database app { engine postgresql 15; url env DATABASE_URL }
tenants { key tenant_id uuid; list `SELECT id FROM tenants ORDER BY id` }
entity Item in app.items { id bigint key; tenant_id uuid tenant; price numeric?; weight double precision?; index (tenant_id, id) }
create Price in app.prices {
  item_id bigint key; tenant_id uuid tenant; price numeric?; weight double precision?
  from Item { item_id = id; tenant_id = tenant_id; price = price; weight = weight }
}
flag prices { stage off for all }
"""
PRICED = (
    "CREATE TABLE items (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, price numeric, weight double precision)",
    "CREATE INDEX ON items (tenant_id, id)",
)


def test_a_zero_is_not_null(database: str):
    """PostgreSQL's hash of NULL is 0 under each seed, and that of a zero under some."""
    prices = site(database, PRICES, "Price", PRICED)
    prices.run("INSERT INTO items SELECT g, %s, 0, 0 FROM generate_series(1, 9) AS g", A)
    prices.untriggered("UPDATE prices SET price = NULL WHERE item_id = 3")
    prices.untriggered("UPDATE prices SET weight = NULL WHERE item_id = 4")
    found = {("3",): ("mismatched", ["price"]), ("4",): ("mismatched", ["weight"])}
    assert prices.report().rows(A) == found
    assert prices.report("--repair").code == 0
