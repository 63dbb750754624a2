"""A submitted backfill becomes one message a tenant, which holds no secret, and which any worker can work off."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from migdsl.runtime.engines.lanes import Bench
from migdsl.runtime.engines.registry import load_job
from migdsl.runtime.engines.settings import Settings
from tests.engines.brokers import Redis
from tests.engines.conftest import Queued


def ends(queued: Queued, *args: str) -> tuple[int, str, str]:
    """A worker's exit code, output and log, once it has ended by itself."""
    process = queued.worker(*args)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def test_submitting_twice_queues_each_lane_once(queued: Queued, capsys: pytest.CaptureFixture[str]):
    assert queued.submit() == 0
    assert "5 lanes queued" in capsys.readouterr().out
    assert queued.submit() == 0
    if queued.engine == "procrastinate":
        assert "0 lanes queued" in capsys.readouterr().out
        assert len(queued.messages()) == 5
    code, out, _ = ends(queued)
    assert code == 0
    assert "6 succeeded" in out
    queued.assert_right()
    assert queued.messages() == []


def test_a_message_with_an_older_ticket_ends_where_it_is_read(queued: Queued):
    if queued.engine != "celery":
        return  # Procrastinate keeps a second message out of its table
    from migdsl.runtime.engines import celery  # only with its broker

    queued.submit()
    older = queued.messages()
    queued.submit()
    newer = queued.messages()[len(older) :]
    assert {args["ticket"] for _, args in older}.isdisjoint(args["ticket"] for _, args in newer)
    lane = celery.app_from({**queued.environment, "MIGDSL_JOBS": str(queued.path)}).tasks[celery.LANE]
    assert [lane(**args) for _, args in older] == ["end"] * 5
    assert queued.written() == 0
    assert lane(**newer[0][1]) in {"end", "again"}
    assert queued.written() > 0


@pytest.mark.parametrize("engine", ["celery"])
def test_a_sweep_that_was_killed_keeps_lost_messages_away_for_seconds(queued: Queued):
    if not isinstance(queued.broker, Redis):
        return  # RabbitMQ sees itself that a worker is gone
    from migdsl.runtime.engines.celery import app_of  # only with its broker

    bench = cast("Bench", SimpleNamespace(job=load_job(str(queued.path)), stop=None))
    app = app_of({"job": bench}, queued.environment["CELERY_BROKER_URL"], Settings.of(queued.environment))
    with app.connection_for_read() as connection:
        # Kombu's own is five minutes.
        assert connection.default_channel.unacked_mutex_expire == 2.0


@pytest.mark.parametrize("engine", ["celery"])
def test_lanes_whose_messages_were_lost_are_sent_anew(queued: Queued):
    queued.submit()
    assert queued.broker is not None
    assert queued.broker.lose(queued.queue)
    code, out, err = ends(queued)
    assert code == 0, err
    assert "6 succeeded" in out
    assert "event=lanes_sent_anew" in err
    queued.assert_right()


def test_messages_name_the_job_and_the_tenant_and_nothing_else(queued: Queued):
    queued.submit()
    found = queued.messages()
    assert {args["tenant"] for _, args in found} == {
        row[0] for row in queued.users.all("SELECT tenant FROM migdsl.slice WHERE state = 'pending'")
    }
    for text, args in found:
        assert {"job", "tenant"} <= args.keys() <= {"job", "tenant", "ticket"}
        assert args["job"] == "users_email/user.contact_email"
        assert "@example" not in text
        assert "postgres" not in text
        assert queued.environment["DATABASE_URL"] not in text


def test_a_worker_waits_for_the_first_submit_and_ends_when_nothing_is_open(queued: Queued):
    process = queued.worker()
    assert queued.submit() == 0
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "rows passed" in out
    queued.assert_right()


def test_the_canary_goes_first_and_the_others_follow_by_themselves(queued: Queued, tmp_path: Path):
    canary = queued.users.tenants[1]
    text = queued.path.read_text(encoding="utf-8")
    queued.path = tmp_path / "backfill_user.py"
    queued.path.write_text(text.replace('    key=("id",),\n', f'    key=("id",),\n    canary=("{canary}",),\n'))
    queued.submit()
    assert [args["tenant"] for _, args in queued.messages()] == [canary]
    assert ends(queued)[0] == 0
    queued.assert_right()
    first_other = queued.users.one("SELECT min(at) FROM journal WHERE tenant <> %s", canary)
    assert queued.users.one("SELECT max(at) FROM journal WHERE tenant = %s", canary) < first_other


def test_without_submit_or_work_a_run_does_all_of_it_and_counts(queued: Queued):
    process = queued.start(*queued.users.argv("backfill", "--engine", queued.engine))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.rstrip().endswith("0 rows unfilled")
    queued.assert_right()


def test_what_no_other_try_would_mend_ends_the_worker_with_a_reason(queued: Queued):
    queued.submit()
    queued.users.run("ALTER TABLE users RENAME COLUMN contact_email TO moved")
    code, _, err = ends(queued)
    assert code == 3
    assert "contact_email" in err
    queued.users.run("ALTER TABLE users RENAME COLUMN moved TO contact_email")
    # Submitting again is the repair.
    queued.submit()
    assert ends(queued)[0] == 0
    queued.assert_right()


def test_slices_that_failed_are_told_and_submitted_again(queued: Queued):
    queued.submit()
    bad = queued.users.tenants[0]
    queued.users.run(
        "UPDATE migdsl.slice SET state = 'running', worker = 'w', lease_until = now() WHERE tenant = %s", bad
    )
    queued.users.run(
        "UPDATE migdsl.slice SET state = 'failed', error = 'Odd 22000', worker = NULL, lease_until = NULL"
        " WHERE tenant = %s",
        bad,
    )
    code, out, _ = ends(queued)
    assert code == 1
    assert "Odd 22000" in out
    assert queued.users.unfilled() > 0
    queued.submit()
    assert ends(queued)[0] == 0
    queued.assert_right()


def test_a_queue_that_another_version_made_is_refused(queued: Queued, capsys: pytest.CaptureFixture[str]):
    if queued.engine != "procrastinate":
        return  # a broker's messages have no tables
    queued.submit()
    queued.users.run("COMMENT ON TABLE migdsl.procrastinate_jobs IS 'procrastinate 2.0.0'")
    assert queued.submit() == 3
    assert "made by procrastinate 2.0.0" in capsys.readouterr().err
