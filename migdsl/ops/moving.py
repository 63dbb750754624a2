"""`move` within one database: triggers carry writes both ways from expand to contract, where the old table goes.

On the way back contract makes the old table again, and its rows come home from the new one.
"""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import dollar_tag, literal, quote
from migdsl.ops import (
    attempts,
    closed,
    constraints,
    deferring,
    homeward,
    memory,
    names,
    not_null,
    numbering,
    table_memory,
)
from migdsl.ops.add_column import EXPAND_TABLE
from migdsl.ops.both_ways import Ways
from migdsl.ops.carried import Carried
from migdsl.ops.context import Context
from migdsl.ops.dependents import LAST, REFER
from migdsl.ops.model import Cost, Group, Lock, Replay, Step
from migdsl.ops.way import Owner
from migdsl.semantics.model import CheckedModule, CreateTable, Table
from migdsl.semantics.phrases import sides as called

OBJECTS = 1  # the rank of what a trigger needs


def ways(context: Context, operation: CreateTable) -> Ways:
    """A move's two sides."""
    move = operation.move
    assert move is not None
    keys = (c for c in move.table.constraints if c.target is not None and c.target.on_delete == "CASCADE")
    found = ((c.columns, *constraints.parent_of(context, c)) for c in keys)
    owners = (Owner(names.table(parent), tuple(zip(ours, theirs, strict=True))) for ours, parent, theirs in found)
    return Ways(Carried(context.migration, operation.table, operation.sources[0]), move, tuple(owners))


def _called(sides: Ways) -> tuple[str, str]:
    """What people call the old table and the new one."""
    return called(sides.move.table, sides.of.table)


def lower(context: Context, operation: CreateTable) -> Iterator[Step]:
    """The steps of a move, but for the table that it makes."""
    sides = ways(context, operation)
    yield _plain(sides)
    yield closed.lower(sides.move.table, sides.of.table, "the trigger between the two tables")
    yield _objects(context, sides)
    yield _triggers(context, sides)
    for column in sides.of.late():
        yield from not_null.steps(context, column, "enforce")
    yield from between_old(context, sides, ((names.table(sides.of.table), Lock.ACCESS_EXCLUSIVE),))
    yield _drop(context, sides)
    yield homeward.refill(context, sides)


def _plain(sides: Ways) -> Step:
    """What a new table would lack without a word, and rows would be seen by those who may not."""
    source = sides.move.table
    body = f"""
BEGIN
  IF (SELECT c.relrowsecurity FROM pg_class AS c WHERE c.oid = {literal(names.table(source))}::regclass) THEN
    RAISE EXCEPTION 'row level security of % is not made again on the table that its rows move to', {literal(names.table(source))}
      USING ERRCODE = '55000', HINT = 'move it with a revision of your own, which creates the policies too';
  END IF;
{deferring.refusal(sides.move)}{numbering.checks(sides)}END"""
    tag = dollar_tag(body, "plain")
    title = "Refuse where {} has row level security, numbers from a sequence, or a deferrable key, that {} would lack".format(
        *_called(sides)
    )
    return Step("expand", "check_table", title, source, rank=0, up=(Group((), (f"DO {tag}{body}\n{tag}",)),))


def _objects(context: Context, sides: Ways) -> Step:
    counter = names.counter(context.migration, context.table)
    up = (
        *schema(context),
        f"CREATE SEQUENCE IF NOT EXISTS {counter} AS bigint",
        *numbering.functions(context, sides),
        *_attempts(sides),
    )
    # The linter's rule guards sequences that give out keys; this one only counts, and is ours.
    drop = f"-- squawk-ignore ban-drop-sequence\nDROP SEQUENCE IF EXISTS {counter}"
    down = (*_drop_attempts(sides), *numbering.drops(context, sides), drop, memory.restore(context, made(context)))
    title = f"Create the counter of old code's writes that are carried over to {_called(sides)[1]}"
    if sides.move.numbered:
        title += ", and what gives its rows numbers from one sequence with the old ones"
    return Step(
        "expand", "create_function", title, context.table, rank=OBJECTS, up=(Group((), up),), down=(Group((), down),)
    )


