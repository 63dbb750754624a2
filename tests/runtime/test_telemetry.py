"""What a job's command line and environment ask for, and a real backfill whose numbers are to be had in every way."""

from __future__ import annotations

import argparse
import json
import re
import secrets
import subprocess
import time
from contextlib import suppress
from urllib.request import urlopen

import psycopg
import pytest

from migdsl.runtime.telemetry.metrics import METRICS
from migdsl.runtime.telemetry.options import Telemetry, add_options, application_name, chosen
from migdsl.runtime.telemetry.probe import Facts, Probe
from tests.conftest import needs_tool
from tests.runtime.conftest import Users
from tests.runtime.gateway import Gateway

VARIABLES = ("MIGDSL_PUSHGATEWAY", "MIGDSL_LOG_FORMAT", "MIGDSL_CORRELATION_ID")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def asked(*argv: str) -> Telemetry:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser)
    return chosen(parser.parse_args(argv))


def test_nothing_is_exported_unless_it_is_asked_for() -> None:
    found = asked()
    assert not found.exports
    assert found.log_format == "logfmt"
    assert re.fullmatch("[0-9a-f]{12}", found.run)
    assert found.run != asked().run


@pytest.mark.parametrize(
    ("argv", "address"),
    [("9187", ("127.0.0.1", 9187)), ("0.0.0.0:0", ("0.0.0.0", 0)), ("[::1]:80", ("::1", 80)), ("h.x:1", ("h.x", 1))],
)
def test_the_port_is_on_loopback_unless_a_host_is_said(argv: str, address: tuple[str, int]) -> None:
    assert asked("--metrics-port", argv).listen == address


def test_the_environment_speaks_for_all_jobs_and_the_command_line_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(VARIABLES, ("http://push:9091", "json", "trace/1"), strict=True):
        monkeypatch.setenv(name, value)
    found = asked()
    assert (found.pushgateway, found.log_format, found.run) == ("http://push:9091", "json", "trace/1")
    assert asked("--log-format", "logfmt", "--correlation-id", "x").run == "x"


