"""The whole migration of examples/users.mig on skewed tenants, with the generated files as they are.

MIGDSL_LONG=1: 200 tenants and 200k rows.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from alembic.util import CommandError

from tests.integration.project import Project
from tests.integration.world import CANARY, WRONG, Journal, Row, build, differences
from tests.integration.writers import SHARED, Crew, NewWriter, OldWriter, Rules, at_work

TENANTS, ROWS = (200, 200_000) if os.environ.get("MIGDSL_LONG") else (80, 40_000)
JOBS = "datname = current_database() AND application_name LIKE 'migdsl users_email%%'"
CONNECTED = f"SELECT count(*) FROM pg_stat_activity WHERE {JOBS}"
WAITING = f"SELECT count(*) FROM pg_stat_activity WHERE {JOBS} AND %s = ANY (pg_blocking_pids(pid))"
# A tenant that nobody else writes: what is filled is what the watermark says, no row more and no row less.
PROGRESS = """
SELECT s.rows_scanned, s.rows_changed, s.rows_planned,
       count(u.id) FILTER (WHERE u.id <= (s.watermark->>0)::bigint),
       count(u.id) FILTER (WHERE u.contact_email IS NOT NULL),
       count(u.id) FILTER (WHERE u.contact_email IS NOT NULL AND u.id <= (s.watermark->>0)::bigint)
  FROM migdsl.slice AS s JOIN users AS u ON u.tenant_id = s.tenant::uuid
 WHERE s.tenant = %s GROUP BY s.rows_scanned, s.rows_changed, s.rows_planned
"""


@dataclass(slots=True)
class Story:
    """One migration under way."""

    project: Project
    tenants: list[str]
    journal: Journal
    crew: Crew
    before: str

    @property
    def quiet(self) -> list[str]:
        """Two big tenants that no writer touches, in the order in which the backfill comes to them."""
        return self.tenants[1:3]  # the biggest first

    def roll(self, *lines: str) -> None:
        """Edits the file's flag block, compiles, migrates, and records the stage as the runbook says."""
        self.project.stage(*lines)
        self.project.compile()
        self.project.upgrade()
        self.project.record_stage()
        assert self.project.one(WRONG) == 0
        assert self.crew.errors() == []

    def check(self) -> None:
        """The job finds no difference, nor does our own query, and every acknowledged write is there."""
        report = json.loads(self.project.reconcile("--json").out)
        assert (report["totals"]["differences"], len(report["tenants"])) == (0, TENANTS)
        with self.crew.resting(), self.project.connect() as connection:
            self.crew.journal(self.journal)
            assert differences(connection, self.journal, ("email", "contact_email")) == []
            assert connection.execute(WRONG).fetchone() == (0,)
        assert self.crew.errors() == []


