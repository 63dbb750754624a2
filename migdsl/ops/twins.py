"""A constraint or an index over a column that goes gets a twin over the one that takes its place, and then its name."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import dollar_tag, literal, qualified, quote
from migdsl.ops import constraints, standing
from migdsl.ops.context import Context
from migdsl.ops.model import Group, Lock, Step
from migdsl.semantics.model import AddConstraint, CheckedModule, Constraint, Table
from migdsl.semantics.phrases import called
from migdsl.values import replace

FIRST = 0  # in expand: before anything has changed
HAND_OVER, RENAME = 1, 4  # in contract: before the old one goes with its column, and after
CARRY = 5  # when the twin stands


def lower(context: Context, operation: AddConstraint) -> Iterator[Step]:
    """The steps of a twin. An index binds nobody, so that it may come early; the rest waits until old code is gone."""
    old, name = operation.replaces, temporary(context, operation)
    assert old is not None
    phase = "validate" if old.kind == "index" else "enforce"
    yield _plain(context, old)
    yield from constraints.build(context, operation.constraint, name, phase)
    yield _carry(context, old, name, phase)
    if old.kind in ("unique", "index"):
        yield _hand_over(context, old, name)
    if old.name is not None:
        yield _rename(context, old, name)


def temporary(context: Context, operation: AddConstraint) -> str:
    """What a twin is called while both stand: as PostgreSQL would call it, with a number where that is taken."""
    taken = _taken(context.module, context.table)
    for other in context.change.operations:
        if isinstance(other, AddConstraint) and other.replaces is not None:
            name = _free(called(context.table, replace(other.constraint, name=None)), taken)
            if other is operation:
                return name
            taken.add(name)
    raise AssertionError("a twin of another change")


def _taken(module: CheckedModule, table: Table) -> set[str]:
    """The names of all that the file declares in the table's schema, or is to come there."""
    near = [t for t in module.every if (t.database, t.schema) == (table.database, table.schema)]
    found = {t.name for t in near} | {called(t, c) for t in near for c in t.constraints if c.kind != "generated"}
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddConstraint) and operation.replaces is None:
                found.add(called(change.table, operation.constraint))
    return found


def _free(name: str, taken: set[str]) -> str:
    return next(n for n in (name, *(f"{name[:58]}{number}" for number in range(1, len(taken) + 2))) if n not in taken)


def _plain(context: Context, old: Constraint) -> Step:
    """The twin is made from what the entity says: where the old one is more than that, the rest would be lost."""
    if old.kind in ("unique", "index"):
        odd = _odd_index(context, old)
    else:
        odd = _odd_constraint(context, old)
    body = f"""
DECLARE
  odd text;
BEGIN
{odd}
  IF odd IS NOT NULL THEN
    RAISE EXCEPTION '% of % is more than its entity says: %', {literal(called(context.table, old))},
      {literal(context.sql)}, odd
      USING ERRCODE = '55000', HINT = 'drop it in a migration of its own, and make it again when this one is done';
  END IF;
END"""
    return Step(
        "expand",
        "check_twin",
        f"Refuse where {called(context.table, old)} of {context.table.entity} is more than the entity says",
        context.table,
        rank=FIRST,
        up=(Group((), (_do(body, "guard"),)),),
    )


def _odd_index(context: Context, old: Constraint) -> str:
    newer = "i.indnullsnotdistinct" if context.version >= 15 else "FALSE"
    return f"""  SELECT nullif(concat_ws(', ',
           CASE WHEN EXISTS (SELECT FROM unnest(i.indoption) AS o WHERE o <> 0) THEN 'it has an order of its own' END,
           CASE WHEN EXISTS (SELECT FROM unnest(i.indclass) AS o JOIN pg_opclass AS p ON p.oid = o WHERE NOT p.opcdefault)
                THEN 'it has an operator class' END,
           CASE WHEN EXISTS (SELECT FROM pg_attribute AS k JOIN pg_attribute AS a ON a.attrelid = i.indrelid
                              WHERE k.attrelid = i.indexrelid AND a.attnum = i.indkey[k.attnum - 1]
                                AND k.attnum <= i.indnkeyatts AND i.indcollation[k.attnum - 1] <> a.attcollation)
                THEN 'it has a collation' END,
           CASE WHEN x.reloptions IS NOT NULL THEN 'it has options: ' || array_to_string(x.reloptions, ', ') END,
           CASE WHEN {newer} THEN 'NULLs are not distinct in it' END,
           CASE WHEN i.indisunique AND i.indnatts > i.indnkeyatts THEN 'it includes columns' END,
           CASE WHEN c.condeferrable THEN 'it is deferrable' END), '') INTO odd
    FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid
    LEFT JOIN pg_constraint AS c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid AND c.contype = 'u'
   WHERE i.indexrelid = {standing.index(context.sql, old)};"""


