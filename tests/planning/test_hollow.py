"""No sentence of a plan or runbook would fit any other file: what two unrelated examples both say is listed, with a reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from migdsl.workspace import Compilation, compile_files

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(p for p in (ROOT / "examples").rglob("*.mig") if "migration " in p.read_text(encoding="utf-8"))
FEWEST = 4  # words of a sentence

# Why a text may stand in two plans, by the field that it stands in.
FIELDS = {
    "phases.name": "a phase is called the same in every migration, so that people find their way",
    "pattern": "the name of a pattern",
    "phases.typed_steps.lock": "PostgreSQL's word for a lock",
    "data_domains.tenant_scope": "a fact of the table that two tables may share",
    "guardrails.tenancy_exemptions.subject": "the file's own SQL",
}
# And by the text itself.
TEXTS = {
    r"PostgreSQL \d+ or later": "a fact of the file's own",
    r"[a-z_]+ [<>]=? .*": "a condition of the file's own",
}
# Parts of a runbook that tell how tools are used, which is the same for all.
INSTRUCTIONS = frozenset(["Before you begin", "Moving the flag", "Files"])


class Read(NamedTuple):
    """What an example says, and what it is about."""

    sentences: dict[str, str]  # with the fields or sections that they stand in
    subjects: frozenset[str]
    runbook: str
    compiled: Compilation


@cache
def read(path: Path) -> Read:
    found = compile_files({path.name: path.read_text(encoding="utf-8")}, path.name)
    assert found.plan is not None, (path, found.diagnostics)
    assert found.module is not None
    runbook = next(a.text for a in found.artifacts if a.kind == "runbook")
    sentences = dict(spoken(found.plan.model_dump(mode="json"))) | dict(lines(runbook))
    subjects = {name for table in found.module.every for name in (table.entity, table.name)}
    return Read(sentences, frozenset(subjects), runbook, found)


def spoken(node: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """All texts of a plan that are long enough to be sentences."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from spoken(value, f"{field}.{name}".lstrip("."))
    elif isinstance(node, list):
        for value in node:
            yield from spoken(value, field)
    elif isinstance(node, str) and len(node.split()) >= FEWEST:
        yield node, field


def lines(runbook: str) -> Iterator[tuple[str, str]]:
    """The lines of a runbook that say something of the migration; headings, diagram and heads of tables don't."""
    section = ""
    for line in runbook.split("\n"):
        section = line.removeprefix("## ") if line.startswith("## ") else section
        text = line.removeprefix("- [ ] ").removeprefix("- ").replace("\\", "")
        quiet = line.startswith(("#", "    ", "| ", "Nobody may be further than stage", "<!--")) or line.endswith(":")
        if not quiet and section not in INSTRUCTIONS and len(text.split()) >= FEWEST:
            yield re.sub(r"^\d+\. | \*\([^)]*\)\*$", "", text), f"runbook: {section}"


def is_allowed(text: str, field: str) -> bool:
    return field in FIELDS or any(re.fullmatch(pattern, text) for pattern in TEXTS)


PAIRS = [(a, b) for a, b in combinations(EXAMPLES, 2)]


def test_there_is_something_to_compare() -> None:
    unrelated = [(a, b) for a, b in PAIRS if not read(a).subjects & read(b).subjects]
    assert len(unrelated) >= 40
    assert all(len(read(path).sentences) >= 40 for path in EXAMPLES)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_no_sentence_fits_another_file(path: Path) -> None:
    mine = read(path)
    others = [other for other in EXAMPLES if other != path and not mine.subjects & read(other).subjects]
    hollow = {
        f"{field}: {text}  (also in {other.stem})"
        for other in others
        for text, field in mine.sentences.items()
        if text in read(other).sentences and not is_allowed(text, field)
    }
    assert not hollow, "\n".join(sorted(hollow))
