"""What stands on retyped columns becomes twins over the columns that take their place, built while reads and writes go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from migdsl.dialect.names import dollar_tag, literal, qualified, quote
from migdsl.ops import constraints, conversion, names, standing, walkable
from migdsl.ops.context import Context
from migdsl.ops.model import Alone, BuildIndex, Cost, Group, Lock, Part, Step
from migdsl.ops.pairs import one_line
from migdsl.ops.retype import shadowed
from migdsl.semantics.model import CheckedModule, Constraint, RetypeColumn, Table
from migdsl.semantics.phrases import described
from migdsl.semantics.reshape import over
from migdsl.semantics.retypes import references
from migdsl.values import Value, replace

Named = Callable[[str], str]
# Ranks within a phase: what is proven of columns, what is built over them, what points at that.
FILLED, INDEXED, CHECKED, REFERRED = 1, 4, 5, 8
# The linter doesn't see that the constraint was added, in a block of its own.
_ADDED = "-- squawk-ignore prefer-robust-stmts\n"


class Swapped(Value):
    """A table and its columns that have a shadow."""

    context: Context
    columns: tuple[RetypeColumn, ...]


class Twin(Value):
    """What stands on retyped columns, as the entity says it, and what a twin of it is called before its suffix.

    `retyped` are the columns of its table that have a shadow; `parent`, `theirs` and `parents` the same of what a foreign
    key points at. `kind` is key, unique, index, check, reference, or filled (NOT NULL).
    """

    context: Context
    constraint: Constraint
    base: str
    retyped: tuple[str, ...]
    parent: Table | None = None
    theirs: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()

    @property
    def table(self) -> Table:
        """The table that it stands on."""
        return self.context.table

    @property
    def said(self) -> standing.Said:
        """As the catalog's procedures know it."""
        return standing.said(self.table, self.constraint)

    @property
    def whole(self) -> standing.Said:
        """The same with what a twin is made from."""
        return standing.said_whole(self.table, self.constraint)

    @property
    def plain(self) -> bool:
        """Whether its twin is made from what the entity says alone."""
        return self.constraint.kind in ("unique", "index", "check")

    def uses(self, table: Table, column: str) -> bool:
        """Whether it stands on a column, or points at it."""
        own = table is self.table and column in self.constraint.uses
        return own or (table is self.parent and column in self.theirs)


def swapped(migration: str, module: CheckedModule) -> tuple[Swapped, ...]:
    """The tables with shadows."""
    contexts = (Context(migration, change, module, (), ()) for change in module.changes)
    return tuple(Swapped(c, columns) for c in contexts if (columns := shadowed(c)))


def twins(migration: str, module: CheckedModule, swapped: tuple[Swapped, ...]) -> Iterator[Twin]:
    """All that must stand on the shadows: NOT NULL and keys first, then what points at them."""
    retyped = {each.context.table.entity: tuple(o.column.name for o in each.columns) for each in swapped}
    for each in swapped:
        yield from _filled(each)
        yield from _own(each, retyped[each.context.table.entity])
    contexts = {each.context.table.entity: each.context for each in swapped}
    for found in references(module.tables):
        ours, theirs = (tuple(retyped.get(t.entity, ())) for t in (found.table, found.parent))
        if set(ours) & set(found.constraint.columns) or set(theirs) & set(found.theirs):
            context = contexts.get(found.table.entity) or _context(migration, module, found.table)
            base = names.constraint(found.table, found.constraint)
            yield Twin(context, found.constraint, base, ours, found.parent, found.theirs, theirs)


def _context(migration: str, module: CheckedModule, table: Table) -> Context:
    """Of a table that doesn't change itself, but points at one that does."""
    from_ = module.changes[0]
    return Context(migration, replace(from_, table=table, operations=()), module, (), ())


def _filled(each: Swapped) -> Iterator[Twin]:
    for operation in each.columns:
        column = operation.column
        if not column.nullable:
            found = Constraint("filled", (column.name,), frozenset([column.name]), None, operation.span)
            yield Twin(each.context, found, column.name, (column.name,))


