"""A .mig text becomes tables with triggers as expand leaves them, rows of two tenants, and the generated reconciliation."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg

from migdsl.runtime import ReconcileJob, main
from migdsl.workspace import compile_files
from tests.ops.support import Migration, ledger, lowered

A, B = "aaaaaaaa-0000-0000-0000-000000000000", "bbbbbbbb-0000-0000-0000-000000000000"
ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = (ROOT / "examples/07_new_table/addresses_table.mig").read_text(encoding="utf-8")
CUSTOMERS = (
    "CREATE TABLE customers (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, street text, city text)",
    "CREATE INDEX ON customers (tenant_id, id)",
)
PAIRS = """migration pairs { ticket "MIG-1" }
database app { engine postgresql 15; url env DATABASE_URL }
tenants { key tenant_id uuid; list `SELECT id FROM tenants ORDER BY id` }
entity Part in app.parts {
  shelf      text     key
  place      integer  key
  tenant_id  uuid     tenant
  weight     text?
  note       text?    pii
  index (tenant_id, shelf, place)
}
change Part {
  add grams integer? { from `length(weight)`; back weight = `repeat('x', grams)` }
  add remark text? pii { from `upper(note)`; back note = `lower(remark)` }
}
flag pairs { stage off for all }
"""
PARTS = (
    "CREATE TABLE parts (shelf text, place int, tenant_id uuid NOT NULL, weight text, note text, PRIMARY KEY (shelf, place))",
    "CREATE INDEX ON parts (tenant_id, shelf, place)",
)
# A pace that looks at a few rows at once, so that some thousand are many ranges.
SMALL = {"first": 150, "floor": 100, "ceiling": 200}


@dataclass(frozen=True, slots=True)
class Said:
    """What a job said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    def rows(self, tenant: str) -> dict[tuple[str, ...], tuple[str, list[str]]]:
        """The differing rows of a tenant: key → kind and columns."""
        (found,) = (each for each in self.json["tenants"] if each["tenant"] == tenant)
        return {tuple(row["key"]): (row["kind"], row["columns"]) for row in found["differing"]}


