"""The checkout becomes a wheel, which in an empty environment elsewhere has to compile an example."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = ("grammar", "templates", "schemas")

pytestmark = pytest.mark.slow


def run(argv: Sequence[str | Path], cwd: Path) -> str:
    """What the command printed; it has to succeed, and it sees nothing of this checkout or its environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "COV_"))}
    done = subprocess.run(
        argv,
        cwd=cwd,
        env=kept,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT], out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment that holds the wheel, what it depends on, and nothing else."""
    folder = tmp_path_factory.mktemp("elsewhere") / "venv"
    venv.create(folder)
    programs = folder / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", "--no-compile", str(wheel)], folder)
    return programs


def test_the_wheel_holds_the_package_and_its_data(wheel: Path):
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    data = {f"migdsl/_data/{path.relative_to(ROOT).as_posix()}" for kind in DATA for path in files(ROOT / kind)}
    code = {path.relative_to(ROOT).as_posix() for path in files(ROOT / "migdsl")}
    assert packed == data | code


def files(folder: Path) -> list[Path]:
    """The files of a folder that are sources."""
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def test_the_environment_is_not_this_checkout(installed: Path, tmp_path: Path):
    where = run([installed / "python", "-c", "import migdsl; print(migdsl.__file__)"], tmp_path).strip()
    assert Path(where).is_relative_to(installed.parent)


def test_resources_are_found_in_the_wheel(installed: Path, tmp_path: Path):
    program = "from migdsl.resources import read_resource; print(read_resource('grammar', 'mig.lark'), end='')"
    grammar = (ROOT / "grammar/mig.lark").read_text(encoding="utf-8")
    assert run([installed / "python", "-c", program], tmp_path) == grammar


def test_an_example_compiles_elsewhere(installed: Path, tmp_path: Path):
    shutil.copy(ROOT / "examples/users.mig", tmp_path)
    run([installed / "migdsl", "compile", "users.mig"], tmp_path)
    plan = json.loads((tmp_path / "plan/users_email.plan.json").read_text(encoding="utf-8"))
    promised = {path for task in plan["implementation_plan"] for path in task["files_touched"]}
    written = {path.relative_to(tmp_path).as_posix() for path in files(tmp_path) if ".migdsl" not in path.parts}
    assert written - {"users.mig"} == promised
    assert "backfills/users_email/user.py" in promised
    assert (tmp_path / ".migdsl/users_email.manifest.json").is_file()


def test_the_program_says_its_version(installed: Path, wheel: Path, tmp_path: Path):
    assert wheel.name.split("-")[1] in run([installed / "migdsl", "--version"], tmp_path)