def _odd_constraint(context: Context, old: Constraint) -> str:
    action = {"CASCADE": "c", "SET NULL": "n", "SET DEFAULT": "d", "RESTRICT": "r", "NO ACTION": "a"}
    delete = action[(old.target.on_delete or "NO ACTION") if old.target else "NO ACTION"]
    return f"""  SELECT nullif(concat_ws(', ',
           CASE WHEN c.condeferrable THEN 'it is deferrable' END,
           CASE WHEN NOT c.convalidated THEN 'it was never validated' END,
           CASE WHEN c.connoinherit THEN 'it is not inherited' END,
           CASE WHEN c.contype = 'f' AND c.confmatchtype <> 's' THEN 'it matches in full' END,
           CASE WHEN c.contype = 'f' AND c.confupdtype <> 'a' THEN 'it says what happens on update' END,
           CASE WHEN c.contype = 'f' AND c.confdeltype <> '{delete}' THEN 'it says something else of deletes' END), '')
    INTO odd
    FROM pg_constraint AS c WHERE c.oid = {standing.constraint(context.sql, old)};"""


def _carry(context: Context, old: Constraint, name: str, phase: str) -> Step:
    """Comments, and how expressions are analysed, are said of the twin too; they go with it on the way back."""
    new = f"to_regclass({literal(qualified(context.table.schema, name))})"
    said = []
    if old.kind in ("unique", "index"):
        said.append(f"""SELECT format('COMMENT ON INDEX %s IS %L', {new}, obj_description(o.oid, 'pg_class')) AS said
      FROM (SELECT {standing.index(context.sql, old)} AS oid) AS o WHERE obj_description(o.oid, 'pg_class') IS NOT NULL
     UNION ALL
    SELECT format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', {new}, k.attnum, k.attstattarget)
      FROM pg_attribute AS k WHERE k.attrelid = {standing.index(context.sql, old)} AND k.attstattarget >= 0""")
    if old.kind != "index":
        table = f"{literal(context.sql)}::regclass"
        said.append(f"""SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', {literal(name)}, {table},
                  obj_description(o.oid, 'pg_constraint')) AS said
      FROM (SELECT {standing.constraint(context.sql, old)} AS oid) AS o
     WHERE obj_description(o.oid, 'pg_constraint') IS NOT NULL""")
    unions = "\n     UNION ALL\n    ".join(said)
    body = f"""
DECLARE
  one text;
BEGIN
  FOR one IN
    {unions}
  LOOP
    EXECUTE one;
  END LOOP;
END"""
    lock = ((context.sql, Lock.SHARE_UPDATE_EXCLUSIVE),)
    title = f"Say of {name} what is said of {called(context.table, old)}: comments, statistics"
    up = (Group(lock, (_do(body, "carry"),)),)
    return Step(phase, "carry_over", title, context.table, Lock.SHARE_UPDATE_EXCLUSIVE, rank=CARRY, up=up)


def _hand_over(context: Context, old: Constraint, name: str) -> Step:
    """Logical replication and CLUSTER go on with the twin, before the old one is gone; back, the old one takes over."""
    body = f"""
DECLARE
  replicated boolean;
  clustered boolean;
BEGIN
  SELECT i.indisreplident, i.indisclustered INTO replicated, clustered
    FROM pg_index AS i WHERE i.indexrelid = {standing.index(context.sql, old)};
  IF replicated THEN
    ALTER TABLE {context.sql} REPLICA IDENTITY USING INDEX {quote(name)};
  END IF;
  IF clustered THEN
    ALTER TABLE {context.sql} CLUSTER ON {quote(name)};
  END IF;
END"""
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    title = f"Let {name} take over from {called(context.table, old)}, where replication or CLUSTER goes by it"
    up = (Group(lock, (_do(body, "hand"),)),)
    return Step("contract", "hand_over", title, context.table, Lock.ACCESS_EXCLUSIVE, rank=HAND_OVER, up=up)


def _rename(context: Context, old: Constraint, name: str) -> Step:
    assert old.name is not None
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    return Step(
        "contract",
        "rename_constraint" if old.kind != "index" else "rename_index",
        f"Give {name} of {context.table.entity} the name of what it replaces: {old.name}",
        context.table,
        Lock.ACCESS_EXCLUSIVE,
        rank=RENAME,
        up=(Group(lock, (_renamed(context, old, name, old.name),)),),
        down=(Group(lock, (_renamed(context, old, old.name, name),)),),
    )


def _renamed(context: Context, old: Constraint, before: str, after: str) -> str:
    """Only where the one name is taken and the other free: run again after a kill, both may be there."""
    if old.kind == "index":
        schema = context.table.schema
        condition = (
            f"to_regclass({literal(qualified(schema, before))}) IS NOT NULL\n"
            f"     AND to_regclass({literal(qualified(schema, after))}) IS NULL"
        )
        statement = f"ALTER INDEX {qualified(schema, before)} RENAME TO {quote(after)}"
    else:
        own = f"SELECT FROM pg_constraint WHERE conrelid = {literal(context.sql)}::regclass AND conname ="
        condition = f"EXISTS ({own} {literal(before)})\n     AND NOT EXISTS ({own} {literal(after)})"
        statement = f"ALTER TABLE {context.sql} RENAME CONSTRAINT {quote(before)} TO {quote(after)}"
    return _do(f"\nBEGIN\n  IF {condition} THEN\n    {statement};\n  END IF;\nEND", "rename")


def _do(body: str, tag: str) -> str:
    found = dollar_tag(body, tag)
    return f"DO {found}{body}\n{found}"