@dataclass(frozen=True, slots=True)
class Site:
    """A database, and the job that compares its rows."""

    url: str
    job: ReconcileJob
    migration: str

    def run(self, sql: str, *values: object) -> int:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(sql.encode(), values or None).rowcount

    def untriggered(self, sql: str, *values: object) -> int:
        """Writes as nobody should: past the triggers of the migration."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            ours = connection.execute(
                "SELECT format('ALTER TABLE %s %%s TRIGGER %I', tgrelid::regclass, tgname) FROM pg_trigger"
                " WHERE NOT tgisinternal AND tgname LIKE '~migdsl%'"
            ).fetchall()
            with connection.transaction():
                for (alter,) in ours:
                    connection.execute((alter % "DISABLE").encode())
                count = connection.execute(sql.encode(), values or None).rowcount
                for (alter,) in ours:
                    connection.execute((alter % "ENABLE ALWAYS").encode())
            return count

    def all(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(sql.encode(), values or None).fetchall()

    def one(self, sql: str, *values: object) -> Any:
        return self.all(sql, *values)[0][0]

    def stage(self, subject: str, value: str) -> None:
        self.run(
            "INSERT INTO migdsl.event (migration, kind, subject, value) VALUES (%s, 'stage', %s, %s)",
            self.migration,
            subject,
            value,
        )

    def reconcile(self, *args: str, **changed: object) -> Said:
        """Runs the job in this process; `changed` are fields that are others for once."""
        out, err = io.StringIO(), io.StringIO()
        job = replace(self.job, settle_s=0.0, **changed)  # type: ignore[arg-type]
        with redirect_stdout(out), redirect_stderr(err):
            code = main(job, ["--url", self.url, "--duty", "1", *args])
        assert "Traceback" not in err.getvalue()
        return Said(code, out.getvalue(), err.getvalue())

    def report(self, *args: str, **changed: object) -> Said:
        return self.reconcile("--json", "--limit", "1000000", *args, **changed)

    def readings(self) -> int:
        return int(self.one("SELECT count(*) FROM migdsl.event WHERE kind = 'reading'"))


@lru_cache(maxsize=8)
def jobs(text: str) -> Mapping[str, str]:
    """Entity → text of its generated reconciliation."""
    found = compile_files({"m.mig": text}, "m.mig", through="contract")
    assert found.ok, [f"{d.code} {d.title}" for d in found.diagnostics]
    texts = [a.text for a in found.artifacts if a.kind == "reconcile"]
    return {re.findall(r'entity="([^"]+)"', each)[0]: each for each in texts}


def site(url: str, text: str, entity: str, ddl: Sequence[str]) -> Site:
    """The tables with what expand adds to them."""
    space: dict[str, Any] = {"__name__": "job"}
    exec(jobs(text)[entity], space)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE tenants (id uuid PRIMARY KEY)")
        connection.execute("INSERT INTO tenants VALUES (%s), (%s)", (A, B))
        for statement in ddl:
            connection.execute(statement.encode())
        ledger(connection)
        Migration(connection, lowered(text)).up("expand")
    return Site(url, space["JOB"], space["JOB"].migration)


def shop_at(url: str) -> Site:
    """4,000 customers of two tenants, interleaved; each fifth has no street, and so no address."""
    made = site(url, ADDRESSES, "Address", CUSTOMERS)
    made.run(
        "INSERT INTO customers SELECT g * 3, CASE WHEN g % 3 = 0 THEN %s::uuid ELSE %s END,"
        " CASE WHEN g % 5 <> 0 THEN 'secret street ' || g END, CASE WHEN g % 2 = 0 THEN 'secret city' END"
        " FROM generate_series(1, 4000) AS g".replace("% 3", "%% 3").replace("% 5", "%% 5").replace("% 2", "%% 2"),
        A,
        B,
    )
    return made


def parts_at(url: str) -> Site:
    """3,000 rows of two tenants with a key of two columns, one of which is text that sorts in its own way."""
    made = site(url, PAIRS, "Part", PARTS)
    made.run(
        "INSERT INTO parts SELECT (ARRAY['ä', 'B', 'a''b', 'Z\\x', 'b c', ' '])[1 + g %% 6], g,"
        " CASE WHEN g %% 4 = 0 THEN %s::uuid ELSE %s END, repeat('x', g %% 50), 'secret-' || g"
        " FROM generate_series(1, 3000) AS g",
        A,
        B,
    )
    return made


def small(made: Site) -> dict[str, object]:
    """The job's pace with small ranges."""
    return {"pace": replace(made.job.pace, **SMALL)}


def planted(shop: Site) -> tuple[dict, dict]:
    """Differences of each kind in both tenants, at the ends of the key space too; what must be found of them."""
    ids = {
        name: [row[0] for row in shop.all("SELECT customer_id FROM addresses WHERE tenant_id = %s ORDER BY 1", name)]
        for name in (A, B)
    }
    found: dict[str, dict] = {A: {}, B: {}}
    for name in (A, B):
        first, middle, last, some = ids[name][0], ids[name][400], ids[name][-1], ids[name][401]
        shop.untriggered("UPDATE addresses SET street = 'x' WHERE customer_id = %s", first)
        shop.untriggered("UPDATE addresses SET street = 'x', city = 'y' WHERE customer_id = %s", some)
        shop.untriggered("DELETE FROM addresses WHERE customer_id IN (%s, %s)", middle, last)
        found[name] = {
            (str(first),): ("mismatched", ["street"]),
            (str(some),): ("mismatched", ["street", "city"]),
            (str(middle),): ("missing", []),
            (str(last),): ("missing", []),
        }
    shop.untriggered("INSERT INTO addresses VALUES (1, %s, 's', 'c'), (100000, %s, 's', 'c')", A, A)
    shop.untriggered("INSERT INTO addresses VALUES (2, %s, 's', 'c'), (100001, %s, 's', 'c')", B, B)
    found[A] |= {("1",): ("extra", []), ("100000",): ("extra", [])}
    found[B] |= {("2",): ("extra", []), ("100001",): ("extra", [])}
    return found[A], found[B]
