"""Types and constants as a file writes them become what the server itself makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from migdsl.dialect.names import quote
from migdsl.dialect.sameness import is_constant, same
from migdsl.introspect.connect import Session


@dataclass(frozen=True, slots=True)
class Server:
    """What the server says of the file's types: each with its text, None for one that it doesn't have."""

    session: Session
    types: Mapping[str, str | None]

    def same_value(self, one: str, other: str, of: str) -> bool:
        """Whether two expressions give the same value of the type `of` (as format_type writes it)."""
        if same(one, other):
            return True
        if not (is_constant(one) and is_constant(other)):
            return False
        try:
            with self.session.attempt():
                # As text: not every type has an equality. '2 hours' and '02:00' are the same interval.
                row = self.session.one(f"SELECT CAST(({one}) AS {of})::text = CAST(({other}) AS {of})::text AS equal")
        except psycopg.Error:
            return False
        return bool(row["equal"])


def type_texts(session: Session, types: Iterable[str], schemas: Sequence[str]) -> Mapping[str, str | None]:
    """Each type's text as format_type writes it without a search path; None for one that the server doesn't have.

    Names without a schema are looked for in `schemas`.
    """
    path = ", ".join(quote(schema) for schema in dict.fromkeys(schemas))
    session.rows("SELECT set_config('search_path', $1, true)", (path,))
    found = {text: _number(session, text) for text in sorted(set(types))}
    session.rows("SELECT set_config('search_path', '', true)")
    return {text: _spelt(session, *number) if number else None for text, number in found.items()}


def _number(session: Session, text: str) -> tuple[int, int] | None:
    """The type's oid, and its modifier (length, precision), which the columns of a result tell."""
    try:
        with session.attempt():
            row = session.rows("SELECT to_regtype($1)::oid::bigint AS oid", (text,))[0]
            if row["oid"] is None:
                return None
            domain = session.rows(
                "SELECT typtype = 'd' AS domain FROM pg_catalog.pg_type WHERE oid = $1", (row["oid"],)
            )
            return row["oid"], -1 if domain[0]["domain"] else session.modifier(f"SELECT NULL::{text}")
    except psycopg.errors.InsufficientPrivilege:
        raise  # that a role may not see a type doesn't mean that there is none
    except psycopg.Error:
        return None


def _spelt(session: Session, oid: int, modifier: int) -> str:
    return str(session.rows("SELECT format_type($1, $2) AS text", (oid, modifier))[0]["text"])
