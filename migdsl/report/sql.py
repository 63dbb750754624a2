"""SQL becomes tokens for the eye: comments, strings, keywords, and the rest as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migdsl.values import Value

_KEYWORDS = frozenset("""
    ACCESS ADD AFTER ALL ALTER ALWAYS AND ANY ARRAY AS ASC BEFORE BEGIN BETWEEN BY CALL CASCADE CASE CHECK
    COLLATE COLUMN COMMENT COMMIT CONCURRENTLY CONFLICT CONSTRAINT CREATE CROSS DECLARE DEFAULT DELETE DESC
    DISABLE DISTINCT DO DROP EACH ELSE ELSIF ENABLE END EXCEPTION EXCLUSIVE EXECUTE EXISTS FALSE FILTER FOR
    FOREIGN FROM FUNCTION GENERATED GRANT GROUP HAVING IDENTITY IF IMMUTABLE IN INDEX INNER INSERT INTO IS JOIN
    KEY LANGUAGE LATERAL LEFT LIKE LIMIT LOCK LOOP MODE NOT NULL NULLS OF OFFSET ON ONLY OR ORDER OTHERS OVER
    OWNED OWNER PARTITION PERFORM PRIMARY PROCEDURE RAISE REFERENCES RENAME REPLACE RESTRICT RETURN RETURNING
    RETURNS RIGHT ROW ROWS SCHEMA SELECT SEQUENCE SET SHARE STABLE STATEMENT TABLE THEN TO TRIGGER TRUE TRUNCATE
    TYPE UNION UNIQUE UPDATE USING VALID VALIDATE VALUES VIEW VOLATILE WHEN WHERE WHILE WITH
    """.split())
# The body between two dollar quotes is read like the rest: mostly it is PL/pgSQL.
_TOKEN = re.compile(
    r"(?P<c>--[^\n]*|/\*.*?\*/)|(?P<s>[eE]?'(?:[^']|'')*')|(?P<q>\"(?:[^\"]|\"\")*\")|(?P<w>[A-Za-z_][A-Za-z0-9_$]*)|(?P<x>[^-/'\"A-Za-z_]+|.)",
    re.DOTALL,
)


class Token(Value):
    """A piece of text. `kind`: `k` for a keyword, `s` a string, `c` a comment, or nothing."""

    kind: str
    text: str


def tokens(text: str) -> tuple[Token, ...]:
    """All of the text, neighbours of one kind in one piece."""
    merged: list[Token] = []
    for token in _each(text):
        if merged and merged[-1].kind == token.kind:
            merged[-1] = Token(token.kind, merged[-1].text + token.text)
        else:
            merged.append(token)
    return tuple(merged)


def _each(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        found = match.lastgroup or ""
        if found == "w":
            found = "k" if match.group() in _KEYWORDS else ""
        yield Token(found if found in ("c", "s", "k") else "", match.group())
