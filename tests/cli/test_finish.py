"""`migdsl finish`: two files change together, once, when it is time, or nothing does."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from migdsl.folding import Finishing, finish
from tests.cli.conftest import Run, edit, tree

DAY = ("--date", "2027-02-01")


@pytest.fixture
def done(project: Path) -> Path:
    """`users.mig` uses `schema.mig`, and everybody is complete."""
    text = (project / "users.mig").read_text(encoding="utf-8").replace("stage off for all", "stage complete for all")
    begin, end = text.index("database app"), text.index("change User")
    (project / "schema.mig").write_text(text[begin:end].rstrip() + "\n", encoding="utf-8")
    (project / "users.mig").write_text('use "schema.mig"\n\n' + text[:begin] + text[end:], encoding="utf-8")
    return project


def test_the_entity_shows_the_table_as_it_is_now(done: Path, run: Run):
    before = (done / "schema.mig").read_text(encoding="utf-8")
    ran = run("finish", "users.mig", *DAY)
    assert ran.code == 0
    assert ran.out == (
        "users.mig: is history now; its files stay\n"
        "schema.mig: shows the tables as they are now\n"
        "next: compile what else uses schema.mig, and commit\n"
    )
    after = (done / "schema.mig").read_text(encoding="utf-8")
    assert after[: after.index("entity")] == before[: before.index("entity")]
    assert after[after.index("entity") :] == """\
