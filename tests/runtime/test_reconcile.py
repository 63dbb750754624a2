"""The example's generated reconciliation, run as a person runs it, on a real PostgreSQL."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from migdsl.runtime import main
from migdsl.runtime.reconcile.one_tenant import OneTenant
from migdsl.runtime.reconcile.within import Within
from tests.runtime.conftest import EXPECTED, Users
from tests.runtime.samples.reconcile_user import JOB


@pytest.fixture
def filled(users: Users) -> Users:
    users.run(f"UPDATE users SET contact_email = {EXPECTED}")
    return users


def report(users: Users, *args: str) -> dict:
    return json.loads(users.job("reconcile", "--json", *args).stdout)


def tenant_of(users: Users, row: int) -> str:
    return users.one("SELECT tenant_id::text FROM users WHERE id = %s", row)


def stage(users: Users, subject: str, value: str) -> None:
    users.run(
        "INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('users_email', 'stage', %s, %s)",
        subject,
        value,
    )


def test_a_table_that_agrees_is_clean(filled: Users, tmp_path: Path):
    done = filled.job("reconcile", "--metrics", str(tmp_path / "m.prom"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 tenants, 2,000 rows compared" in done.stdout
    assert done.stdout.endswith("clean\n")
    rows = filled.all(
        "SELECT tenant, rows, hash_left = hash_right, mismatched, violations, truth FROM migdsl.reconciliation"
    )
    assert sum(row[1] for row in rows) == 2_000
    assert {row[0] for row in rows} == set(filled.tenants)
    assert {row[2:] for row in rows if row[1]} == {(True, 0, 0, "old")}
    assert filled.all("SELECT subject, value FROM migdsl.event WHERE kind = 'reading' ORDER BY id") == [
        ("tenants_unlisted:User", "0"),
        ("old_writes:User", "0"),
        ("problems:User", "0"),
        ("drift_rate:User", "0.000000000000"),
        ("rows_mismatched:User", "0"),
        ("rows_missing:User", "0"),
        ("rows_extra:User", "0"),
    ]
    assert (
        'migdsl_reconcile_rows_mismatched{migration="users_email",entity="User"} 0\n'
        in (tmp_path / "m.prom").read_text()
    )


def test_differences_are_found_with_their_keys_and_columns_and_no_value(filled: Users):
    filled.run("UPDATE users SET contact_email = 'secret-' || id WHERE id IN (700, 777)")
    filled.run("UPDATE users SET contact_email = NULL WHERE id = 1400")
    done = filled.job("reconcile")
    assert done.returncode == 1
    for row in (700, 777, 1400):
        assert f"tenant {tenant_of(filled, row)!r} row {row} differs in contact_email" in done.stdout
    assert "row 1400 breaks contact_email_not_null" in done.stdout
    assert done.stdout.endswith("not clean\n")
    assert "secret-" not in done.stdout + done.stderr + str(filled.all("SELECT * FROM migdsl.reconciliation"))
    assert filled.one("SELECT sum(mismatched) FROM migdsl.reconciliation") == 3
    found = report(filled)
    assert found["totals"]["mismatched"] == 3
    assert found["totals"]["violations"] == 1
    assert found["drift_ratio"] == pytest.approx(3 / 2_000)


def test_duplicates_to_come_are_violations(filled: Users):
    tenant = tenant_of(filled, 700)
    filled.run("UPDATE users SET contact_email = 'same', email = 'same' WHERE tenant_id = %s AND id < 1000", tenant)
    expected = filled.one("SELECT count(*) FROM users WHERE contact_email = 'same'")
    done = filled.job("reconcile")
    assert done.returncode == 1
    assert "breaks contact_email_unique" in done.stdout
    found = report(filled)["totals"]
    assert (found["mismatched"], found["violations"]) == (0, expected)


def test_the_keys_are_capped(filled: Users):
    filled.run("UPDATE users SET contact_email = 'x' || id")
    found = report(filled, "--limit", "3")
    assert {len(tenant["differing"]) for tenant in found["tenants"] if tenant["rows"]} == {3}
    assert found["totals"]["mismatched"] == 2_000


def test_after_a_tenants_write_switch_the_new_is_the_truth(filled: Users):
    # New code wrote an address that `from` can't give back exactly: old := back(new) agrees, from(old) needn't.
    filled.run("UPDATE users SET email = NULL, contact_email = NULL WHERE id = 700")
    tenant = tenant_of(filled, 700)
    assert report(filled)["totals"]["mismatched"] == 1
    stage(filled, f"tenant:{tenant}", "live")
    found = {row["tenant"]: row for row in report(filled)["tenants"]}
    assert (found[tenant]["truth"], found[tenant]["mismatched"]) == ("new", 0)
    assert {row["truth"] for name, row in found.items() if name != tenant} == {"old"}
    filled.run("UPDATE users SET email = 'stale@example.org', contact_email = 'fresh@example.org' WHERE id = 700")
    assert report(filled)["totals"]["mismatched"] == 1
    stage(filled, f"tenant:{tenant}", "shadow")
    assert report(filled)["totals"]["mismatched"] == 1


def test_tenants_that_the_list_leaves_out_are_counted(filled: Users):
    filled.run("DELETE FROM tenants WHERE id = %s", tenant_of(filled, 700))
    done = filled.job("reconcile")
    assert done.returncode == 1
    left_out = 2_000 - filled.one("SELECT count(*) FROM users WHERE tenant_id IN (SELECT id FROM tenants)")
    assert f"tenants unlisted: {left_out}" in done.stdout
    assert filled.one("SELECT value::int FROM migdsl.event WHERE subject = 'tenants_unlisted:User'") == left_out


def test_old_writes_are_read(filled: Users):
    for expected in (1, 2):
        filled.run("SELECT nextval('migdsl.users_email_old_writes')")
        assert report(filled)["old_writes"] == expected


def test_one_tenant_alone_says_nothing_about_all(filled: Users, tmp_path: Path):
    filled.run("UPDATE users SET contact_email = 'x' WHERE id = 700")
    tenant = tenant_of(filled, 700)
    other = next(name for name in filled.tenants if name != tenant)
    metrics = tmp_path / "m.prom"
    assert filled.job("reconcile", "--tenant", other, "--metrics", str(metrics)).returncode == 0
    assert filled.job("reconcile", "--tenant", tenant).returncode == 1
    assert filled.all("SELECT DISTINCT tenant FROM migdsl.reconciliation ORDER BY 1") == [
        (t,) for t in sorted((tenant, other))
    ]
    assert filled.one("SELECT count(*) FROM migdsl.event WHERE kind = 'reading'") == 0
    assert not metrics.exists()


def test_a_difference_must_be_seen_twice(
    filled: Users, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    look = Within.look
    seen: list[int] = []

    def then_it_heals(self, *args):
        found = look(self, *args)
        seen.extend(len(suspect.found) for suspect in found.suspects)
        filled.run(f"UPDATE users SET contact_email = {EXPECTED} WHERE id = 700")
        return found

    monkeypatch.setattr(Within, "look", then_it_heals)
    filled.run("UPDATE users SET contact_email = 'in flight' WHERE id = 700")
    assert main(JOB, ["--url", filled.url, "--tenant", tenant_of(filled, 700)]) == 0, capsys.readouterr()
    assert "differed at first and agree now, so they don't count: 1 rows" in capsys.readouterr().out
    assert seen == [1]
    assert filled.all("SELECT mismatched, found FROM migdsl.reconciliation") == [(0, {"unsettled": 1})]


def test_hashes_that_differ_are_a_difference_though_no_row_does(filled: Users, capsys: pytest.CaptureFixture[str]):
    assert JOB.compare_old is not None
    job = replace(JOB, compare_old=JOB.compare_old.replace("ROW(t.id, t.contact_email)", "ROW(t.id, t.email)"))
    assert main(job, ["--url", filled.url]) == 1
    assert capsys.readouterr().out.endswith("not clean\n")


def test_a_job_that_was_stopped_has_proved_nothing(
    filled: Users, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    compare = OneTenant.compare

    def then_sigterm(self, *args):
        found = compare(self, *args)
        os.kill(os.getpid(), signal.SIGTERM)
        return found

    monkeypatch.setattr(OneTenant, "compare", then_sigterm)
    assert main(JOB, ["--url", filled.url]) == 1
    assert "stopped" in capsys.readouterr().err
    assert filled.one("SELECT count(*) FROM migdsl.reconciliation") == 1