def made(context: Context) -> str:
    """What the ledger calls the memory of a schema that wasn't there."""
    return f"schema {context.table.schema}"


def schema(context: Context) -> tuple[str, ...]:
    """The target's schema, where it isn't there; then it goes again on the way back, unless somebody else uses it by then."""
    name = quote(context.table.schema)
    missing = f"(VALUES (1)) AS one WHERE to_regnamespace({literal(name)}) IS NULL"
    drop = f"BEGIN DROP SCHEMA IF EXISTS {name}; EXCEPTION WHEN dependent_objects_still_exist THEN NULL; END"
    tag = dollar_tag(drop, "made")
    forget = literal(f"DO {tag}{drop}{tag}")
    # IF NOT EXISTS would ask for the right to create one even where it is there.
    body = f"BEGIN IF to_regnamespace({literal(name)}) IS NULL THEN CREATE SCHEMA {name}; END IF; END"
    tag = dollar_tag(body, "schema")
    return memory.remember(context, made(context), forget, missing), f"DO {tag}{body}{tag}"


def _attempts(sides: Ways) -> tuple[str, ...]:
    return attempts.functions(sides.of.migration, sides.move.table, sides.of.guarded())


def _drop_attempts(sides: Ways) -> tuple[str, ...]:
    return attempts.drops(sides.of.migration, sides.move.table, sides.of.guarded())


def _functions(sides: Ways) -> tuple[str, ...]:
    forth, back = sides.forth(), sides.back()
    # Whoever may attach one to a table of their own could write any tenant's rows by it.
    revoked = (f"REVOKE ALL ON FUNCTION {way.name}() FROM PUBLIC" for way in (forth, back))
    return forth.function(back.name), back.function(forth.name), *revoked


def _drop_functions(sides: Ways) -> tuple[str, ...]:
    return tuple(f"DROP FUNCTION IF EXISTS {way.name}()" for way in (sides.forth(), sides.back()))


def _create_triggers(sides: Ways) -> tuple[str, ...]:
    found: list[str] = []
    for way, suffix in ((sides.forth(), "forth"), (sides.back(), "back")):
        on = names.table(way.here)
        for name, when in (
            (_trigger(sides, suffix), "AFTER INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW"),
            (_trigger(sides, f"{suffix}_all"), "AFTER TRUNCATE ON {} FOR EACH STATEMENT"),
        ):
            found += [
                f"CREATE TRIGGER {name} {when.format(on)}\n  EXECUTE FUNCTION {way.name}()",
                f"ALTER TABLE {on} ENABLE ALWAYS TRIGGER {name}",
            ]
    return tuple(found)


def _trigger(sides: Ways, suffix: str) -> str:
    return names.carry_trigger(sides.of.migration, sides.of.table, suffix)


def _drop_triggers(sides: Ways, *tables: Table) -> tuple[str, ...]:
    pairs = ((sides.move.table, "forth"), (sides.of.table, "back"))
    return tuple(
        f"DROP TRIGGER IF EXISTS {_trigger(sides, suffix + more)} ON {names.table(table)}"
        for table, suffix in pairs
        if table in tables
        for more in ("", "_all")
    )


