"""`sql "why" { up … back … }`: statements as written, under the locks that they take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.dialect.locks import DML, footprint
from migdsl.dialect.sql import Statement
from migdsl.ops import names
from migdsl.ops.context import Context
from migdsl.ops.model import Alone, Cost, Group, Lock, Part, Step
from migdsl.semantics.model import RawSql

OWN = 6  # after what the migration itself does in the phase


def lower(context: Context, operation: RawSql) -> Iterator[Step]:
    """One step: what is written, in its order."""
    taken = [footprint(statement) for statement in operation.ups]
    lock = max((Lock(f.lock) for f in taken if f.lock in _LOCKS), key=lambda lock: lock.strength, default=Lock.NONE)
    yield Step(
        operation.phase,
        "sql",
        operation.why,
        context.table,
        lock,
        Cost.SCAN if any(f.alone for f in taken) else Cost.INSTANT,
        reversible=bool(operation.backs),
        rank=OWN,
        up=tuple(_parts(context, operation.ups)),
        down=tuple(_parts(context, operation.backs)),
    )


_LOCKS = frozenset(lock.value for lock in Lock)


def _parts(context: Context, statements: Iterable[Statement]) -> Iterator[Part]:
    for statement in statements:
        text = statement.text.strip().rstrip(";")
        found = footprint(statement)
        # PL/pgSQL, in whose blocks groups run, would take a column's name for a variable's.
        if found.alone or statement.kind in DML:
            yield Alone(text)
            continue
        known = {names.table(t) for t in context.module.every}
        wanted = {name for table in found.tables for name in (table, f"public.{table}") if name in known}
        lock = Lock(found.lock) if found.lock in _LOCKS else Lock.NONE
        yield Group(tuple((table, lock) for table in sorted(wanted)) if lock is not Lock.NONE else (), (text,))
