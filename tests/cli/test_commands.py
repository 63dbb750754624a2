"""`check`, `plan`, `explain` and the command line itself: every input gets an answer, and none a traceback."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from migdsl import __version__
from migdsl.cli import arguments, main, output
from migdsl.diagnostics.catalog import all_codes
from migdsl.semantics.model import PHASES
from tests.cli.conftest import ROOT, Run, edit, tree


def test_version(run: Run):
    for word in ("--version", "-V"):
        ran = run(word)
        assert (ran.code, ran.out, ran.err) == (0, f"migdsl {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["complie", "x"], "unknown command 'complie'; did you mean compile?"),
        (["compile", "x", "--chekc"], "did you mean --check?"),
        (["compile", "x", "-out", "y"], "did you mean --out?"),
        (["compile", "x", "--out"], "--out needs a value"),
        (["compile", "x", "--out="], "--out needs a value"),
        (["compile", "x", "--out", "a", "--out", "b"], "--out is given twice"),
        (["compile", "x", "--force=yes"], "--force takes no value"),
        (["compile", "x", "--through", "expnd"], "did you mean expand?"),
        (["compile", "x", "--out", "a\0b"], "can't hold a NUL byte"),
        (["compile"], "compile needs a file"),
        (["check", "x", "--format", "yaml"], "there is text, json, sarif, github"),
        (["plan", "x", "y"], "plan takes one file at a time"),
        (["explain", "x", "y"], "explain takes one code at a time"),
        (["--verison"], "did you mean --version?"),
        (["help", "plna"], "did you mean plan?"),
        (["\x1b[31m"], "unknown command"),
        ([], "a command is missing"),
    ],
)
def test_a_usage_error_says_what_was_meant(run: Run, words: list[str], said: str):
    ran = run(*words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "\x1b" not in ran.err


def test_help_is_no_error_and_names_every_option(run: Run):
    overview = run("--help")
    assert overview.code == 0
    for command, (alone, valued, _) in arguments._COMMANDS.items():
        assert f"migdsl {command}" in overview.out
        page = run(command, "--help")
        assert page.code == 0
        assert run("help", command).out == page.out
        assert all(option in page.out for option in (*alone, *valued))


def test_options_may_stand_anywhere_and_values_beside_them(project: Path):
    found = arguments.parse(["compile", "--out=o", "a", "--strict", "--through", "expand", "--", "--force"])
    assert isinstance(found, arguments.Options)
    assert (found.out, found.words, found.strict, found.force) == ("o", ("a", "--force"), True, False)
    assert found.through == "expand"


def test_the_phases_are_those_of_the_language():
    assert arguments.PHASES == PHASES


def test_check_of_a_good_file(project: Path, run: Run):
    before = tree(project)
    ran = run("check", "users.mig")
    assert (ran.code, ran.out, ran.err) == (0, "users.mig: no problems\n", "")
    assert json.loads(run("check", "users.mig", "--format", "json").out) == []
    assert tree(project) == before


def test_check_says_all_that_is_wrong(project: Path, run: Run):
    shutil.copy("users.mig", "more.mig")
    edit(project / "users.mig", "change User", "change Usr")
    edit(project / "more.mig", "bigint   key", "bigit    key")
    ran = run("check", "users.mig", "more.mig")
    assert (ran.code, ran.out) == (1, "")
    assert "more.mig:18:" in ran.err
    assert "users.mig:27:" in ran.err
    assert ran.err.endswith("2 errors\n1 can be mended with --fix, 1 more with --unsafe-fixes\n")
    found = json.loads(run("check", "users.mig", "more.mig", "users.mig", "--format", "json").out)
    assert [each["file"] for each in found] == ["more.mig", "users.mig"]


@pytest.mark.parametrize("command", ["check", "compile", "plan"])
@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("latin.mig", b"# \xe9\n", "The byte at offset 2 (line 1) is 0xe9"),
        ("late.mig", b"# a\n# \xc3\xa9 \xff\n", "The byte at offset 9 (line 2) is 0xff"),
        ("utf16.mig", "migration m {}".encode("utf-16"), "The byte at offset 0"),
        ("empty.mig", b"", "the file is empty"),
        ("nul.mig", b"\0" * 100, "nul.mig:1:1"),
        ("large.mig", b" " * (16 * 1024 * 1024 + 1), "larger than 16 MiB"),
        ("random.mig", bytes(i * 7919 % 251 for i in range(1_000_000)), "MIG004"),
    ],
)
def test_a_file_that_is_none_is_a_diagnostic(project: Path, run: Run, command: str, name: str, data: bytes, said: str):
    (project / name).write_bytes(data)
    before = tree(project)
    ran = run(command, name)
    assert (ran.code, ran.out) == (1, "")
    assert said in ran.err
    assert "internal error" not in ran.err
    assert tree(project) == before


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("usres.mig", "can't be read: no such file or directory", "did you mean `users.mig`?"),
        (".", "it is a folder", "name the file in it: ./users.mig"),
        ("users.mig/x", "not a directory", ""),
        ("x" * 300, "file name too long", ""),
        ("pipe", "it is not a regular file", ""),
        ("a\0b", "null byte", ""),
        ("\udcff.mig", "no such file", ""),
        ("", "no such file", ""),
    ],
)
def test_a_path_that_is_no_file_is_a_diagnostic(project: Path, run: Run, name: str, said: str, hint: str):
    os.mkfifo(project / "pipe")
    for command in ("check", "compile", "plan"):
        ran = run(command, name)
        assert (ran.code, ran.out) == (1, "")
        assert "error[MIG004]" in ran.err
        assert said in ran.err
        assert hint in ran.err


@contextmanager
def unprivileged() -> Iterator[Path]:
    """A folder of somebody whom permissions bind, even where the tests are run by root."""
    folder = Path(tempfile.mkdtemp(prefix="migdsl-"))
    folder.chmod(0o755)
    before = os.geteuid()
    shutil.copy(ROOT / "examples/users.mig", folder)
    if before == 0:
        os.chown(folder, 65534, -1)
        os.chown(folder / "users.mig", 65534, -1)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(before)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)
        shutil.rmtree(folder)


def test_permissions_are_respected_and_explained(run: Run, monkeypatch: pytest.MonkeyPatch):
    # Whatever is imported or read has to be before the user changes, who may not even see where the compiler is.
    import black  # noqa: F401

    run("compile", "users.mig", "--force")
    run("compile", "users.mig", "--out", "somewhere/users.mig")
    run("check", "nothing.mig")
    with unprivileged() as folder:
        monkeypatch.chdir(folder)
        assert run("check", "users.mig").code == 0
        (folder / "users.mig").chmod(0)
        ran = run("check", "users.mig")
        assert ran.code == 1
        assert "`users.mig` can't be read: permission denied" in ran.err
        (folder / "users.mig").chmod(0o644)
        folder.chmod(0o555)
        ran = run("compile", "users.mig", "--out", "out")
        assert ran.code == 1
        assert "MIG705" in ran.err
        assert "Permission denied" in ran.err
        assert not (folder / "out").exists()
        folder.chmod(0o755)
        assert run("compile", "users.mig", "--out", "out").code == 0
    monkeypatch.undo()


def test_a_byte_order_mark_and_other_line_ends_move_nothing(project: Path, run: Run):
    edit(project / "users.mig", "text?    pii", "txet?    pii")
    plain = json.loads(run("check", "users.mig", "--format", "json").out)
    data = (project / "users.mig").read_bytes()
    (project / "users.mig").write_bytes(b"\xef\xbb\xbf" + data)
    assert json.loads(run("check", "users.mig", "--format", "json").out) == plain
    (project / "users.mig").write_bytes(data.replace(b"\n", b"\r\n"))
    place = json.loads(run("check", "users.mig", "--format", "json").out)[0]["range"]["start"]
    first = plain[0]["range"]["start"]
    assert (place["line"], place["column"]) == (first["line"], first["column"])
    assert place["offset"] == first["offset"] + first["line"] - 1


GOOD = (ROOT / "examples/users.mig").read_bytes()
MUTATED = st.tuples(st.integers(0, len(GOOD)), st.integers(0, 40), st.binary(max_size=8)).map(
    lambda cut: GOOD[: cut[0]] + cut[2] + GOOD[cut[0] + cut[1] :]
)


@given(data=st.binary(max_size=400) | MUTATED | st.text(max_size=200).map(lambda text: text.encode(errors="replace")))
@example(data=b"migration \xe2\x80\xa8")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_end_in_a_traceback(project: Path, capsys: pytest.CaptureFixture[str], data: bytes):
    (project / "any.mig").write_bytes(data)
    capsys.readouterr()
    code = main(["check", "any.mig"])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert "internal error" not in said.err
    assert (code, bool(said.out)) == ((1, False) if "error[" in said.err else (0, "no problems" in said.out))


def test_explain(run: Run):
    assert run("explain", "MIG702").out == run("explain", "mig702").out
    assert run("explain", "MIG702").out.startswith("error[MIG702]: ")
    ran = run("explain", "MIG7022")
    assert (ran.code, ran.out) == (1, "")
    assert "did you mean MIG702?" in ran.err
    assert run("explain", "nothing").code == 1
    lines = run("explain").out.splitlines()
    assert [line for line in lines if line.startswith("  ")] == [
        f"  {code.id}  {code.title}" for code in all_codes().values()
    ]
    assert "SQL: what can be wrong between backticks" in lines


def test_explain_tells_of_words_too(run: Run):
    ran = run("explain", "entity")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("entity NAME in TABLE { … }\n\nA table as it is *before* the migration.")
    assert "\n    rows COUNT\n" in ran.out
    assert "\n    MIG108  the entity has no key\n" in ran.out
    assert "off, dualwrite, shadow" in run("explain", "stage").out
    assert run("explain", "unique").out.count("example:") >= 4
    assert "did you mean entity?" in run("explain", "entty").err


def test_the_plans_json_is_the_artifact(project: Path, run: Run):
    run("compile", "users.mig", "--through", "enforce")
    assert run("plan", "users.mig", "--through", "enforce", "--json").out == (
        (project / "plan/users_email.plan.json").read_text()
    )


def test_plan_of_a_file_with_errors(project: Path, run: Run):
    edit(project / "users.mig", "text?    pii", "txet?    pii")
    ran = run("plan", "users.mig", "--json")
    assert (ran.code, ran.out) == (1, "")
    assert "1 error" in ran.err


class Terminal:
    """What a terminal says of itself."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch, run: Run):
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    assert output.is_coloured(terminal)  # type: ignore[arg-type]
    assert not output.is_coloured(None)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.is_coloured(terminal)  # type: ignore[arg-type]
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not output.is_coloured(terminal)  # type: ignore[arg-type]
    monkeypatch.setattr(output, "is_coloured", lambda _: True)
    for words in (["explain", "MIG702"], ["plan", "users.mig"], ["compile", "users.mig"]):
        assert "\x1b[" in run(*words).out
    Path("flags/users_email.flagd.json").write_text("{}\n")
    assert "\x1b[31m-{}\x1b[0m\n\x1b[32m+{\x1b[0m" in run("compile", "users.mig", "--check").out
    assert "\x1b[" in run("check", "nothing.mig").err