def _triggers(context: Context, sides: Ways) -> Step:
    source, target = sides.move.table, sides.of.table
    old, new = _called(sides)
    lock = ((names.table(source), Lock.ACCESS_EXCLUSIVE),)  # the target is as new as the triggers
    drop = _drop_triggers(sides, source, target)
    up = (*_functions(sides), *drop, sides.proof(), *_create_triggers(sides), _grants(context, sides))
    return Step(
        "expand",
        "create_trigger",
        f"Keep {old} and {new} equal from now on, whoever writes: what is written to one is carried over to "
        "the other in the same statement",
        source,
        Lock.ACCESS_EXCLUSIVE,
        rank=EXPAND_TABLE,
        up=(Group(lock, up),),
        down=(Group(lock, (*drop, *_drop_functions(sides))),),
        precondition=f"code writes {old} or {new}, and not both: what it writes to one is on the other side "
        f"already; a second write is an upsert (INSERT … ON CONFLICT DO UPDATE); {new} has the grants of {old}, "
        "of its columns too, and none of its triggers",
    )


def _grants(context: Context, sides: Ways) -> str:
    """Who may do something with the old table, its owner too, may do the same with the new one; of single columns, with what
    is computed from these alone."""
    target = names.table(sides.of.table)
    own = f"migration = {literal(context.migration)} AND revision = {literal(made(context))}"
    who = "CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END AS who"
    further = "CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS further"
    body = f"""
DECLARE
  given record;
BEGIN
  FOR given IN SELECT g.privilege_type || g.columns AS right, {who},
                      {further}
                 FROM ({_given(sides)}) AS g
                WHERE g.grantee <> (SELECT relowner FROM pg_class WHERE oid = {literal(target)}::regclass) LOOP
    EXECUTE format('GRANT %s ON %s TO %s%s', given.right, {literal(target)}, given.who, given.further);
    -- A schema that was there has grants of its own.
    IF EXISTS (SELECT FROM migdsl.snapshot WHERE {own}) THEN
      EXECUTE format('GRANT USAGE ON SCHEMA %s TO %s', {literal(quote(context.table.schema))}, given.who);
    END IF;
  END LOOP;
END"""
    tag = dollar_tag(body, "grants")
    return f"DO {tag}{body}\n{tag}"


def _given(sides: Ways) -> str:
    """The grants of the old table, and those of its columns for the new ones that come from them, as a query."""
    source = literal(names.table(sides.move.table))
    pairs = [(name, sorted(value.names())) for name, value in sides.move.values if value.names()]
    rows = ", ".join(f"({literal(quote(n))}, ARRAY[{', '.join(map(literal, read))}])" for n, read in pairs)
    return f"""
                   SELECT x.grantee, x.privilege_type, x.is_grantable, '' AS columns
                     FROM pg_class AS c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS x
                    WHERE c.oid = {source}::regclass
                   UNION ALL
                   SELECT x.grantee, x.privilege_type, bool_and(x.is_grantable), format(' (%s)', pair.ours)
                     FROM (VALUES {rows}) AS pair (ours, theirs)
                     JOIN pg_attribute AS a ON a.attrelid = {source}::regclass AND a.attname::text = ANY (pair.theirs),
                          aclexplode(a.attacl) AS x
                    GROUP BY pair.ours, pair.theirs, x.grantee, x.privilege_type
                   HAVING count(DISTINCT a.attname) = cardinality(pair.theirs)"""


def between_old(context: Context, sides: Ways, held: tuple[tuple[str, Lock], ...]) -> Iterator[Step]:
    """Foreign keys from one old table to another, or to itself: on the way back rows come home in the order of their keys.

    `held` are locks: with them it shares the transaction of what drops the tables. Where that is refused, the keys stay.
    """
    source = sides.move.table
    parents = released(context.module, source)
    if not parents:
        return
    title = f"the foreign keys of {_called(sides)[0]} that point at tables which move too"
    subject = f"refer {names.table(source)}"
    locks = tuple((table, Lock.ACCESS_EXCLUSIVE) for table in sorted({names.table(source), *parents}))
    # The old tables may be gone already where a killed run is repeated: they can't be locked first.
    up = (Group(held, (_release(context.migration, subject, source, parents),)),)
    yield Step("contract", "drop_constraint", f"Drop {title}", source, Lock.ACCESS_EXCLUSIVE, rank=LAST - 1, up=up)
    title = f"On the way back: make {title} again, while reads and writes go on"
    down = (Replay(context.migration, subject, locks),)
    yield Step("contract", "rebuild", title, source, cost=Cost.SCAN, rank=REFER, down=down)


