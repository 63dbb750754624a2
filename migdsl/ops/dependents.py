"""What stands on a column or a constraint that goes: refused where nobody declared it, remembered where it goes along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.dialect.names import dollar_tag, literal
from migdsl.ops import names, standing
from migdsl.ops.context import Context
from migdsl.ops.model import Cost, Lock, Replay, Step
from migdsl.semantics.model import AddConstraint, Constraint, DropConstraint, Table
from migdsl.semantics.phrases import called
from migdsl.values import replace

# Undone after the values are there again (rank 0), since they go the lowest rank last; keys before what points at them.
REBUILD, REFER = -2, -3


def dropped(context: Context) -> tuple[Constraint, ...]:
    """The constraints and indexes that the file drops, under the names that it calls them by."""
    found = (o.constraint for o in context.change.operations if isinstance(o, DropConstraint))
    return tuple(named(context.table, c) for c in found)


def replaced(context: Context, column: str | None = None) -> tuple[Constraint, ...]:
    """What has a twin over other columns, and goes with its own; that on a column, or all."""
    found = (o.replaces for o in context.change.operations if isinstance(o, AddConstraint) and o.replaces is not None)
    return tuple(c for c in found if column is None or column in c.uses)


def named(table: Table, constraint: Constraint) -> Constraint:
    """The same under the name that it was dropped by."""
    return replace(constraint, name=called(table, constraint))


def referring(context: Context) -> Iterator[tuple[str, Constraint]]:
    """Foreign keys of other tables that point here and are dropped by this migration, with their tables as SQL."""
    for change in context.module.changes:
        for operation in change.operations:
            if not isinstance(operation, DropConstraint) or change is context.change:
                continue
            target = operation.constraint.target
            if target is not None and target.entity == context.table.entity:
                yield names.table(change.table), named(change.table, operation.constraint)


def refuse(context: Context, column: str) -> str:
    """DROP COLUMN takes indexes, constraints and statistics along without a word: what nobody declared is refused."""
    declared = (*dropped(context), *replaced(context))
    allowed = [standing.known(context.sql, c) for c in declared if column in c.uses]
    allowed += [standing.known(table, c) for table, c in referring(context)]
    expected = "".join(f"\n     AND NOT ({one})" for one in allowed)
    body = f"""
DECLARE
  dependents text;
BEGIN
  SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), ', ') INTO dependents
    FROM pg_attribute AS a JOIN pg_depend AS d
      ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
   WHERE {attribute(context, column)}
     AND NOT EXISTS (SELECT FROM pg_attrdef AS f WHERE d.classid = 'pg_attrdef'::regclass
                        AND f.oid = d.objid AND f.adrelid = a.attrelid AND f.adnum = a.attnum)
     AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE d.classid = 'pg_constraint'::regclass
                        AND c.oid = d.objid AND c.contype = 'n'){expected};
  IF dependents IS NOT NULL THEN
    RAISE EXCEPTION 'column % of % is still used by: %', {literal(column)}, {literal(context.sql)}, dependents
      USING ERRCODE = '55000', HINT = 'drop or change what is named first, or declare it in the entity under its name:'
        ' DROP COLUMN would take it along without a word';
  END IF;
END"""
    return _do(body, "guard")


def attribute(context: Context, column: str) -> str:
    """The row `a` of pg_attribute of a column."""
    return f"a.attrelid = {literal(context.sql)}::regclass AND a.attname = {literal(column)} AND NOT a.attisdropped"


def qualifying(body: str) -> str:
    """Runs statements under an empty search path, so that what the catalog spells out has its schema before it."""
    return _do(
        f"""
DECLARE
  path text := current_setting('search_path');
BEGIN
  PERFORM set_config('search_path', '', true);
{body}
  PERFORM set_config('search_path', path, true);
END""",
        "remember",
    )


def remember(context: Context, constraints: Iterable[Constraint]) -> str:
    """Statements that keep, in the snapshot, what makes these constraints and indexes again."""
    kept = []
    for found in constraints:
        if found.kind in ("unique", "index"):
            kept.append(_remember_index(context, found))
        else:
            kept.append(_remember_constraint(context, found))
    return "\n".join(f"{statement};" for statement in kept)


def subject(context: Context, constraint: Constraint) -> str:
    """What the snapshot of a constraint's table is called: foreign keys are a part of their own."""
    return f"{'refer' if constraint.kind == 'reference' else 'rebuild'} {context.sql}"


def rebuild(context: Context) -> Iterator[Step]:
    """The way back of all that goes: built again, and proven again, when the values are there."""
    gone = [*replaced(context), *(c for c in dropped(context) if not forgotten(context, c))]
    table = context.table
    for rank, kinds in ((REBUILD, ("unique", "index", "check")), (REFER, ("reference",))):
        found = [c for c in gone if c.kind in kinds]
        if found:
            listed = ", ".join(called(table, c) for c in found)
            title = f"On the way back: make {listed} of {table.entity} again, while reads and writes go on"
            down = (Replay(context.migration, subject(context, found[0]), locks(context, found)),)
            yield Step("contract", "rebuild", title, table, cost=Cost.SCAN, rank=rank, down=down)