entity User in app.users {
  id             bigint   key
  tenant_id      uuid     tenant
  username       text
  contact_email  text     pii
  unique (tenant_id, username)
  unique (tenant_id, contact_email)
  index  (tenant_id, id)
  rows 500k
}
"""
    assert "\n\nfinished 2027-02-01\n\nchange User" in (done / "users.mig").read_text(encoding="utf-8")
    for name in ("users.mig", "schema.mig"):
        assert run("check", name).code == 0
        assert run("fmt", "--check", name).code == 0


def test_the_next_migration_builds_on_it(done: Path, run: Run):
    assert run("finish", "users.mig", *DAY).code == 0
    text = (done / "users.mig").read_text(encoding="utf-8").replace("finished 2027-02-01\n", "")
    change = text[text.index("change User") : text.index("cutover")]
    more = text.replace(change, "change User {\n  optional contact_email { back `''` }\n}\n\n").replace(
        "users_email", "more"
    )
    (done / "more.mig").write_text(more.replace("complete for all", "off for all"), encoding="utf-8")
    ran = run("compile", "more.mig", "users.mig", "--out", "out")
    assert (ran.code, ran.err) == (0, "")
    assert (done / "out/migrations/versions/more_expand.py").exists()
    assert not (done / "out/plan/users_email.plan.json").exists()


def test_it_is_done_once(done: Path, run: Run):
    assert run("finish", "users.mig", *DAY).code == 0
    before = tree(done)
    ran = run("finish", "users.mig")
    assert (ran.code, ran.out) == (0, "users.mig: finished 2027-02-01 already\n")
    assert tree(done) == before


def test_today_is_the_default(done: Path, run: Run):
    day = date.today()  # noqa: DTZ011
    assert run("finish", "users.mig").code == 0
    text = (done / "users.mig").read_text(encoding="utf-8")
    assert f"finished {day}" in text or f"finished {date.today()}" in text  # noqa: DTZ011


@pytest.mark.parametrize("value", ["tomorrow", "2027-02-30", "20270201", "2027-W01-1", "2027-2-1"])
def test_a_day_is_a_day(done: Path, run: Run, value: str):
    before = tree(done)
    ran = run("finish", "users.mig", "--date", value)
    assert ran.code == 2
    assert value in ran.err
    assert tree(done) == before


def test_a_diff_shows_it_and_writes_nothing(done: Path, run: Run):
    before = tree(done)
    ran = run("finish", "users.mig", "--diff", *DAY)
    assert ran.code == 0
    assert "+++ schema.mig" in ran.out
    assert "+++ users.mig" in ran.out
    assert "\n-  email      text?    pii\n" in ran.out
    assert "\n+finished 2027-02-01\n" in ran.out
    assert tree(done) == before


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ("stage live for all", "some are live"),
        ("stage rampdown for all", "some are rampdown"),
        ("stage off for all", "some are off"),
        ("stage complete for all\n  stage live for canary", "some are live"),
    ],
)
def test_it_is_too_early_before_everybody_is_complete(done: Path, run: Run, stages: str, said: str):
    edit(done / "users.mig", "stage complete for all", stages)
    before = tree(done)
    ran = run("finish", "users.mig", *DAY)
    assert ran.code == 1
    assert "MIG720" in ran.err
    assert said in ran.err
    assert tree(done) == before
    assert run("finish", "users.mig", "--force", *DAY).code == 0
    assert "finished 2027-02-01" in (done / "users.mig").read_text(encoding="utf-8")


def test_a_file_with_errors_is_not_finished(done: Path, run: Run):
    edit(done / "users.mig", "drop email", "drop emial")
    before = tree(done)
    ran = run("finish", "users.mig", "--force", *DAY)
    assert ran.code == 1
    assert "MIG102" in ran.err
    assert tree(done) == before


def test_a_file_without_a_migration_has_no_end(done: Path, run: Run):
    ran = run("finish", "schema.mig", *DAY)
    assert ran.code == 1
    assert "there is no migration in this file to finish" in ran.err


def test_an_entity_of_its_own_needs_a_place(project: Path, run: Run):
    edit(project / "users.mig", "stage off for all", "stage complete for all")
    before = tree(project)
    ran = run("finish", "users.mig", *DAY)
    assert ran.code == 1
    assert "help: migdsl finish users.mig --into schema.mig" in ran.err
    assert tree(project) == before
    assert run("finish", "users.mig", "--into", "users.mig", *DAY).code == 1
    ran = run("finish", "users.mig", "--into", "db/schema.mig", *DAY)
    assert (ran.code, ran.err) == (0, "")
    assert "contact_email" in (project / "db/schema.mig").read_text(encoding="utf-8")
    assert "email      text?" in (project / "users.mig").read_text(encoding="utf-8")
    for words in (("check", "db/schema.mig"), ("fmt", "--check", "db/schema.mig"), ("check", "users.mig")):
        assert run(*words).code == 0
    assert run("finish", "users.mig", "--into", "db/schema.mig").out.endswith("already\n")


def test_what_is_not_in_the_layout_of_fmt_stays_in_its_own(done: Path, run: Run):
    path = done / "schema.mig"
    path.write_text(
        path.read_text(encoding="utf-8").replace("  username   text\n", "\tusername text # who\n"), encoding="utf-8"
    )
    before = path.read_text(encoding="utf-8").splitlines()
    assert run("finish", "users.mig", *DAY).code == 0
    after = path.read_text(encoding="utf-8").splitlines()
    # The author's lines stay as they are, the new ones stand like the ones above them.
    assert [line for line in after if line not in before] == [
        "  contact_email text pii",
        "  unique (tenant_id, contact_email)",
    ]
    assert [line for line in before if line not in after] == ["  email      text?    pii"]


def test_bytes_that_are_no_text_of_ours_stay(done: Path, run: Run):
    for name in ("users.mig", "schema.mig"):
        data = (done / name).read_bytes().replace(b"\n", b"\r\n")
        (done / name).write_bytes(b"\xef\xbb\xbf" + data)
    assert run("finish", "users.mig", *DAY).code == 0
    for name in ("users.mig", "schema.mig"):
        data = (done / name).read_bytes()
        assert data.startswith(b"\xef\xbb\xbf")
        assert data.count(b"\n") == data.count(b"\r\n")


def test_both_files_are_written_or_none(done: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    before = tree(done)
    replace = os.replace

    failures = [1]

    def fails(source: str, target: str) -> None:
        if target.endswith("users.mig") and failures:
            failures.clear()
            raise OSError(28, "no space left on device", target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", fails)
    ran = run("finish", "users.mig", *DAY)
    monkeypatch.undo()
    assert ran.code == 1
    assert "MIG705" in ran.err
    assert {path: data for path, (data, _) in tree(done).items()} == {path: data for path, (data, _) in before.items()}


def test_a_link_stays_a_link(done: Path, run: Run):
    (done / "schema.mig").rename(done / "real.mig")
    (done / "schema.mig").symlink_to("real.mig")
    assert run("finish", "users.mig", *DAY).code == 0
    assert (done / "schema.mig").is_symlink()
    assert "contact_email" in (done / "real.mig").read_text(encoding="utf-8")


def test_a_result_with_errors_is_not_written(done: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    def worse(what: Finishing) -> dict[str, str]:
        texts = dict(finish(what))
        return {**texts, "schema.mig": texts["schema.mig"].replace("(tenant_id, id)", "(tenant_id, email)")}

    monkeypatch.setattr("migdsl.cli.finishing.finish", worse)
    before = tree(done)
    ran = run("finish", "users.mig", *DAY)
    assert ran.code == 1
    assert "error[MIG721]: schema.mig would have errors" in ran.err
    assert "MIG102 there is no column `email` in `User`" in ran.err
    assert tree(done) == before
