"""What a production machine holds becomes what the runtime may import: no compiler, and none of its packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COMPILER = ("lark", "jinja2", "black", "postgast", "jsonschema", "alembic", "rich")

PROGRAM = """
import importlib, importlib.abc, pkgutil, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        parts = name.split(".")
        compiler = parts[0] == "migdsl" and len(parts) > 1 and parts[1] not in ("plan", "runtime")
        if compiler or parts[0] in {blocked!r}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)

sys.meta_path.insert(0, Blocked())
package = importlib.import_module({package!r})
names = [found.name for found in pkgutil.walk_packages(package.__path__, {package!r} + ".")]
for name in names:
    importlib.import_module(name)
print(len(names), "modules")
"""


def import_all(package: str, blocked: tuple[str, ...], path: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Import all modules of `package` in a process of its own where `blocked` and the compiler can't be imported."""
    program = PROGRAM.format(package=package, blocked=blocked)
    argv = [sys.executable, "-c", program]
    return subprocess.run(argv, cwd=path, env={"PYTHONPATH": str(path)}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("package", "blocked"), [("migdsl.runtime", COMPILER), ("migdsl.plan", (*COMPILER, "psycopg"))]
)
def test_every_module_imports_without_the_compiler(package: str, blocked: tuple[str, ...]):
    done = import_all(package, blocked)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1:] == ["modules"]


@pytest.mark.parametrize("line", ["import lark", "import migdsl.emit", "from black import format_str"])
def test_an_import_of_the_compiler_is_caught(tmp_path: Path, line: str):
    for name in ("migdsl", "migdsl/runtime", "migdsl/emit"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "migdsl/runtime/jobs.py").write_text(line + "\n")
    done = import_all("migdsl.runtime", COMPILER, tmp_path)
    assert done.returncode == 1
    assert "is blocked" in done.stderr
