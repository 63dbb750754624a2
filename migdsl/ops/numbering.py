"""What gives out numbers serves both tables of a move while both are there, and goes with the one that stays."""

from __future__ import annotations

from migdsl.dialect.names import derived, dollar_tag, literal, qualified, quote
from migdsl.ops import drop_table, names
from migdsl.ops.both_ways import Ways
from migdsl.ops.context import Context
from migdsl.semantics.model import Table
from migdsl.semantics.move_model import Move
from migdsl.semantics.problems import written

_SERIAL = {"smallint": "smallserial", "integer": "serial", "bigint": "bigserial"}
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


def checks(sides: Ways) -> str:
    """Part of a block that refuses where columns get numbers otherwise than the file says: the new table would lack them."""
    columns = {c.name: c for c in sides.move.table.columns}
    found = [
        numbered(sides.move.table, theirs) + _of_its_kind(sides.move.table, theirs) for _, theirs in sides.move.numbered
    ]
    found += [_room(sides, theirs) for _, theirs in sides.move.numbered if not _generated(sides.move.table, theirs)]
    silent = (theirs for pair in sides.move.copied if pair not in sides.move.numbered for theirs in pair[1:])
    unspoken = (each for each in silent if "nextval(" not in (columns[each].default or "").lower())
    found += [unnumbered(sides.move.table, each) for each in unspoken]
    return "".join(found)


def _of_its_kind(table: Table, column: str) -> str:
    identity, place = _generated(table, column), names.table(table)
    is_, said = ("a serial", "an identity") if identity else ("an identity", "a serial")
    return f"""  IF (SELECT a.attidentity {"=" if identity else "<>"} '' FROM pg_attribute AS a
       WHERE a.attrelid = {literal(place)}::regclass AND a.attname = {literal(column)}) THEN
    RAISE EXCEPTION 'the column % of % is {is_}, and declared as {said}', {literal(column)}, {literal(place)}
      USING ERRCODE = '55000', HINT = 'declare it as what it is';
  END IF;
"""


def _room(sides: Ways, column: str) -> str:
    """A sequence that goes along into another schema keeps its name there."""
    here, schema = names.table(sides.move.table), sides.of.table.schema
    if sides.move.table.schema == schema:
        return ""
    owned = f"pg_get_serial_sequence({literal(here)}, {literal(column)})"
    named = f"(SELECT relname FROM pg_class WHERE oid = {owned}::regclass)"
    return f"""  IF to_regclass(format('%I.%I', {literal(schema)}, {named})) IS NOT NULL THEN
    RAISE EXCEPTION 'the sequence of % of % goes to the schema % in the end, where its name is taken',
      {literal(column)}, {literal(here)}, {literal(schema)}
      USING ERRCODE = '55000', HINT = format(
        'give one of the two another name: ALTER SEQUENCE %s RENAME TO %I', {owned}, left({named}, 59) || '_old');
  END IF;
"""


def known(sides: Ways) -> str | None:
    """What code has to know where a sequence goes along into another schema."""
    here, schema = sides.move.table, sides.of.table.schema
    serials = [f"{here.name}.{theirs}" for _, theirs in sides.move.numbered if not _generated(here, theirs)]
    if here.schema == schema or not serials:
        return None
    their, go = ("sequence", "goes") if len(serials) == 1 else ("sequences", "go")
    return (
        f"code leaves {', '.join(serials)} to the column's default, or names the {their} without a schema and has both in its "
        f"search_path: from {here.schema} the {their} {go} to {schema}, and nextval('{here.schema}.…') fails from then on"
    )


def numbered(table: Table, column: str) -> str:
    """Part of a block that refuses where a column has no sequence."""
    place = names.table(table)
    return f"""  IF pg_get_serial_sequence({literal(place)}, {literal(column)}) IS NULL THEN
    RAISE EXCEPTION 'no sequence belongs to the column % of %, which is declared to be numbered',
      {literal(column)}, {literal(place)}
      USING ERRCODE = '55000', HINT = {literal(_own(table, column))}
        || {_the_one_that_is_there(place, column)};
  END IF;
"""


def _own(table: Table, column: str) -> str:
    """How a column comes to a sequence of its own: one that others use too can't go along with a table."""
    place, name, fresh = names.table(table), quote(column), derived(table.name, column, suffix="own_seq")
    sequence = qualified(table.schema, fresh)
    statements = (
        "BEGIN",
        "SET LOCAL lock_timeout = '2s'",
        # What ALTER TABLE takes: a weaker one first, and whoever has read and writes now would be in a deadlock with it.
        f"LOCK TABLE {place} IN ACCESS EXCLUSIVE MODE",
        f"CREATE SEQUENCE {sequence} OWNED BY {place}.{name}",
        f"SELECT setval({literal(sequence)}, greatest(max({name}), 0) + 1, false) FROM {place}",
        f"ALTER TABLE {place} ALTER COLUMN {name} SET DEFAULT nextval({literal(sequence)})",
        "COMMIT",
    )
    return (
        f"as the table's owner give it a sequence of its own: {'; '.join(statements)}. Before COMMIT grant USAGE on it to the "
        "other roles that insert"
    )


