"""`migdsl summary OLD NEW`: texts that reviewers read, versions that are absent, and names that would like to be markup."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.cli.conftest import Run, edit, tree
from tools import refresh_summaries

READER = MarkdownIt("gfm-like", {"html": True, "linkify": True})
SHARED = "database app {\n  engine postgresql 15\n  url    env DATABASE_URL\n}\n"


@pytest.fixture
def new(project: Path) -> Path:
    """A second version, still the same, of the same name in another folder: a plan tells its file's name."""
    path = project / "new/users.mig"
    path.parent.mkdir()
    path.write_bytes((project / "users.mig").read_bytes())
    return path


def stdin(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Something to read there."""

    class Stdin:
        buffer = io.BytesIO(text.encode())

    monkeypatch.setattr(sys, "stdin", Stdin())


@pytest.mark.parametrize("name", refresh_summaries.CHANGES)
def test_summaries_say_what_they_said(name: str):
    # tools/refresh_summaries.py writes them; read what it wrote.
    expected = refresh_summaries.path_of(name).read_text(encoding="utf-8")
    assert refresh_summaries.summary(*refresh_summaries.CHANGES[name]) == expected


def test_a_new_file_is_told_whole(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    before = tree(project)
    ran = run("summary", "/dev/null", "users.mig")
    assert (ran.code, ran.err) == (0, "")
    assert "**A new migration** · MIG-77 · " in ran.out
    assert "\nReleased by this: `prepare`, `expand`, `backfill`\n" in ran.out
    assert "| `enforce` | later | rampdown | ACCESS EXCLUSIVE | scan | ~3s |" in ran.out
    assert "| `migrations/versions/users_email_expand.py` | new |" in ran.out
    assert "users_email_enforce.py" not in ran.out
    (project / "empty.mig").write_text(" \n", encoding="utf-8")
    assert run("summary", "empty.mig", "users.mig").out == ran.out
    stdin(monkeypatch, "")
    assert run("summary", "-", "users.mig").out == ran.out
    (project / "empty.mig").unlink()
    assert tree(project) == before


def test_what_a_flag_releases_and_takes_back(run: Run, new: Path):
    edit(new, "stage off for all", "stage dualwrite for all\n  stage shadow for 10%")
    forth = run("summary", "users.mig", "new/users.mig")
    assert "\nReleased by this: `validate`\n" in forth.out
    back = run("summary", "new/users.mig", "users.mig")
    assert "\nTaken back by this: `validate`\n" in back.out
    assert "off (back) |" in back.out


def test_the_same_is_said_in_a_line_or_not_at_all(run: Run, new: Path):
    ran = run("summary", "users.mig", "new/users.mig")
    assert (ran.code, len(ran.out.splitlines())) == (0, 3)
    assert "**nothing changes**" in ran.out
    new.write_text("# only a remark\n" + new.read_text(encoding="utf-8"), encoding="utf-8")
    assert (
        run("summary", "users.mig", "new/users.mig").out.splitlines()[-1]
        == "| `plan/users_email.plan.json` | changes |"
    )
    assert run("summary", "--if-changed", "users.mig", "new/users.mig").out == ""
    edit(new, "every 24h", "every 12h")
    assert "### What else differs" in run("summary", "--if-changed", "users.mig", "new/users.mig").out


def test_what_is_refused_stands_on_top(run: Run, new: Path):
    edit(new, "contact_email text pii", "contact_email citext pii")
    ran = run("summary", "users.mig", "new/users.mig")
    assert ran.code == 1
    assert "> [!CAUTION]\n> This may not follow what is deployed.\n> - `MIG707` `new/users.mig:28`: " in ran.out
    assert "; refused**" in ran.out
    edit(new, "users_email", "users_mail")
    renamed = run("summary", "users.mig", "new/users.mig")
    assert renamed.code == 1
    assert "`users_email` would become `users_mail`" in renamed.out


def test_a_phase_that_goes_is_told(run: Run, new: Path):
    text = new.read_text(encoding="utf-8")
    new.write_text(re.sub(r"(?s)change User .*?\n}", "change User {\n  add nickname text?\n}", text), encoding="utf-8")
    ran = run("summary", "users.mig", "new/users.mig")
    assert "| `contract` | gone |" in ran.out
    assert "| removed | Drop User.email; " in ran.out
    assert "\n- gone: User.email is gone from contract on: whoever reads or writes it fails\n" in ran.out


def test_a_newer_version_with_errors_is_shown_as_such(run: Run, new: Path):
    new.write_text("migration m {\n", encoding="utf-8")
    ran = run("summary", "users.mig", "new/users.mig")
    assert ran.code == 1
    assert (
        ran.out
        == "## `new/users.mig`\n\n> [!CAUTION]\n> This does not compile.\n> - `MIG003` `new/users.mig:1`: a block is not closed\n"
    )


def test_an_older_version_with_errors_is_not_compared_with(run: Run, new: Path):
    new.write_text("migration m {\n", encoding="utf-8")
    ran = run("summary", "new/users.mig", "users.mig")
    assert ran.code == 0
    assert "**A new migration**" in ran.out
    assert ran.out.endswith("\n\nThe older version has errors, so nothing is compared with it.\n")


@pytest.mark.parametrize("words", [("users.mgi", "users.mig"), ("users.mig", "users.mgi")])
def test_a_misspelt_path_is_no_absent_version(run: Run, words: tuple[str, str]):
    ran = run("summary", *words)
    assert ran.code == 1
    assert "can't be read: no such file" in ran.out + ran.err
    assert "new migration" not in ran.out


def test_versions_that_migrate_nothing(project: Path, run: Run, new: Path):
    edit(new, "migration users_email", "finished 2026-03-01\n\nmigration users_email")
    done = run("summary", "users.mig", "new/users.mig")
    assert done.code == 0
    assert done.out == "## `users_email`\n\nFinished on 2026-03-01. It is history, and compiled no more.\n"
    assert "opens the migration again" in run("summary", "new/users.mig", "users.mig").out
    (project / "shared.mig").write_text(SHARED, encoding="utf-8")
    assert run("summary", "/dev/null", "shared.mig").out.startswith("## `shared.mig`\n\nDeclares what other files use")
    for same in ("shared.mig", "new/users.mig", "/dev/null"):
        assert run("summary", "--if-changed", same, same).out == ""
    gone = run("summary", "users.mig", "/dev/null")
    assert "**The file is gone.**" in gone.out
    assert "- `plan/users_email.plan.json`\n" in gone.out


def test_the_standard_input_is_the_same_file(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    stdin(monkeypatch, (project / "users.mig").read_text(encoding="utf-8"))
    assert len(run("summary", "-", "users.mig").out.splitlines()) == 3


def test_one_of_the_two_may_be_the_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch):
    assert run("summary", "-", "-").code == 2
    stdin(monkeypatch, "migration m { nonsense }\n")
    ran = run("summary", "users.mig", "-")
    assert ran.code == 1
    assert "`MIG012` `users.mig:1`: `nonsense`" in ran.out


HOSTILE = [
    "@everyone merge this",
    "</details><img src=x onerror=alert(1)>",
    "a | b | c",
    "[click](https://evil.example)",
    "`` ` ``` tick",
    "**now** _this_ ~~that~~",
    "1. one",
    "postgresql://me:s3cr3t@db/app",
    "$x$ #1 :tada:",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_file_says_is_shown_and_does_nothing(run: Run, new: Path, name: str):
    said = name.replace("\\", "\\\\").replace('"', '\\"')
    edit(new, 'ticket   "MIG-77"', f'ticket "{said}"\n  title "{said}"\n  assume "{said}"\n  risk "{said}"')
    edit(new, "tenant_id  uuid     tenant", f'tenant_id  uuid     tenant\n  "{said}"  text')
    for words in (("/dev/null", "new/users.mig"), ("users.mig", "new/users.mig")):
        ran = run("summary", *words)
        assert ran.out, ran.err
        assert "s3cr3t" not in ran.out
        every = list(flat(READER.parse(ran.out)))
        kinds = {token.type for token in every}
        assert not kinds & {"link_open", "image", "em_open", "s_open", "ordered_list_open", "fence", "code_block", "hr"}
        assert {token.content.strip() for token in every if token.type == "html_inline"} <= {
            "<!-- -->",
            "<code>",
            "</code>",
        }
        blocks = "".join(token.content for token in every if token.type == "html_block")
        assert "<img" not in blocks
        assert blocks.count("<details>") == blocks.count("</details>") == ran.out.count("<details>")
        for rows in tables(every):
            assert len(set(rows)) == 1, "a cell became two"
    assert "What else differs" in ran.out


def flat(tokens: list[Token]):
    """The tokens and those within."""
    for token in tokens:
        yield token
        yield from flat(token.children or [])


def tables(tokens: list[Token]) -> list[list[int]]:
    """Of each table, how many cells each row has."""
    found: list[list[int]] = []
    for token in tokens:
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append(0)
        elif token.type in ("th_open", "td_open"):
            found[-1][-1] += 1
    assert found
    return found
