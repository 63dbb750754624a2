"""A constraint that comes along to a new table waits for the end of a transaction where the one that it is a copy of does.

The language has no word for that, and the catalog has: code that inserts a row before the one it points at goes on to do so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.dialect.names import dollar_tag, literal
from migdsl.ops import names
from migdsl.ops.model import Group, Step
from migdsl.semantics.model import Constraint, Table
from migdsl.semantics.move_model import Move
from migdsl.values import replace

_KINDS = {"reference": "f", "unique": "u"}


def copied(move: Move, constraints: Iterable[Constraint]) -> tuple[str, ...]:
    """A statement after which these constraints of the target are as deferrable as those of the table that moves."""
    theirs = dict(move.copied)
    found = [
        (names.constraint(move.target, each), _KINDS[each.kind], tuple(theirs[column] for column in each.columns))
        for each in constraints
        if each.kind in _KINDS and set(each.columns) <= set(theirs)
    ]
    return _alike(names.table(move.table), names.table(move.target), found)


def late(steps: Iterable[Step], move: Move, constraint: Constraint) -> Iterator[Step]:
    """The steps that add a constraint of the target when old code has gone, and make it as deferrable as its original."""
    yield from (_after(step, copied(move, [constraint])) for step in steps)


def pointed_anew(table: Table, constraint: Constraint, steps: Iterable[Step]) -> Iterator[Step]:
    """The same of a foreign key of a table that stays, which follows the table that it points at."""
    place = names.table(table)
    for step in steps:
        made = [(m.name, "f", constraint.columns) for m in step.makes if m.kind == "constraint"]
        moved = constraint.target is not None and constraint.target.moved
        yield _after(step, _alike(place, place, made if moved else []))


def _after(step: Step, statements: tuple[str, ...]) -> Step:
    first, *rest = step.up if step.operation == "add_constraint" else (None,)
    if not isinstance(first, Group) or not statements:
        return step
    return replace(step, up=(replace(first, statements=(*first.statements, *statements)), *rest))


def _alike(here: str, there: str, constraints: list[tuple[str, str, tuple[str, ...]]]) -> tuple[str, ...]:
    """`constraints` of the table `there`, each with its kind and the columns of the table `here` that its original is over."""
    if not constraints:
        return ()
    rows = ",\n                       ".join(
        f"({literal(name)}, '{kind}', ARRAY[{', '.join(map(literal, sorted(columns)))}])"
        for name, kind, columns in constraints
    )
    body = f"""
DECLARE
  given record;
BEGIN
  FOR given IN SELECT n.conname, n.contype, pg_get_constraintdef(n.oid) AS said,
                      CASE WHEN bool_or(o.condeferred) THEN 'DEFERRABLE INITIALLY DEFERRED' ELSE 'DEFERRABLE' END AS waits
                 FROM (VALUES {rows}) AS w (name, kind, columns)
                 JOIN pg_constraint AS n ON n.conrelid = {literal(there)}::regclass AND n.conname = w.name
                 JOIN pg_constraint AS o ON o.conrelid = {literal(here)}::regclass AND o.contype::text = w.kind AND o.oid <> n.oid
                WHERE o.condeferrable AND NOT n.condeferrable
                  AND w.columns = ARRAY(SELECT a.attname::text FROM pg_attribute AS a
                                         WHERE a.attrelid = o.conrelid AND a.attnum = ANY (o.conkey)
                                         ORDER BY a.attname::text COLLATE "C")
                GROUP BY n.oid LOOP
    EXECUTE format(CASE given.contype WHEN 'f' THEN 'ALTER TABLE %1$s ALTER CONSTRAINT %2$I %4$s'
                   ELSE 'ALTER TABLE %1$s DROP CONSTRAINT %2$I, ADD CONSTRAINT %2$I %3$s %4$s' END,
                   {literal(there)}, given.conname, given.said, given.waits);
  END LOOP;
END"""
    tag = dollar_tag(body, "waits")
    return (f"DO {tag}{body}\n{tag}",)


def refusal(move: Move) -> str:
    """Part of a block that refuses what can't be deferrable on the target: ON CONFLICT, by which rows are carried, goes by it."""
    excludes = any(c.kind == "exclude" for c in move.target.constraints)
    kinds = "'p', 'x', 'u'" if excludes else "'p'"
    here = literal(names.table(move.table))
    return f"""  IF EXISTS (SELECT FROM pg_constraint AS c
              WHERE c.conrelid = {here}::regclass AND c.condeferrable AND c.contype IN ({kinds})) THEN
    RAISE EXCEPTION '% of % is deferrable, and rows that are carried over could not go by it',
      (SELECT string_agg(quote_ident(c.conname), ', ') FROM pg_constraint AS c
        WHERE c.conrelid = {here}::regclass AND c.condeferrable AND c.contype IN ({kinds})), {here}
      USING ERRCODE = '55000', HINT = 'make it anew, without DEFERRABLE, before the move';
  END IF;
"""
