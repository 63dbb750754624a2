"""Names become SQL: quoted where they must be, at most 63 bytes long."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from migdsl.dialect import pgquery

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
MOST_BYTES = 63  # NAMEDATALEN - 1


@lru_cache(maxsize=4096)
def quote(name: str) -> str:
    """A name as SQL, quoted only where SQL would read it otherwise."""
    if _PLAIN.fullmatch(name) and pgquery.scan(name)[0].kind in (0, 1):
        return name
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """`schema.name` as SQL."""
    return f"{quote(schema)}.{quote(name)}"


def is_system_schema(schema: str) -> bool:
    """Whether PostgreSQL keeps the schema for itself: it creates none of that name, and what is in it is the system's."""
    return schema.startswith("pg_") or schema == "information_schema"


def literal(text: str) -> str:
    """A text as an SQL string, the same whatever `standard_conforming_strings` says."""
    escaped = text.replace("'", "''")
    return f"E'{escaped.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{escaped}'"


def conforming(body: str) -> str:
    """The clause by which a function reads the file's own texts as they were checked, whatever its caller's session says."""
    return " SET standard_conforming_strings = on" if "\\" in body else ""


def derived(*parts: str, suffix: str = "") -> str:
    """A name made of parts, as PostgreSQL makes them (`table_column_key`): cut to 63 bytes, with a digest where cut."""
    whole = "_".join([*parts, suffix] if suffix else parts)
    if len(whole.encode()) <= MOST_BYTES:
        return whole
    tail = "_" + hashlib.sha256(whole.encode()).hexdigest()[:8] + (f"_{suffix}" if suffix else "")
    head = whole.encode()[: MOST_BYTES - len(tail.encode())]
    return head.decode("utf-8", "ignore") + tail


def dollar_tag(body: str, tag: str = "migdsl") -> str:
    """A dollar quote that the body doesn't contain."""
    while f"${tag}$" in body:
        tag += "_"
    return f"${tag}$"