def _own(each: Swapped, retyped: tuple[str, ...]) -> Iterator[Twin]:
    table = each.context.table
    if set(retyped) & set(table.key):
        key = Constraint("key", table.key, frozenset(table.key), None, table.span)
        yield Twin(each.context, key, names.key(table), retyped)
    along = walkable.wanted(each.context)
    if set(along) & set(retyped) and not walkable.walkable(each.context):
        # The batches' own index, along which the way back of contract walks.
        name = names.batch_index(each.context.migration, table)
        yield Twin(each.context, Constraint("index", along, frozenset(along), name, table.span), name, retyped)
    for found in table.constraints:
        if found.kind in ("unique", "index", "check") and found.uses & set(retyped):
            yield Twin(each.context, found, names.constraint(table, found), retyped)


def present(context: Context, column: str) -> str:
    """Asks whether a column is there: after the swap its shadow isn't any more, whose names have moved on."""
    return (
        f"SELECT 'there' FROM pg_attribute WHERE attrelid = {literal(context.sql)}::regclass"
        f" AND attname = {literal(column)} AND NOT attisdropped"
    )


def _guarded(twin: Twin, side: Named, *statements: str) -> str:
    """Statements that are run while the column is there under this name."""
    asked = " AND ".join(f"EXISTS ({question})" for question in _asked(twin, side))
    inner = "\n    ".join(f"{statement};" for statement in statements)
    return _do(f"\nBEGIN\n  IF {asked} THEN\n    {inner}\n  END IF;\nEND", "guarded")


def _asked(twin: Twin, side: Named) -> Iterator[str]:
    if twin.retyped:
        yield present(twin.context, side(twin.retyped[0]))
    elif twin.parent is not None:
        at = literal(names.table(twin.parent))
        yield (
            f"SELECT 'there' FROM pg_attribute WHERE attrelid = {at}::regclass"
            f" AND attname = {literal(side(twin.parents[0]))} AND NOT attisdropped"
        )


def build(twin: Twin, side: Named) -> tuple[Part, ...]:
    """Everything that makes it over the columns of one side."""
    return tuple(part for _, _, _, _, parts in _built(twin, side) for part in parts)


def typed(twin: Twin) -> Iterator[Step]:
    """Asks the server, before anything changes, whether what the twin computes can be computed of the new types."""
    found, name = twin.constraint, twin.base
    shape = found.index
    computed = [found.check] if shape is None else [*(p.expression for p in shape.parts), shape.where]
    asked = ", ".join(f"({one_line(each.text)})" for each in computed if each is not None)
    if not asked:
        return
    types = {o.column.name: o.to.type.sql for o in shadowed(twin.context)}
    row = ", ".join(f"CAST(NULL AS {types[c]}) AS {quote(c)}" if c in types else quote(c) for c in sorted(found.uses))
    body = f"""
BEGIN
  PERFORM {asked} FROM (SELECT {row} FROM {twin.context.sql}) AS t LIMIT 0;
EXCEPTION WHEN syntax_error_or_access_rule_violation OR data_exception THEN
  RAISE EXCEPTION '% of % would mean nothing of the new type: %', {literal(name)}, {literal(twin.context.sql)}, SQLERRM
    USING ERRCODE = '55000', HINT = 'drop it in a migration before this one, and make it again in the next';
END"""
    title = f"Refuse where {name} of {twin.table.entity} would mean nothing of the new type"
    yield Step("expand", "check_types", title, twin.table, rank=0, up=(Group((), (_do(body, "typed"),)),))


def steps(twin: Twin, phase: str) -> Iterator[Step]:
    """The twin over the shadows, and its way back."""
    undo = _undone(twin, names.incoming)
    for number, (title, lock, cost, rank, parts) in enumerate(_built(twin, names.incoming)):
        down = undo if number == 0 else ()
        yield Step(phase, "build_twin", title, twin.table, lock, cost, rank=rank, up=parts, down=down)


_Built = tuple[str, Lock, Cost, int, tuple[Part, ...]]


