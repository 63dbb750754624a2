"""Every `tests/cases/format/x.mig` gets its `x.formatted.mig`; `--check` only compares."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from migdsl.formatting import format_source
from migdsl.source import SourceFile

ROOT = Path(__file__).resolve().parent.parent
CASES = ROOT / "tests/cases/format"
ENDING = ".formatted.mig"


def sources(folder: Path = CASES) -> list[Path]:
    """The files to be formatted, sorted."""
    return sorted(path for path in folder.glob("*.mig") if not path.name.endswith(ENDING))


def result_of(path: Path) -> Path:
    """Where the formatted text of a case stands."""
    return path.with_name(path.name.removesuffix(".mig") + ENDING)


def orphans(folder: Path = CASES) -> list[Path]:
    """Formatted texts whose source is gone."""
    results = {result_of(path) for path in sources(folder)}
    return sorted(path for path in folder.glob(f"*{ENDING}") if path not in results)


def formatted(path: Path) -> str:
    """The text that a case's result should have. Raises ValueError where the case doesn't parse."""
    found = format_source(SourceFile(path.name, read(path)))
    if found.diagnostics:
        raise ValueError(f"{path.name}: {found.diagnostics[0].title}")
    return found.text


def read(path: Path) -> str:
    """A file's text, line ends as they are."""
    return path.read_bytes().decode("utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """0, or with `--check` 2 where a result is not fresh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 2 where a result is not fresh")
    check = parser.parse_args(argv).check
    fresh = {result_of(path): formatted(path) for path in sources()}
    stale = [path for path, text in fresh.items() if not path.exists() or read(path) != text]
    for path in [*stale, *orphans()]:
        done = "rewritten" if path in fresh else "removed"
        sys.stderr.write(f"{path.relative_to(ROOT)}: {'not fresh' if check else done}\n")
        if not check and path in fresh:
            path.write_bytes(fresh[path].encode("utf-8"))
        elif not check:
            path.unlink()
    return 2 if check and (stale or orphans()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
