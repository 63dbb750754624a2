"""Values of rows are in no output of a reconciliation, and private keys only as keyed hashes; its JSON keeps to its schema."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from migdsl.emit import reconcile as emitted
from migdsl.runtime.address import conninfo_of
from migdsl.runtime.database import Database
from migdsl.runtime.reconcile.between import Between
from migdsl.runtime.reconcile.within import Within
from migdsl.runtime.stop import Signals
from tests.ops.support import checked
from tests.runtime.comparing import PAIRS, ROOT, A, B, Site, jobs, parts_at, planted, shop_at

SCHEMA = json.loads((ROOT / "schemas" / "reconciliation.schema.json").read_text(encoding="utf-8"))
SECRET = "Sesame@Street"


@pytest.fixture
def shop(database: str) -> Site:
    return shop_at(database)


@pytest.fixture
def parts(database: str) -> Site:
    return parts_at(database)


def everything(site: Site) -> str:
    """All that the ledger holds."""
    tables = ("event", "reconciliation", "slice", "quarantine", "snapshot")
    return "".join(str(site.all(f"SELECT to_jsonb(t)::text FROM migdsl.{table} AS t")) for table in tables)


def test_the_json_keeps_to_its_schema(shop: Site):
    planted(shop)
    Draft202012Validator.check_schema(SCHEMA)
    validator = Draft202012Validator(SCHEMA)
    invariants = (("a city", "SELECT count(*) FROM addresses WHERE tenant_id = :tenant_id AND city = ''"),)
    for args in (["--for", "0.001s"], ["--resume"], [], ["--repair"], ["--tenant", A]):
        validator.validate(shop.report(*args, invariants=invariants).json)
    broken = shop.report().json
    broken["tenants"][0]["value"] = 1
    assert not validator.is_valid(broken)


def test_no_value_leaves_the_database(parts: Site, tmp_path: Path):
    """Planted in columns of both sides, in a name of a column, in what an error quotes, in rows that break a rule."""
    secret = SECRET.lower()
    parts.run("ALTER TABLE parts ADD CHECK (place <> 2 OR remark <> %s) NOT VALID".replace("%s", f"'{SECRET.upper()}'"))
    parts.untriggered("UPDATE parts SET note = %s, remark = 'x' || %s WHERE place < 9", secret, SECRET)
    metrics = tmp_path / "m.prom"
    said = []
    for form in ("json", "logfmt"):
        for args in ([], ["--json"], ["--repair"], ["--for", "0.001s"], ["--resume"]):
            done = parts.reconcile("--log-format", form, "--metrics", str(metrics), *args)
            said += [done.out, done.err]
    assert "CheckViolation 23514" in "".join(said)
    found = "".join([*said, metrics.read_text(encoding="utf-8"), everything(parts)]).lower()
    assert secret not in found
    assert "secret" not in found


@pytest.mark.parametrize("key", ["parts", "shop"])
def test_a_private_key_is_shown_as_a_keyed_hash(database: str, key: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MIGDSL_HASH_KEY", "one")
    site = parts_at(database) if key == "parts" else shop_at(database)
    if key == "parts":
        site.run("UPDATE parts SET shelf = %s WHERE place = 3", SECRET)
        site.untriggered("UPDATE parts SET remark = 'x' WHERE place = 3")
        private, plain = ("shelf",), "3"
    else:
        site.untriggered("DELETE FROM addresses WHERE customer_id = 9")
        private, plain = ("customer_id",), None
    done = site.report(private=private)
    ((shown, _),) = [*done.rows(A).items(), *done.rows("bbbbbbbb-0000-0000-0000-000000000000").items()]
    assert re.fullmatch("#[0-9a-f]{16}", shown[0])
    assert shown[1:] == ((plain,) if plain else ())
    text = site.reconcile(private=private)
    assert shown[0] in text.out
    assert SECRET not in done.out + done.err + text.out + text.err + everything(site)
    again = site.report(private=private)
    assert shown in {**again.rows(A), **again.rows("bbbbbbbb-0000-0000-0000-000000000000")}
    monkeypatch.setenv("MIGDSL_HASH_KEY", "two")
    assert shown[0] not in site.report(private=private).out
    monkeypatch.delenv("MIGDSL_HASH_KEY")
    assert shown[0] not in site.report(private=private).out
    assert site.reconcile("--repair", private=private).code == 0


def sums(site: Site) -> set[str]:
    """Both sides' sums of every tenant, as the server gives them: of one row that is the hash of its values."""
    database = Database(conninfo_of(site.url, "test"), site.job.limits, site.job.retry, Signals())
    looker = Within.of(site.job, database, "old") if site.job.left is None else Between.of(site.job, database, "old")
    try:
        found = [looker.look(tenant, None, 10_000) for tenant in (A, B)]
    finally:
        database.close()
    return {str(sum_) for each in found for sum_ in (each.hash_left, each.hash_right)}


