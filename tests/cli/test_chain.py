"""Revisions of other people in the folder: one chain, or a diagnostic that names the head and the line to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from migdsl.cli import main

ROOT = Path(__file__).resolve().parents[2]
USERS = (ROOT / "examples/users.mig").read_text()
OTHER = 'revision = "1f0c2ab"\ndown_revision = None\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "migrations/versions").mkdir(parents=True)
    (tmp_path / "migrations/versions/1f0c2ab_start.py").write_text(OTHER)
    return tmp_path


def compile_users(project: Path, migrations: str, **more: str) -> int:
    text = USERS.replace("url    env DATABASE_URL", f"url    env DATABASE_URL\n  {migrations}")
    (project / "users.mig").write_text(text)
    return main(["compile", "users.mig"])


def test_a_second_root_is_refused_and_the_head_is_named(project: Path, capsys: pytest.CaptureFixture[str]):
    assert compile_users(project, "") == 1
    error = capsys.readouterr().err
    assert "MIG706" in error
    assert 'migrations "…" after "1f0c2ab"' in error
    assert not (project / "plan").exists()


def test_ours_follow_the_head_that_the_file_names(project: Path):
    assert compile_users(project, 'migrations "migrations/versions" after "1f0c2ab"') == 0
    text = (project / "migrations/versions/users_email_expand.py").read_text()
    assert 'down_revision = "1f0c2ab"' in text


def test_a_head_that_has_moved_on_is_named(project: Path, capsys: pytest.CaptureFixture[str]):
    (project / "migrations/versions/next.py").write_text('revision = "abc"\ndown_revision: str | None = "1f0c2ab"\n')
    assert compile_users(project, 'migrations "migrations/versions" after "1f0c2ab"') == 1
    assert 'after "abc"' in capsys.readouterr().err


def test_a_revision_that_is_not_there_is_refused(project: Path, capsys: pytest.CaptureFixture[str]):
    assert compile_users(project, 'migrations "migrations/versions" after "nowhere"') == 1
    assert "nowhere" in capsys.readouterr().err


def test_a_revision_that_came_in_after_ours_is_fine(project: Path):
    assert compile_users(project, 'migrations "migrations/versions" after "1f0c2ab"') == 0
    (project / "migrations/versions/later.py").write_text('revision = "later"\ndown_revision = "users_email_expand"\n')
    (project / "users.mig").write_text((project / "users.mig").read_text() + "\n# a comment\n")
    assert main(["compile", "users.mig"]) == 0


def test_one_that_splits_our_chain_is_not(project: Path, capsys: pytest.CaptureFixture[str]):
    assert compile_users(project, 'migrations "migrations/versions" after "1f0c2ab"') == 0
    (project / "migrations/versions/later.py").write_text('revision = "later"\ndown_revision = "users_email_expand"\n')
    assert main(["compile", "users.mig", "--through", "enforce"]) == 1
    assert "2 heads: later, users_email_enforce" in capsys.readouterr().err


def test_other_revisions_are_never_run(project: Path):
    (project / "migrations/versions/1f0c2ab_start.py").write_text(OTHER + 'raise SystemExit("run")\n')
    assert compile_users(project, 'migrations "migrations/versions" after "1f0c2ab"') == 0
