"""What is no source file, or a strange one, under each command: an answer of a few lines, and never a traceback."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migdsl.cli.changes import Change
from migdsl.cli.diff import render_diff
from tests.cli.conftest import Run, edit

COMMANDS = {
    "check": ("check", "FILE"),
    "compile": ("compile", "FILE", "--out", "out"),
    "plan": ("plan", "FILE"),
    "fmt": ("fmt", "--check", "FILE"),
    "apply": ("apply", "FILE", "--to", "expand", "--yes"),
    "rollback": ("rollback", "FILE", "--to", "prepare", "--yes"),
    "status": ("status", "FILE"),
    "rehearse": ("rehearse", "FILE"),
    "import": ("import", "FILE"),
    "finish": ("finish", "FILE"),
    "into": ("finish", "users.mig", "--force", "--into", "FILE", "--diff"),
    "explain": ("explain", "FILE"),
    "rollout": ("rollout", "FILE", "--stage", "dualwrite", "--for", "all", "--dry-run"),
    "diff": ("diff", "users.mig", "FILE"),
    "report": ("report", "FILE", "--html", "page.html"),
    "ticket": ("check", "users.mig", "--ticket", "FILE"),
}
# What is wrong with the file, and what is said of it by all that read it as a source.
WRONG = {
    "missing": (None, "no such file"),
    "folder": (None, "it is a folder"),
    "binary": (bytes(range(128, 256)) * 20 + b"\0", "is not UTF-8 text"),
    "UTF-16": ("migration m { }".encode("utf-16"), "iconv -f utf-16 -t utf-8"),
    "empty": (b"", "there is nothing in this file"),
    "a mark alone": (b"\xef\xbb\xbf", "there is nothing in this file"),
    "one long word": (b"x" * 200_000, "is no declaration"),
    "one long line": (b"entity " + b"x" * 200_000 + b" inn app.x { }", "makes no sense here"),
    "a page of braces": (b"{" * 2_000, "a block is not closed"),
}
# These look at no source there, or take one that is empty.
ELSEWHERE = {"import", "explain", "report", "ticket"}
EMPTY = {"fmt", "into"}


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("kind", WRONG)
def test_an_answer_of_a_few_lines(project: Path, run: Run, kind: str, name: str) -> None:
    data, said = WRONG[kind]
    path = project / "odd.mig"
    if kind == "folder":
        path.mkdir()
    elif data is not None:
        path.write_bytes(data)
    ran = run(*(path.name if word == "FILE" else word for word in COMMANDS[name]))
    whole = ran.out + ran.err
    assert "internal error" not in whole
    assert 0 < len(whole) < 3_000, len(whole)
    if name == "into" and kind == "missing":
        assert ran.code == 0, "it is made"
    elif name in ELSEWHERE:
        assert ran.code != 0
    elif name in EMPTY and "nothing in this file" in said:
        assert ran.code == 0
    else:
        assert (ran.code, said in " ".join(whole.split())) == (1, True), whole


@pytest.mark.parametrize("change", ["mark", "crlf", "tabs"])
def test_line_ends_and_blanks_of_other_systems(project: Path, run: Run, change: str) -> None:
    path = project / "users.mig"
    text = path.read_text(encoding="utf-8")
    changed = {"mark": "\ufeff" + text, "crlf": text.replace("\n", "\r\n"), "tabs": text.replace("  ", "\t")}[change]
    path.write_bytes(changed.encode())
    assert run("check", "users.mig").code == 0
    assert run("compile", "users.mig").code == 0
    assert run("plan", "users.mig").code == 0
    ran = run("rollout", "users.mig", "--stage", "dualwrite", "--for", "all")
    assert ran.code == 0
    assert path.read_bytes().decode() == changed.replace("stage off", "stage dualwrite")
    assert run("finish", "users.mig", "--force", "--into", "schema.mig").code == 0


def test_entities_go_into_no_file_that_can_not_be_read(project: Path, run: Run) -> None:
    (project / "schema.mig").write_text("entity X in\n", encoding="utf-8")
    ran = run("finish", "users.mig", "--force", "--into", "schema.mig")
    assert ran.code == 1
    assert "schema.mig" in ran.err
    assert (project / "schema.mig").read_text(encoding="utf-8") == "entity X in\n"
    assert "finished" not in (project / "users.mig").read_text(encoding="utf-8")


def test_a_flag_is_moved_in_the_file_of_the_migration(project: Path, run: Run) -> None:
    (project / "schema.mig").write_text("database app { engine postgresql 15 }\n", encoding="utf-8")
    ran = run("rollout", "schema.mig", "--stage", "dualwrite", "--for", "all")
    assert ran.code == 1
    assert "there is no migration in this file" in ran.err
    edit(project / "users.mig", "migration users_email {", "finished 2027-02-01\nmigration users_email {")
    ran = run("rollout", "users.mig", "--stage", "dualwrite", "--for", "all")
    assert ran.code == 1
    assert "finished since 2027-02-01" in ran.err


LINES = st.lists(st.sampled_from("abcdefgh"), max_size=30, unique=False)


@given(LINES, LINES)
def test_a_diff_leads_from_one_text_to_the_other(before: list[str], after: list[str]) -> None:
    """Read back hunk by hunk, as `patch` does."""
    old, new = ("".join(f"{line}\n" for line in lines).encode() for lines in (before, after))
    told = render_diff([Change("x", "/x", "source", "changed", old, new)], colour=False).splitlines()[2:]
    found, at = [], 0
    for line in told:
        if line.startswith("@@ "):
            start, _, count = line.split()[1].removeprefix("-").partition(",")
            first = int(start) - (count != "0")
            found += before[at:first]
            at = first
        else:
            assert line[0] == "+" or before[at] == line[1:]
            at += line[0] != "+"
            found += [line[1:]] if line[0] != "-" else []
    assert [*found, *before[at:]] == after
    if before == after:
        assert told == []
    assert len(told) <= len(list(difflib.unified_diff(before, after))) + len(before) + len(after)
