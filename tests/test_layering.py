"""The source tree becomes a graph of imports, which has to run downward only and keep the runtime small."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = (
    ("cli",),
    ("lsp",),
    ("rehearsal",),
    ("executor", "introspect"),
    ("runtime",),
    ("workspace",),
    ("emit", "lint", "formatting", "folding", "report"),
    ("planning",),
    ("ops",),
    ("semantics",),
    ("syntax",),
    ("dialect",),
    ("diagnostics",),
    ("source", "resources", "plan", "values"),
)
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter with the project's own configuration, on the package in `folder`."""
    return subprocess.run(
        [sys.executable, "-c", LINT],
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A folder with the project's configuration and a package that has every module of every layer, empty."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in ("", *(name for layer in LAYERS for name in layer)):
        folder = tmp_path / "migdsl" / name
        folder.mkdir()
        (folder / "__init__.py").touch()
    return tmp_path


def test_the_imports_of_the_project_run_downward():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_empty_house_is_in_order(toy: Path):
    assert lint_imports(toy).returncode == 0


@pytest.mark.parametrize(
    ("importer", "imported"),
    [(low, high) for upper, lower in pairwise(LAYERS) for high in upper[:1] for low in lower[:1]]
    + [(layer[0], layer[1]) for layer in LAYERS if len(layer) > 1]
    + [("plan", "source"), ("emit", "runtime"), ("semantics", "dialect.parser")],
)
def test_an_import_upward_or_sideways_is_found(toy: Path, importer: str, imported: str):
    (toy / "migdsl/dialect/parser.py").write_text("import postgast\n")
    if imported == "dialect.parser":
        imported = "postgast"
        (toy / f"migdsl/{importer}/__init__.py").write_text("import postgast\n")
    else:
        (toy / f"migdsl/{importer}/__init__.py").write_text(f"import migdsl.{imported}\n")
    done = lint_imports(toy)
    assert done.returncode == 1
    assert f"migdsl.{importer} -> " in done.stdout


def test_a_new_package_needs_a_place_in_the_layers(toy: Path):
    (toy / "migdsl/attic.py").touch()
    done = lint_imports(toy)
    assert done.returncode == 1
    assert "attic" in done.stdout


ALLOWED = {"plan": {"migdsl.plan", "pydantic"}, "runtime": {"migdsl.plan", "migdsl.runtime", "psycopg", "rich"}}


# What an engine's module may import beside the runtime's own: the engine, whose extra it is.
ENGINES = {
    "runtime/engines/procrastinate.py": {"procrastinate"},
    "runtime/engines/celery.py": {"celery", "kombu"},
}


@pytest.mark.parametrize("package", ALLOWED)
def test_the_contract_and_the_runtime_stay_small(package: str):
    files = sorted((ROOT / "migdsl" / package).rglob("*.py"))
    assert files
    strangers = [f"{path.relative_to(ROOT)}:{line}: {name}" for path in files for line, name in strange(path, package)]
    assert strangers == []


def strange(path: Path, package: str) -> Iterator[tuple[int, str]]:
    """Line and name of each import that neither the standard library nor the package's own list allows."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.stmt)):
        for name in imported_names(node):
            own = ENGINES.get("/".join(path.parts[-3:]), set())
            allowed = any(name == known or name.startswith(known + ".") for known in ALLOWED[package] | own)
            if not allowed and name.split(".")[0] not in sys.stdlib_module_names:
                yield node.lineno, name


def imported_names(node: ast.stmt) -> list[str]:
    """The modules that an import statement names; a relative import counts as a stranger."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return (
            [f"migdsl.{a.name}" for a in node.names]
            if node.module == "migdsl"
            else ["." * node.level + (node.module or "")]
        )
    return []


def test_a_stranger_is_seen(tmp_path: Path):
    path = tmp_path / "x.py"
    path.write_text(
        "import os\nfrom migdsl import emit\nimport lark.lexer\nfrom . import y\nimport migdsl.plan.model\n"
    )
    assert list(strange(path, "plan")) == [(2, "migdsl.emit"), (3, "lark.lexer"), (4, ".")]


def unexplained_imports(path: Path) -> Iterator[int]:
    """Lines of imports inside functions without a comment beside or right above them, or above their group."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        explained = len(lines)  # where the last group whose reason is given ends
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                near = lines[node.lineno - 2 : node.end_lineno]
                same_group = explained < node.lineno and not "".join(lines[explained : node.lineno - 1]).strip()
                if same_group or any("#" in line for line in near):
                    explained = node.end_lineno or node.lineno
                else:
                    yield node.lineno


def test_an_import_inside_a_function_says_why():
    files = sorted((ROOT / "migdsl").rglob("*.py"))
    found = [f"{path.relative_to(ROOT)}:{line}" for path in files for line in unexplained_imports(path)]
    assert found == []


def test_an_import_without_a_reason_is_seen(tmp_path: Path):
    path = tmp_path / "x.py"
    path.write_text("""
def one():
    # black costs 170 ms
    import os

    import black

    black.x
    import re

def two():
    import json  # rare

def three():
    import lark
""")
    assert list(unexplained_imports(path)) == [9, 15]