def _the_one_that_is_there(place: str, column: str) -> str:
    """The rest of that advice, as SQL: a sequence that a column's default names may become its own, beside the table."""
    own = ". Where no other column uses the one that is there: ALTER SEQUENCE %s OWNED BY "
    own += _doubled(f"{place}.{quote(column)}")
    return f"""coalesce((SELECT format({literal(own)}, s.oid::regclass)
          FROM pg_class AS t
          JOIN pg_attribute AS a ON a.attrelid = t.oid
          JOIN pg_attrdef AS f ON f.adrelid = t.oid AND f.adnum = a.attnum
          JOIN pg_depend AS p ON p.classid = 'pg_attrdef'::regclass AND p.objid = f.oid
          JOIN pg_class AS s ON s.oid = p.refobjid AND s.relkind = 'S'
         WHERE t.oid = {literal(place)}::regclass AND a.attname = {literal(column)}
           AND (s.relnamespace, s.relowner) = (t.relnamespace, t.relowner) LIMIT 1), '')"""


def _doubled(text: str) -> str:
    """As format() prints it unchanged."""
    return text.replace("%", "%%")


def unnumbered(table: Table, column: str) -> str:
    """Part of a block that refuses where a column has one that nobody has spoken of."""
    place = names.table(table)
    declared = next(c for c in table.columns if c.name == column)
    said = literal("declare its default in the entity, as the database has it")
    if declared.type.sql in _SERIAL:
        key = " key" if (column,) == table.key else ""
        name, whole = written(column, folds=True), declared.type.sql
        declare = f"declare it in the entity: {name} {_SERIAL[whole]}{key}"
        declare += f", or, if it is an identity, {name} {whole}{key} identity"
        said = f"""CASE WHEN pg_get_serial_sequence({literal(place)}, {literal(column)}) IS NOT NULL THEN {literal(declare)}
        ELSE {literal(_own(table, column))} || {_the_one_that_is_there(place, column)}
          || {literal(". Then " + declare)} END"""
    return f"""  IF EXISTS (SELECT FROM pg_attribute AS a
              LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             WHERE a.attrelid = {literal(place)}::regclass AND a.attname = {literal(column)}
               AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%')) THEN
    RAISE EXCEPTION 'a sequence gives out % of %, and nothing would on the new side', {literal(column)}, {literal(place)}
      USING ERRCODE = '55000', HINT = {said};
  END IF;
"""


def _generated(table: Table, column: str) -> bool:
    """Whether a column's numbers are an identity's; else it has a sequence of its own as its default."""
    return any(c.identity is not None for c in table.columns if c.name == column)


def hand_over(sides: Ways) -> str:
    """What gives out numbers goes to the target: the next one is the one after the last, whoever got that."""
    source, target = names.table(sides.move.table), names.table(sides.of.table)
    numbered = "".join(
        (_identity if _generated(sides.move.table, pair[1]) else _serial)(sides.move, source, target, *pair)
        for pair in sides.move.numbered
    )
    owned = _owner(source, target, [(theirs, ours) for ours, theirs in sides.move.copied], _remembered(sides))
    body = f"""
DECLARE
  numbers record;
  given record;
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


def _serial(move: Move, source: str, target: str, ours: str, theirs: str) -> str:
    """The same sequence goes on; whoever may insert may ask it, as with the function before."""
    found = _OWNED.format(place=f"{literal(source)}, {literal(theirs)}") + _settled(move.target, move.table, ours)
    default = f"'ALTER TABLE %s ALTER COLUMN %I SET DEFAULT nextval(%L)', {literal(target)}, {literal(ours)}"
    # Who may insert into some of the columns gets the others' defaults, too.
    return f"""{found}    EXECUTE format({default}, numbers.name);
    FOR given IN SELECT DISTINCT CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END AS who
                   FROM pg_class AS c
                  CROSS JOIN LATERAL (
                        SELECT c.relacl UNION ALL
                        SELECT a.attacl FROM pg_attribute AS a WHERE a.attrelid = c.oid AND NOT a.attisdropped) AS r (acl)
                  CROSS JOIN LATERAL aclexplode(r.acl) AS g
                  WHERE c.oid = to_regclass({literal(target)}) AND g.privilege_type = 'INSERT' AND g.grantee <> c.relowner LOOP
      EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %s', numbers.name, given.who);
    END LOOP;
