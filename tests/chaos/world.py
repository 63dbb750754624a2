"""A table of skewed tenants under writers, two processes that fill it, and the questions that say whether all went well."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psycopg

from migdsl.rehearsal.server import Server
from tests.chaos.job import SETTINGS, Settings
from tests.runtime.conftest import ROOT, ledger_statements

JOB_FILE = Path(__file__).parent / "job.py"

TABLES = """
CREATE TABLE tenant (name text PRIMARY KEY);
CREATE TABLE thing (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant text NOT NULL REFERENCES tenant, source text NOT NULL,
    target int
);
-- What each batch of a worker did, and from when to when; it commits with the batch or not at all.
CREATE TABLE journal (tenant text, rows bigint, backend int, began timestamptz, ended timestamptz);
"""
# Tenant n has a share that falls as 1/n, interleaved, as a heap that grew over years has them.
SEED = """
INSERT INTO tenant SELECT 't' || lpad(n::text, 4, '0') FROM generate_series(1, %(tenants)s) AS n;
INSERT INTO thing (tenant, source)
SELECT 't' || lpad(least(%(tenants)s, ceil(power(%(tenants)s + 1, share) - 0.999))::int::text, 4, '0'), g::text
  FROM (SELECT g, hashint8(g)::float8 / 4294967296 + 0.5 AS share
          FROM generate_series(1, %(rows)s::bigint) AS g) AS drawn ORDER BY g;
CREATE INDEX ON thing (tenant, id);
ANALYZE thing;
"""
TRIGGERS = """
-- What expand makes: what an application writes is filled at once.
CREATE FUNCTION pair() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.target := NEW.source::int; RETURN NEW; END';
CREATE TRIGGER pair BEFORE INSERT OR UPDATE OF source ON thing FOR EACH ROW EXECUTE FUNCTION pair();
CREATE FUNCTION journal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('application_name') LIKE 'migdsl %' THEN
    INSERT INTO journal SELECT min(tenant), count(*), pg_backend_pid(), statement_timestamp(), clock_timestamp() FROM new;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER journal AFTER UPDATE ON thing REFERENCING NEW TABLE AS new FOR EACH STATEMENT
    EXECUTE FUNCTION journal();
