"""What the database objects of a migration are called: readable, deterministic, at most 63 bytes."""

from __future__ import annotations

from migdsl.dialect.names import derived, qualified, quote
from migdsl.semantics.model import Constraint, Table
from migdsl.semantics.phrases import called

LEDGER = "migdsl"


def table(of: Table) -> str:
    """The table as SQL."""
    return qualified(of.schema, of.name)


def _owner(migration: str, of: Table) -> tuple[str, ...]:
    return (migration, of.name) if of.schema == "public" else (migration, of.schema, of.name)


def function(migration: str, of: Table) -> str:
    """The trigger function, as SQL."""
    return qualified(LEDGER, derived(*_owner(migration, of), suffix="sync"))


def attempt(migration: str, of: Table, column: str) -> str:
    """The function that computes a column's `from` and gives NULL where that fails, as SQL."""
    return qualified(LEDGER, derived(*_owner(migration, of), column, suffix="from"))


def failure(migration: str, of: Table, column: str) -> str:
    """The function that tells whether a column's `from` fails, as SQL."""
    return qualified(LEDGER, derived(*_owner(migration, of), column, suffix="from_fails"))


def fill(migration: str, of: Table) -> str:
    """The function that carries another table's rows over to a new one, as SQL."""
    return qualified(LEDGER, derived(*_owner(migration, of), suffix="fill"))


def fill_trigger(migration: str, of: Table) -> str:
    """The trigger that calls it, on the other table, as SQL."""
    return quote(derived("~migdsl", *_owner(migration, of), suffix="fill"))


def carry(migration: str, of: Table, way: str) -> str:
    """The function that carries writes between the two tables of a move, `forth` or `back`, as SQL."""
    return qualified(LEDGER, derived(*_owner(migration, of), suffix=way))


def carry_trigger(migration: str, of: Table, what: str) -> str:
    """A trigger that calls one of them, as SQL."""
    return quote(derived("~migdsl", *_owner(migration, of), suffix=what))


def number(migration: str, of: Table, column: str) -> str:
    """The function that gives the target of a move the next number, from the sequence of the table that moves, as SQL."""
    return qualified(LEDGER, derived(*_owner(migration, of), column, suffix="number"))


def counter(migration: str, of: Table) -> str:
    """The sequence that counts writes of old code, as SQL."""
    return qualified(LEDGER, derived(*_owner(migration, of), suffix="old_writes"))


def trigger(migration: str) -> str:
    """The trigger, as SQL: its name sorts after all that begin with an ASCII character, since PostgreSQL fires by name."""
    return quote(derived("~migdsl", migration))


def trigger_name(migration: str) -> str:
    """The trigger's bare name."""
    return derived("~migdsl", migration)


def named(migration: str, of: Table) -> str:
    """The function that leaves word of the columns that an UPDATE named, as SQL."""
    return qualified(LEDGER, derived(*_owner(migration, of), suffix="named"))


def named_trigger(migration: str, column: str) -> str:
    """The trigger that calls it for a column, as SQL: it fires before `trigger`, since `-` sorts before `_`."""
    return quote(derived("~migdsl-named", migration, column))


def not_null_check(of: Table, column: str) -> str:
    """The CHECK that stands in for NOT NULL while it is validated."""
    # Not what PostgreSQL 18 would call the NOT NULL itself: both stand side by side for a moment.
    return derived(of.name, column, suffix="filled")


def constraint(of: Table, found: Constraint) -> str:
    """A constraint or an index, called as PostgreSQL calls one where the file gives no name."""
    return called(of, found)


def unique(of: Table, columns: tuple[str, ...]) -> str:
    """A unique constraint, called as PostgreSQL calls one."""
    return derived(of.name, *columns, suffix="key")


def key(of: Table) -> str:
    """A primary key, called as PostgreSQL calls one."""
    return derived(of.name, suffix="pkey")


def aside(migration: str, of: Table) -> str:
    """What a table is called between the moment when nobody uses it and the end of its soak."""
    return derived(*_owner(migration, of), suffix="aside")


def incoming(name: str) -> str:
    """What will take the place of a column, an index or a constraint in the swap."""
    return derived(name, suffix="migdsl_new")


def outgoing(name: str) -> str:
    """What had the name before the swap."""
    return derived(name, suffix="migdsl_old")


def helper(migration: str, what: str) -> str:
    """A function or procedure of the migration's own, as SQL."""
    return qualified(LEDGER, derived(migration, suffix=what))


def retyping(migration: str, of: Table, *parts: str) -> str:
    """A function that serves a table's retyped columns, or one of them, as SQL."""
    return qualified(LEDGER, derived(*_owner(migration, of), *parts[:-1], suffix=parts[-1]))


def retype_trigger(migration: str) -> str:
    """The trigger that keeps a retyped column and its shadow equal; bare."""
    return derived("~migdsl", migration, suffix="retype")


def index(of: Table, columns: tuple[str, ...]) -> str:
    """An index over columns, called as PostgreSQL calls one."""
    return derived(of.name, *columns, suffix="idx")


def batch_index(migration: str, of: Table) -> str:
    """The index along which batches walk, where the entity has none."""
    return derived(*_owner(migration, of), suffix="batch_idx")


def order_index(migration: str, of: Table) -> str:
    """The index along which batches walk in an order of their own."""
    return derived(*_owner(migration, of), suffix="order_idx")
