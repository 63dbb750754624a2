"""Summaries of changes to the examples become the files that the tests expect; READ what they say."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from migdsl.cli import main as migdsl

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "tests/cli/expected"
USERS = (ROOT / "examples/users.mig").read_text(encoding="utf-8")
# Per summary: the older and the newer text, empty where there is none.
CHANGES: Mapping[str, tuple[str, str]] = {
    "new": ("", (ROOT / "examples/09_index_only/events_index.mig").read_text(encoding="utf-8")),
    "flag": (
        USERS.replace("stage off for all", "stage dualwrite for all"),
        USERS.replace("stage off for all", "stage shadow for all"),
    ),
    "refused": (
        USERS,
        USERS.replace("contact_email text pii", "contact_email citext pii")
        .replace("stage off for all", "stage shadow for all")
        .replace("500k", "600k"),
    ),
    "gone": (USERS, ""),
}


def summary(old: str, new: str) -> str:
    """What `migdsl summary` prints of two texts."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as said:
        os.chdir(folder)
        try:
            Path("old").mkdir()
            Path("old/users.mig").write_text(old, encoding="utf-8")
            Path("users.mig").write_text(new, encoding="utf-8")
            migdsl(("summary", "old/users.mig", "users.mig"))
        finally:
            os.chdir(before)
    return said.getvalue()


def texts() -> dict[Path, str]:
    """Each file's path and the text that it should have."""
    return {path_of(name): summary(old, new) for name, (old, new) in CHANGES.items()}


def path_of(name: str) -> Path:
    """Where the summary of that change is kept."""
    return FOLDER / f"summary_{name}.md"


def main(argv: Sequence[str] | None = None) -> int:
    """0, or with `--check` 2 where a file is not fresh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 2 where a file is not fresh")
    check = parser.parse_args(argv).check
    stale = {path: text for path, text in texts().items() if not path.exists() or path.read_text("utf-8") != text}
    for path, text in stale.items():
        sys.stderr.write(f"{path.relative_to(ROOT)}: {'not fresh' if check else 'rewritten'}\n")
        if not check:
            path.write_text(text, encoding="utf-8")
    return 2 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