def forgotten(context: Context, constraint: Constraint) -> bool:
    """Whether the file says that nobody will want it back."""
    return any(
        isinstance(o, DropConstraint) and o.irreversible is not None and o.constraint.span == constraint.span
        for o in context.change.operations
    )


def locks(context: Context, constraints: Iterable[Constraint]) -> tuple[tuple[str, Lock], ...]:
    """A foreign key has triggers on both tables: who drops or adds it locks both, in one order."""
    targets = {c.target.entity for c in constraints if c.target is not None}
    tables = {names.table(t) for t in context.module.every if t.entity in targets}
    return tuple((sql, Lock.ACCESS_EXCLUSIVE) for sql in sorted({context.sql, *tables}))


def _insert(context: Context, constraint: Constraint, parts: str) -> str:
    own = f"migration = {literal(context.migration)} AND revision = {literal(subject(context, constraint))}"
    return f"""  INSERT INTO migdsl.snapshot (migration, revision, seq, sql, before, undo)
  SELECT {literal(context.migration)}, {literal(subject(context, constraint))},
         (SELECT coalesce(max(seq), 0) FROM migdsl.snapshot WHERE {own}) + part.seq, part.sql, part.before, part.undo
{parts}
     AND part.sql IS NOT NULL"""


def _remember_index(context: Context, of: Constraint) -> str:
    """An index, with its constraint where it has one, and all that hangs on it."""
    gone = "format('DROP INDEX IF EXISTS %s', x.oid::regclass)"
    return _insert(
        context,
        of,
        f"""    FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid
    LEFT JOIN pg_constraint AS c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid AND c.contype = 'u'
   CROSS JOIN LATERAL (VALUES
         (1, regexp_replace(pg_get_indexdef(x.oid), '^CREATE (UNIQUE )?INDEX ', 'CREATE \\1INDEX CONCURRENTLY '),
             {gone}, {gone}),
         (2, format('ALTER TABLE %s ADD CONSTRAINT %I UNIQUE USING INDEX %I%s', i.indrelid::regclass, c.conname, x.relname,
                    CASE WHEN c.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED'
                         WHEN c.condeferrable THEN ' DEFERRABLE' ELSE '' END), NULL, NULL),
         (3, format('COMMENT ON INDEX %s IS ', x.oid::regclass) || quote_literal(obj_description(x.oid, 'pg_class')),
             NULL, NULL),
         (4, format('COMMENT ON CONSTRAINT %I ON %s IS ', c.conname, i.indrelid::regclass)
             || quote_literal(obj_description(c.oid, 'pg_constraint')), NULL, NULL),
         (5, (SELECT string_agg(format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', x.oid::regclass, k.attnum,
                                       k.attstattarget), '; ' ORDER BY k.attnum)
                FROM pg_attribute AS k WHERE k.attrelid = x.oid AND k.attstattarget >= 0), NULL, NULL),
         (6, CASE WHEN i.indisreplident THEN
                  format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', i.indrelid::regclass, x.relname) END, NULL, NULL),
         (7, CASE WHEN i.indisclustered THEN
                  format('ALTER TABLE %s CLUSTER ON %I', i.indrelid::regclass, x.relname) END, NULL, NULL)
         ) AS part (seq, sql, before, undo)
   WHERE x.oid = {standing.index(context.sql, of)}
     AND (part.seq NOT IN (2, 4) OR c.oid IS NOT NULL)""",
    )


def _remember_constraint(context: Context, of: Constraint) -> str:
    """A CHECK or a foreign key: added unproven, and proven by itself where it was proven."""
    gone = "format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', c.conrelid::regclass, c.conname)"
    add = "format('ALTER TABLE %s ADD CONSTRAINT %I ', c.conrelid::regclass, c.conname) || pg_get_constraintdef(c.oid)"
    return _insert(
        context,
        of,
        f"""    FROM (SELECT *, convalidated AND pg_get_constraintdef(oid) NOT LIKE '%NOT ENFORCED' AS proven
            FROM pg_constraint) AS c
   CROSS JOIN LATERAL (VALUES
         (1, CASE WHEN c.proven
                  THEN format('ALTER TABLE %s VALIDATE CONSTRAINT %I', c.conrelid::regclass, c.conname)
                  ELSE {add} END,
             CASE WHEN c.proven THEN {gone} || '; ' || {add} || ' NOT VALID' END,
             {gone}),
         (2, format('COMMENT ON CONSTRAINT %I ON %s IS ', c.conname, c.conrelid::regclass)
             || quote_literal(obj_description(c.oid, 'pg_constraint')), NULL, NULL)) AS part (seq, sql, before, undo)
   WHERE c.oid = {standing.constraint(context.sql, of)}""",
    )


def _do(body: str, tag: str) -> str:
    found = dollar_tag(body, tag)
    return f"DO {found}{body}\n{found}"