def released(module: CheckedModule, source: Table) -> list[str]:
    """The tables, as SQL, that move too and that an old table's foreign keys point at: contract drops these keys."""
    moved = {m.table.entity: m.table for m in module.moves}
    targets = (c.target.entity for c in source.constraints if c.target)
    return sorted({names.table(moved[entity]) for entity in targets if entity in moved})


def _release(migration: str, subject: str, source: Table, parents: list[str]) -> str:
    own = f"c.contype = 'f' AND c.conrelid = to_regclass({literal(names.table(source))})"
    theirs = ", ".join(f"to_regclass({literal(parent)})" for parent in parents)
    body = f"""
DECLARE
  given record;
BEGIN
  INSERT INTO migdsl.snapshot (migration, revision, seq, sql, before, undo)
  SELECT {literal(migration)}, {literal(subject)}, row_number() OVER (ORDER BY c.conname),
         CASE WHEN c.convalidated THEN format('ALTER TABLE %s VALIDATE CONSTRAINT %I', c.conrelid::regclass, c.conname)
              ELSE k.adds END,
         CASE WHEN c.convalidated THEN k.drops || '; ' || k.adds || ' NOT VALID' END,
         CASE WHEN c.convalidated THEN k.drops END
    FROM pg_constraint AS c
   CROSS JOIN LATERAL (
         SELECT format('ALTER TABLE %s ADD CONSTRAINT %I ', c.conrelid::regclass, c.conname)
                  || pg_get_constraintdef(c.oid) AS adds,
                format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', c.conrelid::regclass, c.conname) AS drops) AS k
   WHERE {own} AND c.confrelid IN ({theirs});
  FOR given IN SELECT c.conname AS name FROM pg_constraint AS c WHERE {own} AND c.confrelid IN ({theirs}) LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', {literal(names.table(source))}, given.name);
  END LOOP;
END"""
    tag = dollar_tag(body, "release")
    return memory.in_full(f"DO {tag}{body}\n{tag}")


def _drop(context: Context, sides: Ways) -> Step:
    source, target = sides.move.table, sides.of.table
    old, new = _called(sides)
    subject = f"move {names.table(source)}"
    moved = {m.table.entity for m in context.module.moves}
    own = [c for c in source.constraints if c.kind == "reference" and c.target and c.target.entity not in moved]
    parents = sorted({names.table(constraints.parent_of(context, c)[0]) for c in own})
    # The old table may be gone already where a killed run is repeated: it can't be locked first.
    locks = tuple((table, Lock.ACCESS_EXCLUSIVE) for table in dict.fromkeys([names.table(target), *parents]))
    up = (
        numbering.hand_over(sides),
        table_memory.remember(context.migration, subject, names.table(source)),
        *_drop_triggers(sides, target),
        f"-- squawk-ignore ban-drop-table\nDROP TABLE IF EXISTS {names.table(source)}",
        *_drop_functions(sides),
        *_drop_attempts(sides),
        *numbering.drops(context, sides),
    )
    down = (
        memory.restore(context, subject),
        *([memory.restore(context, numbering.owners(sides))] if source.schema != target.schema else []),
        *numbering.functions(context, sides),
        numbering.hand_back(context, sides),
        *_attempts(sides),
        *_functions(sides),
        *_drop_triggers(sides, source, target),
        *_create_triggers(sides),
    )
    return Step(
        "contract",
        "drop_table",
        f"Drop {old}, whose rows are in {new}, and what kept the two equal; refused while something else depends "
        "on it",
        source,
        Lock.ACCESS_EXCLUSIVE,
        rank=LAST,
        up=(Group(locks, up),),
        down=(Group(locks, down),),
        precondition=numbering.known(sides),
    )
