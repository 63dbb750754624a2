"""What gives out numbers serves both tables of a move while both are there, and goes with the one that stays."""

from __future__ import annotations

from migdsl.dialect.names import dollar_tag, literal, quote
from migdsl.ops import drop_table, names
from migdsl.ops.both_ways import Ways
from migdsl.ops.context import Context
from migdsl.semantics.move_model import Move

_KINDS = {"always": "ALWAYS", "by default": "BY DEFAULT"}


def default(context: Context, move: Move, column: str) -> str | None:
    """Where a copied column of the target gets its numbers from while the old table is there."""
    numbered = dict(move.numbered)
    return f"{names.number(context.migration, move.target, column)}()" if column in numbered else None


def functions(context: Context, sides: Ways) -> tuple[str, ...]:
    """Functions, and no plain nextval(): who may insert needs no right on the sequence, as with an identity."""
    found = []
    for ours, theirs in sides.move.numbered:
        place = f"{literal(names.table(sides.move.table))}, {literal(theirs)}"
        body = f" SELECT nextval(pg_get_serial_sequence({place})) "
        tag = dollar_tag(body, "number")
        found.append(
            f"CREATE OR REPLACE FUNCTION {names.number(context.migration, context.table, ours)}() RETURNS bigint\n"
            f"  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {tag}{body}{tag}"
        )
    # Whoever may write the table must be able to call it; the ledger's tables stay closed.
    return (*found, f"GRANT USAGE ON SCHEMA {names.LEDGER} TO PUBLIC") if found else ()


def drops(context: Context, sides: Ways) -> tuple[str, ...]:
    """Takes them away."""
    called = (names.number(context.migration, context.table, ours) for ours, _ in sides.move.numbered)
    return tuple(f"DROP FUNCTION IF EXISTS {name}()" for name in called)


def hand_over(sides: Ways) -> str:
    """What gives out numbers goes to the target: the next one is the one after the last, whoever got that."""
    source, target = names.table(sides.move.table), names.table(sides.of.table)
    numbered = "".join(_identity(sides.move, source, target, *pair) for pair in sides.move.numbered)
    owned = _owner(source, target, [(theirs, ours) for ours, theirs in sides.move.copied])
    body = f"""
DECLARE
  numbers record;
BEGIN
  IF to_regclass({literal(source)}) IS NOT NULL THEN
    LOCK TABLE {source} IN ACCESS EXCLUSIVE MODE;
{numbered}{owned}{drop_table.guard(source)}  END IF;
END"""
    tag = dollar_tag(body, "over")
    return f"DO {tag}{body}\n{tag}"


_SEQUENCE = """    SELECT s.oid::regclass AS name, q.*, pg_sequence_last_value(s.oid) AS last INTO STRICT numbers
      FROM pg_class AS s JOIN pg_sequence AS q ON q.seqrelid = s.oid
     WHERE s.oid = to_regclass(pg_get_serial_sequence({place}));
"""


def _identity(move: Move, source: str, target: str, ours: str, theirs: str) -> str:
    column = next(c for c in move.table.columns if c.name == theirs)
    kind = _KINDS[column.identity or "by default"]
    add = f"ALTER TABLE {target} ALTER COLUMN {quote(ours)} ADD GENERATED {kind} AS IDENTITY"
    options = (
        "' (INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s)', numbers.seqincrement, numbers.seqmin, "
        "numbers.seqmax, numbers.seqstart, numbers.seqcache, CASE WHEN numbers.seqcycle THEN ' CYCLE' ELSE '' END"
    )
    there = _SEQUENCE.format(place=f"{literal(source)}, {literal(theirs)}")
    return f"""{there}    ALTER TABLE {target} ALTER COLUMN {quote(ours)} DROP DEFAULT;
    EXECUTE {literal(add)} || format({options});
    PERFORM setval(pg_get_serial_sequence({literal(target)}, {literal(ours)}), coalesce(numbers.last, numbers.seqstart),
                   numbers.last IS NOT NULL);
"""


def _owner(here: str, there: str, pairs: list[tuple[str, str]]) -> str:
    """Sequences of their own, which a column's default names, change their owner, or they would go with the table."""
    named = ", ".join(f"({literal(a)}, {literal(b)})" for a, b in pairs)
    return f"""    FOR numbers IN SELECT s.oid::regclass AS name, c.theirs AS of
                     FROM (VALUES {named}) AS c (ours, theirs)
                     JOIN pg_attribute AS a ON a.attrelid = to_regclass({literal(here)}) AND a.attname = c.ours
                     JOIN pg_depend AS d ON d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'a'
                      AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                     JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S' LOOP
      EXECUTE format('ALTER SEQUENCE %s OWNED BY %s.%I', numbers.name, {literal(there)}, numbers.of);
    END LOOP;
"""


def hand_back(context: Context, sides: Ways) -> str:
    """The other way round: the old table's sequence goes on where the target's stopped."""
    source, target = names.table(sides.move.table), names.table(sides.of.table)
    numbered = ""
    for ours, theirs in sides.move.numbered:
        there = _SEQUENCE.format(place=f"{literal(target)}, {literal(ours)}")
        function = names.number(context.migration, context.table, ours)
        numbered += f"""    IF pg_get_serial_sequence({literal(target)}, {literal(ours)}) IS NOT NULL THEN
{there}    PERFORM setval(pg_get_serial_sequence({literal(source)}, {literal(theirs)}), coalesce(numbers.last, numbers.seqstart),
                   numbers.last IS NOT NULL);
    ALTER TABLE {target} ALTER COLUMN {quote(ours)} DROP IDENTITY;
    ALTER TABLE {target} ALTER COLUMN {quote(ours)} SET DEFAULT {function}();
    END IF;
"""
    owned = _owner(target, source, list(sides.move.copied))
    body = f"""
DECLARE
  numbers record;
BEGIN
{numbered}{owned}END"""
    tag = dollar_tag(body, "back")
    return f"DO {tag}{body}\n{tag}"
