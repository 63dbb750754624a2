"""A change becomes pairs of a new column and its inputs, and their expressions become SQL over a row."""

from __future__ import annotations

from collections.abc import Iterable

from migdsl.dialect.failures import danger
from migdsl.dialect.names import quote
from migdsl.dialect.sql import Expression
from migdsl.dialect.types import SqlType
from migdsl.semantics.model import AddColumn, AddConstraint, Back, Change, Constraint, DropColumn, Table
from migdsl.values import Value

# Words that PL/pgSQL keeps to itself and SQL doesn't: `NEW.loop := …` is a syntax error.
_PLPGSQL = frozenset("begin by declare execute foreach if loop strict while".split())
# Their arguments round a value that is written; those of other types would cut it short without a word.
_ROUNDED = ("numeric", "timestamp", "time", "interval")
_ONE_LONG = ("character", "bit")  # what they mean without an argument


Fact = tuple[tuple[str, str], ...]  # what is to be unique: parts as the file says them, and as SQL over NEW


class Sibling(Value):
    """Another new column that a pair's `back` reads, and its `from` where it has one; `guarded` as of a pair."""

    column: str
    type: SqlType
    source: Expression | None
    guarded: bool


class Pair(Value):
    """A new column, what it is computed from, and what is computed back from it.

    `siblings` are the other new columns that its `back` reads; `shared` is the `back` of such a sibling, where it has
    none of its own: a name split into two columns has one way back for both. `counted` are the inputs whose change shows
    that old code still writes; `going` says that they go away, so that nobody but old code writes them. `locked` are the
    facts that are to be unique for which an advisory lock keeps two writers of one apart. `guarded`: its `from` may fail on
    a row, and is NULL there.
    """

    column: str
    type: SqlType
    source: Expression
    backs: tuple[Back, ...]
    shared: tuple[Back, ...]
    siblings: tuple[Sibling, ...]
    counted: tuple[str, ...]
    going: bool
    locked: tuple[Fact, ...]
    guarded: bool

    @property
    def way_back(self) -> tuple[Back, ...]:
        """What leads back from it, whoever says so."""
        return self.backs or self.shared


class Kept(Value):
    """A NOT NULL column that new code no longer writes: `back` fills it on INSERT until it is dropped."""

    column: str
    back: Back


def pairs(change: Change) -> tuple[Pair, ...]:
    """The pairs of a change: one for each added column that has a `from`.

    Those that compute old columns back come first: what the others start from must be there by then.
    """
    found = [
        _pair_of(change, operation, operation.source)
        for operation in change.operations
        if isinstance(operation, AddColumn) and operation.source is not None
    ]
    return tuple(sorted(found, key=lambda pair: not pair.backs))


def _pair_of(change: Change, operation: AddColumn, source: Expression) -> Pair:
    dropped = {o.column.name for o in change.operations if isinstance(o, DropColumn)}
    inputs = inputs_of(change.table, source)
    going = tuple(name for name in inputs if name in dropped)
    read = {name for back in operation.backs for name in back.expression.names()}
    siblings = tuple(
        Sibling(o.column.name, o.column.type, o.source, guarded(change.table, o))
        for o in change.operations
        if isinstance(o, AddColumn) and o is not operation and o.column.name in read
    )
    locked = _locked(change, operation)
    column = operation.column
    shared = tuple(
        back
        for o in change.operations
        if isinstance(o, AddColumn) and o is not operation
        for back in o.backs
        if column.name in back.expression.names() and back.column in inputs
    )
    return Pair(
        column.name,
        column.type,
        source,
        operation.backs,
        shared,
        siblings,
        going or inputs,
        bool(going),
        locked,
        guarded(change.table, operation),
    )


def kept(change: Change) -> tuple[Kept, ...]:
    """Dropped NOT NULL columns with a way home of their own."""
    return tuple(
        Kept(o.column.name, o.back)
        for o in change.operations
        if isinstance(o, DropColumn) and o.back is not None and not o.column.nullable
    )


