"""A type becomes what makes it unfit for telling rows apart by text: equal values that are spelt otherwise, or no hash."""

from __future__ import annotations

from migdsl.dialect.types import SqlType

# Equal values of which there are several texts.
_SPELT = {
    "citext": "'A' and 'a' are equal",
    "numeric": "1.0 and 1.00 are equal",
    "real": "0 and -0 are equal",
    "double precision": "0 and -0 are equal",
    "character": "blanks at the end are no difference",
    "interval": "'1 day' and '24 hours' are equal",
    "jsonb": "1.0 and 1.00 in it are equal",
    "numrange": "bounds of 1.0 and of 1.00 are equal",
    "nummultirange": "bounds of 1.0 and of 1.00 are equal",
}
# PostgreSQL has no hash of them in any version that is supported.
_UNHASHED = frozenset(
    [
        *"money bit tsvector tsquery json xml point line lseg box path polygon circle geometry geography vector".split(),
        *("bit varying", "ltree", "txid_snapshot", "pg_snapshot"),
    ]
)


def unlike(type_: SqlType) -> str | None:
    """Why a value of the type isn't told by its text; None where two are equal if and only if their texts are."""
    if type_.base in _UNHASHED:
        return f"PostgreSQL has no hash of {type_.sql}"
    if type_.base == "numeric" and "(" in type_.sql:
        return None  # all have as many digits behind the point
    return _SPELT.get(type_.base)
