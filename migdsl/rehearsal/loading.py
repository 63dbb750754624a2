"""A dump of somebody's tables becomes what a rehearsal begins with: its DDL by psql, after the roles that it speaks of."""

from __future__ import annotations

import re
from pathlib import Path

from migdsl.dialect.names import quote
from migdsl.rehearsal.model import Undoable
from migdsl.rehearsal.stage import Stage

_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*)'
_LIST = rf"{_NAME}(?:\s*,\s*{_NAME})*"
# As pg_dump writes them, one statement a line; only the conditions of policies go over several.
_SPEAKING = (
    rf"\bOWNER TO ({_LIST});",
    rf"\bAUTHORIZATION ({_NAME});",
    rf"\bFOR (?:ROLE|USER) ({_LIST}) ",
    rf"^(?:GRANT|REVOKE|ALTER DEFAULT PRIVILEGES)\b.* (?:TO|FROM) ({_LIST})(?: WITH [A-Z ]+)?(?: GRANTED BY {_NAME})?;",
    rf"\bGRANTED BY ({_NAME});",
    rf"^CREATE POLICY {_NAME} ON \S+(?: AS [A-Z]+)?(?: FOR [A-Z]+)? TO ({_LIST})(?=;| USING| WITH)",
)
_WHO = ("public", "current_user", "current_role", "session_user")
_MISSING = re.compile(r'role ("?.+"?) does not exist')
_THERE = "SELECT rolname::text FROM pg_catalog.pg_roles"


def load(stage: Stage, path: str) -> None:
    """The DDL of a dump. On a server of our own there are the roles that it gives tables and rights to, as everywhere where it
    is from; on somebody else's nobody makes any. Raises Undoable with the first error."""
    if stage.own:
        _introduced(stage, Path(path).read_text(encoding="utf-8", errors="replace"))
    done = stage.run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse", "-f", path)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        first = said[0] if said else str(done.returncode)
        raise Undoable(f"{path} can't be loaded: {first}", _way(first))


def roles(text: str) -> tuple[str, ...]:
    """The roles that a dump speaks of, as their names are. One too many does no harm."""
    lists = [each for way in _SPEAKING for each in re.findall(way, text, re.MULTILINE)]
    found = [name for each in lists for name in re.findall(_NAME, each)]
    named = (n[1:-1].replace('""', '"') if n.startswith('"') else n.lower() for n in found)
    return tuple(dict.fromkeys(n for n in named if n not in _WHO and not n.startswith("pg_")))


def _introduced(stage: Stage, text: str) -> None:
    with stage.connect() as desk:
        there = {str(name) for (name,) in desk.execute(_THERE).fetchall()}
        for name in roles(text):
            if name not in there:
                desk.execute(f"CREATE ROLE {quote(name)} NOLOGIN".encode())


def _way(said: str) -> str:
    missing = _MISSING.search(said)
    if missing is None:
        return "pg_dump -s makes such a file"
    return f"pg_dump -s -O -x makes a file without owners and grants; or make the role on that server: CREATE ROLE {missing[1]}"
