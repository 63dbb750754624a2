"""Two tables that differ in ten rows become the time in which they are found: by our bisection, by reladiff, by EXCEPT.

The tables lie in two databases of one server; EXCEPT needs them in one, and has them there. A clean comparison is held
against `count(*)`. Rounds are interleaved, so that a slow spell of the machine falls on all alike; figures are medians.

    python -m benchmarks.reconcile --rows 2_000_000 --rounds 5

reladiff is in the extra `bench`. Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from migdsl.rehearsal.server import start_server
from migdsl.runtime.address import conninfo_of
from migdsl.runtime.database import Database
from migdsl.runtime.jobs import Limits, Pace, Retry, Side
from migdsl.runtime.reconcile.between import Between, Source
from migdsl.runtime.reconcile.comparing import Brake, Comparer
from migdsl.runtime.reconcile.look import Tally
from migdsl.runtime.stop import Signals

MOST_OF_RELADIFF: Final = 0.40
MOST_OF_COUNT: Final = 6.0
TENANT: Final = "11111111-1111-1111-1111-111111111111"
DDL: Final = (
    "CREATE TABLE {0} (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, name text, email text, total numeric(12, 2))",
    "INSERT INTO {0} SELECT g, '" + TENANT + "', 'name ' || g, 'm' || g || '@example.org', g % 1000 / 7.0"
    " FROM generate_series(1, {1}) AS g",
    "CREATE INDEX ON {0} (tenant_id, id)",
)
# Five that differ, three missing, two too many.
DIFFERENCES: Final = (
    "UPDATE {0} SET email = 'x' WHERE id IN ({1} / 7, {1} / 5, {1} / 3)",
    "UPDATE {0} SET total = total + 1 WHERE id IN ({1} / 2, {1} - 1)",
    "DELETE FROM {0} WHERE id IN (1, {1} / 4, {1})",
    "INSERT INTO {0} VALUES (0, '" + TENANT + "', 'n', 'e', 1), ({1} + 5, '" + TENANT + "', 'n', 'e', 1)",
)


def side(table: str) -> Side:
    """One side's statements, of the form that `migdsl compile` writes."""
    row = "ROW(t.id, t.name, t.email, t.total)"
    where = """WHERE t.tenant_id = :tenant_id
   AND (t.id > :after OR :after IS NULL)
   AND (t.id <= :upto OR :upto IS NULL)"""
    hashes = ", ".join(f"hash_record_extended(ROW(t.{c}), 1) AS {c}" for c in ("name", "email", "total"))
    return Side(
        digest=f"SELECT count(*) AS rows, {_hashed(row)} AS hash FROM {table} AS t {where}",
        next_bound=f"SELECT t.id FROM {table} AS t {where} ORDER BY t.id OFFSET :skip LIMIT 1",
        rows=f"SELECT t.id, hash_record_extended(ROW(t.id), 1) AS migdsl_key, {hashes} FROM {table} AS t {where} ORDER BY t.id",
    )


def _hashed(row: str) -> str:
    return f"sum(hash_record_extended({row}, hash_record_extended(ROW(t.id), 1)))"


def compared(left_url: str, right_url: str, left: str = "items", right: str = "items") -> Tally:
    """Both tables, each on a connection of its own, without a throttle."""
    stop = Signals()
    here, there = (Database(conninfo_of(url, "bench"), Limits(), Retry(), stop) for url in (left_url, right_url))
    pace = Pace(target_ms=250.0, duty=1.0, first=10_000, floor=1_000, ceiling=50_000)
    try:
        looker = Between(Source.of(("id",), side(left)), Source.of(("id",), side(right)), here, there)
        return Comparer(looker, Brake(here, pace), TENANT, 0.0, 100).run()
    finally:
        here.close()
        there.close()


