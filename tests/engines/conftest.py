"""A database with users becomes a backfill in a queue: Procrastinate's in the same database, or Celery's on a broker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from migdsl.runtime import main
from migdsl.runtime.engines.registry import load_job
from tests.conftest import needs_tool
from tests.engines.brokers import Broker, Rabbit, Redis, Waiting
from tests.runtime.conftest import SAMPLES, Users, make_users

# Short enough that what takes minutes in production is seen within seconds.
HASTE = {
    "MIGDSL_ENGINE_LANE": "1",
    "MIGDSL_ENGINE_HELD": "0.3",
    "MIGDSL_ENGINE_PARKED": "0.5",
    "MIGDSL_ENGINE_HEARTBEAT": "0.5",
    "MIGDSL_ENGINE_STALLED": "2",
    "MIGDSL_ENGINE_RESCUE": "1",
    "MIGDSL_ENGINE_REDELIVER": "3",
    "MIGDSL_ENGINE_SWEEP": "0.5",
}
# Who wrote which row, under which fence, in the writer's own transaction: what was rolled back isn't there.
JOURNAL = """
CREATE TABLE journal (id bigint, tenant text, pid int, fence bigint, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO journal (id, tenant, pid, fence)
    SELECT n.id, n.tenant_id, pg_backend_pid(), s.fence
      FROM after AS n
      LEFT JOIN migdsl.slice AS s ON s.tenant = n.tenant_id::text AND s.state = 'running';
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER UPDATE ON users REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION note();
"""


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The RabbitMQ that MIGDSL_TEST_BROKER names (amqp://…), or a Redis of our own, which keeps nothing."""
    if url := os.environ.get("MIGDSL_TEST_BROKER"):
        yield Rabbit(url)
        return
    program = needs_tool("redis-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    argv = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as server:
        wait_for(lambda: reachable(port), 20)
        yield Redis(f"redis://127.0.0.1:{port}/0")
        server.terminate()


def reachable(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Returns when `condition` holds; fails after `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "this took too long"
        time.sleep(0.05)


@dataclass
class Queued:
    """A backfill on an engine. Workers are process groups of their own, as on a machine of their own."""

    engine: str
    users: Users
    environment: dict[str, str]
    broker: Broker | None = None
    path: Path = SAMPLES / "backfill_user.py"
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def submit(self, *args: str) -> int:
        return main(load_job(str(self.path)), ["--engine", self.engine, "--submit", *args])

    def tell(self, *args: str) -> int:
        return main(load_job(str(self.path)), list(args))

    def worker(self, *args: str) -> subprocess.Popen[str]:
        return self.start(sys.executable, str(self.path), "--engine", self.engine, "--work", *args)

    def start(self, *argv: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            argv,
            env={**os.environ, **self.environment, "MIGDSL_JOBS": str(self.path), "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def kill(self, process: subprocess.Popen[str]) -> None:
        """The whole machine at once."""
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def written(self) -> int:
        return self.users.one("SELECT count(*) FROM journal")

    def open_lanes(self) -> int:
        return self.users.one(
            "SELECT count(DISTINCT tenant) FROM migdsl.slice WHERE state NOT IN ('succeeded', 'cancelled', 'failed')"
        )

    def assert_right(self, *, reconnected: bool = False) -> None:
        """Every row is filled, by one worker, once; two workers never had a tenant under one fence; the ledger is true.

        A worker that `reconnected` went on under its fence with another server process.
        """
        assert self.users.unfilled() == 0
        assert self.users.all("SELECT id FROM journal GROUP BY id HAVING count(*) > 1") == []
        shared = self.users.all("SELECT tenant, fence FROM journal GROUP BY 1, 2 HAVING count(DISTINCT pid) > 1")
        assert reconnected or shared == []
        # A tenant's batches under a later fence come after all of those under an earlier one.
        assert self.users.all("""
                SELECT a.tenant FROM (SELECT tenant, fence, min(at) AS first FROM journal GROUP BY 1, 2) AS a
                  JOIN (SELECT tenant, fence, max(at) AS last FROM journal GROUP BY 1, 2) AS b
                    ON a.tenant = b.tenant AND a.fence > b.fence AND a.first < b.last""") == []
        assert self.users.all("SELECT DISTINCT state FROM migdsl.slice") == [("succeeded",)]
        ((planned, passed),) = self.users.all("SELECT sum(rows_planned), sum(rows_scanned) FROM migdsl.slice")
        assert planned == passed == self.written()

    def messages(self) -> Waiting:
        """What waits in the queue: the text as it is stored, and the arguments of the lane."""
        if self.broker is None:
            rows = self.users.all("SELECT j::text, args FROM migdsl.procrastinate_jobs AS j WHERE status = 'todo'")
            return [(text, args) for text, args in rows if "rescue" not in text]
        return self.broker.messages(self.queue)

    @property
    def queue(self) -> str:
        return "migdsl.users_email.user.contact_email"

    def stop_all(self) -> None:
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGCONT)
                self.kill(process)


@pytest.fixture(params=["procrastinate", "celery"])
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def queued(
    engine: str, database: str, tenants: tuple[str, ...], request: pytest.FixtureRequest, monkeypatch
) -> Iterator[Queued]:
    """5,000 users of five tenants, and a tenant without any; nothing is submitted yet."""
    environment = {**HASTE, "DATABASE_URL": database}
    broker: Broker | None = request.getfixturevalue("broker") if engine == "celery" else None
    if broker is not None:
        environment["CELERY_BROKER_URL"] = broker.url
    users = make_users(database, int(os.environ.get("MIGDSL_ENGINE_ROWS", "5000")), tenants)
    users.run(JOURNAL)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    case = Queued(engine, users, environment, broker)
    try:
        yield case
    finally:
        case.stop_all()
        if broker is not None:
            broker.clear(case.queue)


@pytest.fixture
def tenants() -> tuple[str, ...]:
    return tuple(sorted(f"00000000-0000-0000-0000-{0xABCDEF * (n + 1) ** 5:012x}" for n in range(6)))
