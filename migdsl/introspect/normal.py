"""Types as a file writes them become the text that the server itself has for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import psycopg

from migdsl.dialect.names import quote
from migdsl.introspect.connect import Session


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
    except psycopg.Error:
        return None


def _spelt(session: Session, oid: int, modifier: int) -> str:
    return str(session.rows("SELECT format_type($1, $2) AS text", (oid, modifier))[0]["text"])
