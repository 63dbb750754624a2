"""A constraint or an index to come becomes steps that hold no lock while they read the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from migdsl.dialect.names import dollar_tag, literal, qualified, quote
from migdsl.dialect.sql import Expression
from migdsl.ops import claims, names
from migdsl.ops.batches import Walk
from migdsl.ops.context import Context
from migdsl.ops.model import Alone, BuildIndex, Cost, Group, Lock, Step, Violation
from migdsl.ops.pairs import one_line, over
from migdsl.semantics.model import AddConstraint, Constraint, Table
from migdsl.semantics.phrases import described
from migdsl.semantics.referring import comes_along, own_index
from migdsl.semantics.shapes import ExcludeShape, IndexPart, IndexShape
from migdsl.values import replace

ADD, VALIDATE, BUILD, ATTACH = 1, 2, 3, 4  # ranks within a phase
REFERRING = 5  # the rank of expand's indexes
WAITS = 13  # raises the ranks of a foreign key above those of the unique, or the key, that comes in the same phase


def lower(context: Context, operation: AddConstraint, name: str = "") -> Iterator[Step]:
    """The steps of `unique`, `index`, `check` and a foreign key; under another name than its own where one is given."""
    found = operation.constraint
    name = name or names.constraint(context.table, found)
    if found.kind == "index" and not found.unique_index:
        yield from build(context, found, name, "expand")
        return
    if found.kind == "reference":
        yield from _referring_index(context, found)
    # Old code knows none of the new constraints; only one that it is known to keep may bind it before it is gone.
    yield from build(context, found, name, "validate" if operation.complies else "enforce")


def build(context: Context, constraint: Constraint, name: str, phase: str) -> Iterator[Step]:
    """The steps that make a unique, an index, a check or a reference in a phase, and their ways back."""
    return _BUILDERS[constraint.kind](context, constraint, name, phase)


def violation(context: Context, constraint: Constraint) -> Violation | None:
    """A constraint to come as a question to the rows of today; None for an index, which nothing breaks."""
    if constraint.kind == "unique":
        return Violation(f"{', '.join(constraint.columns)} twice", None, constraint.columns)
    if constraint.index is not None and constraint.index.unique:
        return Violation(f"{described(constraint)} twice", None, (), index=constraint.index)
    if constraint.check is not None:
        title = f"breaks {described(constraint)}"
        return Violation(title, f"({over(context.table, constraint.check, 't')}) IS FALSE", ())
    return _pointing_nowhere(context, constraint) if constraint.kind == "reference" else None


def _pointing_nowhere(context: Context, constraint: Constraint) -> Violation | None:
    parent, theirs = parent_of(context, constraint)
    if parent.scope != "global" and not (parent.owned and context.table.owned):
        return None  # No question could be confined to one tenant; VALIDATE asks for all.
    if any(_kept_by(context, constraint, theirs, each) for each in context.table.constraints):
        return None
    title = f"{', '.join(constraint.columns)} points at no {parent.entity}{' of its tenant' if parent.owned else ''}"
    return Violation(title, _orphan(constraint.columns, parent, theirs), ())


def _kept_by(context: Context, constraint: Constraint, theirs: tuple[str, ...], other: Constraint) -> bool:
    """Whether what is there before keeps every row to it already, as where only ON DELETE is to be another."""
    if other.target is None or constraint.target is None or other.target.entity != constraint.target.entity:
        return False
    return (other.columns, parent_of(context, other)[1]) == (constraint.columns, theirs)


def _orphan(ours: tuple[str, ...], parent: Table, theirs: tuple[str, ...]) -> str:
    """Of another tenant's parents nothing is known here: a row that points at one counts as an orphan too."""
    given = " AND ".join(f"t.{quote(c)} IS NOT NULL" for c in ours)
    pairs = [f"p.{quote(b)} = t.{quote(a)}" for a, b in zip(ours, theirs, strict=True)]
    walk = Walk(parent, "p", "o")
    if walk.tenant:
        pairs.append(f"{walk.tenant} = :tenant_id")
    source = walk.source().replace("\n ", "")
    return f"({given} AND NOT EXISTS (SELECT FROM {source} WHERE {' AND '.join(pairs)}))"


