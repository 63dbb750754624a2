"""`migdsl fmt` writes what changes, all or nothing, and leaves everything else about a file as it was."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import migdsl.formatting
from migdsl.formatting.printer import layout
from tests.cli.conftest import ROOT, Run, cache, edit, project, run, tree

__all__ = ["cache", "project", "run"]

UGLY = b"flag a{stage off for all}"
NEAT = b"flag a { stage off for all }\n"


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Let the standard input hold these bytes."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_a_file_is_written_once(project: Path, run: Run):
    (project / "a.mig").write_bytes(UGLY)
    before = tree(project)
    ran = run("fmt", "a.mig", "users.mig")
    assert (ran.code, ran.out, ran.err) == (0, "a.mig: formatted\n1 file formatted already\n", "")
    after = tree(project)
    assert after["a.mig"][0] == NEAT
    assert {**after, "a.mig": ()} == {**before, "a.mig": ()}  # users.mig was not touched, nothing left behind
    ran = run("fmt", "a.mig", "users.mig")
    assert (ran.code, ran.out) == (0, "2 files formatted already\n")
    assert tree(project) == after


@pytest.mark.parametrize(("flags", "code"), [(["--check"], 2), (["--diff"], 0), (["--check", "--diff"], 2)])
def test_a_look_writes_nothing(project: Path, run: Run, flags: list[str], code: int):
    (project / "a.mig").write_bytes(UGLY)
    before = tree(project)
    ran = run("fmt", "a.mig", "users.mig", *flags)
    assert (ran.code, ran.err) == (code, "")
    assert tree(project) == before
    if "--diff" in flags:
        assert ran.out == (
            "--- a.mig\n+++ a.mig (formatted)\n@@ -1 +1 @@\n-flag a{stage off for all}\\ No newline at end of file\n"
            "+flag a { stage off for all }\n"
        )
    else:
        assert ran.out == "a.mig: would be formatted\n1 file formatted already\n"
    assert run("fmt", "users.mig", *flags).code == 0


def test_a_diff_shows_what_is_invisible_and_colours_on_demand(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    (project / "a.mig").write_bytes(b"flag a {\r\n\tstage off for all # \x1b[31m\r\n}\r\n")
    out = run("fmt", "--diff", "a.mig").out
    assert "\x1b" not in out
    assert "+  stage off for all  # \\x1b[31m\\r" in out
    monkeypatch.setattr("migdsl.cli.output.is_coloured", lambda _: True)
    assert "\x1b[31m-\tstage" in run("fmt", "--diff", "a.mig").out


def test_line_ends_mark_and_mode_stay(project: Path, run: Run):
    path = project / "a.mig"
    path.write_bytes(b"\xef\xbb\xbfflag a{\r\nstage off for all}\r\n")
    path.chmod(0o640)
    assert run("fmt", "a.mig").code == 0
    assert path.read_bytes() == b"\xef\xbb\xbfflag a {\r\n  stage off for all\r\n}\r\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert run("fmt", "--check", "a.mig").code == 0


def test_a_link_stays_a_link_and_one_file_is_written_once(project: Path, run: Run):
    (project / "shared").mkdir()
    (project / "shared/a.mig").write_bytes(UGLY)
    (project / "b.mig").symlink_to("shared/a.mig")
    ran = run("fmt", "b.mig", "shared/a.mig", "./b.mig")
    assert ran.out == "b.mig: formatted\n"
    assert (ran.code, ran.out.count("formatted")) == (0, 1)
    assert (project / "b.mig").is_symlink()
    assert (project / "shared/a.mig").read_bytes() == NEAT


def test_a_file_with_errors_stays_and_the_others_are_formatted(project: Path, run: Run):
    edit(project / "users.mig", "username   text", "username")
    edit(project / "users.mig", "downtime none", "downtime   none")
    (project / "a.mig").write_bytes(UGLY)
    bad = (project / "users.mig").read_bytes()
    ran = run("fmt", "users.mig", "a.mig", "gone.mig")
    assert (ran.code, ran.out) == (1, "a.mig: formatted\n")
    assert "error[MIG001]: the line ends too early" in ran.err
    assert "username\n" in ran.err
    assert "`gone.mig` can't be read" in ran.err
    assert (project / "users.mig").read_bytes() == bad
    assert (project / "a.mig").read_bytes() == NEAT
    (project / "a.mig").write_bytes(UGLY)
    assert run("fmt", "--check", "users.mig", "a.mig").code == 1


def test_the_standard_input_goes_to_the_standard_output(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
):
    from migdsl.cli import main  # beside the other capturing fixture, which `run` holds

    before = tree(project)
    for words, data, code, said in (
        (["-"], "flag größe{}\r\n".encode(), 0, "flag größe {}\r\n".encode()),
        (["-", "--check"], UGLY, 2, b"<stdin>: would be formatted\n"),
        (["-", "--check"], NEAT, 0, b"1 file formatted already\n"),
        (["-"], b"flag {", 1, b""),
        (["-"], b"\xff", 1, b""),
        (["-"], b"", 0, b""),
    ):
        pipe(monkeypatch, data)
        assert main(["fmt", *words]) == code
        out, err = capfdbinary.readouterr()
        assert out == said
        assert (b"error[" in err) is (code == 1)
    assert tree(project) == before


def test_the_standard_input_stands_alone(run: Run):
    ran = run("fmt", "-", "users.mig")
    assert (ran.code, ran.out) == (2, "")
    assert "goes with no other file" in ran.err


def test_a_mistake_of_the_formatter_writes_nothing(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(migdsl.formatting, "layout", lambda text, facts: layout(text, facts).replace("off", "on"))
    (project / "a.mig").write_bytes(UGLY)
    ran = run("fmt", "a.mig")
    assert (ran.code, ran.out) == (1, "")
    assert "a.mig is left as it is: it would no longer mean the same" in ran.err
    assert (project / "a.mig").read_bytes() == UGLY


def test_a_failure_on_the_way_leaves_all_files_as_they_were(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    for name in "ab":
        (project / f"{name}.mig").write_bytes(UGLY)
    before = tree(project)
    real = os.replace

    def fail(source: str, target: str) -> None:
        if target.endswith("b.mig") and source.endswith("-2~"):
            raise OSError(28, "No space left on device", target)
        real(source, target)

    monkeypatch.setattr(os, "replace", fail)
    ran = run("fmt", "a.mig", "b.mig")
    monkeypatch.undo()
    assert ran.code == 1
    assert "nothing was written" in ran.err
    assert {name: data for name, (data, _) in tree(project).items()} == {n: data for n, (data, _) in before.items()}


def test_a_file_that_may_not_be_written_is_respected(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    (project / "a.mig").write_bytes(UGLY)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everything
    ran = run("fmt", "a.mig")
    assert (ran.code, ran.out, ran.err) == (1, "", "error: nothing was written: a.mig: permission denied\n")
    assert (project / "a.mig").read_bytes() == UGLY


def test_the_compiler_behind_the_parser_is_not_loaded(project: Path, cache: Path):
    strangers = {"pydantic", "jinja2", "black", "postgast", "migdsl.semantics", "migdsl.plan"}
    code = (
        "import sys; from migdsl.cli import main; assert main(['fmt', 'users.mig']) == 0; "
        f"print(sorted({strangers} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache), "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["1 file formatted already", "[]"]