"""


_OWNED = """    SELECT pg_get_serial_sequence({place})::regclass AS name INTO numbers;
"""


def _settled(here: Table, there: Table, column: str) -> str:
    """A sequence comes from one table to another one's column, in whose schema it has to be."""
    place, moved = names.table(here), ""
    if here.schema != there.schema:
        moved = f"    EXECUTE format('ALTER SEQUENCE %s SET SCHEMA %I', numbers.name, {literal(here.schema)});\n"
    return f"""    {_FREED}
{moved}    {_given(place)}
    EXECUTE format('ALTER SEQUENCE %s OWNED BY %s.%I', numbers.name, {literal(place)}, {literal(column)});
"""


_FREED = "EXECUTE format('ALTER SEQUENCE %s OWNED BY NONE', numbers.name);"


def _given(place: str) -> str:
    """A sequence that belongs to no column gets the owner that the table has to which it is to belong, as it must.

    Whose it was may ask it still, where the table's default names it.
    """
    return f"""EXECUTE coalesce((
      SELECT format('ALTER SEQUENCE %1$s OWNER TO %2$s; GRANT USAGE ON SEQUENCE %1$s TO %3$s',
                    numbers.name, t.relowner::regrole, s.relowner::regrole)
        FROM pg_class AS s JOIN pg_class AS t ON t.oid = {literal(place)}::regclass AND t.relowner <> s.relowner
       WHERE s.oid = numbers.name), '');"""


def _owner(here: str, there: str, pairs: list[tuple[str, str]], otherwise: str = "") -> str:
    """Sequences of their own, which a column's default names, change their owner, or they would go with the table.

    `otherwise`: a statement that is run first, for such as can't belong to the other table, and then belong to nobody.
    """
    named = ", ".join(f"({literal(a)}, {literal(b)})" for a, b in pairs)
    owned = f"format('ALTER SEQUENCE %s OWNED BY %s.%I', numbers.name, {literal(there)}, numbers.of)"
    done = otherwise if otherwise else f"{_given(there)}\n      EXECUTE {owned};"
    return f"""    FOR numbers IN SELECT s.oid::regclass AS name, c.theirs AS of, c.ours AS was
                     FROM (VALUES {named}) AS c (ours, theirs)
                     JOIN pg_attribute AS a ON a.attrelid = to_regclass({literal(here)}) AND a.attname = c.ours
                     JOIN pg_depend AS d ON d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'a'
                      AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                     JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S' LOOP
      {_FREED}
      {done}
    END LOOP;
"""


def owners(sides: Ways) -> str:
    """What the ledger calls the memory of sequences that belong to nobody while the table of their column is gone."""
    return f"sequences of {names.table(sides.move.table)}"


def _remembered(sides: Ways) -> str:
    """Where the target is in another schema than sequences that defaults name: there they can't belong to it."""
    if sides.move.table.schema == sides.of.table.schema:
        return ""
    owned = f"format('ALTER SEQUENCE %s OWNED BY %s.%I', numbers.name, {literal(names.table(sides.move.table))}, numbers.was)"
    return f"""INSERT INTO migdsl.snapshot (migration, revision, seq, sql)
      SELECT {literal(sides.of.migration)}, {literal(owners(sides))}, coalesce(max(seq), 0) + 1, {owned}
        FROM migdsl.snapshot WHERE migration = {literal(sides.of.migration)} AND revision = {literal(owners(sides))};"""


def hand_back(context: Context, sides: Ways) -> str:
    """The other way round: the old table's sequence goes on where the target's stopped."""
    source, target = names.table(sides.move.table), names.table(sides.of.table)
    numbered = ""
    for ours, theirs in sides.move.numbered:
        function = names.number(context.migration, context.table, ours)
        if not _generated(sides.move.table, theirs):
            back = _settled(sides.move.table, sides.of.table, theirs)
            numbered += f"""    IF pg_get_serial_sequence({literal(target)}, {literal(ours)}) IS NOT NULL THEN
{_OWNED.format(place=f"{literal(target)}, {literal(ours)}")}{back}    END IF;
    ALTER TABLE {target} ALTER COLUMN {quote(ours)} SET DEFAULT {function}();
"""
            continue
        there = _SEQUENCE.format(place=f"{literal(target)}, {literal(ours)}")
        numbered += f"""    IF pg_get_serial_sequence({literal(target)}, {literal(ours)}) IS NOT NULL THEN
{there}    PERFORM setval(pg_get_serial_sequence({literal(source)}, {literal(theirs)}), coalesce(numbers.last, numbers.seqstart),
                   numbers.last IS NOT NULL);
    ALTER TABLE {target} ALTER COLUMN {quote(ours)} DROP IDENTITY;
    ALTER TABLE {target} ALTER COLUMN {quote(ours)} SET DEFAULT {function}();
    END IF;
"""
    owned = _owner(target, source, list(sides.move.copied)) if not _remembered(sides) else ""
    body = f"""
DECLARE
  numbers record;
BEGIN
{numbered}{owned}END"""
    tag = dollar_tag(body, "back")
    return f"DO {tag}{body}\n{tag}"
