"""`check --fix`: what is mended, what is left alone, what is said, and what becomes of the files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest

from migdsl.cli import fixing
from migdsl.diagnostics import Applicability, Diagnostic, Edit, Fix, Label, Severity
from migdsl.source import SourceFile, Span
from migdsl.syntax.unit import Files
from tests.cli.conftest import ROOT, Run, edit, tree


@pytest.fixture
def broken(project: Path) -> Path:
    """A file with a safe fix (stage), an unsafe one (column) and a problem without (SQL)."""
    path = project / "users.mig"
    edit(path, "stage off", "stage offf")
    edit(path, "drop email", "drop emial")
    edit(path, "  downtime none\n", "  downtime none\n  downtime none\n")
    return path


def test_safe_fixes_are_applied_and_the_rest_is_shown(broken: Path, run: Run) -> None:
    ran = run("check", "users.mig", "--fix")
    assert ran.code == 1
    assert ran.err.startswith("fixed 2 problems (1 needs a look)\n")
    assert "error[MIG102]" in ran.err
    assert "MIG106" not in ran.err
    assert ran.err.endswith("1 error\n1 can be mended with --unsafe-fixes\n")
    text = broken.read_text(encoding="utf-8")
    assert "stage off for all" in text
    assert "drop emial" in text
    assert text.count("downtime none") == 1


def test_unsafe_fixes_imply_the_safe_ones(broken: Path, run: Run) -> None:
    ran = run("check", "users.mig", "--unsafe-fixes")
    assert (ran.code, ran.out) == (0, "users.mig: no problems\n")
    assert ran.err == "fixed 3 problems (none need a look)\n"
    assert broken.read_bytes() == (ROOT / "examples/users.mig").read_bytes()
    again = run("check", "users.mig", "--unsafe-fixes")
    assert (again.code, again.out, again.err) == (0, "users.mig: no problems\n", "")


@pytest.mark.parametrize(
    ("words", "count"), [(["--diff"], 2), (["--fix", "--diff"], 2), (["--unsafe-fixes", "--diff"], 3)]
)
def test_diff_only_shows(broken: Path, run: Run, project: Path, words: list[str], count: int) -> None:
    before = tree(project)
    ran = run("check", "users.mig", *words)
    assert tree(project) == before
    assert ran.code == 1, "the file still has its problems"
    assert "-  stage offf for all\n+  stage off for all\n" in ran.out
    assert ("+  drop email after 30d" in ran.out) == (count == 3)
    assert ran.err.startswith(f"would fix {count} problems (")


def test_without_a_fix_nothing_is_touched(project: Path, run: Run) -> None:
    before = tree(project)
    ran = run("check", "users.mig", "--fix")
    assert (ran.code, ran.out, ran.err) == (0, "users.mig: no problems\n", "")
    edit(project / "users.mig", "`contact_email`", "`contact_email +`")
    before = tree(project)
    ran = run("check", "users.mig", "--unsafe-fixes")
    assert (ran.code, ran.err.startswith("fixed 0 problems (1 needs a look)\n")) == (1, True)
    assert tree(project) == before


def test_plain_check_says_what_could_be_mended(broken: Path, run: Run) -> None:
    before = broken.read_bytes()
    ran = run("check", "users.mig")
    assert ran.err.endswith("3 errors\n2 can be mended with --fix, 1 more with --unsafe-fixes\n")
    assert "fix: safe (`offf` becomes `off`), apply with `migdsl check --fix`" in ran.err
    assert broken.read_bytes() == before


def test_a_fix_may_uncover_what_the_next_round_mends(project: Path, run: Run) -> None:
    edit(project / "users.mig", "entity User in", "entty User in")
    edit(project / "users.mig", "text?    pii", "text?    piii")
    ran = run("check", "users.mig", "--fix")
    assert (ran.code, ran.err) == (0, "fixed 2 problems (none need a look)\n")


def test_encoding_and_line_ends_stay(project: Path, run: Run) -> None:
    path = project / "users.mig"
    edit(path, "contact address", "cöntact address \U0001f600")
    good = b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n")
    path.write_bytes(
        good.replace(b"stage off", b"stage offf").replace(b"downtime none", b"downtime none; downtime none")
    )
    assert run("check", "users.mig", "--fix").code == 0
    assert path.read_bytes() == good


def test_a_link_stays_a_link(broken: Path, project: Path, run: Run) -> None:
    broken.rename(project / "real.mig")
    (project / "users.mig").symlink_to("real.mig")
    run("check", "users.mig", "--fix")
    assert (project / "users.mig").is_symlink()
    assert "stage off for" in (project / "real.mig").read_text(encoding="utf-8")


def test_a_file_that_may_not_be_written_is_left(broken: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = broken.read_bytes()
    monkeypatch.setattr(os, "access", lambda *_: False)
    ran = run("check", "users.mig", "--fix")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "error: nothing was written: users.mig: permission denied\n"
    assert broken.read_bytes() == before


def test_a_file_that_changed_meanwhile_is_left(broken: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fixing.mend

    def meanwhile(*args, **named):
        found = real(*args, **named)
        broken.write_bytes(b"# somebody else's\n")
        return found

    monkeypatch.setattr(fixing, "mend", meanwhile)
    ran = run("check", "users.mig", "--fix")
    assert (ran.code, broken.read_bytes()) == (1, b"# somebody else's\n")
    assert ran.err == "error: nothing was written: users.mig: it was changed meanwhile\n"


def test_json_has_the_edits_and_what_is_left(broken: Path, run: Run) -> None:
    schema = json.loads((ROOT / "schemas/diagnostics.schema.json").read_text(encoding="utf-8"))
    found = json.loads(run("check", "users.mig", "--format", "json").out)
    jsonschema.validate(found, schema)
    assert [each["fix"]["applicability"] for each in found] == ["safe", "unsafe", "safe"]
    text = broken.read_text(encoding="utf-8")
    for each in reversed(found):
        for change in each["fix"]["edits"]:
            start, end = (change["range"][side]["offset"] for side in ("start", "end"))
            text = text[:start] + change["text"] + text[end:]
    assert text == (ROOT / "examples/users.mig").read_text(encoding="utf-8")
    ran = run("check", "users.mig", "--fix", "--format", "json")
    left = json.loads(ran.out)
    jsonschema.validate(left, schema)
    assert [each["code"] for each in left] == ["MIG102"]
    assert ran.err == "fixed 2 problems (1 needs a look)\n"


def test_no_password_is_shown(project: Path, run: Run) -> None:
    edit(project / "users.mig", "url    env DATABASE_URL", 'url    "postgresql://app:hunter2@db.example.com/app"')
    ran = run("check", "users.mig", "--unsafe-fixes", "--diff")
    assert "hunter2" not in ran.out + ran.err
    assert "+  url env DATABASE_URL\n" in ran.out


def test_only_files_that_were_named_are_mended(project: Path, run: Run) -> None:
    shared = project / "shared.mig"
    text = (project / "users.mig").read_text(encoding="utf-8")
    start, end = text.index("database app"), text.index("tenants {")
    shared.write_text(text[start:end].replace("postgresql", "postgresq"), encoding="utf-8")
    (project / "users.mig").write_text('use "shared.mig"\n' + text[:start] + text[end:], encoding="utf-8")
    before = tree(project)
    assert run("check", "users.mig", "--fix").code == 1
    assert tree(project) == before
    assert run("check", "users.mig", "shared.mig", "--fix").code == 0
    assert "engine postgresql 15" in shared.read_text(encoding="utf-8")


def lamed(text: str, edits: tuple[Edit, ...], title: str = "wrong") -> Diagnostic:
    place = Span("a.mig", 0, len(text))
    return Diagnostic("MIG106", Severity.ERROR, title, Label(place, ""), fix=Fix("x", edits, Applicability.SAFE))


def test_what_mends_nothing_or_makes_it_worse_is_not_applied() -> None:
    text = 'migration m { ticket "T" }\n'
    useless = lamed(text, (Edit(Span("a.mig", 0, 0), "# x\n"),))
    breaking = lamed(text, (Edit(Span("a.mig", 12, 13), "("),), "broken")
    helping = lamed(text, (Edit(Span("a.mig", 21, 24), '"U"'),), "helped")

    def look(files: Files) -> fixing.Found:
        known = [each for each in (useless, breaking, helping) if each is not breaking or "(" not in files["a.mig"]]
        found = tuple(each for each in known if each is not helping or '"U"' not in files["a.mig"])
        return fixing.Found(found, {"a.mig": SourceFile("a.mig", files["a.mig"])})

    mended = fixing.mend(Files({"a.mig": text}), look, unsafe=False)
    assert mended.count == 1
    assert mended.texts == {"a.mig": 'migration m { ticket "U" }\n'}


def test_fixes_that_undo_each_other_come_to_an_end() -> None:
    def look(files: Files) -> fixing.Found:
        text = files["a.mig"]
        other = "b" if "# a" in text else "a"
        found = lamed(text, (Edit(Span("a.mig", 2, 3), other),), f"not {other}")
        return fixing.Found((found,), {"a.mig": SourceFile("a.mig", text)})

    mended = fixing.mend(Files({"a.mig": "# a\n"}), look, unsafe=False)
    assert mended.count == fixing.MOST_ROUNDS


def test_edits_that_touch_are_not_applied_together() -> None:
    text = "# abcdef\n"
    first = lamed(text, (Edit(Span("a.mig", 2, 4), "xy"),), "first")
    second = lamed(text, (Edit(Span("a.mig", 3, 5), "zz"),), "second")

    def look(files: Files) -> fixing.Found:
        now = files["a.mig"]
        found = [each for each, sign in ((first, "xy"), (second, "zz")) if sign not in now]
        return fixing.Found(tuple(found), {"a.mig": SourceFile("a.mig", now)})

    mended = fixing.mend(Files({"a.mig": text}), look, unsafe=False)
    # Together they would have left `xyzz`: the second one came in the next round, over what the first one had left.
    assert mended.texts["a.mig"] == "# xzzdef\n"