def test_an_unexpected_error_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("no\nway\x1b")

    monkeypatch.setattr("migdsl.workspace.check", broken)
    ran = run("check", "users.mig")
    assert (ran.code, ran.out) == (1, "")
    assert re.fullmatch(
        r"internal error: ZeroDivisionError: no \(test_commands\.py:\d+\); please report this, with what "
        r"MIGDSL_DEBUG=1 shows\n",
        ran.err,
    )
    monkeypatch.setenv("MIGDSL_DEBUG", "1")
    assert main(["check", "users.mig"]) == 1
    assert capsys.readouterr().err.startswith("Traceback")


def test_an_interruption_is_130(run: Run, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("migdsl.workspace.check", interrupted)
    ran = run("check", "users.mig")
    assert (ran.code, ran.err) == (130, "interrupted\n")


def shell(command: str, project: Path, cache: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """A command of the shell, with `migdsl` in it standing for this Python's."""
    path = os.pathsep.join([str(ROOT), *sys.path[1:]])
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "XDG_CACHE_HOME": str(cache), **more}
    program = command.replace("migdsl", f"'{sys.executable}' -m migdsl")
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", program],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("migdsl explain > /dev/full", 1, "error: the output can't be written: No space left on device\n"),
        ("migdsl --version > /dev/full", 1, "error: the output can't be written: No space left on device\n"),
        ("migdsl check users.mig >&-", 0, ""),
        ("migdsl check nothing.mig 2>&-", 1, ""),
        ("migdsl check nothing.mig 2> /dev/full", 1, ""),
    ],
)
def test_streams_that_take_nothing(project: Path, cache: Path, command: str, code: int, said: str):
    done = shell(command, project, cache)
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize("words", [["--version"], ["explain"], ["plan", "users.mig"]])
def test_a_reader_that_has_left_is_no_failure_to_speak_of(project: Path, words: list[str]):
    read, write = os.pipe()
    os.close(read)
    # Unbuffered, nothing would be left to complain of at the end.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment = kept | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])}
    argv = [sys.executable, "-m", "migdsl", *words]
    done = subprocess.run(argv, stdout=write, stderr=subprocess.PIPE, env=environment, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_stream_that_knows_ascii_only_gets_all_of_it(project: Path, cache: Path):
    (project / "ä.mig").write_text("entity\n")
    done = shell("migdsl check ä.mig", project, cache, PYTHONIOENCODING="ascii", LC_ALL="C.UTF-8")
    assert done.returncode == 1
    assert "\\xe4.mig:" in done.stderr
    done = shell("migdsl check $'\\xff.mig'", project, cache, LC_ALL="C.UTF-8")
    assert (done.returncode, "MIG004" in done.stderr) == (1, True)


def test_a_url_where_a_file_is_expected_is_not_shown(run: Run):
    for words in (("status",), ("check",), ("apply", "--to", "expand"), ("plan",)):
        ran = run(*words, "postgresql://me:hunter2@db/shop")
        assert ran.code == 2
        assert "hunter2" not in ran.out + ran.err
        assert "takes a file here, and no URL" in ran.err
