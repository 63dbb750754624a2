"""SQL becomes SQL in one layout, without comments: two texts that mean the same to PostgreSQL's scanner become equal."""

from __future__ import annotations

import re

from migdsl.dialect.pgquery import SqlError, scan

_DOLLAR = re.compile(r"(\$\w*\$)(.*)\1", re.DOTALL)
_COMMENTS = ("--", "/*")


def canonical(sql: str) -> str:
    """The tokens with one blank between them; those of a dollar-quoted body likewise. What is no SQL keeps its words.

    The tag of a dollar quote is left out: it follows from the body.
    """
    try:
        tokens = scan(sql)
    except SqlError:
        return " ".join(sql.split())
    return " ".join(_token(token.text) for token in tokens if not token.text.startswith(_COMMENTS))


def _token(text: str) -> str:
    body = _DOLLAR.fullmatch(text)
    return f"$${canonical(body[2])}$$" if body else text
