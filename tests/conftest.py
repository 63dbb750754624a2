"""What every test may ask for: a PostgreSQL of our own, an empty database on it, and the programs that it needs.

Fixtures `pg` and `database`; `@pytest.mark.needs_tool("promtool")`, or `needs_tool` from `tests.conftest` for its path.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from migdsl.rehearsal.installed import chosen_version
from migdsl.rehearsal.server import CLOSED, Server, foreign_server, start_server

# No test may depend on how fast this machine is.
settings.register_profile("migdsl", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("migdsl")

# A crash of the machine may take a test's data with it: a crash of the server (`restart("immediate")`) does not.
_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "100", "max_wal_size": "256MB"}
# A database is some 300 files, and most tests want one of their own: in memory they are made in half of the time.
_MEMORY, _ROOM = Path("/dev/shm"), 4 * 2**30
# What tests of several versions of PostgreSQL run on, the default one first: those of the wheel, or the one that was chosen.
MAJORS: tuple[int, ...] = (18, 16) if (_CHOSEN := chosen_version()) is None else (_CHOSEN,)
# What a test's file says of its server: no more than what it runs on.
ENGINE = min(15, *MAJORS)


def tools_required() -> bool:
    """Whether a test that can't run here is a failure (in CI) and not a skip."""
    return os.environ.get("MIGDSL_REQUIRE_TOOLS") == "1"


def needs_tool(name: str) -> str:
    """The path of the program `name`; without it the test is skipped, or fails where MIGDSL_REQUIRE_TOOLS=1."""
    # The programs of the environment that runs the tests count, whether or not it was activated.
    path = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes minutes is part of a run where its variable is set, and of no other: it isn't skipped, either."""
    late = [item for item in items if not all(os.environ.get(mark.args[0]) for mark in item.iter_markers("long"))]
    if late:
        config.hook.pytest_deselected(items=late)
        items[:] = [item for item in items if item not in set(late)]


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs_tool"):
        needs_tool(*marker.args)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    return _refuse_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report = yield
    return _refuse_skip(report)


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport):
    if tools_required() and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"MIGDSL_REQUIRE_TOOLS=1, so this may not be left out: {reason}"
    return report


@contextmanager
def _data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a server's data goes for as long as the block lasts."""
    roomy = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM
    if not roomy:
        yield tmp_path_factory.mktemp("pg")
        return
    with tempfile.TemporaryDirectory(prefix="migdsl-pg-", dir=_MEMORY) as folder:
        Path(folder).chmod(0o711)  # who runs the server isn't root
        yield Path(folder)


@pytest.fixture(scope="session")
def pg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server for all tests: the one at `MIGDSL_TEST_URL`, or one of our own for as long as the session lasts."""
    url = os.environ.get("MIGDSL_TEST_URL")
    if url:
        yield foreign_server(url)
        return
    with _data_folder(tmp_path_factory) as folder, start_server(folder, settings=_SETTINGS) as server:
        yield server


@pytest.fixture(scope="session")
def keeper(pg: Server) -> Iterator[psycopg.Connection]:
    """A session that makes databases and drops them: a `psql` for each takes as long again."""
    with psycopg.connect(pg.url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def database(pg: Server, keeper: psycopg.Connection) -> Iterator[str]:
    """The URL of an empty database, dropped afterwards together with the connections that are left."""
    name = f"migdsl_test_{uuid.uuid4().hex}"
    copied = " STRATEGY FILE_COPY" if keeper.info.server_version >= 15_00_00 else ""
    keeper.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'{copied}")
    try:
        if not copied:  # older than 15
            with psycopg.connect(pg.database_url(name), autocommit=True) as connection:
                connection.execute(CLOSED)
        yield pg.database_url(name)
    finally:
        keeper.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