def by_reladiff(left_url: str, right_url: str) -> int:
    """How many rows it names, those that differ twice."""
    from reladiff import connect_to_table, diff_tables  # in the extra `bench`

    logging.getLogger().setLevel(logging.ERROR)
    columns = ("tenant_id", "name", "email", "total")
    # Its own reader of URLs knows no sockets.
    known = ({"driver": "postgresql", **conninfo_to_dict(url)} for url in (left_url, right_url))
    left, right = (connect_to_table(database, "items", "id", extra_columns=columns) for database in known)
    return len(list(diff_tables(left, right)))


def by_except(url: str) -> int:
    """How many rows it names, those that differ twice."""
    question = "SELECT count(*) FROM ((TABLE items EXCEPT TABLE other) UNION ALL (TABLE other EXCEPT TABLE items)) AS d"
    return _one(url, question)


def counted(url: str) -> int:
    """`count(*)` of the tenant."""
    return _one(url, f"SELECT count(*) FROM items WHERE tenant_id = '{TENANT}'")


def digested(url: str) -> int:
    """The tenant's digest in one statement."""
    row = "ROW(t.id, t.name, t.email, t.total)"
    return _one(url, f"SELECT ({_hashed(row)} IS NOT NULL)::int FROM items AS t WHERE tenant_id = '{TENANT}'")


def _one(url: str, question: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return int(row[0])


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds on the clock, and what came out."""
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def prepare(url: str, table: str, rows: int, *, differing: bool) -> None:
    """A table, vacuumed, since neither side may pay for hint bits."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in (*DDL, *(DIFFERENCES if differing else ())):
            connection.execute(statement.format(table, rows).encode())
        connection.execute(f"VACUUM (ANALYZE) {table}".encode())


def measure(rows: int, rounds: int, folder: Path, *, with_reladiff: bool) -> dict[str, Any]:
    """Medians in seconds, and the ratios that have targets."""
    with start_server(folder, settings={"shared_buffers": "1GB", "fsync": "off", "max_wal_size": "4GB"}) as server:
        left, right, clean = (server.create_database(name) for name in ("here", "there", "same"))
        prepare(left, "items", rows, differing=False)
        prepare(left, "other", rows, differing=True)
        prepare(right, "items", rows, differing=True)
        prepare(clean, "items", rows, differing=False)
        contests: dict[str, tuple[Callable[[], Any], Callable[[Any], bool]]] = {
            "ours": (lambda: compared(left, right), lambda t: t.differing == 10),
            "ours, clean": (lambda: compared(left, clean), lambda t: t.differing == 0 and t.rows == rows),
            "digest": (lambda: digested(left), lambda n: n == 1),
            "count": (lambda: counted(left), lambda n: n == rows),
            "except": (lambda: by_except(left), lambda n: n == 15),
        }
        if with_reladiff:
            contests["reladiff"] = (lambda: by_reladiff(left, right), lambda n: n == 15)
        seconds: dict[str, list[float]] = {name: [] for name in contests}
        for _ in range(rounds):
            for name, (work, right_answer) in contests.items():
                took, found = timed(work)
                assert right_answer(found), (name, found)
                seconds[name].append(took)
    median = {name: statistics.median(each) for name, each in seconds.items()}
    ratios = {
        "ours / except": median["ours"] / median["except"],
        "clean / count": median["ours, clean"] / median["count"],
        "digest / count": median["digest"] / median["count"],
    }
    if with_reladiff:
        ratios["ours / reladiff"] = median["ours"] / median["reladiff"]
    return {"rows": rows, "rounds": rounds, "seconds": median, "ratios": ratios}


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-reladiff", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(asked.rows, asked.rounds, Path(folder), with_reladiff=not asked.without_reladiff)
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        print(f"{found['rows']:,} rows a side, median of {found['rounds']}")
        print("".join(f"  {name:<16} {value:8.2f} s\n" for name, value in found["seconds"].items()), end="")
        print("".join(f"  {name:<16} {value:8.2f}\n" for name, value in found["ratios"].items()), end="")
    ratios = found["ratios"]
    missed = ratios.get("ours / reladiff", 0) > MOST_OF_RELADIFF or ratios["digest / count"] > MOST_OF_COUNT
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