def told(site: Site) -> list[tuple[str, str]]:
    """What a run tells of both sides of every tenant; the ledger has the same."""
    tenants = site.report().json["tenants"]
    last = "SELECT hash_left::text, hash_right::text FROM migdsl.reconciliation ORDER BY id DESC LIMIT 2"
    assert site.all(last)[::-1] == [(each["hash_left"], each["hash_right"]) for each in tenants]
    return site.all(last)[::-1]


@pytest.mark.parametrize("at", [parts_at, shop_at])
def test_a_sum_of_hashes_is_told_under_a_key_alone(database: str, at, monkeypatch: pytest.MonkeyPatch):
    """PostgreSQL's hashes have seeds that anybody knows: with few rows values could be tried on the sum."""
    site = at(database)
    # A row or two stay of tenant A, as is common.
    rows, key = ("parts", "place") if at is parts_at else ("customers", "id")
    site.run(f"DELETE FROM {rows} WHERE tenant_id = %s AND {key} > 9", A)
    monkeypatch.setenv("MIGDSL_HASH_KEY", "one")
    first = told(site)
    assert all(left == right for left, right in first)
    assert not sums(site) & {sum_ for pair in first for sum_ in pair}
    assert told(site) == first
    table = "parts" if at is parts_at else "addresses"
    site.untriggered(f"UPDATE {table} SET {'remark' if at is parts_at else 'street'} = 'x' WHERE tenant_id = %s", B)
    _, (left, right) = second = told(site)
    assert (second[0], left == first[1][0], left == right) == (first[0], True, False)
    monkeypatch.delenv("MIGDSL_HASH_KEY")
    third = told(site)
    assert [a == b for a, b in third] == [True, False]
    assert not {*third[0], *third[1]} & {*first[0], *first[1], *second[0], *second[1], *told(site)[0]}


def test_rows_that_break_a_rule_are_shown_likewise(parts: Site):
    parts.run("UPDATE parts SET shelf = %s WHERE place = 3", SECRET)
    rows = "FROM parts AS t WHERE t.tenant_id = :tenant_id AND t.place = 3"
    violating = f"SELECT t.shelf, t.place, TRUE AS rule {rows} LIMIT :limit"
    violated = f"SELECT count(*) {rows}"
    done = parts.reconcile(violated=violated, violating=violating, private=("shelf",))
    assert re.search("row #[0-9a-f]{16}, 3 breaks rule", done.out)
    assert SECRET not in done.out + done.err + everything(parts)


def test_the_compiler_refuses_a_private_key_and_would_name_it():
    text = PAIRS.replace("shelf      text     key", "shelf      text     key pii")
    module, found = checked(text)
    assert any(told.startswith("MIG305 ") for told in found)
    assert emitted.private(module.changes[0].table) == '("shelf", )'
    assert "private" not in jobs(PAIRS)["Part"]
