"""A file that is run from the nursery is a process like any other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from tests.forked import run_file

TELL = """
import json, os, sys
print(json.dumps([sys.argv, os.getcwd(), os.environ["WHO"], __name__, os.getpid()]))
print("aside", file=sys.stderr)
sys.exit(int(os.environ["CODE"]))
"""


def run(
    folder: Path, text: str, *words: str, timeout: float = 60, **variables: str
) -> subprocess.CompletedProcess[str]:
    (folder / "it.py").write_text(text, encoding="utf-8")
    argv = [sys.executable, "it.py", *words]
    return run_file(argv, env={**os.environ, **variables}, cwd=folder, timeout=timeout)


def test_it_has_arguments_folder_environment_output_and_code(tmp_path: Path):
    done = [run(tmp_path, TELL, "a", "b c", WHO="ü", CODE=code) for code in ("0", "3")]
    assert [each.returncode for each in done] == [0, 3]
    assert done[0].stdout.startswith(f'[["it.py", "a", "b c"], "{tmp_path}", "\\u00fc", "__main__"')
    assert done[0].stdout != done[1].stdout, "two processes"
    assert done[0].stderr == "aside\n"


def test_what_it_raises_and_what_kills_it_is_told(tmp_path: Path):
    done = run(tmp_path, "import beside\n")
    assert (done.returncode, "No module named 'beside'" in done.stderr) == (1, True)
    (tmp_path / "beside.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n")
    assert run(tmp_path, "import beside\n").returncode == -15
    with pytest.raises(subprocess.TimeoutExpired):
        run(tmp_path, "import time\ntime.sleep(600)\n", timeout=0.2)


def test_several_run_at_once(tmp_path: Path):
    """The first ends only when the second has begun."""
    (tmp_path / "other").mkdir()
    waits = "import pathlib, time\nwhile not pathlib.Path('other/here').exists(): time.sleep(0.01)\n"
    first = Thread(target=run, args=(tmp_path, waits))
    first.start()
    assert run(tmp_path / "other", "import pathlib\npathlib.Path('here').touch()\n").returncode == 0
    first.join(60)
    assert not first.is_alive()
