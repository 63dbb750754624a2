"""A PostgreSQL of our own, or a scratch database of somebody's, becomes the stage of a rehearsal: made, looked at, cleared."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from migdsl.dialect.names import literal, quote
from migdsl.rehearsal.installed import CHOICE, ServerError, chosen_version, find_binaries, find_programs
from migdsl.rehearsal.journal import Connection
from migdsl.rehearsal.model import Undoable
from migdsl.rehearsal.server import CLOSED, start_server
from migdsl.runtime.errors import safe_text
from migdsl.values import Value

MARK = "migdsl rehearsal scratch: everything in this database may be dropped"
# A rehearsal is thrown away: what a crash of the machine loses is no loss.
_SETTINGS = {
    "wal_level": "logical",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "synchronous_commit": "off",
}
_WITHOUT = ("-s", "-N", "migdsl", "-T", "public.alembic_version")
_EMPTY = """
SELECT count(*) FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'"""
_LEFT = """
SELECT nspname FROM pg_catalog.pg_namespace
 WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'"""


class Stage(Value):
    """A database to rehearse in, and where its server's programs are. `own`: the whole server is ours."""

    url: str
    bin: Path
    told: str
    own: bool = False

    def connect(self, name: str = "rehearsal desk") -> Connection:
        """A connection of the rehearsal's own."""
        return psycopg.connect(self.url, autocommit=True, prepare_threshold=None, application_name=name)

    def run(self, program: str, *options: str) -> subprocess.CompletedProcess[str]:
        """One of the server's programs on this database. Everybody sees what a process was started with, but not where."""
        given = conninfo_to_dict(self.url)
        secret = {"PGPASSWORD": str(given.pop("password"))} if "password" in given else {}
        argv = [str(self.bin / program), *options, "-d", make_conninfo("", **given)]
        return subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, **secret})

    def dump(self) -> tuple[str, ...]:
        """What pg_dump shows of the schema, part by part in alphabetical order: a column comes back as the last one."""
        done = self.run("pg_dump", *_WITHOUT)
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise Undoable(f"pg_dump failed: {said[-1] if said else done.returncode}", "is it as new as the server?")
        text = re.sub(r"^\\(?:un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)
        return tuple(sorted(map(_ordered, re.split(r"\n{2,}|\n(?=ALTER TABLE ONLY )", text))))


def _ordered(part: str) -> str:
    if part.startswith("CREATE TYPE") and " AS ENUM (" in part:
        return part.split("\n", maxsplit=1)[0]  # PostgreSQL can't take a label away
    if not part.startswith("CREATE TABLE"):
        return part
    head, *columns, tail = part.split("\n")
    return "\n".join([head, *sorted(line.rstrip(",") for line in columns), tail])


@contextmanager
def embedded(
    version: int, names: Sequence[str] = ("rehearsal",), keep: str | None = None
) -> Iterator[Mapping[str, Stage]]:
    """A server of our own, of the declared version or the next one there is, with a database each of these; gone at the end,
    unless there is a folder to keep it in. Raises Undoable."""
    with ExitStack() as stack:
        folder = keep or stack.enter_context(
            tempfile.TemporaryDirectory(prefix="migdsl-rehearsal-", ignore_cleanup_errors=True)
        )
        try:
            fitting = _fitting(version)
            server = stack.enter_context(start_server(Path(folder), version=fitting, settings=_SETTINGS))
            urls = {name: server.create_database(name) for name in names}
        except ServerError as error:
            way = "pip install 'migdsl[rehearse]', or name a scratch database: --url URL"
            raise Undoable(str(error), way) from None
        told = f"PostgreSQL {fitting or ''}, embedded".replace(" ,", ",")
        yield {name: Stage(url, server.bin, told, own=True) for name, url in urls.items()}


def kept() -> str:
    """A folder that a server's data stays in, which the server's own user can reach."""
    folder = tempfile.mkdtemp(prefix="migdsl-rehearsal-kept-")
    Path(folder).chmod(0o755)
    return folder


def again(stage: Stage, folder: str) -> str:
    """How to start a server again whose data was kept."""
    data = Path(folder, "data")
    if not data.exists():
        return f"nothing could be kept: {folder} can't be reached by the user that runs PostgreSQL"
    options = f"-c unix_socket_directories={data} -c listen_addresses="
    run = f'{stage.bin / "pg_ctl"} -D {data} -o "{options}" -l {data / "server.log"} start'
    owner = data.stat().st_uid
    base = urlsplit(stage.url).path.lstrip("/")
    who = f" (as the user {pwd.getpwuid(owner).pw_name})" if owner != os.geteuid() else ""
    return f"kept in {folder}; start it{who}: {run}; then: {stage.bin / 'psql'} -h {data} -U postgres {base}"


def _fitting(version: int) -> int | None:
    """The one that the environment names, else the oldest of the embedded ones that is as new as what the file says.

    Raises Undoable where the named one is older, ServerError where it is none."""
    named = chosen_version()
    if named is not None:
        if named < version:
            way = f"unset {CHOICE}, or say `engine postgresql {named}`"
            raise Undoable(f"{CHOICE} names PostgreSQL {named}, and the file says {version}", way)
        return named
    for each in (16, 18):
        if each >= version:
            with suppress(ServerError):
                find_binaries(each)
                return each
    return None


@contextmanager
def scratch(url: str, *, keep: bool) -> Iterator[Stage]:
    """A database of somebody's, which must be empty, or marked as scratch; cleared before and after. Raises Undoable."""
    try:
        with _desk(url) as connection:
            _claim(connection)
        programs = find_programs()
    except psycopg.OperationalError as error:
        raise Undoable(
            f"the scratch database can't be reached: {safe_text(error)}", "is it running, and may you?"
        ) from None
    except ServerError as error:
        raise Undoable(str(error), "pg_dump is needed beside the server") from None
    try:
        yield Stage(url, programs, "the scratch database of --url")
    finally:
        if not keep:
            with _desk(url) as connection:
                _clear(connection)


def _desk(url: str) -> Connection:
    return psycopg.connect(url, autocommit=True, application_name="rehearsal desk")


def _claim(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    row = connection.execute(
        "SELECT shobj_description(d.oid, 'pg_database') FROM pg_database AS d WHERE d.datname = current_database()"
    ).fetchone()
    if row is not None and row[0] == MARK:
        _clear(connection)
        return
    found = connection.execute(_EMPTY.encode()).fetchone()
    if found != (0,):
        name = connection.info.dbname
        way = f"an empty database, or one that you give away: COMMENT ON DATABASE {quote(name)} IS {literal(MARK)}"
        raise Undoable(f"the database {name} isn't empty, and isn't marked as scratch", way)
    connection.execute(f"COMMENT ON DATABASE {quote(connection.info.dbname)} IS {literal(MARK)}".encode())
    if connection.execute("SELECT to_regnamespace('public')").fetchone() != (None,):
        connection.execute(CLOSED.encode())  # as it is whenever it was cleared


def _clear(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    for (name,) in connection.execute(_LEFT.encode()).fetchall():
        connection.execute(f"DROP SCHEMA {quote(str(name))} CASCADE".encode())
    connection.execute("CREATE SCHEMA public")


def pass_time(connection: Connection, interval: str) -> None:
    """All that the ledger has seen is that much older."""
    with connection.transaction():
        for table in ("event", "reconciliation"):
            name = f"migdsl.{table}"
            if connection.execute("SELECT to_regclass(%s)", (name,)).fetchone() == (None,):
                return
            connection.execute(f"ALTER TABLE {name} DISABLE TRIGGER append_only".encode())
            connection.execute(f"UPDATE {name} SET at = at - interval {literal(interval)}".encode())
            connection.execute(f"ALTER TABLE {name} ENABLE TRIGGER append_only".encode())