def _built(twin: Twin, side: Named) -> Iterator[_Built]:
    kind = twin.constraint.kind
    if kind == "filled":
        yield from _proven(twin, side)
    elif kind in ("key", "unique", "index"):
        yield _index(twin, side)
    else:
        yield from _validated(twin, side)


def _proven(twin: Twin, side: Named) -> Iterator[_Built]:
    """NOT NULL, by way of a CHECK."""
    column = side(twin.base)
    check, name, alter = (
        quote(names.not_null_check(twin.table, column)),
        quote(column),
        f"ALTER TABLE {twin.context.sql}",
    )
    lock = ((twin.context.sql, Lock.ACCESS_EXCLUSIVE),)
    gone = f"{alter} DROP CONSTRAINT IF EXISTS {check}"
    shown = f"{twin.table.entity}.{column}"
    add = _guarded(twin, side, gone, f"{alter} ADD CONSTRAINT {check} CHECK ({name} IS NOT NULL) NOT VALID")
    proof = Alone(f"{_ADDED}{alter} VALIDATE CONSTRAINT {check}", Group(lock, (gone,)), next(_asked(twin, side)))
    done = _guarded(twin, side, f"{alter} ALTER COLUMN {name} SET NOT NULL", gone)
    exclusive, scan = Lock.ACCESS_EXCLUSIVE, Lock.SHARE_UPDATE_EXCLUSIVE
    yield f"See that {shown} is filled from now on", exclusive, Cost.INSTANT, FILLED, (Group(lock, (add,)),)
    yield f"Prove that {shown} is filled everywhere, while reads and writes go on", scan, Cost.SCAN, FILLED + 1, (
        proof,
    )
    yield f"Make {shown} NOT NULL, like what it will replace", exclusive, Cost.INSTANT, FILLED + 2, (
        Group(lock, (done,)),
    )


def _mapped(twin: Twin, side: Named) -> Constraint:
    return over(twin.constraint, {c: side(c) for c in twin.retyped})


def _index(twin: Twin, side: Named) -> _Built:
    table, mapped, name = twin.table, _mapped(twin, side), side(twin.base)
    unique = "UNIQUE " if twin.constraint.kind != "index" or twin.constraint.unique_index else ""
    shape = constraints.shape(mapped.index) if mapped.index else f"({_listed(mapped.columns)})"
    create = f"CREATE {unique}INDEX CONCURRENTLY IF NOT EXISTS {quote(name)} ON {twin.context.sql} {shape}"
    drop = f"DROP INDEX CONCURRENTLY IF EXISTS {qualified(table.schema, name)}"
    part = BuildIndex(table.schema, name, create, drop, next(_asked(twin, side)))
    what = f"{twin.base} ({', '.join(mapped.columns)})" if mapped.columns else twin.base
    what = "the key" if twin.constraint.kind == "key" else what
    title = f"Build {what} of {table.entity} over the shadow, while reads and writes go on"
    return title, Lock.SHARE_UPDATE_EXCLUSIVE, Cost.SCAN, INDEXED, (part,)


def _validated(twin: Twin, side: Named) -> Iterator[_Built]:
    """A CHECK or a foreign key: new writes first, then the rest."""
    name, alter = side(twin.base), f"ALTER TABLE {twin.context.sql}"
    if twin.parent is not None:
        rank, lock = REFERRED, Lock.SHARE_ROW_EXCLUSIVE
        tables = sorted({twin.context.sql, names.table(twin.parent)})
        add = _refer(twin, side, name)
    else:
        rank, lock, tables = CHECKED, Lock.ACCESS_EXCLUSIVE, [twin.context.sql]
        gone = f"{alter} DROP CONSTRAINT IF EXISTS {quote(name)}"
        check = constraints.definition(twin.context, _mapped(twin, side))
        add = _guarded(twin, side, gone, f"{alter} ADD CONSTRAINT {quote(name)} {check} NOT VALID")
    held = tuple((sql, lock) for sql in tables)
    exclusive = tuple((sql, Lock.ACCESS_EXCLUSIVE) for sql in tables)
    undo = Group(exclusive, (f"{alter} DROP CONSTRAINT IF EXISTS {quote(name)}",))
    proof = Alone(f"{_ADDED}{alter} VALIDATE CONSTRAINT {quote(name)}", undo, next(_asked(twin, side)))
    shown = f"{described(twin.constraint)} of {twin.table.entity}"
    yield f"Bind new writes by {shown} over the shadow too", lock, Cost.INSTANT, rank, (Group(held, (add,)),)
    title = f"Prove {shown} over the shadow, while reads and writes go on"
    yield title, Lock.SHARE_UPDATE_EXCLUSIVE, Cost.SCAN, rank + 1, (proof,)


