"""Every `tests/cases/check/*.mig` gets its diagnostics as comments at its end; `--check` only compares.

A case is a source, then the line `# expected`, then what the compiler says of that source. A document that it names stands
in `tests/cases/tickets/`; a line `# --integration-plan tickets/NAME.json` gives one as the command line would.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from migdsl.diagnostics.render_text import render_text
from migdsl.syntax.unit import Files
from migdsl.workspace import compile_files

ROOT = Path(__file__).resolve().parent.parent
CASES = ROOT / "tests/cases/check"
TICKETS = ROOT / "tests/cases/tickets"
MARKER = "# expected\n"
_GIVEN = re.compile(r"^# --(ticket|integration)(?:-plan)? (\S+)$", re.MULTILINE)


def source(text: str) -> str:
    """What a case compiles: all that stands before the marker."""
    return text.split(MARKER, 1)[0]


def files(name: str, text: str) -> Files:
    """A case's source under a name, with the documents that it names."""
    beside = {f"tickets/{path.name}": path.read_text(encoding="utf-8") for path in sorted(TICKETS.glob("*.json"))}
    return Files({name: text, **beside}, dict(_GIVEN.findall(text)))


def codes(path: Path) -> list[str]:
    """The codes of a case's diagnostics, in order."""
    text = source(path.read_text(encoding="utf-8"))
    return [d.code for d in compile_files(files(path.name, text), path.name).diagnostics]


def refreshed(path: Path) -> str:
    """The whole text that a case should have."""
    text = source(path.read_text(encoding="utf-8"))
    found = compile_files(files(path.name, text), path.name)
    said = render_text(found.diagnostics, found.sources, colour=False, width=100)
    lines = (f"# {line}".rstrip() for line in (said or "no problems").rstrip("\n").split("\n"))
    return text + MARKER + "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """0, or with `--check` 2 where a case is not fresh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 2 where a case is not fresh")
    check = parser.parse_args(argv).check
    stale = [path for path in sorted(CASES.glob("*.mig")) if refreshed(path) != path.read_text(encoding="utf-8")]
    for path in stale:
        sys.stderr.write(f"{path.relative_to(ROOT)}: {'not fresh' if check else 'rewritten'}\n")
        if not check:
            path.write_text(refreshed(path), encoding="utf-8")
    return 2 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
