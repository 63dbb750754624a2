"""What a rehearsal takes as proof that a fault was met, and what it doesn't."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from migdsl.executor.chain import Failed
from migdsl.planning.build import build
from migdsl.planning.model import Planned
from migdsl.rehearsal import gated, holding, overtaken, refused
from migdsl.rehearsal.binding import Binding, binding
from migdsl.rehearsal.clients import Rules
from migdsl.rehearsal.gauge import Gauge, _unlike
from migdsl.rehearsal.holding import Look, Reason
from migdsl.rehearsal.model import Log, Stuck
from migdsl.rehearsal.traffic import Traffic
from migdsl.workspace import source_digest
from tests.rehearsal.conftest import compiled


@pytest.fixture(scope="module")
def planned() -> Planned:
    """The example of the first page."""
    found = compiled("users")
    assert found.module is not None
    return build(found.module, source_digest(found.sources), "contract")


def verdict(log: Log, name: str) -> tuple[str, str]:
    """What it comes to, and the first of what it rests on."""
    found = next(v for v in log.verdicts() if v.id == name)
    said = [f.what for f in found.findings] or list(found.evidence)
    return found.state, said[0] if said else ""


# ------------------------------------------------------------------------------------------- rules that bind


@pytest.mark.parametrize(
    ("made", "row", "ours"),
    [
        ("contact_email text NOT NULL", "NULL", True),
        ("email text NOT NULL", "NULL", False),
        ("username text NOT NULL", "NULL", False),
        ("contact_email text CONSTRAINT users_tenant_id_contact_email_key UNIQUE", "'a'), ('a'", True),
        ("contact_email text CONSTRAINT users_contact_email UNIQUE", "'a'), ('a'", False),
        ("contact_email text CONSTRAINT sane CHECK (contact_email <> '')", "''", False),
    ],
)
def test_only_what_the_migration_binds_may_refuse_new_code(
    planned: Planned, database: str, made: str, row: str, ours: bool
):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE public.users ({made})".encode())
        with pytest.raises(psycopg.IntegrityError) as caught:
            connection.execute(f"INSERT INTO public.users VALUES ({row})".encode())
        assert binding(planned.lowered).refuse(caught.value) is ours
        asked = "ALTER TABLE public.users ADD CONSTRAINT nobody CHECK (contact_email IS NOT NULL)"
        assert not Binding((asked,)).refuse(caught.value)
        said = "DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END $$"
        with pytest.raises(psycopg.IntegrityError) as caught:
            connection.execute(said.encode())
        assert not binding(planned.lowered).refuse(caught.value)


class Tried(Traffic):
    """Of what is written next so much is refused, and so much gets through."""

    next = (0, 0)

    def work(self, count: int = 25, most_s: float = 30.0) -> None:  # noqa: ARG002 - as it is called
        self.refused, self.through = self.refused + self.next[0], self.through + self.next[1]


@pytest.mark.parametrize(
    ("refused_", "through", "state"), [(9, 0, "failed"), (9, 1, "skipped"), (0, 0, "skipped"), (2, 0, "skipped")]
)
def test_rules_that_bind_let_some_writes_through(refused_: int, through: int, state: str):
    log: Log = Log()
    traffic = Tried("", "m", (), {}, None, Rules({}, (), bound=True), log, 1.0, 1)  # type: ignore[arg-type]
    traffic.refused, traffic.through = 3, 7
    traffic.next = (refused_, through)
    traffic.bound("enforce")
    assert verdict(log, "traffic")[0] == state


# ------------------------------------------------------------------------------------------- gates


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (Failed("x: not yet: soak", gate=True), "passed", "enforce at shadow: x: not yet: soak"),
        (Failed("no such column"), "failed", "enforce failed before its gates held: no such column"),
        (None, "failed", "enforce ran at shadow, before its gates held"),
    ],
)
def test_a_revision_is_refused_by_its_own_gate(planned: Planned, error: Failed | None, state: str, said: str):
    ran: list[str] = []

    def upgrade(revision: str) -> None:
        ran.append(revision)
        if error is not None:
            raise error

    log, chain = Log(), SimpleNamespace(upgrade=upgrade)
    with pytest.raises(Stuck) if error is None else nullcontext():
        gated.waits(log, planned, chain, "enforce", "shadow")  # type: ignore[arg-type]
    assert verdict(log, "gates") == (state, said)
    gated.waits(log, planned, chain, "prepare", "off")  # type: ignore[arg-type]
    assert len(ran) == 1


def test_a_switch_is_refused_for_its_dead_letter_and_not_for_a_lock(monkeypatch: pytest.MonkeyPatch):
    answers = [("somebody holds a lock",), ("1 rows of Order can't be applied: see `dead-letters`",)]
    monkeypatch.setattr(refused, "turned", lambda *_: answers.pop(0))
    passage: Any = SimpleNamespace(log=Log())
    refused._stays(passage, SimpleNamespace(path="sync/m.py"), "t")  # type: ignore[arg-type]
    assert answers == []
    assert "can't be applied" in verdict(passage.log, "gates")[1]

    monkeypatch.setattr(refused, "turned", lambda *_: ("somebody holds a lock",))
    monkeypatch.setattr(refused, "until", lambda what: what())
    passage = SimpleNamespace(log=Log())
    refused._stays(passage, SimpleNamespace(path="sync/m.py"), "t")  # type: ignore[arg-type]
    assert verdict(passage.log, "gates") == ("skipped", "")
    assert "a lock" in passage.log.notes[0]

    monkeypatch.setattr(refused, "turned", lambda *_: ())
    refused._stays(passage, SimpleNamespace(path="sync/m.py"), "t")  # type: ignore[arg-type]
    assert verdict(passage.log, "gates")[0] == "failed"


# ------------------------------------------------------------------------------------------- moments


@pytest.mark.parametrize(
    ("met", "result", "tries", "told"),
    [
        ([True], True, 1, False),
        ([None], None, 1, False),
        ([False, True], True, 2, False),
        ([False] * 2, False, 2, True),
    ],
)
def test_a_moment_that_is_not_met_is_waited_for_longer_and_then_told(
    met: list[bool | None], result: bool | None, tries: int, told: bool
):
    log, waited, left = Log(), list[float](), iter(met)

    def play(seconds: float) -> bool | None:
        waited.append(seconds)
        return next(left)

    assert overtaken._patiently(log, "rows that are written again", play) is result
    assert waited == sorted(waited)
    assert len(waited) == tries
    assert log.notes == ["not played: rows that are written again: the moment wasn't met"] * told
    assert ("both_sides" in log.evidence) is told


# ------------------------------------------------------------------------------------------- waiting


def looking(log: Log, looks: list[Look], ended: int | None = None) -> Any:
    """A job that says one after the other, and then no more."""
    left: Iterator[Look] = iter(looks)
    now = next(left)

    def until(enough: Callable[[Look], bool]) -> Look:
        nonlocal now
        while not enough(now):
            following = next(left, None)
            if following is None:
                break
            now = following
        return now

    plan = SimpleNamespace(table=SimpleNamespace(entity="User"))
    return SimpleNamespace(
        place=SimpleNamespace(log=log), plan=plan, process=SimpleNamespace(poll=lambda: ended), until=until
    )


STILL = [("", "0", "1"), ("a lock", "4", "2"), ("a lock", "4", "3"), ("a lock", "4", "4")]


@pytest.mark.parametrize(
    ("looks", "ended", "state", "said"),
    [
        (STILL, None, "passed", "User stood still at 4 rows while a lock, and went on by itself"),
        ([*STILL[:3], ("a lock", "5", "4")], None, "failed", "passed rows while it said that it waits"),
        (STILL[:2], None, "not played", "wasn't seen to ask again"),
        (STILL[:3], None, "not played", "wasn't seen to ask again"),
        (STILL[:2], 0, "failed", "ended with 0 while it said that it waits"),
        (STILL[:1], None, "failed", "went on although"),
        ([("too busy", "0", "1")], None, "failed", "went on although"),
    ],
)
def test_a_job_stands_still_that_asks_again_and_passes_nothing(
    looks: list[Look], ended: int | None, state: str, said: str
):
    log = Log()
    reason = Reason("somebody waits", "a lock", lambda: None)
    holding._watched(looking(log, looks, ended), "backfills/m.py", reason)
    found = verdict(log, "hold")
    assert found[0] == state
    assert said in found[1]


def test_a_job_without_a_lease_is_seen_to_ask_again(database: str):
    """By when its session asked last, and nobody else's."""
    columns = "migration text, backfill text, held text, rows_scanned bigint, lease_until timestamptz"
    with (
        psycopg.connect(database, autocommit=True) as desk,
        psycopg.connect(database, autocommit=True, application_name="migdsl m User 1") as job,
    ):
        desk.execute(f"CREATE SCHEMA migdsl CREATE TABLE slice ({columns})".encode())

        def asked(name: str = "migdsl m User%") -> str:
            row = desk.execute(holding._HOLD, (name, "m", "User")).fetchone()
            assert row is not None
            return str(row[2])

        job.execute("SELECT 1")
        first = asked()
        assert first != ""
        assert asked() == first
        job.execute("SELECT 1")
        assert asked() > first
        assert asked("migdsl m Order%") == ""
        desk.execute("INSERT INTO migdsl.slice VALUES ('m', 'User', 'a lock', 4, '2026-01-01')")
        assert desk.execute(holding._HOLD, ("", "m", "User")).fetchone()[:2] == ("a lock", "4")  # type: ignore[index]
        assert asked().startswith("2026-01-01")


# ------------------------------------------------------------------------------------------- curves


def test_rows_differ_that_only_one_side_has(database: str):
    some, more = "SELECT 1, 'a'", "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t"
    with psycopg.connect(database, autocommit=True) as connection:
        assert _unlike(connection, some, connection, more) == 1
        assert _unlike(connection, more, connection, some) == 1
        assert _unlike(connection, some, connection, "SELECT 1, 'c'") == 1
        assert _unlike(connection, more, connection, more) == 0
        assert _unlike(connection, more, connection, "SELECT 1 FROM nowhere") is None


def test_the_end_is_looked_at(database: str):
    looks: list[str] = []

    class Looking(Gauge):
        def _look(self, connection: Any, far: Any) -> None:  # noqa: ARG002 - as it is called
            looks.append("once")

    gauge = Looking(database, "m", (), Log())
    gauge.over.set()
    gauge.run()
    assert looks == ["once"]