"""
# Each question counts what must not be, under the name of what is wrong.
WRONG = {
    "rows that aren't right": """
        SELECT count(*) FROM thing WHERE source NOT LIKE 'poison%' AND target IS DISTINCT FROM source::int""",
    "poison that isn't set aside": """
        SELECT count(*) FROM thing AS t WHERE source LIKE 'poison%' AND NOT EXISTS (
               SELECT FROM migdsl.quarantine AS q WHERE q.tenant = t.tenant AND q.row_key = jsonb_build_array(t.id::text))""",
    "sound rows set aside": """
        SELECT count(*) FROM migdsl.quarantine AS q WHERE NOT EXISTS (
               SELECT FROM thing AS t WHERE t.id = (q.row_key->>0)::bigint AND t.source LIKE 'poison%')""",
    "batches of a tenant at the same time": """
        SELECT count(*) FROM (SELECT began, backend, lag(ended) OVER w AS before, lag(backend) OVER w AS other
                                FROM journal WINDOW w AS (PARTITION BY tenant ORDER BY began)) AS pairs
         WHERE before > began AND other <> backend""",
    "tenants whose ledger counts other rows than were written": """
        SELECT count(*) FROM (SELECT tenant, sum(rows_changed) AS said FROM migdsl.slice GROUP BY tenant) AS s
          FULL JOIN (SELECT tenant, sum(rows) AS done FROM journal GROUP BY tenant) AS j USING (tenant)
         WHERE coalesce(said, 0) <> coalesce(done, 0)""",
    "slices that passed more rows than there were": """
        SELECT count(*) FROM migdsl.slice WHERE rows_scanned > rows_planned""",
    "tenants that weren't finished": """
        SELECT count(*) FROM tenant WHERE NOT EXISTS (
               SELECT FROM migdsl.slice WHERE tenant = name HAVING count(*) > 0 AND bool_and(state = 'succeeded'))""",
    "slices that aren't done up to their end": """
        SELECT count(*) FROM migdsl.slice
         WHERE state <> 'succeeded' OR lease_until IS NOT NULL OR watermark IS DISTINCT FROM upper_key""",
}


@dataclass(slots=True)
class World:
    """A server of our own, so that it can be restarted, and a database on it."""

    server: Server
    url: str
    logs: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    def made(cls, server: Server, logs: Path, rows: int, tenants: int, poison: int) -> World:
        """`poison` rows, spread evenly, can't be filled."""
        world = cls(server, server.create_database(f"chaos_{os.urandom(4).hex()}"), logs)
        with world.connect() as connection:
            for ddl in (*ledger_statements(), TABLES):
                connection.execute(ddl)
            with psycopg.ClientCursor(connection) as cursor:
                cursor.execute(SEED, {"rows": rows, "tenants": tenants})
            spoiled = [rows * (2 * n + 1) // (2 * poison) for n in range(poison)]
            connection.execute("UPDATE thing SET source = 'poison ' || id WHERE id = ANY(%s)", (spoiled,))
            connection.execute(TRIGGERS)
        return world

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True, application_name="chaos")

    def one(self, sql: str):
        with self.connect() as connection:
            row = connection.execute(sql).fetchone()
            assert row is not None
            return row[0]

    def wrongs(self) -> dict[str, int]:
        """What must not be, and how often it is."""
        counts = {name: self.one(sql) for name, sql in WRONG.items()}
        return {name: count for name, count in counts.items() if count}

    def start(self, settings: Settings, *args: str) -> subprocess.Popen[bytes]:
        """One more process that works on the backfill."""
        environment = {
            **os.environ,
            "DATABASE_URL": self.url,
            "PYTHONPATH": str(ROOT),
            SETTINGS: json.dumps(asdict(settings)),
        }
        with (self.logs / f"{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(JOB_FILE), *args],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process

    def said(self) -> str:
        """The ends of what the processes said."""
        return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in sorted(self.logs.glob("*.log")))

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                with suppress(OSError):
                    process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


@dataclass(slots=True)
class Writers:
    """An application that goes on writing while the backfill runs: updates, inserts and deletes, acknowledged or retried."""

    world: World
    pause_s: float
    random: random.Random
    done: int = 0
    errors: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stopped.is_set():
            try:
                with self.world.connect() as connection:
                    top = connection.execute("SELECT max(id) FROM thing").fetchone()[0]  # type: ignore[index]
                    while not self.stopped.is_set():
                        self._write(connection, top)
                        self.done += 1
                        time.sleep(self.pause_s)
            except psycopg.Error:
                self.errors += 1
                time.sleep(0.2)

    def _write(self, connection: psycopg.Connection, top: int) -> None:
        row, number, kind = self.random.randint(1, top), self.random.randint(1, 10**9), self.random.random()
        if kind < 0.8:
            connection.execute(
                "UPDATE thing SET source = %s WHERE id = %s AND source NOT LIKE 'poison%%'", (str(number), row)
            )
        elif kind < 0.95:
            connection.execute(
                "INSERT INTO thing (tenant, source) SELECT tenant, %s FROM thing WHERE id = %s", (str(number), row)
            )
        else:
            connection.execute("DELETE FROM thing WHERE id = %s AND source NOT LIKE 'poison%%'", (row,))


@contextmanager
def writing(world: World, pause_s: float, seed: int) -> Iterator[Writers]:
    """Writers for as long as the block lasts; they must have written."""
    writers = Writers(world, pause_s, random.Random(seed))
    thread = threading.Thread(target=writers.run, daemon=True)
    thread.start()
    try:
        yield writers
    finally:
        writers.stopped.set()
        thread.join(timeout=60)
    assert writers.done > 0


def wait_until(what: Callable[[], bool], seconds: float, why: str) -> None:
    """Polls; an error of a server that is away counts as no."""
    until = time.monotonic() + seconds
    while True:
        with suppress(psycopg.Error):
            if what():
                return
        assert time.monotonic() < until, why
        time.sleep(0.05)
