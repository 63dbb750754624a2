"""A URL becomes what libpq connects to, or is refused without a word of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from migdsl.runtime.errors import UsageError

# Spellings of SQLAlchemy, which Alembic's configuration often shares with the jobs.
_DRIVER: Final = re.compile(r"^postgres(?:ql)?(?:\+[a-z0-9_]+)?://")
_PORTS: Final = re.compile(r"[\d,]*")
_DEFAULTS: Final = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    # Keepalives are sent over an idle connection alone: what is never acknowledged would be waited for a quarter of an hour.
    "tcp_user_timeout": "60000",
}


def conninfo_of(url: str, application: str) -> str:
    """libpq's connection string for a URL, with keepalives and a connect timeout unless it says its own.

    Raises UsageError, which doesn't quote the URL.
    """
    try:
        given = conninfo_to_dict(_DRIVER.sub("postgresql://", url))
    except psycopg.Error:
        # libpq's message quotes the URL, and so the password.
        raise UsageError(
            "the database URL can't be read; it should look like postgresql://user@host:5432/name"
        ) from None
    if _broken(given, url):
        raise UsageError(
            "the database URL's user or password has a character that a URL can't hold as it is; write it percent-encoded: "
            "%40 for @, %2F for /, %3F for ?, %23 for #"
        )
    named = {"application_name": application[:63], **_DEFAULTS, **{name: str(value) for name, value in given.items()}}
    # Rows are read as UTF-8, whatever the URL says.
    return make_conninfo("", **{**named, "client_encoding": "utf8"})


def _broken(given: Mapping[str, object], url: str) -> bool:
    """Whether a bare `@` or `/` of a password ended it: what follows was taken for a host, which is asked of DNS and quoted, or
    for a port or a database."""
    host, port, name = (str(given.get(key) or "") for key in ("host", "port", "dbname"))
    astray = "://" in url and ("@@" in url or ("@" in name and name in url))
    # A socket without a file has its `@` in front.
    return astray or any("@" in each[1:] for each in host.split(",")) or not _PORTS.fullmatch(port)
