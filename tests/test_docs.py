"""What README and docs show is what the compiler reads: examples check, command lines parse, no keyword is left out."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from migdsl.cli.arguments import Options, parse
from migdsl.cli.run import run
from migdsl.source import SourceFile
from migdsl.syntax import ast
from migdsl.syntax.errors import parser_keywords
from migdsl.syntax.parser import parse as parse_mig
from tools import refresh_docs

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = (ROOT / "examples/users.mig").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
LANGUAGE = (ROOT / "docs/language.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SNIPPET = re.compile(r"^```mig\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SNIPPETS = SNIPPET.findall(LANGUAGE)


def declarations(source: str) -> list[tuple[object, str]]:
    """What each top-level declaration is (its name counts where there may be several), and its text."""
    parsed = parse_mig(SourceFile("snippet.mig", source))
    assert not parsed.diagnostics
    found: list[tuple[object, str]] = []
    for node in parsed.module.declarations:
        name = node.name.text if isinstance(node, ast.Entity | ast.BooleanFlag) else ""
        found.append(((type(node), name), source[node.span.start : node.span.end]))
    return found


def completed(snippet: str) -> str:
    """The snippet in the example: each declaration takes the place of the example's."""
    mine = declarations(snippet)
    taken = {key for key, _ in mine}
    if (ast.Migration, "") in taken:
        taken.add((ast.Flag, ""))  # it has the migration's name
    return "\n".join([*(text for key, text in declarations(EXAMPLE) if key not in taken), *(text for _, text in mine)])


def test_the_introduction_has_examples() -> None:
    kinds = {key[0] for snippet in SNIPPETS for key, _ in declarations(snippet)}  # type: ignore[index]
    assert {ast.Migration, ast.Database, ast.Tenants, ast.Entity, ast.Change, ast.Cutover, ast.Flag} < kinds


def test_the_introduction_leaves_the_details_to_the_reference() -> None:
    assert "| --- |" not in LANGUAGE, "a table of settings has its place in grammar/words.toml"


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda text: " ".join(text.split()[:2]))
def test_examples_of_the_introduction_check(
    snippet: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "snippet.mig").write_text(completed(snippet), encoding="utf-8")
    code = run(["check", "--strict", "snippet.mig"])
    said = capsys.readouterr()
    assert code == 0, said.out + said.err


def test_every_keyword_is_in_the_reference() -> None:
    assert {word for word in parser_keywords() if not re.search(rf"\b{word}\b", REFERENCE)} == set()


def test_made_pages_are_fresh() -> None:
    assert refresh_docs.stale(refresh_docs.pages()) == [], "python tools/refresh_docs.py"


def test_a_stale_page_is_found_and_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh_docs, "DOCS", tmp_path)
    assert refresh_docs.main(["--check"]) == 2
    assert refresh_docs.main([]) == 0
    assert refresh_docs.main(["--check"]) == 0
    page, extra = tmp_path / "rules/MIG401.md", tmp_path / "rules/MIG999.md"
    page.write_text(page.read_text(encoding="utf-8").replace("NULL", "null"), encoding="utf-8")
    extra.write_text("# nothing\n", encoding="utf-8")
    assert [path.name for path in refresh_docs.stale(refresh_docs.pages())] == ["MIG401.md", "MIG999.md"]
    prose = tmp_path / "telemetry.md"
    text = (ROOT / "docs/telemetry.md").read_text(encoding="utf-8")
    prose.write_text(text.replace("| gauge |", "| counter |", 1), encoding="utf-8")
    assert refresh_docs.main(["--check"]) == 2
    assert refresh_docs.main([]) == 0
    assert prose.read_text(encoding="utf-8") == text
    assert not extra.exists()
    assert refresh_docs.stale(refresh_docs.pages()) == []


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def test_the_readme_shows_the_example() -> None:
    assert SNIPPET.findall(README) == [EXAMPLE]


def commands(text: str) -> list[str]:
    """Command lines in backticks and in shell blocks; of a table's `[--option]` the brackets are dropped."""
    inline = re.findall(r"(?<!`)`(migdsl [^`\n]+)`(?!`)", text)
    shell = [line for block in re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S) for line in block.splitlines()]
    return inline + [line for part in shell for line in re.findall(r"(?:^|[\s/])(migdsl [^&|#]+)", part)]


LINES = [(page.relative_to(ROOT).as_posix(), line) for page in PAGES for line in commands(page.read_text("utf-8"))]


@pytest.mark.parametrize(("page", "line"), LINES)
def test_command_lines_parse(page: str, line: str) -> None:
    written = re.sub(r"[\[\]…]", "", line).replace("PHASE", "expand")
    words = shlex.split(written)[1:]
    if all(word.startswith("-") for word in words[1:]):  # not a line to type: a command, with an option perhaps
        shown: object = parse([words[0], "--help"]) if not words[0].startswith("-") else words[0]
        assert isinstance(shown, str)
        assert all(option in shown for option in words[1:])
        return
    assert words == ["--version", "--help"] or isinstance(parse(words), Options | str)


def test_the_readme_has_command_lines() -> None:
    assert {"compile", "check", "fmt", "plan", "explain"} <= {
        line.split()[1] for page, line in LINES if page == "README.md"
    }
