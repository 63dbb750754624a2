"""A reconciliation that is killed or out of time goes on where it was, and proves nothing until it has seen every tenant."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from migdsl.runtime.reconcile.one_tenant import OneTenant
from tests.runtime.comparing import ADDRESSES, ROOT, A, B, Site, jobs, shop_at


@pytest.fixture
def shop(database: str) -> Site:
    return shop_at(database)


def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tenants that are compared from now on."""
    seen: list[str] = []
    compare = OneTenant.compare

    def noted(self, tenant):
        seen.append(tenant)
        return compare(self, tenant)

    monkeypatch.setattr(OneTenant, "compare", noted)
    return seen


def test_time_that_is_up_ends_it_after_a_tenant_and_resume_goes_on(shop: Site, monkeypatch: pytest.MonkeyPatch):
    seen = compared(monkeypatch)
    first = shop.report("--for", "0.001s")
    assert (first.code, first.json["complete"], first.json["clean"], first.json["tenants_left"]) == (4, False, False, 1)
    assert (seen, shop.readings()) == ([A], 0)
    assert shop.one("SELECT value FROM migdsl.event WHERE kind = 'job' ORDER BY id DESC LIMIT 1") == "partial"
    second = shop.report("--for", "0.001s", "--resume")
    assert (second.code, second.json["complete"], second.json["tenants_resumed"], seen) == (0, True, 1, [A, B])
    assert second.json["run"] == first.json["run"]
    assert second.json["totals"]["rows"] == 3200
    assert shop.readings() > 0
    # It has come to its end: there is nothing to go on with.
    third = shop.report("--resume")
    assert (third.json["tenants_resumed"], seen) == (0, [A, B, A, B])
    assert "nothing_to_resume" in third.err


def test_it_says_how_far_it_is(shop: Site):
    done = shop.reconcile("--for", "0.001s")
    assert "the time was up: 1 tenants left; go on with --resume" in done.out
    assert done.out.endswith("clean so far, which proves nothing yet\n")


def test_what_was_found_before_is_in_the_report_of_the_rest(shop: Site):
    shop.untriggered("UPDATE addresses SET street = 'x' WHERE customer_id = 9")
    first = shop.report("--for", "0.001s")
    assert (first.code, first.rows(A)) == (1, {("9",): ("mismatched", ["street"])})
    second = shop.report("--resume")
    assert (second.code, second.rows(A)) == (1, first.rows(A))
    assert second.json["totals"]["mismatched"] == 1
    assert shop.one("SELECT value FROM migdsl.event WHERE subject = 'problems:Address' ORDER BY id DESC LIMIT 1") == "1"


@pytest.mark.parametrize("kind", ["stage", "swap", "rollback", "left"])
def test_after_a_move_what_was_found_before_counts_no_more(shop: Site, kind: str):
    shop.report("--for", "0.001s")
    shop.run(
        f"INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('addresses_table', '{kind}', 'all', 'off')"
    )
    assert shop.report("--resume").json["tenants_resumed"] == 0


def test_what_is_older_than_six_hours_is_compared_again(shop: Site):
    shop.report("--for", "0.001s")
    shop.run("ALTER TABLE migdsl.reconciliation DISABLE TRIGGER append_only")
    shop.run("UPDATE migdsl.reconciliation SET at = at - interval '6 hours 1 minute'")
    done = shop.report("--resume").json
    assert (done["tenants_resumed"], done["tenants_compared"]) == (0, 2)


def test_single_tenants_prove_nothing_and_are_no_part_of_a_run(shop: Site):
    shop.report("--for", "0.001s")
    assert shop.report("--tenant", B).code == 0
    done = shop.report("--resume").json
    assert (done["tenants_resumed"], done["tenants_compared"]) == (1, 1)


def test_two_runs_under_one_correlation_id_are_two(shop: Site):
    shop.report("--correlation-id", "nightly")
    shop.report("--correlation-id", "nightly", "--for", "0.001s")
    assert shop.report("--resume").json["tenants_resumed"] == 1


def test_a_run_that_is_killed_goes_on_at_the_next_tenant(shop: Site, tmp_path: Path):
    """SIGKILL somewhere in twelve tenants; none that was recorded is compared again."""
    shop.run(
        "INSERT INTO tenants SELECT ('cccccccc-0000-0000-0000-0000000000' || lpad(g::text, 2, '0'))::uuid"
        " FROM generate_series(1, 10) AS g"
    )
    path = tmp_path / "address.py"
    path.write_text(jobs(ADDRESSES)["Address"], encoding="utf-8")
    argv = [sys.executable, str(path), "--url", shop.url, "--json"]
    with subprocess.Popen(
        [*argv, "--duty", "0.01"], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL
    ) as job:
        deadline = time.monotonic() + 60
        while shop.one("SELECT count(*) FROM migdsl.reconciliation") < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        job.send_signal(signal.SIGKILL)
    before = {row[0] for row in shop.all("SELECT tenant FROM migdsl.reconciliation")}
    assert 3 <= len(before) < 12
    assert shop.readings() == 0
    done = shop.report("--resume")
    assert (done.code, done.json["tenants_resumed"], done.json["complete"]) == (0, len(before), True)
    each = shop.all("SELECT tenant, count(*), count(DISTINCT run) FROM migdsl.reconciliation GROUP BY tenant")
    assert (len(each), {row[1:] for row in each}) == (12, {(1, 1)})


def test_it_waits_while_there_is_a_reason_to(shop: Site):
    shop.run("CREATE TABLE reason (why text)")
    shop.run("INSERT INTO reason VALUES ('the replica is behind')")
    said = []
    job = threading.Thread(target=lambda: said.append(shop.report(hold="SELECT max(why) FROM reason")))
    job.start()
    while not shop.one(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%FROM reason%' AND pid <> pg_backend_pid()"
    ):
        time.sleep(0.01)
    assert shop.one("SELECT count(*) FROM migdsl.reconciliation") == 0
    shop.run("DELETE FROM reason")
    job.join()
    assert said[0].code == 0
    assert 'why="the replica is behind"' in said[0].err


@pytest.mark.parametrize("asked", [["--for", "soon"], ["--for", "0s"], ["--duty", "2"], ["--limit", "0"]])
def test_what_makes_no_sense_is_refused(shop: Site, asked: list[str], capsys: pytest.CaptureFixture[str]):
    assert shop.reconcile(*asked).code == 2
