"""Planted differences of every kind are found to the row and column, in one table and between two; nothing else is."""

from __future__ import annotations

import psycopg
import pytest

from migdsl.runtime.address import conninfo_of
from migdsl.runtime.database import Database
from migdsl.runtime.reconcile import between
from migdsl.runtime.reconcile.between import Between, Digest
from migdsl.runtime.reconcile.comparing import Brake, Comparer
from migdsl.runtime.stop import Signals
from tests.runtime.comparing import A, B, Site, parts_at, planted, shop_at, small


@pytest.fixture
def shop(database: str) -> Site:
    return shop_at(database)


@pytest.fixture
def parts(database: str) -> Site:
    return parts_at(database)


def test_two_tables_that_agree_are_clean(shop: Site):
    done = shop.report(**small(shop))
    assert (done.code, done.json["clean"], done.json["totals"]["rows"]) == (0, True, 3200)
    assert all(t["hash_left"] == t["hash_right"] != "0" for t in done.json["tenants"])


@pytest.mark.parametrize("ranges", ["small", "whole"])
def test_between_two_tables_each_planted_row_is_found_and_no_other(shop: Site, ranges: str, monkeypatch):
    in_a, in_b = planted(shop)
    monkeypatch.setattr(between, "_FEW", 20)
    done = shop.report(**(small(shop) if ranges == "small" else {}))
    assert done.code == 1
    assert (done.rows(A), done.rows(B)) == (in_a, in_b)
    assert done.json["totals"] | {"rows": 0} == {
        "rows": 0, "differences": 12, "mismatched": 4, "missing": 4, "extra": 4, "violations": 0, "lossy": 0,
        "unsettled": 0, "unexplained": 0, "repaired": 0,
    }  # fmt: skip
    text = shop.reconcile()
    assert f"tenant {A!r} row 1 is there, and nothing gives it" in text.out
    assert "differs in street, city" in text.out


def test_two_rows_with_each_others_values_are_found(shop: Site):
    """Each pair by itself in its range: with sums that a swap leaves as they are almost half of them would be missed."""
    ids = [row[0] for row in shop.all("SELECT customer_id FROM addresses WHERE tenant_id = %s ORDER BY 1", B)]
    pairs = [(ids[at], ids[at + 1]) for at in range(10, len(ids) - 1, 200)]
    swap = "UPDATE addresses AS t SET street = o.street FROM addresses AS o WHERE (t.customer_id, o.customer_id) IN"
    for one, other in pairs:
        shop.untriggered(f"{swap} (({one}, {other}), ({other}, {one}))")
    assert shop.report(**small(shop)).rows(B) == {
        (str(id_),): ("mismatched", ["street"]) for pair in pairs for id_ in pair
    }


def test_a_split_that_loses_a_part_of_the_range_would_be_seen(shop: Site, monkeypatch):
    """A control: with a bisection that stops before the last part, planted rows are lost, and the hashes tell."""
    planted(shop)
    whole = Between._parts

    def without_the_last(self, *args, **more):
        return list(whole(self, *args, **more))[:-1]

    monkeypatch.setattr(between, "_FEW", 20)
    monkeypatch.setattr(Between, "_parts", without_the_last)
    done = shop.report()
    assert done.json["totals"]["differences"] < 12


def test_only_what_differs_is_looked_into(shop: Site, monkeypatch):
    """One row in 3,200 costs digests of its own part of each level, and rows of one leaf."""
    shop.untriggered("UPDATE addresses SET street = 'x' WHERE customer_id = 6000 + 6")
    monkeypatch.setattr(between, "_FEW", 20)
    leaves, digests = [], []
    rows, digest = between.Source.hashes, between.Source.digest

    def noted_rows(*args):
        leaves.append(rows(*args))
        return leaves[-1]

    def noted_digest(*args):
        digests.append(digest(*args))
        return digests[-1]

    monkeypatch.setattr(between.Source, "hashes", noted_rows)
    monkeypatch.setattr(between.Source, "digest", noted_digest)
    assert shop.report().json["totals"]["mismatched"] == 1
    # Two looks at one leaf, of two sides each.
    assert len(leaves) == 4
    assert max(len(leaf) for leaf in leaves) <= 20
    assert sum(found.rows for found in digests) < 2 * 3200 + 2 * 2133 + 1000


def test_one_side_that_is_empty_or_far_longer(shop: Site, monkeypatch):
    monkeypatch.setattr(between, "_FEW", 50)
    shop.untriggered("DELETE FROM addresses WHERE tenant_id = %s", A)
    shop.untriggered("UPDATE customers SET street = NULL WHERE tenant_id = %s", B)
    done = shop.report(**small(shop)).json
    by_tenant = {t["tenant"]: (t["rows"], t["mismatched"], t["missing"], t["extra"]) for t in done["tenants"]}
    of_a = shop.one("SELECT count(*) FROM customers WHERE tenant_id = %s AND street IS NOT NULL", A)
    of_b = shop.one("SELECT count(*) FROM addresses WHERE tenant_id = %s", B)
    assert by_tenant == {A: (of_a, 0, of_a, 0), B: (of_b, 0, 0, of_b)}


