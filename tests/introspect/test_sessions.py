"""The catalogue is spelt as the compiler reads it, whatever the database sets for its sessions."""

from __future__ import annotations

import psycopg

from migdsl.introspect.connect import address, reading


def test_a_backslash_is_one(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(r"CREATE TABLE codes (code text CHECK (code ~ '^\d+$'))")
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET standard_conforming_strings = off".encode())
    with reading(address(database)) as session:
        found = session.one(
            "SELECT pg_get_constraintdef(oid) AS said FROM pg_constraint WHERE conname = 'codes_code_check'"
        )
    assert found == {"said": r"CHECK ((code ~ '^\d+$'::text))"}
