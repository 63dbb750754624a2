"""The revisions on disk and the database's alembic_version become where our phases stand, moved through Alembic's API."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator
from configparser import InterpolationError
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, NoSuchModuleError

from migdsl.executor.model import Project, Refused
from migdsl.runtime.errors import JobError, StoppedError, safe_text
from migdsl.values import Value

_HELD = """SELECT count(*) FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_database AS d ON d.oid = l.database
 WHERE l.locktype = 'advisory' AND d.datname = current_database() AND l.classid = {} AND l.objid = {}"""
_VARIABLE = re.compile("[A-Z][A-Z0-9_]{0,60}")
NOT_YET = ": not yet: "  # how our revisions say that a gate is unmet


class Failed(Exception):  # noqa: N818 - it says what became of a revision
    """Alembic stopped: why, with no value of a row. `gate`: a gate of the revision is unmet. `again`: worth another try."""

    def __init__(self, why: str, *, gate: bool = False, again: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.gate = gate
        self.again = again


class Standing(Value):
    """Where a database is: its heads, and all revisions that it has run."""

    heads: tuple[str, ...]
    applied: frozenset[str]


class Chain:
    """Alembic on one database, with the project's own environment (`ini` and its section), or with ours on the generated
    revisions."""

    def __init__(self, project: Project, conninfo: str, ini: str | None, section: str = "alembic") -> None:
        self._config = _own(project, conninfo) if ini is None else _theirs(ini, section)
        self._conninfo = conninfo
        self._ini = ini

    def standing(self) -> Standing:
        """Where the database is. Raises Refused where that revision is unknown, and Failed."""
        heads: list[str] = []
        with self._speaking():
            script = ScriptDirectory.from_config(self._config)
            self._ask(script, lambda found, _connection: heads.extend(found))
            return Standing(tuple(heads), frozenset(_ancestors(script, heads)))

    def proven(self) -> None:
        """Prove that Alembic's environment reaches the database that we are connected to: it sees a lock that we hold."""
        if self._ini is None:
            return
        high, low = secrets.randbits(31), secrets.randbits(31)
        seen: list[int] = []
        with psycopg.connect(self._conninfo, autocommit=True) as connection, self._speaking():
            connection.execute("SELECT pg_advisory_lock(%s::int, %s::int)", (high, low))
            question = text(_HELD.format(high, low))
            script = ScriptDirectory.from_config(self._config)
            self._ask(script, lambda _heads, bind: seen.append(bind.execute(question).scalar()))
        if seen != [1]:
            why = f"the environment of {self._ini} is connected to another database than --url"
            raise Refused("MIG740", why, "let both take the URL from the same place")

    def waiting(self, revision: str, standing: Standing) -> tuple[str, ...]:
        """What `upgrade` would run, in order."""
        with self._speaking():
            found = _ancestors(ScriptDirectory.from_config(self._config), [revision])
            return tuple(each for each in reversed(found) if each not in standing.applied)

    def above(self, revision: str, standing: Standing) -> tuple[str, ...]:
        """What stands on a revision that has run, itself not counted: all that would go with it."""
        with self._speaking():
            script = ScriptDirectory.from_config(self._config)
            return tuple(
                each for each in sorted(standing.applied - {revision}) if revision in _ancestors(script, [each])
            )

    def upgrade(self, revision: str) -> None:
        """Raises Failed."""
        with self._speaking():
            command.upgrade(self._config, revision)

    def downgrade(self, revision: str) -> None:
        """Take this revision back, and with it all above. Raises Failed."""
        with self._speaking():
            script = ScriptDirectory.from_config(self._config)
            down = script.get_revision(revision).down_revision
            command.downgrade(self._config, down if isinstance(down, str) else f"{revision}@base")

    def stamp(self, revision: str) -> None:
        """Alembic holds this revision to have run. Raises Failed."""
        with self._speaking():
            command.stamp(self._config, revision)

    def _ask(self, script: ScriptDirectory, look: Callable[[tuple[str, ...], Any], object]) -> None:
        def seen(heads: Any, context: Any) -> list[Any]:
            look(tuple(heads), context.connection)
            return []

        with EnvironmentContext(self._config, script, fn=seen, dont_mutate=True):
            script.run_env()

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Whatever Alembic, the driver or the project's environment raises becomes Failed, without values."""
        try:
            yield
        except (Refused, Failed, JobError, StoppedError):
            raise
        except CommandError as error:
            said = " ".join(str(error).split())
            raise Failed(said, gate=NOT_YET in said, again=getattr(error, "code", "") == "55P03") from None
        except DBAPIError as error:
            raise Failed(_discreet(error), again=error.connection_invalidated) from None
        except psycopg.Error as error:
            raise Failed(safe_text(error), again=error.sqlstate is None) from None
        except (NoSuchModuleError, ImportError, SyntaxError, OSError) as error:
            raise Failed(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}") from None
        except Exception as error:  # noqa: BLE001 - an env.py is anybody's
            raise Failed(_elsewhere(error)) from None


def _elsewhere(error: Exception) -> str:
    """What an environment's own code or its configuration raised. Such a text may quote the URL, and the password in it."""
    said = f"Alembic's environment raised {type(error).__name__}"
    if isinstance(error, InterpolationError):
        return f"{said}: in an ini file % is written %%, so that a URL's %40 is %%40 there"
    if isinstance(error, KeyError) and _VARIABLE.fullmatch(str(error.args[0] if error.args else "")):
        said += f" of {error.args[0]}"
    return f"{said}; run Alembic itself to see all of it"


def _own(project: Project, conninfo: str) -> Config:
    config = Config()
    paths = (Path(project.folder, revision.path) for revision in project.planned.revisions)
    versions = dict.fromkeys(str(path.parent) for path in paths)
    options = {
        "script_location": str(Path(__file__).parent / "environment"),
        "version_locations": os.pathsep.join(versions),
        "path_separator": "os",
        "version_path_separator": "os",  # how Alembic before 1.16 calls it
    }
    for name, value in options.items():
        config.set_main_option(name, value.replace("%", "%%"))
    config.attributes["migdsl"] = conninfo
    return config


def _theirs(ini: str, section: str) -> Config:
    if not Path(ini).is_file():
        raise Refused("MIG740", f"there is no file {ini}", "name your project's alembic.ini: --alembic-config FILE", 2)
    config = Config(ini, ini_section=section)
    if section != "alembic" and not config.file_config.has_section(section):
        help_ = f"give it one, with its script_location; or --alembic-config {section}=FILE, whose section is [alembic]"
        raise Refused("MIG740", f"{ini} has no section [{section}] for that database", help_, 2)
    return config


def _ancestors(script: ScriptDirectory, heads: list[str]) -> list[str]:
    """The revisions and all before them, the newest first. Raises Refused for one that no file has."""
    found: dict[str, None] = {}
    for head in heads:
        try:
            found |= dict.fromkeys(each.revision for each in script.iterate_revisions(head, "base"))
        except (CommandError, RevisionError):
            why = f"the database is at revision {head}, and no file on disk has it"
            help_ = "bring the revisions here that the database has run, or name their folder: --alembic-config FILE"
            raise Refused("MIG740", why, help_) from None
    return list(found)


def _discreet(error: DBAPIError) -> str:
    cause = error.orig
    if isinstance(cause, psycopg.Error):
        return safe_text(cause)
    return f"{type(cause).__name__} {getattr(cause, 'pgcode', None) or ''}".strip()
