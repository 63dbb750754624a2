"""What pages are made of: durations, axes, curves, SQL read out of generated files, and colours of SQL."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from migdsl.report.calendar import calendar, ramp, spans
from migdsl.report.diagram import NARROW, WIDE, draw
from migdsl.report.plots import calendar_ticks, plot, stairs
from migdsl.report.revision import sources
from migdsl.report.sql import tokens
from migdsl.report.systems import in_words, systems
from migdsl.report.words import duration, short
from migdsl.workspace import compile_files
from tests.report.pages import NAMES, files_of, plan_of


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (90, "1 min 30 s"),
        (86_400, "1 d"),
        (129_600, "1 d 12 h"),
        (2_937_651, "34 d"),
        (86_401, "1 d"),
    ],
)
def test_durations_have_the_units_that_count(seconds: int, said: str):
    assert short(seconds) == said


def test_durations_in_words():
    assert [duration(s) for s in (0, 1, 3_600, 129_600)] == ["0 seconds", "1 second", "1 hour", "1 day 12 hours"]


@pytest.mark.parametrize("seconds", [1, 7, 59, 1_000, 86_706, 2_937_651, 40_000_000])
def test_an_axis_has_few_ticks_from_the_start_to_the_end(seconds: int):
    ticks = calendar_ticks(seconds)
    assert 2 <= len(ticks) <= 8
    assert (ticks[0].at, ticks[-1].at, ticks[-1].text) == (0, 100, short(seconds))
    assert [t.at for t in ticks] == sorted(t.at for t in ticks)
    assert len({t.text for t in ticks}) == len(ticks)


@pytest.mark.parametrize("name", NAMES)
def test_the_calendar_is_as_long_as_the_plan_says(name: str):
    plan = plan_of(name)
    assert max(span.ends for span in spans(plan)) == pytest.approx(plan.timeline.calendar_seconds, abs=60)
    bars = calendar(plan)
    assert [row.name for row in bars.rows] == [phase.id for phase in plan.phases]
    for row in bars.rows:
        assert all(bar.left >= 0 and bar.left + bar.width <= 100.02 for bar in row.bars)


def test_a_soak_takes_its_share_of_the_calendar():
    rows = {row.name: row for row in calendar(plan_of("users_email")).rows}
    soak, *_ = rows["contract"].bars
    assert soak.kind == "wait"
    assert soak.width == pytest.approx(100 * 30 / 34, abs=0.1)
    assert rows["contract"].value == "30 d of waiting"
    # It works when the soak is over; the cutover works first, and then waits.
    assert [rows[name].marks[0].at for name in ("contract", "cutover")] == [100, pytest.approx(0, abs=0.01)]


def test_a_rollout_is_a_staircase():
    found = ramp(plan_of("users_email"))
    assert found is not None
    assert found.words == "1% after 1 day, 10% after 2 days, 50% after 3 days, 100% after 4 days"
    assert ramp(plan_of("events_index")) is None
    assert stairs([(0, 0), (2, 5), (4, 5)]) == [(0, 0), (2, 0), (2, 5), (4, 5), (4, 5)]


def test_a_curve_starts_at_the_bottom_left():
    drawn = plot("p50", "", [("a", [(0, 0), (50, 5), (100, 10)])], [], top=10, unit=" ms")
    assert drawn.curves[0].path == "M0 160L500 80L1000 0"
    assert [(tick.at, tick.text) for tick in drawn.up] == [(160, "0 ms"), (80, "5 ms"), (0, "10 ms")]


def test_two_sides_and_what_runs_between_them():
    holding = systems(plan_of("users_email")).databases[0].holdings[0]
    assert holding.right is not None
    assert (holding.left.columns, holding.right.columns) == (("email", "username"), ("contact_email",))
    assert [(feed.text, feed.both) for feed in holding.feeds][:2] == [
        ("trigger, at each write", True),
        ("backfill, once", False),
    ]
    address = systems(plan_of("addresses_table")).databases[0].holdings[0]
    assert (address.left.name, address.feeds[0].both) == ("Customer", False)


def test_a_table_that_moves_has_two_places():
    holding = systems(plan_of("purchases")).databases[0].holdings[0]
    assert holding.right is not None
    assert (holding.left.table, holding.right.table) == ("public.orders", "sales.purchases")
    assert [feed.text.partition(",")[0] for feed in holding.feeds] == ["trigger", "backfill", "reconciliation compares"]


def test_what_is_no_table_has_two_sides_too():
    seen = systems(plan_of("orders_v2"))
    (versions,) = seen.databases
    assert versions.holdings[0].right is not None
    assert (versions.name, versions.holdings[0].left.name, versions.holdings[0].right.name) == (
        "",
        "orders_http v1",
        "orders_http v2",
    )
    assert [name for name, *_ in seen.code] == ["Callers"]
    assert seen.others == ("service web_shop", "the partners' order import")


def test_one_side_says_what_becomes_of_it():
    (holding,) = systems(plan_of("invoices_due")).databases[0].holdings
    assert holding.right is None
    assert holding.left.notes[0] == "backfill: backfill"
    assert holding.left.notes[-1] == "enforce: add check, validate check, set not null"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_nothing_is_drawn_outside_the_drawing(name: str, width: int):
    seen = systems(plan_of(name))
    drawing = draw(seen, width)
    for box in drawing.boxes:
        assert box.x >= 0
        assert box.x + box.width <= width
        assert box.y + box.height <= drawing.height
    assert all(0 < words.x < width and 0 < words.y < drawing.height for words in drawing.words)
    assert in_words(seen)


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_of_a_revision_is_found(name: str):
    plan = plan_of(name)
    for path, text in files_of(name).items():
        found = sources(text, plan.migration)
        if path.endswith(".md"):
            assert found is None
            continue
        assert found is not None, path
        shown = {s.text for block in (*found.up, *found.down) for s in block.statements}
        if "def upgrade" in text:
            assert set(written(text)) - shown == set()
        assert shown


def test_a_gate_that_is_asked_in_a_certain_case_says_in_which():
    text = Path(__file__).parents[2].joinpath("examples", "users.mig").read_text(encoding="utf-8")
    made = {a.path: a.text for a in compile_files({"users.mig": text}, "users.mig", through="contract").artifacts}
    path = "migrations/versions/users_email_contract.py"
    found = sources(made[path], "users_email")
    assert found is not None
    (gates,) = [block for block in found.up if block.how.startswith("a gate")]
    assert set(written(made[path])) - {s.text for b in (*found.up, *found.down) for s in b.statements} == set()
    asked = [each.said for each in gates.statements]
    at = asked.index("no old code has written User during the soak")
    assert asked[at + 1] == "That is asked only where this holds"
    assert "begun contract" in gates.statements[at + 1].text


def written(text: str) -> list[str]:
    """The statements in the two functions of a revision, but those that run only where something failed."""
    found = []
    for function in ast.parse(text).body:
        if isinstance(function, ast.FunctionDef) and function.name in ("upgrade", "downgrade"):
            for call in (n for n in ast.walk(function) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)):
                name = call.func.id if isinstance(call.func, ast.Name) else ""
                last = {"build_index": 3, "by_itself": 1}.get(name)
                for node in (n for each in call.args[:last] for n in ast.walk(each)):
                    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("\n"):
                        found += [node.value.strip("\n")] if name != "refill" else []
    return found


def test_a_file_of_others_is_not_read():
    assert sources("print('hello')\n", "m") is None
    assert sources("# Code generated by migdsl from x.mig. DO NOT EDIT.\ndef (", "m") is None


def test_reading_a_file_never_runs_it(tmp_path: Path):
    there = tmp_path / "ran"
    text = f"# Code generated by migdsl from x.mig. DO NOT EDIT.\nopen({str(there)!r}, 'w')\nJOB = f(batch='\\nSELECT 1\\n')\n"
    found = sources(text, "m")
    assert found is not None
    assert [s.text for block in found.up for s in block.statements] == ["SELECT 1"]
    assert not there.exists()


def test_procedures_that_come_along_are_told_from_the_migrations_own():
    found = sources(files_of("users_email")["migrations/versions/users_email_expand.py"], "users_email")
    assert found is not None
    kinds = {
        s.text.split("(")[0]: s.machinery
        for b in found.up
        for s in b.statements
        if "CREATE OR REPLACE FUNCTION" in s.text
    }
    assert any(kinds.values())
    assert not all(kinds.values())


def test_sql_is_coloured_and_stays_as_it_is():
    text = "SELECT 'it''s -- no', \"FROM\" -- a note\n/* two\nlines */ FROM x WHERE a->>'b' = $1 - 1 / 2"
    found = tokens(text)
    assert "".join(token.text for token in found) == text
    kinds = {(token.kind, token.text.strip()) for token in found}
    assert {
        ("k", "SELECT"),
        ("s", "'it''s -- no'"),
        ("c", "-- a note"),
        ("c", "/* two\nlines */"),
        ("k", "WHERE"),
    } <= kinds
    assert not [token for token in found if token.kind == "k" and '"' in token.text]


@pytest.mark.parametrize("text", ["", "'", '"', "/*", "--", "$$ 'x $$", "\n\n", "é — ☃", "E'\\''"])
def test_any_text_stays_as_it_is(text: str):
    assert "".join(token.text for token in tokens(text)) == text


def test_a_table_that_goes_to_another_database_is_in_both():
    (found,) = systems(plan_of("orders_extraction")).databases
    holding = found.holdings[0]
    assert holding.right is not None
    assert (found.title, holding.left.name) == ("databases monolith and orders", "monolith.orders")
    assert (holding.right.name, holding.right.columns) == ("orders.orders", ("number", "state", "total", "note"))
    assert (holding.feeds[0].text, holding.feeds[0].both) == ("sync job, by outboxes", True)
    (captured,) = systems(plan_of("orders_cdc")).databases
    assert captured.holdings[0].feeds[0].text == "sync job, WAL + outbox"
