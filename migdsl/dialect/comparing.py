"""Two types become whether PostgreSQL makes a foreign key from a column of the one to a column of the other."""

from __future__ import annotations

from migdsl.dialect.types import WHOLE, SqlType

# One operator family has an equality for any two of them, or each becomes the other without being asked.
_ALIKE = (
    frozenset(WHOLE),
    frozenset(["real", "double precision"]),
    frozenset(["text", "character varying", "name"]),
    frozenset(["text", "character varying", "character"]),
    frozenset(["date", "timestamp", "timestamp with time zone"]),
    frozenset(["inet", "cidr"]),
    frozenset(["bit", "bit varying"]),
    frozenset(["macaddr", "macaddr8"]),
)
# What a value that points becomes without being asked, and never the other way round.
_BECOMES = {
    **dict.fromkeys(WHOLE, frozenset(["numeric", "real", "double precision", "oid"])),
    "character": frozenset(["name"]),
    "numeric": frozenset(["real", "double precision"]),
    "citext": frozenset(["text", "character varying", "name"]),
    "time": frozenset(["time with time zone", "interval"]),
}


def may_point(child: SqlType, parent: SqlType) -> bool:
    """Whether there is an equality of the two that a foreign key can use. A type of the user's own may be a domain over
    anything: of it, as of one that could not be read, nothing is said."""
    if child.sql == parent.sql or not _told(child) or not _told(parent):
        return True
    ours, theirs = _base(child), _base(parent)
    if child.array or parent.array:
        return child.array and parent.array and ours == theirs
    if ours == theirs or any({ours, theirs} <= family for family in _ALIKE):
        return True
    return theirs in _BECOMES.get(ours, ())


def _told(type_: SqlType) -> bool:
    """Of an enum that is spelt out it is known that nothing becomes it, nor it anything."""
    return type_.known and (type_.built_in or bool(type_.labels))


def _base(type_: SqlType) -> str:
    """What values are compared as: which fields an interval keeps makes no type of its own."""
    return "interval" if type_.base.startswith("interval ") else type_.base
