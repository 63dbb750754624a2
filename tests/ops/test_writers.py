"""Every operation there and back while code of both ages writes: no error, no lost write, nobody held up, pg_dump as before."""

from __future__ import annotations

import pytest

from tests.ops.journal import Journal, Scenario
from tests.ops.scenarios import DDL, ENTITIES, OLDER, SAME, SCENARIOS, SILENT
from tests.ops.story import Walk, older_version
from tests.ops.support import mig
from tests.ops.writers import Crew, live


@pytest.mark.parametrize("name", SCENARIOS)
def test_writers_notice_nothing(walk: Walk, name: str):
    scenario = SCENARIOS[name]
    live(walk(scenario.text, scenario.ddl, looks=None), scenario)


@pytest.mark.long("MIGDSL_LONG")
@older_version
@pytest.mark.parametrize("name", OLDER)
def test_writers_notice_nothing_on_an_older_version(walk: Walk, name: str, version: int):
    scenario = SCENARIOS[name]
    live(walk(scenario.text, scenario.ddl, looks=None), scenario)


def test_a_table_that_goes_is_written_until_it_is_set_aside(walk: Walk):
    """And again once it is back: only contract loses its rows, which the file says."""
    text = mig(ENTITIES, 'drop entity Thing after 30d irreversible because "moved"')
    scenario = Scenario(text, DDL, SILENT, SAME, SAME)
    story = walk(text, DDL, looks=None)
    crew = Crew(story, scenario)
    before = story.dump()
    with crew.at_work("old"):
        story.upgrade("m_expand")
        crew.work()
    expanded = story.dump()
    story.stage("live")
    story.upgrade("m_enforce")
    story.downgrade()
    crew.journal.check(story, SAME)
    with crew.at_work("old"):
        crew.work()
    story.stage("live")
    story.upgrade("m_enforce")
    story.stage("complete")
    story.upgrade("m_contract")
    story.downgrade()
    story.downgrade()
    assert story.dump() == expanded
    assert story.rows("SELECT id FROM things") == []
    crew.journal = Journal()
    with crew.at_work("old"):
        story.downgrade()
    assert story.dump() == before
