"""Every `examples/**/NAME.mig` becomes its compiled output in the folder `NAME` beside it; `--check` only compares."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_MIGRATION = re.compile(r"^migration\s", re.MULTILINE)


def sources(examples: Path) -> list[Path]:
    """The `.mig` files with a `migration` block; a shared file without one has no output of its own."""
    return [path for path in sorted(examples.rglob("*.mig")) if _MIGRATION.search(path.read_text(encoding="utf-8"))]


def orphans(examples: Path) -> list[Path]:
    """Manifests that no source beside their folder would write again."""
    found = sorted(examples.rglob(".migdsl/*.manifest.json"))
    return [path for path in found if not (folder := path.parent.parent).with_name(folder.name + ".mig").is_file()]


def compile_example(source: Path, *, check: bool) -> int:
    """The exit code of `migdsl compile` in the project's root: 0 fine, 1 diagnostics, 2 the output is not fresh."""
    names = [path.relative_to(ROOT).as_posix() for path in (source, source.with_suffix(""))]
    argv = [sys.executable, "-m", "migdsl", "compile", names[0], "--out", names[1], *(["--check"] if check else [])]
    return subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode


def main(argv: Sequence[str] | None = None) -> int:
    """The worst exit code of all examples; 2 for an output folder that has lost its source."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 2 where an example is not fresh")
    check = parser.parse_args(argv).check
    examples = ROOT / "examples"
    codes = [compile_example(source, check=check) for source in sources(examples)]
    lost = orphans(examples)
    for path in lost:
        sys.stderr.write(f"{path.relative_to(ROOT)}: there is no .mig file for this output\n")
    if not codes:
        sys.stderr.write("examples/ holds no .mig file with a migration\n")
    return max([*codes, 2 if lost else 0]) if codes else 2


if __name__ == "__main__":
    raise SystemExit(main())
