"""What steps make under a name becomes a refusal where the name is taken: what is there already isn't the migration's.

`IF NOT EXISTS` and `DROP … IF EXISTS` make a revision repeatable after a kill, and would adopt, or drop, what somebody else
made under that name. So names are asked for before anything changes, and what was free is noted as the migration's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.dialect.names import dollar_tag, literal, qualified
from migdsl.ops.context import Context
from migdsl.ops.model import BuildIndex, Group, Made, Step
from migdsl.semantics.model import PHASES
from migdsl.semantics.phrases import known_as

FIRST = 0  # the rank, behind the gates and before all that changes anything
_THERE = """CASE n.kind
                 WHEN 'column' THEN EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(n.relation)
                                               AND attname = n.name AND NOT attisdropped)
                 WHEN 'constraint' THEN EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass(n.relation)
                                                   AND conname = n.name)
                 ELSE to_regclass(n.relation) IS NOT NULL END"""

_SHOWN = 1


def column(context: Context, name: str) -> Made:
    """A column of the table that is changed."""
    return Made("column", context.sql, name)


def constraint(context: Context, name: str) -> Made:
    """A constraint of the table that is changed."""
    return Made("constraint", context.sql, name)


def relation(schema: str, name: str) -> Made:
    """An index: what has a name that its whole schema shares."""
    return Made("relation", qualified(schema, name), name)


def lower(context: Context, steps: Iterable[Step]) -> Iterator[Step]:
    """Refusals of a table's steps: of expand's names and of those to come, and again in the phase that gives them."""
    found = {phase: made for phase, made in by_phase(steps).items() if made}
    if not found:
        return
    own = found.pop("expand", ())
    later = tuple(dict.fromkeys(m for made in found.values() for m in made if m not in own))
    yield _step(context, "expand", (*own, *later), own)
    for phase, made in found.items():
        yield _step(context, phase, made, made)
        title = f"On the way back: let go of the names that {phase} gave in {context.table.entity}"
        down = (Group((), (_let_go(context.migration, made),)),)
        yield Step(phase, "release_names", title, context.table, rank=FIRST, down=down)


def by_phase(steps: Iterable[Step]) -> dict[str, tuple[Made, ...]]:
    """Phase → what its steps make, in the order of phases; an index that is built says so itself."""
    found: dict[str, dict[Made, None]] = {phase: {} for phase in PHASES}
    for step in steps:
        built = (relation(part.schema, part.name) for part in step.up if isinstance(part, BuildIndex))
        found[step.phase].update(dict.fromkeys((*step.makes, *built)))
    return {phase: tuple(made) for phase, made in found.items()}


def taken(migration: str, made: Iterable[Made], *, ledger: bool) -> str:
    """A query: kind, relation and name of what is there, and not by this migration, as far as the ledger knows."""
    listed = ",\n               ".join(f"({', '.join(map(literal, m.place))})" for m in made)
    mine = f"""
             AND NOT EXISTS (SELECT FROM migdsl.snapshot AS s
                              WHERE s.migration = {literal(migration)}
                                AND s.revision = concat_ws(' ', 'makes', n.kind, n.relation, n.name))"""
    return f"""SELECT n.kind, n.relation, n.name
            FROM (VALUES
               {listed}) AS n (kind, relation, name)
           WHERE {_THERE}{mine if ledger else ""}"""


def _step(context: Context, phase: str, made: tuple[Made, ...], own: tuple[Made, ...]) -> Step:
    shown = known_as(context.table, context.module.moves)
    title = f"Refuse where a name that {shown} is to get is taken: {_listed(made)}"
    statements = [refuse(context.migration, made)]
    if own:
        statements.append(_note(context.migration, own))
    return Step(phase, "check_names", title, context.table, rank=FIRST, up=(Group((), tuple(statements)),))


def _listed(made: tuple[Made, ...]) -> str:
    """The first names; a step's title is no place for a dozen of them."""
    found = list(dict.fromkeys(" ".join(m.name.split()) for m in made))
    shown = found if len(found) <= _SHOWN + 1 else found[:_SHOWN]
    return ", ".join(shown) + (f" and {len(found) - len(shown)} more" if len(found) > len(shown) else "")


def refuse(migration: str, made: Iterable[Made]) -> str:
    """Raises an error that lists what is taken."""
    body = f"""
DECLARE
  taken text;
BEGIN
  SELECT string_agg(CASE t.kind WHEN 'relation' THEN t.relation ELSE concat(t.kind, ' ', t.name, ' of ', t.relation) END, ', ')
    INTO taken
    FROM ({taken(migration, made, ledger=True)}) AS t;
  IF taken IS NOT NULL THEN
    RAISE EXCEPTION 'these names are taken, and what is there was not made by this migration: %', taken
      USING ERRCODE = '55000',
            HINT = 'declare what is there in its entity, or give the new one another name (a constraint or an index: as NAME)';
  END IF;
END"""
    tag = dollar_tag(body, "names")
    return f"DO {tag}{body}\n{tag}"


def _note(migration: str, made: tuple[Made, ...]) -> str:
    """Leaves word that what will be there is the migration's own, for a run after one that was killed."""
    rows = ",\n       ".join(f"({literal(migration)}, {literal(_subject(m))}, 1, 'SELECT 1')" for m in made)
    return f"""INSERT INTO migdsl.snapshot (migration, revision, seq, sql)
VALUES {rows}
    ON CONFLICT (migration, revision, seq) DO NOTHING"""


def _let_go(migration: str, made: tuple[Made, ...]) -> str:
    listed = ",\n                   ".join(literal(_subject(m)) for m in made)
    return f"DELETE FROM migdsl.snapshot\n WHERE migration = {literal(migration)}\n   AND revision IN ({listed})"


def _subject(made: Made) -> str:
    return " ".join(("makes", *made.place))
