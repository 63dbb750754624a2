"""The same source gives the same bytes: wherever, whenever, and in whatever order a set is walked."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from migdsl.emit.artifact import Artifact
from migdsl.workspace import compile_files

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (ROOT / "examples/users.mig", ROOT / "tests/emit/samples/everything.mig")
_PROGRAM = """
import hashlib, sys
from pathlib import Path
from migdsl.workspace import compile_files
for source in sys.argv[1:]:
    text = Path(source).read_text(encoding="utf-8")
    found = compile_files({"a.mig": text}, "a.mig", through="contract")
    for artifact in found.artifacts:
        print(artifact.path, hashlib.sha256(artifact.text.encode()).hexdigest())
"""


def compiled_elsewhere(folder: Path, **settings: str) -> str:
    environment = {**os.environ, **settings, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
    argv = [sys.executable, "-c", _PROGRAM, *map(str, SOURCES)]
    run = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return run.stdout


def test_in_another_folder_with_another_locale_seed_time_zone_and_no_cache(tmp_path):
    here, there = tmp_path / "here", tmp_path / "down" / "there ü"
    here.mkdir()
    there.mkdir(parents=True)
    first = compiled_elsewhere(here, PYTHONHASHSEED="0", LC_ALL="C", LANG="C", TZ="UTC", PYTHONUTF8="0")
    again = compiled_elsewhere(there, PYTHONHASHSEED="1", LC_ALL="C.UTF-8", LANG="tr_TR.UTF-8", TZ="Asia/Kathmandu")
    remembered = compiled_elsewhere(there, PYTHONHASHSEED="2", LC_ALL="POSIX", COLUMNS="40", NO_COLOR="1")
    assert first.count("\n") > 20
    assert first == again == remembered


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_folder_of_the_source_is_nowhere_in_what_is_made(source):
    text = source.read_text(encoding="utf-8")
    made = [compile_files({path: text}, path).artifacts for path in ("users.mig", "deep/er/users.mig")]
    assert made[0] == made[1]
    assert all(not set(a.text) & set("\r") and a.text.endswith("\n") for a in made[0])


def differences(folder: Path, artifacts: tuple[Artifact, ...]) -> set[str]:
    """Paths that are not the same on both sides; the manifest is the writer's."""
    kept = {p.relative_to(folder).as_posix(): digest(p.read_bytes()) for p in folder.rglob("*") if p.is_file()}
    kept = {path: found for path, found in kept.items() if not path.startswith(".migdsl/")}
    made = {a.path: digest(a.text.encode()) for a in artifacts}
    return {path for path in kept.keys() | made.keys() if kept.get(path) != made.get(path)}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_example_is_what_its_source_gives():
    source = ROOT / "examples/users.mig"
    artifacts = compile_files({source.name: source.read_text(encoding="utf-8")}, source.name).artifacts
    assert differences(source.with_suffix(""), artifacts) == set(), "python tools/refresh_examples.py"


def test_one_changed_byte_is_found(tmp_path):
    source = ROOT / "examples/users.mig"
    artifacts = compile_files({source.name: source.read_text(encoding="utf-8")}, source.name).artifacts
    for artifact in artifacts:
        path = tmp_path / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(artifact.text.encode())
    assert differences(tmp_path, artifacts) == set()
    for artifact in artifacts:
        path = tmp_path / artifact.path
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        assert differences(tmp_path, artifacts) == {artifact.path}
        path.write_bytes(artifact.text.encode())
    (tmp_path / "plan/more.json").write_text("{}")
    assert differences(tmp_path, artifacts) == {"plan/more.json"}