@pytest.fixture
def story(empty_project: Project) -> Iterator[Story]:
    """The rows, with old code at work."""
    with empty_project.connect() as connection:
        tenants = build(connection, TENANTS, ROWS)
        journal = Journal.of(connection)
    before = empty_project.dump()
    written = [tenants[0], *tenants[3:-1]]
    keys = [key for key, row in journal.living().items() if row.tenant in written][:: ROWS // 3000]
    rules = Rules(old_tenants=frozenset(written))
    with at_work(empty_project.url, journal, written, keys, rules) as crew:
        yield Story(empty_project, tenants, journal, crew, before)


@pytest.mark.slow
def test_the_whole_story(story: Story) -> None:
    expand(story)
    backfill_killed_twice(story)
    roll_out(story)
    enforce(story)
    complete(story)
    contract(story)
    go_home(story)
    assert story.crew.errors() == []


def expand(story: Story) -> None:
    """The DDL comes while old code writes; then new code is deployed."""
    story.project.compile()
    story.project.upgrade()
    assert story.project.revision() == "users_email_expand"
    story.project.stage("dualwrite for all")
    story.project.compile()
    story.project.upgrade()
    story.project.record_stage()
    story.crew.rules.new = True


def backfill_killed_twice(story: Story) -> None:
    """SIGKILL in mid-batch, twice, each in another tenant; then it is run to its end."""
    for tenant in story.quiet:
        _kill_in_mid_batch(story.project, tenant)
    done = story.project.backfill()
    assert done.code == 0, done
    for tenant in story.quiet:
        scanned, changed, planned, below, filled, _ = story.project.all(PROGRESS, tenant)[0]
        # Each row was passed and written once: nothing was lost with the kills, and nothing was repeated.
        assert scanned == changed == planned == below == filled
    states = story.project.all("SELECT state, count(*) FROM migdsl.slice GROUP BY state")
    assert states == [("succeeded", TENANTS)]
    for kind in (OldWriter, NewWriter):
        assert min(story.crew.done(kind).values()) > 0
        assert len(story.crew.done(kind)) == 7
    story.check()


def _kill_in_mid_batch(project: Project, tenant: str) -> None:
    """Holds a row in the middle of the tenant, so that a batch is seen at work when the signal comes."""
    with project.connect() as holder, holder.transaction():
        holder.execute(
            "SELECT FROM users WHERE id = (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY id) FROM users"
            " WHERE tenant_id = %s) FOR UPDATE",
            (tenant,),
        )
        process = project.start_backfill()
        try:
            _wait_for(lambda: process.poll() is not None or project.one(WAITING, holder.info.backend_pid) == 1)
            assert process.poll() is None, "the backfill passed the row by"
        finally:
            process.kill()
            process.communicate()
    _wait_for(lambda: project.one(CONNECTED) == 0)
    scanned, changed, planned, below, filled, filled_below = project.all(PROGRESS, tenant)[0]
    assert 0 < scanned == changed == below == filled == filled_below < planned


def _wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not what():
        assert time.monotonic() < until, "waited for two minutes"
        time.sleep(0.02)


def roll_out(story: Story) -> None:
    """Stage by stage in the file. Old code leaves a tenant when the tenant is switched."""
    story.roll("dualwrite for all", "shadow for canary")
    story.roll("shadow for all")
    _switch(story, {CANARY})
    story.roll("shadow for all", "live for canary")
    _switch(story, {CANARY, *story.tenants[::10]})
    story.roll("shadow for all", "live for 10%", "live for canary")
    story.check()
    assert story.project.revision() == "users_email_expand"
    assert not (story.project.versions / "users_email_enforce.py").exists()


def _switch(story: Story, tenants: set[str]) -> None:
    with story.crew.resting():
        story.crew.rules.old_tenants -= tenants


def enforce(story: Story) -> None:
    """Released at live for all; refused until its gates hold, with each reason; then run while new code writes."""
    project = story.project
    _switch(story, set(story.tenants))
    project.stage("live for all")
    project.compile()
    unmet = refusal(project)
    assert [reason.split(" lacks ")[0] for reason in unmet] == [
        "the deployed stage of all is shadow, and live for all is needed",
        "reconciliation of User",
    ]
    project.record_stage()
    # Addresses are still doubled, so no amount of time opens the gate.
    assert project.reconcile().code == 1
    assert project.one("SELECT sum(violations) FROM migdsl.reconciliation WHERE at > now() - interval '1 hour'") > 0
    project.pass_time("25 hours")
    (reason,) = refusal(project)
    assert reason.startswith("reconciliation of User lacks two clean readings")
    resolve_duplicates(story)
    assert project.backfill("--again").code == 0
    done = project.reconcile()
    assert done.code == 0, done
    assert len(refusal(project)) == 1  # clean now, and not yet for a day
    project.pass_time("25 hours")
    assert project.reconcile().code == 0
    project.upgrade()
    assert project.revision() == "users_email_enforce"
    story.check()


def refusal(project: Project) -> list[str]:
    """The gates that `alembic upgrade head` names."""
    before = project.revision()
    with pytest.raises(CommandError) as refused:
        project.upgrade()
    assert project.revision() == before
    return str(refused.value).split("not yet: ", 1)[1].split("; ")


def resolve_duplicates(story: Story) -> None:
    """What the owners of the rows do: each address once in a tenant, written by new code."""
    with story.crew.resting(), story.project.connect() as connection:
        story.crew.rules.duplicates = False
        story.crew.journal(story.journal)
        found = connection.execute(
            "UPDATE users SET contact_email = id || '-' || contact_email WHERE contact_email = %s"
            " RETURNING id, contact_email",
            (SHARED,),
        ).fetchall()
        assert len(found) > 100
        living = story.journal.living()
        changed: dict[int, Row] = {key: living[key].written_by_new(contact) for key, contact in found}
        story.journal.rows.update(changed)
        story.crew.changed(changed)


def complete(story: Story) -> None:
    """After the soak, in which no old code has written."""
    project = story.project
    story.roll("rampdown for all")
    project.stage("complete for all")
    project.compile()
    unmet = refusal(project)
    assert unmet[0] == "the deployed stage of all is rampdown, and complete for all is needed"
    assert unmet[1].startswith("the soak of 30 days lasts until ")
    assert unmet[2:] == ["old_writes of User was not read before the soak of 30 days began"]
    project.pass_time("31 days")
    project.record_stage()
    assert [reason.split(" lacks ")[0] for reason in refusal(project)] == ["reconciliation of User"]
    assert project.reconcile().code == 0


def contract(story: Story) -> None:
    """The old column goes, and new code never notices."""
    story.project.upgrade()
    assert story.project.revision() == "users_email_contract"
    columns = story.project.all("SELECT column_name FROM information_schema.columns WHERE table_name = 'users'")
    assert {name for (name,) in columns} == {"id", "tenant_id", "username", "contact_email"}
    with story.crew.resting(), story.project.connect() as connection:
        story.crew.journal(story.journal)
        assert differences(connection, story.journal, ("contact_email",)) == []


def go_home(story: Story) -> None:
    """Contract's way back computes the old column; below it everything is as it was."""
    project = story.project
    project.downgrade("users_email_enforce")
    with story.crew.resting(), project.connect() as connection:
        story.crew.journal(story.journal)
        # An address that was NULL comes back as what the new column had made of it; all others as they were.
        for key, row in story.journal.living().items():
            story.journal.rows[key] = Row(row.tenant, row.username, row.contact, row.contact)
        assert differences(connection, story.journal, ("email", "contact_email")) == []
        story.crew.rules.new = False
    assert project.reconcile().code == 0
    project.downgrade("base")
    assert project.dump() == story.before
    assert project.one("SELECT to_regnamespace('migdsl')") is None
    with project.connect() as connection:
        assert differences(connection, story.journal, ("email",)) == []