def parent_of(context: Context, constraint: Constraint) -> tuple[Table, tuple[str, ...]]:
    """The table that a foreign key points at, and its columns."""
    target = constraint.target
    assert target is not None
    found = [t for t in context.module.every if t.entity == target.entity]
    parent = found[-1 if target.moved else 0]  # both tables of a move have its name, the new one last
    return parent, target.columns or parent.key


def unique(context: Context, constraint: Constraint, name: str, phase: str) -> Iterator[Step]:
    """A unique index built while reads and writes go on, then the constraint on it."""
    table = context.table
    columns = ", ".join(quote(c) for c in constraint.columns)
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    shown = f"{table.entity} ({', '.join(constraint.columns)})"
    create = f"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {quote(name)} ON {context.sql} ({columns})"
    drop = _drop_index(table, name)
    yield Step(
        phase,
        "build_unique_index",
        f"Build the unique index of {shown} while reads and writes go on",
        table,
        Lock.SHARE_UPDATE_EXCLUSIVE,
        Cost.SCAN,
        rank=BUILD,
        up=(BuildIndex(table.schema, name, create, drop),),
        # It goes with its constraint, unless the upgrade broke off between the two.
        down=(Alone(drop),),
    )
    attach = f"ALTER TABLE {context.sql} ADD CONSTRAINT {quote(name)} UNIQUE USING INDEX {quote(name)}"
    yield Step(
        phase,
        "add_unique",
        f"Make {shown} unique, on the index that is there",
        table,
        Lock.ACCESS_EXCLUSIVE,
        rank=ATTACH,
        makes=(claims.constraint(context, name),),
        up=(Group(lock, (unless_there(context.sql, name, attach),)),),
        down=(Group(lock, (f"ALTER TABLE {context.sql} DROP CONSTRAINT IF EXISTS {quote(name)}",)),),
    )


def index(context: Context, constraint: Constraint, name: str, phase: str) -> Iterator[Step]:
    """An index built while reads and writes go on."""
    table, found = context.table, constraint.index
    assert found is not None
    unique = "UNIQUE " if found.unique else ""
    create = f"CREATE {unique}INDEX CONCURRENTLY IF NOT EXISTS {quote(name)} ON {context.sql} {shape(found)}"
    drop = _drop_index(table, name)
    yield Step(
        phase,
        "build_unique_index" if found.unique else "build_index",
        f"Build the {unique.lower()}index {name} of {table.entity} while reads and writes go on",
        table,
        Lock.SHARE_UPDATE_EXCLUSIVE,
        Cost.SCAN,
        rank=REFERRING if phase == "expand" else BUILD,
        up=(BuildIndex(table.schema, name, create, drop),),
        down=(Alone(drop),),
    )


def shape(of: IndexShape) -> str:
    """What stands behind the table's name in CREATE INDEX."""
    parts = [(quote(p.column) if p.column else _operand(p.expression)) + _order(p) for p in of.parts]
    sql = f"USING {quote(of.method)} " if of.method else ""
    sql += f"({', '.join(parts)})"
    if of.include:
        sql += f" INCLUDE ({', '.join(quote(c) for c in of.include)})"
    return sql + (f" WHERE {one_line(of.where.text)}" if of.where else "")


def _order(of: IndexPart) -> str:
    """Operator class and order of a part, as far as they aren't what PostgreSQL takes where nothing is said."""
    sql = f" {'.'.join(map(quote, of.operators))}" if of.operators else ""
    sql += " DESC" if of.descending else ""
    return sql if of.nulls_first == of.descending else f"{sql} NULLS {'FIRST' if of.nulls_first else 'LAST'}"


def definition(context: Context, constraint: Constraint) -> str:
    """What stands behind a constraint's name."""
    columns = ", ".join(quote(c) for c in constraint.columns)
    if constraint.check is not None:
        return f"CHECK ({one_line(constraint.check.text)})"
    if constraint.exclude is not None:
        return _exclusion(constraint.exclude)
    if constraint.target is None:
        return f"UNIQUE ({columns})"
    parent, theirs = parent_of(context, constraint)
    sql = f"FOREIGN KEY ({columns}) REFERENCES {names.table(parent)} ({', '.join(quote(c) for c in theirs)})"
    return sql + (f" ON DELETE {constraint.target.on_delete}" if constraint.target.on_delete else "")


def _exclusion(of: ExcludeShape) -> str:
    parts = [f"{quote(p.column) if p.column else _operand(p.expression)} WITH {p.operator}" for p in of.parts]
    sql = f"EXCLUDE USING {quote(of.method)} ({', '.join(parts)})"
    return sql + (f" WHERE ({one_line(of.where.text)})" if of.where else "")