def _refer(twin: Twin, side: Named, name: str) -> str:
    assert twin.parent is not None
    ours = _array(side(c) if c in twin.retyped else c for c in twin.constraint.columns)
    theirs = _array(side(c) if c in twin.parents else c for c in twin.theirs)
    parent = literal(names.table(twin.parent))
    return _guarded(
        twin, side, f"CALL migdsl.swap_refer({standing.jsonb(twin.said)}, {literal(name)}, {ours}, {parent}, {theirs})"
    )


def _array(columns: Iterator[str]) -> str:
    return f"ARRAY[{', '.join(literal(c) for c in columns)}]"


def _listed(columns: tuple[str, ...]) -> str:
    return ", ".join(quote(c) for c in columns)


def _undone(twin: Twin, side: Named) -> tuple[Part, ...]:
    """The way back of a twin that no swap has made use of yet."""
    name, alter = side(twin.base), f"ALTER TABLE {twin.context.sql}"
    own = ((twin.context.sql, Lock.ACCESS_EXCLUSIVE),)
    kind = twin.constraint.kind
    if kind == "filled":
        check = quote(names.not_null_check(twin.table, name))
        return (
            Group(
                own, (f"{alter} ALTER COLUMN {quote(name)} DROP NOT NULL", f"{alter} DROP CONSTRAINT IF EXISTS {check}")
            ),
        )
    if kind in ("key", "unique", "index"):
        return (Alone(f"DROP INDEX CONCURRENTLY IF EXISTS {qualified(twin.table.schema, name)}"),)
    tables = sorted({twin.context.sql, *([names.table(twin.parent)] if twin.parent else [])})
    held = tuple((sql, Lock.ACCESS_EXCLUSIVE) for sql in tables)
    return (Group(held, (f"{alter} DROP CONSTRAINT IF EXISTS {quote(name)}",)),)


def fitting(each: Swapped, operation: RetypeColumn) -> Iterator[Part]:
    """Before the way back of a column that may be NULL: no value comes that the old type can't hold, and none is there."""
    context, name = each.context, operation.column.name
    old, alter = names.outgoing(name), f"ALTER TABLE {each.context.sql}"
    check = quote(names.not_null_check(context.table, old))
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    gone = f"{alter} DROP CONSTRAINT IF EXISTS {check}"
    holds = f"{quote(name)} IS NOT DISTINCT FROM {conversion.into(context, operation, '', old)}"
    rule = f"CHECK ({quote(name)} IS NULL OR {quote(old)} IS NOT NULL OR {holds}) NOT VALID"
    asked = present(context, old)
    body = (
        f"\nBEGIN\n  IF EXISTS ({asked}) THEN\n    {gone};\n    {alter} ADD CONSTRAINT {check} {rule};\n  END IF;\nEND"
    )
    yield Group(lock, (_do(body, "fits"),))
    yield Alone(f"{_ADDED}{alter} VALIDATE CONSTRAINT {check}", Group(lock, (gone,)), asked)


def fitted(each: Swapped, operation: RetypeColumn) -> str:
    """Takes the rule of `fitting` away."""
    check = quote(names.not_null_check(each.context.table, names.outgoing(operation.column.name)))
    return f"ALTER TABLE {each.context.sql} DROP CONSTRAINT IF EXISTS {check}"


def _do(body: str, tag: str) -> str:
    found = dollar_tag(body, tag)
    return f"DO {found}{body}\n{found}"
