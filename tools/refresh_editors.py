"""The grammar and its words become the editors' files below editors/; `--check` only compares."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from migdsl.lsp.snippets import heading, snippet
from migdsl.syntax.notation import members, statements
from migdsl.syntax.vocabulary import construct, texts
from tools.editor_textmate import textmate
from tools.editor_vim import vim

EDITORS = Path(__file__).resolve().parent.parent / "editors"


def files() -> dict[str, str]:
    """Every file that is made, by its path below editors/."""
    made = {
        "vscode/syntaxes/mig.tmLanguage.json": _json(textmate()),
        "vscode/snippets/mig.json": _json(snippets()),
    }
    return made | {f"vim/{path}": text for path, text in vim().items()}


def snippets() -> dict[str, dict[str, object]]:
    """The declarations and the operations, as VS Code wants them."""
    rules = [*members("_declaration"), *(rule for rule in statements("change") if rule != "allow")]
    made: dict[str, dict[str, object]] = {}
    for rule in (each for each in rules if each in texts()):
        body = snippet(rule)
        if body.split(" ")[0].isidentifier():
            said = construct(rule).says.split(". ")[0].rstrip(".")
            made[rule] = {"prefix": heading(rule), "body": body.split("\n"), "description": said}
    return made


def stale(made: Mapping[str, str]) -> list[str]:
    """The files that are missing or not fresh."""
    return [path for path, text in made.items() if not (EDITORS / path).is_file() or _read(EDITORS / path) != text]


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """0, or with `--check` 2 where a file is not fresh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 2 where a file is not fresh")
    check = parser.parse_args(argv).check
    made = files()
    wrong = stale(made)
    for path in wrong:
        sys.stderr.write(f"editors/{path}: {'not fresh' if check else 'rewritten'}\n")
        if not check:
            (EDITORS / path).parent.mkdir(parents=True, exist_ok=True)
            (EDITORS / path).write_text(made[path], encoding="utf-8")
    return 2 if check and wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
