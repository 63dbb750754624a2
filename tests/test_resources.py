"""Names of resources become paths and text, in a checkout and in a wheel's layout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from migdsl import resources
from migdsl.resources import read_resource, resource_path

ROOT = Path(__file__).resolve().parent.parent


def test_a_checkout_keeps_them_beside_the_package():
    assert resource_path("grammar", "mig.lark") == ROOT / "grammar/mig.lark"
    assert read_resource("grammar", "mig.lark") == (ROOT / "grammar/mig.lark").read_text(encoding="utf-8")


def test_a_wheel_keeps_them_inside_the_package(tmp_path: Path):
    packed = tmp_path / "migdsl/_data/templates/alembic/ä.sql"
    packed.parent.mkdir(parents=True)
    packed.write_bytes("-- ü\r\n".encode())
    shutil.copy(resources.__file__, tmp_path / "migdsl/resources.py")
    (tmp_path / "migdsl/__init__.py").touch()
    program = """
from migdsl.resources import read_resource, resource_path
print(resource_path("templates", "alembic/ä.sql"), ascii(read_resource("templates", "alembic/ä.sql")))
"""
    argv = [sys.executable, "-X", "utf8", "-c", program]
    done = subprocess.run(argv, cwd=tmp_path, env={"LC_ALL": "C"}, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == f"{packed} '-- \\xfc\\n'\n"


def test_what_is_not_there_is_an_error():
    with pytest.raises(FileNotFoundError):
        read_resource("schemas", "no/such.json")


def test_finding_them_costs_no_heavy_import():
    program = "import sys, migdsl.resources; print(*sys.modules)"
    argv = [sys.executable, "-S", "-c", program]
    done = subprocess.run(argv, cwd=ROOT, env={}, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "migdsl.resources" in loaded
    assert loaded.isdisjoint({"pathlib", "typing", "re", "importlib.resources"})