@pytest.mark.parametrize(
    "argv",
    [
        ("--metrics-port", "70000"),
        ("--metrics-port", "h:"),
        ("--pushgateway", "file:///etc/passwd"),
        ("--pushgateway", "http://u:secret@"),
        ("--pushgateway", "http://h:99999999/"),
        ("--log-format", "xml"),
        ("--correlation-id", "a b"),
        ("--correlation-id", "x" * 41),
        ("--metrics-linger", "-1"),
    ],
)
def test_what_is_mistyped_is_refused(argv: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((argparse.ArgumentError, SystemExit)) as refused:
        asked(*argv)
    assert "secret" not in str(refused.value) + capsys.readouterr().err


@pytest.mark.parametrize("migration", ["m", "n" * 63, "ü" * 63, 'a"b c'])
def test_the_run_survives_what_postgresql_does_to_a_name(migration: str, database: str) -> None:
    run = "00-4bf92f3577b34da6a3ce929d0e0e4736-01"
    name = application_name(migration, "entité", run)
    assert name.startswith("migdsl ")
    with psycopg.connect(database, application_name=name) as connection:
        row = connection.execute(
            "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        ).fetchone()
    assert row is not None
    assert row[0].split(" ")[-1] == run


# ---------------------------------------------------------------- a real backfill


@pytest.fixture
def hold(users: Users):
    """A table lock that no batch gets past, until it is rolled back."""
    with psycopg.connect(users.url) as connection:
        connection.execute("LOCK TABLE users IN SHARE MODE")
        yield connection


def served(process: subprocess.Popen[str]) -> str:
    """The address that a job tells."""
    assert process.stderr is not None
    for line in process.stderr:
        if "event=metrics_served" in line:
            return f"http://{line.split('address=')[1].split()[0]}/metrics"
    raise AssertionError("the job never said where its metrics are")


def value(text: str, name: str, labels: str = "") -> float:
    (found,) = re.findall(rf"^{name}{{[^}}]*{labels}[^}}]*}} (\S+)$", text, re.MULTILINE)
    return float(found)


def test_a_job_is_scraped_while_it_runs_and_once_more_at_its_end(users: Users, hold: psycopg.Connection) -> None:
    began = time.time()
    process = users.start("backfill", "--duty", "1", "--metrics-port", "0")
    url = served(process)
    # The ledger is planned before the first batch, which waits.
    text = ""
    while "migdsl_backfill_remaining_rows" not in text or value(text, "migdsl_backfill_remaining_rows") < 2_000:
        text = urlopen(url).read().decode()
    assert value(text, "migdsl_backfill_progress_ratio") == 0
    assert began < value(text, "migdsl_backfill_last_progress_timestamp_seconds") < time.time()
    hold.rollback()
    while value(text, "migdsl_backfill_progress_ratio") < 1 or value(text, "migdsl_backfill_lanes"):
        text = urlopen(url).read().decode()
        if process.poll() is not None:
            break
    assert process.wait(timeout=60) == 0
    assert value(text, "migdsl_backfill_rows_total", 'outcome="changed"') == 2_000
    assert value(text, "migdsl_backfill_remaining_rows") == 0
    checked = subprocess.run([needs_tool("promtool"), "check", "metrics"], input=text, text=True, check=False)
    assert checked.returncode == 0


def test_a_job_pushes_and_goes_on_where_it_can_not(users: Users) -> None:
    with Gateway() as gateway:
        url = f"http://me:secret@{gateway.host}"
        done = users.job("backfill", "--duty", "1", "--pushgateway", url, "--instance", "worker/1")
        assert done.returncode == 0, done.stderr
        last = gateway.pushed[-1]
        assert last.path == (
            "/metrics/job/migdsl/migration/users_email/backfill/user.contact_email/instance@base64/d29ya2VyLzE"
        )
        assert value(last.body, "migdsl_backfill_progress_ratio") == 1
        assert value(last.body, "migdsl_backfill_errors") == 0
        # Of the moment alone, and so not left behind.
        assert "migdsl_lock_wait_seconds" not in last.body
        assert users.job("reconcile", "--pushgateway", url).returncode == 0
        assert "/entity/User/" in gateway.pushed[-1].path
        assert value(gateway.pushed[-1].body, "migdsl_reconcile_rows_mismatched") == 0
        assert value(gateway.pushed[-1].body, "migdsl_reconcile_progress_ratio") == 1
        names = {line.split("{")[0] for each in gateway.pushed for line in each.body.splitlines() if line[0] != "#"}
    known = {spec.name + suffix for spec in METRICS for suffix in ("", "_sum", "_count")}
    assert names <= known
    again = users.job("backfill", "--duty", "1", "--again", "--pushgateway", url, "--log-format", "json")
    assert again.returncode == 0, again.stderr
    lines = [json.loads(line) for line in again.stderr.splitlines()]
    assert [line["event"] for line in lines if line["level"] == "warning"] == ["metrics_not_sent"]
    assert "secret" not in again.stderr


def test_what_a_reconciliation_has_found_is_scraped_at_its_end(users: Users) -> None:
    process = users.start("reconcile", "--metrics-port", "0")
    url, text = served(process), ""
    with suppress(OSError):
        # As often as it likes: the port goes once the numbers of its end were read.
        while True:
            text = urlopen(url).read().decode()
    assert value(text, "migdsl_reconcile_rows_mismatched") > 0
    assert value(text, "migdsl_reconcile_last_run_timestamp_seconds") <= time.time()
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "event=awaiting_scrape" in err
    assert "not clean" in out


def test_a_port_that_is_taken_is_told(users: Users) -> None:
    with Gateway() as other:
        done = users.job("backfill", "--metrics-port", other.host.split(":")[1])
    assert done.returncode == 2
    assert f"can't serve metrics at {other.host}" in done.stderr
    assert users.one("SELECT count(*) FROM migdsl.slice") == 0


# ---------------------------------------------------------------- the probe


def test_the_probe_reads_the_ledger_and_the_servers_health(users: Users, hold: psycopg.Connection) -> None:
    assert users.one("SELECT 1") == 1
    slice_ = "INSERT INTO migdsl.slice (migration, backfill, tenant, rows_planned, rows_scanned) VALUES ('m', 'b', %s, %s, %s)"
    users.run(slice_, "t1", 100, 40)
    users.run(slice_, "t2", 50, 0)
    # Two rows were deleted meanwhile: what is done has nothing left.
    users.run(slice_, "t3", 10, 8)
    users.run("UPDATE migdsl.slice SET state = 'running', worker = 'w', lease_until = now() WHERE tenant <> 't1'")
    users.run("UPDATE migdsl.slice SET state = 'failed', worker = NULL, lease_until = NULL WHERE tenant = 't2'")
    users.run("UPDATE migdsl.slice SET state = 'succeeded', worker = NULL, lease_until = NULL WHERE tenant = 't3'")
    users.run(
        "INSERT INTO migdsl.quarantine VALUES ('m', 'b', 't1', '[\"1\"]', 'X', 'y'), ('m', 'c', 't1', '[\"1\"]', 'X', 'y')"
    )
    probe = Probe(users.url, "m", "b")
    found = probe.facts()
    assert found == Facts(160, 48, 110, 2, 1, 1, 0.0, 0.0)
    assert found.progress == 0.3
    waiter = subprocess.Popen(
        [
            *users.argv("backfill")[:1],
            "-c",
            f"import psycopg; psycopg.connect({users.url!r}).execute('UPDATE users SET id = id')",
        ]
    )
    try:
        while isinstance(found, str) or not found.lock_wait:
            assert waiter.poll() is None
            found = probe.facts()
    finally:
        waiter.kill()
        waiter.wait()
        probe.close()


def test_a_probe_that_can_not_look_says_the_class_of_the_error(users: Users) -> None:
    probe = Probe(users.url, "m", "b")
    users.run("DROP TABLE migdsl.quarantine")
    assert probe.facts() == "UndefinedTable 42P01"
    assert Probe(users.url + "&password=x", "m", "b").facts() == "UndefinedTable 42P01"
    assert str(Probe("host=/nowhere password=secret", "m", "b").facts()).startswith("OperationalError")


def test_a_role_that_may_read_the_ledger_will_do(users: Users) -> None:
    role = f"reader_{secrets.token_hex(6)}"
    users.run(f"CREATE ROLE {role} LOGIN")
    try:
        users.run(f"GRANT USAGE ON SCHEMA migdsl TO {role}")
        users.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA migdsl TO {role}")
        probe = Probe(re.sub(r"//[^@]*@", f"//{role}@", users.url), "m", "b")
        found = probe.facts()
        probe.close()
        assert found == Facts(0, 0, 0, 0, 0, 0, 0.0, 0.0)
    finally:
        users.run(f"DROP OWNED BY {role}; DROP ROLE {role}")
