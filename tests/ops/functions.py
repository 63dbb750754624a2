"""What a migration under test computes in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Rows = Sequence[Mapping[str, object]]

# What a test wants to happen while the function thinks; it takes itself out.
interrupts: list[Callable[[], object]] = []
calls: list[int] = []
seen: list[object] = []


def email(rows: Rows) -> list[str]:
    """A normal form that SQL has no word for."""
    calls.append(len(rows))
    while interrupts:
        interrupts.pop()()
    return [f"{row['username']}:{str(row['email'] or 'nobody').casefold()}" for row in rows]


def picky(rows: Rows) -> list[str]:
    """Fails on one address, and says which."""
    for row in rows:
        if row["email"] == "bad@secret":
            raise ValueError(f"no idea what {row['email']} is")
    return email(rows)


def silent(rows: Rows) -> list[str | None]:
    """Has no answer for one address."""
    return [None if row["email"] == "bad@secret" else "x" for row in rows]


def short(rows: Rows) -> list[str]:
    """Loses a row."""
    return ["x"] * (len(rows) - 1)


def rich(rows: Rows) -> list[object]:
    """The input as it came."""
    return [next(iter(row.values())) for row in rows]


def odd(rows: Rows) -> list[object]:
    """What no database has a type for."""
    return [object() for _ in rows]


def zero(rows: Rows) -> list[str]:
    """A text that PostgreSQL can't hold."""
    return ["a\0b" for _ in rows]


def looking(rows: Rows) -> list[None]:
    """Looks, and has no answer."""
    seen.extend(value for row in rows for value in row.values())
    return [None for _ in rows]


no_function = 7