def test_once_the_new_table_is_the_truth_it_has_the_last_word(shop: Site):
    planted(shop)
    shop.stage("all", "live")
    assert shop.report().code == 0


def test_in_one_table_each_planted_row_is_found_with_its_columns(parts: Site):
    parts.untriggered("UPDATE parts SET grams = 7 WHERE place IN (1, 1500) AND grams <> 7")
    parts.untriggered("UPDATE parts SET remark = 'x', grams = NULL WHERE place = 3000")
    expected = {
        (shelf, str(place)): ("mismatched", ["grams", "remark"] if place == 3000 else ["grams"])
        for shelf, place in parts.all("SELECT shelf, place FROM parts WHERE place IN (1, 1500, 3000)")
    }
    done = parts.report(**small(parts))
    assert {**done.rows(A), **done.rows(B)} == expected
    assert (done.code, done.json["totals"]["rows"]) == (1, 3000)
    # Rows that are wrong on either reading count once the new is the truth, and lossy ones don't.
    parts.stage("all", "live")
    later = parts.report(**small(parts))
    assert {**later.rows(A), **later.rows(B)} == expected


def test_a_row_that_is_being_written_does_not_count(shop: Site, monkeypatch):
    """Two transactions of an application that writes both tables by itself: seen between them, and right soon after."""
    shop.untriggered("UPDATE addresses SET street = 'x' WHERE customer_id IN (6, 12)")
    again = Between.again

    def healed(self, tenant, range_):
        found = again(self, tenant, range_)
        shop.run(
            "UPDATE addresses AS a SET street = c.street FROM customers AS c WHERE c.id = a.customer_id AND c.id = 6"
        )
        # A row that goes wrong only now isn't seen twice.
        shop.untriggered("UPDATE addresses SET street = 'y' WHERE customer_id = 24")
        return found

    monkeypatch.setattr(Between, "again", healed)
    done = shop.report()
    assert {**done.rows(A), **done.rows(B)} == {("12",): ("mismatched", ["street"])}
    assert done.json["totals"]["unsettled"] == 1


def test_what_healed_between_the_digests_and_the_rows_does_not_count(shop: Site, monkeypatch):
    digests = Between._digests
    looks: list[Digest] = []

    def torn(self, *args):
        left, right = digests(self, *args)
        looks.append(left)
        return (left, Digest(right.rows, right.hash + 1)) if len(looks) == 1 else (left, right)

    monkeypatch.setattr(Between, "_digests", torn)
    assert shop.report().json["clean"] is True
    assert len(looks) > 2


def test_hashes_that_differ_for_no_row_are_told(shop: Site, monkeypatch):
    digests = Between._digests

    def torn(self, *args):
        left, right = digests(self, *args)
        return left, Digest(right.rows, right.hash + 1)

    monkeypatch.setattr(Between, "_digests", torn)
    done = shop.report()
    totals = done.json["totals"]
    assert (done.code, totals["unexplained"] > 0, totals["mismatched"]) == (1, True, 0)
    assert totals["differences"] == totals["unexplained"]
    assert f"ranges whose hashes differ though no row does: {totals['unexplained']}" in shop.reconcile().out


def test_two_databases_are_compared_side_by_side(shop: Site, pg, monkeypatch):
    """Each side its own statement on its own connection."""
    in_a, _ = planted(shop)
    monkeypatch.setattr(between, "_FEW", 20)
    name = "migdsl_test_other"
    other_url = pg.create_database(name)
    try:
        with psycopg.connect(other_url, autocommit=True) as other:
            other.execute(
                "CREATE TABLE addresses (customer_id bigint PRIMARY KEY, tenant_id uuid, street text, city text)"
            )
            with other.cursor() as cursor:
                cursor.executemany("INSERT INTO addresses VALUES (%s, %s, %s, %s)", shop.all("SELECT * FROM addresses"))
        shop.untriggered("DELETE FROM addresses")
        signals = Signals()
        here, there = (
            Database(conninfo_of(url, "test"), shop.job.limits, shop.job.retry, signals)
            for url in (shop.url, other_url)
        )
        one = Between.of(shop.job, here, "old")
        two = Between(one.left, one.right, here, there)
        try:
            tally = Comparer(two, Brake(here, shop.job.pace), A, 0.0, 100).run()
        finally:
            here.close()
            there.close()
        assert {key: (found.kind, list(found.columns)) for key, found in tally.shown.items()} == in_a
    finally:
        pg.drop_database(name)