def _operand(expression: Expression | None) -> str:
    assert expression is not None
    return f"({one_line(expression.text)})"


def _drop_index(table: Table, name: str) -> str:
    return f"DROP INDEX CONCURRENTLY IF EXISTS {qualified(table.schema, name)}"


def check(context: Context, constraint: Constraint, name: str, phase: str) -> Iterator[Step]:
    """A CHECK that binds new writes at once, and is proven of the others while reads and writes go on."""
    exclusive = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    return _validated(context, constraint, name, phase, exclusive)


def reference(context: Context, constraint: Constraint, name: str, phase: str) -> Iterator[Step]:
    """A foreign key that binds new writes at once, and is proven of the others while reads and writes go on."""
    parent, _ = parent_of(context, constraint)
    # Both tables in one order, whichever points at the other: two that lock them crosswise would wait for each other.
    weak = Lock.SHARE_ROW_EXCLUSIVE
    both = sorted({context.sql, names.table(parent)})
    locks = tuple((sql, Lock.ACCESS_EXCLUSIVE if sql == context.sql else weak) for sql in both)
    waits = WAITS if comes_along(context.module, constraint, phase) else 0
    return (replace(s, rank=s.rank + waits) for s in _validated(context, constraint, name, phase, locks))


def _validated(
    context: Context, constraint: Constraint, name: str, phase: str, locks: tuple[tuple[str, Lock], ...]
) -> Iterator[Step]:
    table, shown = context.table, described(constraint)
    alter = f"ALTER TABLE {context.sql}"
    drop = f"{alter} DROP CONSTRAINT IF EXISTS {quote(name)}"
    # Run again after a kill, one that is there gives way.
    add = drop, f"{alter} ADD CONSTRAINT {quote(name)} {definition(context, constraint)} NOT VALID"
    exclusive = tuple((sql, Lock.ACCESS_EXCLUSIVE) for sql, _ in locks)
    yield Step(
        phase,
        "add_constraint",
        f"Bind new writes of {table.entity}: {shown}, not yet validated",
        table,
        max((lock for _, lock in locks), key=lambda lock: lock.strength),
        rank=ADD,
        makes=(claims.constraint(context, name),),
        up=(Group(locks, add),),
        down=(Group(exclusive, (drop,)),),
    )
    yield Step(
        phase,
        "validate_constraint",
        f"Prove that every row of {table.entity} keeps it ({shown}), while reads and writes go on",
        table,
        Lock.SHARE_UPDATE_EXCLUSIVE,
        Cost.SCAN,
        rank=VALIDATE,
        up=(Alone(f"{alter} VALIDATE CONSTRAINT {quote(name)}", Group(exclusive, (drop,))),),
    )


def unless_there(table: str, name: str, statement: str) -> str:
    """Adds a constraint; run again after a kill it may be there, and ADD CONSTRAINT knows no IF NOT EXISTS."""
    body = f"""
BEGIN
  IF NOT EXISTS (SELECT FROM pg_constraint
                  WHERE conrelid = {literal(table)}::regclass AND conname = {literal(name)}) THEN
    {statement};
  END IF;
END"""
    tag = dollar_tag(body, "attach")
    return f"DO {tag}{body}\n{tag}"


def _referring_index(context: Context, constraint: Constraint) -> Iterator[Step]:
    table, columns = context.table, own_index(context.table, context.change.operations, constraint)
    if not columns:
        return
    name = names.index(table, columns)
    create = (
        f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {quote(name)} ON {context.sql} "
        f"({', '.join(quote(c) for c in columns)})"
    )
    drop = _drop_index(table, name)
    yield Step(
        "expand",
        "build_index",
        f"Build an index of {table.entity} ({', '.join(columns)}), so that deleting a parent need not read the whole table",
        table,
        Lock.SHARE_UPDATE_EXCLUSIVE,
        Cost.SCAN,
        rank=REFERRING,
        up=(BuildIndex(table.schema, name, create, drop),),
        down=(Alone(drop),),
    )


_BUILDERS: Mapping[str, Callable[[Context, Constraint, str, str], Iterator[Step]]] = {
    "unique": unique,
    "index": index,
    "check": check,
    "reference": reference,
}
