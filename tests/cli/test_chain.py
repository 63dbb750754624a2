"""Revisions of other people in the folder: one chain, or a diagnostic that names the head and the line to change."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

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


FOREIGN = 'revision = "later"\ndown_revision = "users_email_expand"\n'
SECOND = 'migration second {\n  ticket   "MIG-78"\n  downtime none\n}'


def write_foreign(project: Path, name: str, parent: str) -> None:
    text = f'"""x"""\n\nrevision = "{name}"\ndown_revision = "{parent}"\n\n\ndef upgrade():\n    pass\n'
    (project / f"migrations/versions/{name}.py").write_text(text)


def advised(error: str) -> str:
    """The line that the help gives."""
    found = re.search(r'(?:phase \w+ \{ after "\w+" \}|migrations "…" after "\w+")', error)
    assert found is not None, error
    return found[0]


def alembic_chain(project: Path) -> list[str]:
    """All revisions from the one head that the real Alembic finds down to the first."""
    config = Config()
    config.set_main_option("script_location", str(project / "migrations"))
    script = ScriptDirectory.from_config(config)
    (head,) = script.get_heads()
    return [each.revision for each in script.walk_revisions("base", head)]


@pytest.fixture
def empty(project: Path) -> Path:
    """A project without any revision."""
    (project / "migrations/versions/1f0c2ab_start.py").unlink()
    return project


def test_a_colleagues_revision_between_two_of_ours(empty: Path, capsys: pytest.CaptureFixture[str]):
    assert compile_users(empty, "") == 0
    write_foreign(empty, "later", "users_email_expand")
    command = ["compile", "users.mig", "--through"]
    assert main([*command, "enforce"]) == 1
    before = alembic_chain(empty)
    assert before == ["later", *before[1:]]
    line = advised(capsys.readouterr().err)
    source = empty / "users.mig"
    source.write_text(source.read_text() + f"\n{line}\n")
    assert main([*command, "enforce"]) == 0
    ours = alembic_chain(empty)
    assert ours == ["users_email_enforce", "later", "users_email_expand"]
    # A second one, and the next phase.
    write_foreign(empty, "latest", "users_email_enforce")
    assert main([*command, "contract"]) == 1
    line = advised(capsys.readouterr().err)
    assert line == 'phase contract { after "latest" }'
    source.write_text(source.read_text() + f"\n{line}\n")
    assert main([*command, "contract"]) == 0
    assert alembic_chain(empty) == ["users_email_contract", "latest", *ours]


def test_one_of_ours_is_never_told_to_follow_what_follows_it(empty: Path, capsys: pytest.CaptureFixture[str]):
    (empty / "migrations/versions/later.py").write_text(FOREIGN)
    assert compile_users(empty, 'migrations "migrations/versions" after "later"') == 1
    error = capsys.readouterr().err
    assert "users_email_expand would follow later, which comes after it" in error
    assert 'after "later"' not in error.split("help:")[1]


@pytest.mark.parametrize("phase", ["expand", "contract"])
def test_ours_alone_are_one_chain_too(empty: Path, phase: str, capsys: pytest.CaptureFixture[str]):
    (empty / "users.mig").write_text(USERS + f'\nphase {phase} {{ after "users_email_expand" }}\n')
    assert main(["compile", "users.mig", "--through", "contract"]) == 1
    error = capsys.readouterr().err
    assert ("comes after it" if phase == "expand" else "2 heads: users_email_contract, users_email_enforce") in error
    assert f"take out the `after` that puts users_email_{phase} there" in error


def test_a_revision_that_is_on_disk_stays_where_it_is(project: Path, capsys: pytest.CaptureFixture[str]):
    assert compile_users(project, 'migrations "migrations/versions" after "1f0c2ab"') == 0
    path = project / "migrations/versions/users_email_expand.py"
    before = path.read_bytes()
    write_foreign(project, "later", "users_email_expand")
    assert compile_users(project, 'migrations "migrations/versions" after "later"') == 1
    error = capsys.readouterr().err
    assert "users_email_expand would follow later; on disk it follows 1f0c2ab" in error
    assert "can't be moved: a database may be at it" in error
    assert path.read_bytes() == before
    assert main(["compile", "users.mig", "--through", "enforce"]) == 1
    assert advised(capsys.readouterr().err) == 'phase enforce { after "later" }'


def test_nor_is_it_moved_where_nobody_else_has_one(empty: Path, capsys: pytest.CaptureFixture[str]):
    assert compile_users(empty, "") == 0
    assert compile_users(empty, 'migrations "migrations/versions" after "elsewhere"') == 1
    assert "users_email_expand would follow elsewhere; on disk it follows nothing" in capsys.readouterr().err


def test_where_all_of_ours_are_on_disk_the_newcomer_moves(empty: Path, capsys: pytest.CaptureFixture[str]):
    (empty / "users.mig").write_text(USERS)
    command = ["compile", "users.mig", "--through", "enforce"]
    assert main(command) == 0
    write_foreign(empty, "later", "users_email_expand")
    with (empty / "users.mig").open("a") as file:
        file.write("\n# a comment\n")
    assert main(command) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "make the others one chain (alembic merge), or make them follow users_email_enforce" in said


def test_a_revision_that_was_deleted_may_follow_another_one(project: Path):
    assert compile_users(project, 'migrations "migrations/versions" after "1f0c2ab"') == 0
    (project / "migrations/versions/users_email_expand.py").unlink()
    write_foreign(project, "earlier", "1f0c2ab")
    assert compile_users(project, 'migrations "migrations/versions" after "earlier"') == 0
    assert alembic_chain(project) == ["users_email_expand", "earlier", "1f0c2ab"]


def test_a_phase_that_follows_nobody_is_refused(project: Path, capsys: pytest.CaptureFixture[str]):
    (project / "users.mig").write_text(
        USERS.replace(
            "url    env DATABASE_URL", 'url env DATABASE_URL; migrations "migrations/versions" after "1f0c2ab"'
        )
    )
    assert main(["compile", "users.mig"]) == 0
    with (project / "users.mig").open("a") as file:
        file.write('\nphase enforce { after "nowhere" }\n')
    assert main(["compile", "users.mig", "--through", "enforce"]) == 1
    error = capsys.readouterr().err
    assert "users_email_enforce would follow nowhere, which isn't there" in error
    assert "take out the `after` that puts users_email_enforce there" in error


def second(project: Path, line: str = "", end: str = "") -> None:
    """A file beside users.mig, with another migration of another table."""
    text = re.sub(r"migration users_email \{.*?\n\}", SECOND, USERS, count=1, flags=re.DOTALL)
    text = text.replace("flag users_email", "flag second").replace("in app.users", "in app.people")
    text = text.replace("url    env DATABASE_URL", f"url    env DATABASE_URL\n  {line}")
    (project / "second.mig").write_text(text + end)


def test_two_files_compiled_together(empty: Path, capsys: pytest.CaptureFixture[str]):
    (empty / "users.mig").write_text(USERS)
    second(empty)
    both = ["compile", "users.mig", "second.mig"]
    assert main(both) == 1
    error = capsys.readouterr().err
    assert error.count("error[MIG706]") == 1
    assert "second.mig" in error
    assert advised(error) == 'migrations "…" after "users_email_expand"'
    assert not (empty / "plan").exists()
    second(empty, 'migrations "migrations/versions" after "users_email_expand"')
    assert main(both) == 0
    assert alembic_chain(empty) == ["second_expand", "users_email_expand"]


def test_the_order_of_the_files_does_not_matter(empty: Path, capsys: pytest.CaptureFixture[str]):
    (empty / "users.mig").write_text(USERS)
    second(empty, 'migrations "migrations/versions" after "users_email_expand"')
    assert main(["compile", "second.mig", "users.mig"]) == 0
    (empty / "users.mig").write_text(
        USERS.replace("migration users_email {", "migration users_email {\n  through enforce")
    )
    for files in (["second.mig", "users.mig"], ["users.mig", "second.mig"]):
        assert main(["compile", *files]) == 1
        error = capsys.readouterr().err
        assert error.count("error[MIG706]") == 1
        assert advised(error) == 'phase enforce { after "second_expand" }'


def test_two_files_take_turns(empty: Path, capsys: pytest.CaptureFixture[str]):
    (empty / "users.mig").write_text(USERS)
    second(empty, 'migrations "migrations/versions" after "users_email_expand"')
    command = ["compile", "users.mig", "second.mig"]
    assert main(command) == 0
    with (empty / "users.mig").open("a") as file:
        file.write('\nphase enforce { after "second_expand" }\n')
    assert main([*command, "--through", "enforce"]) == 1
    line = advised(capsys.readouterr().err)
    assert line == 'phase enforce { after "users_email_enforce" }'
    with (empty / "second.mig").open("a") as file:
        file.write(f"\n{line}\n")
    assert main([*command, "--through", "enforce"]) == 0
    assert alembic_chain(empty) == ["second_enforce", "users_email_enforce", "second_expand", "users_email_expand"]


def test_the_formatter_lays_a_phase_out(tmp_path: Path):
    path = tmp_path / "users.mig"
    path.write_text(USERS + '\nphase   contract{after   "abc" }\n')
    assert main(["fmt", str(path)]) == 0
    assert path.read_text().endswith('\nphase contract { after "abc" }\n')