def guarded(table: Table, operation: AddColumn) -> bool:
    """Whether its `from` may fail on a row."""
    source, into = operation.source, operation.column.type
    return source is not None and danger(source.tree, table.type_if_known, into) is not None


def fact(table: Table, of: Constraint) -> Fact:
    """What a unique constraint or a unique index keeps apart."""
    if of.index is None:
        return _columns(of.columns)
    parts = (_columns((p.column,))[0] if p.column else _computed(table, p.expression) for p in of.index.parts)
    return tuple(parts)


def _columns(of: Iterable[str]) -> Fact:
    return tuple((c, f"NEW.{column_name(c)}") for c in of)


def _computed(table: Table, expression: Expression | None) -> tuple[str, str]:
    assert expression is not None
    return " ".join(expression.text.split()), over(table, expression, "NEW")


def _locked(change: Change, operation: AddColumn) -> tuple[Fact, ...]:
    """ON CONFLICT names one unique index; a second one for the same fact would raise instead of resolving.

    The fact is the same where the old column is computed back from the new one. An input that stays is a fact of its own:
    a lock a row for it would fill the server's lock table in every large COPY.
    """
    old = {back.column for back in operation.backs}
    twice = any(
        (c.kind in ("unique", "key") and old & set(c.columns)) or (c.unique_index and old & c.uses)
        for c in change.table.constraints
    )
    added = [_columns(unique.columns) for unique in operation.uniques]
    added += [
        fact(change.table, o.constraint)
        for o in change.operations
        if isinstance(o, AddConstraint)
        and (o.constraint.kind == "unique" or o.constraint.unique_index)
        and operation.column.name in o.constraint.uses
    ]
    return tuple(dict.fromkeys(added)) if twice else ()


def inputs_of(table: Table, source: Expression) -> tuple[str, ...]:
    """The stored columns that an expression reads; a generated column stands for what it is generated from."""
    found: list[str] = []
    for name in sorted(source.names()):
        column = table.column(name)
        found += sorted(column.generated.names()) if column and column.generated else [name]
    return tuple(dict.fromkeys(found))


def over(table: Table, source: Expression, row: str) -> str:
    """The expression over the columns of `row`. Generated columns are inlined: they are NULL in a BEFORE trigger."""

    def spell(name: str) -> str:
        column = table.column(name)
        if column and column.generated:
            inner = column.generated.rewritten(lambda of: f"{row}.{column_name(of)}")
            return f"({one_line(inner)})"
        return f"{row}.{column_name(name)}"

    return one_line(source.rewritten(spell))


def one_line(sql: str) -> str:
    """A comment to the end of the line would swallow what follows the expression: such a one keeps its lines."""
    return sql.strip() if "--" not in sql else sql.strip() + "\n"


def assigned(sql: str, type_: SqlType) -> str:
    """An expression as what is written into a column of that type: trigger, backfill and refill must agree on it.

    An UPDATE would refuse a text for an enum, where PL/pgSQL would take it. What is too long must fail, not be cut.
    """
    cuts = ("(" in type_.sql or type_.base in _ONE_LONG) and not type_.base.startswith(_ROUNDED)
    return sql if type_.sql == "text" or cuts else f"CAST({sql} AS {type_.sql})"


def compared(sql: str, type_: SqlType) -> str:
    """An expression as an operand, as the column would hold it.

    Unrounded it would differ from what was written into the column, and the backfill would pass for new code's write.
    """
    return operand(sql) if type_.sql == "text" else f"CAST({sql} AS {type_.sql})"


def column_name(column: str) -> str:
    """A column's name as SQL that PL/pgSQL takes too."""
    return f'"{column}"' if column in _PLPGSQL else quote(column)


def operand(source: str) -> str:
    """The expression as one operand, in parentheses unless it plainly is one."""
    return (
        source if source.isidentifier() or source.replace(".", "_").replace('"', "_").isidentifier() else f"({source})"
    )
