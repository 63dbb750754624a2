"""`create … from`: a trigger on the other table carries its rows over to the new one, one way, from expand to contract.

It is deferred to the end of the transaction: by then new code has written both tables, in whichever order, and what the
trigger still finds to do is old code's. It runs with its owner's rights, since old code has none on the new table.
"""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import conforming, dollar_tag, literal, quote
from migdsl.ops import attempts, closed, names, not_null
from migdsl.ops.add_column import EXPAND_TABLE
from migdsl.ops.carried import Carried
from migdsl.ops.context import Context
from migdsl.ops.model import Group, Lock, Step
from migdsl.ops.pairs import assigned, column_name
from migdsl.semantics.model import Source

OBJECTS, LAST = 1, 6  # ranks: what a trigger needs comes before it, and goes after it


def lower(context: Context, source: Source) -> Iterator[Step]:
    """The trigger's life, and the NOT NULLs that old code's rows might break."""
    of = Carried(context.migration, context.table, source)
    yield closed.lower(source.table, context.table, "the trigger that carries rows over")
    yield _objects(of)
    yield _trigger(of)
    for column in of.late():
        yield from not_null.steps(context, column, "enforce")
    yield from _drop(of)


def _attempts(of: Carried) -> tuple[str, ...]:
    return attempts.functions(of.migration, of.source.table, of.guarded())


def _objects(of: Carried) -> Step:
    counter = names.counter(of.migration, of.table)
    up = (f"CREATE SEQUENCE IF NOT EXISTS {counter} AS bigint", *_attempts(of))
    # The linter's rule guards sequences that give out keys; this one only counts, and is ours.
    drop = f"-- squawk-ignore ban-drop-sequence\nDROP SEQUENCE IF EXISTS {counter}"
    down = (*attempts.drops(of.migration, of.source.table, of.guarded()), drop)
    title = f"Create the counter of what old code's writes are carried over to {of.table.entity}"
    parts = Group((), up), Group((), down)
    return Step("expand", "create_function", title, of.table, rank=OBJECTS, up=parts[:1], down=parts[1:])


def _functions(of: Carried) -> tuple[str, ...]:
    # Whoever may attach it to a table of their own could write any tenant's rows by it.
    return function(of), f"REVOKE ALL ON FUNCTION {names.fill(of.migration, of.table)}() FROM PUBLIC"


def _create_triggers(of: Carried) -> tuple[str, ...]:
    (name, whole), on = _called(of), names.table(of.source.table)
    create = f"CREATE CONSTRAINT TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {on}"
    call = f"EXECUTE FUNCTION {names.fill(of.migration, of.table)}()"
    return (
        f"{create}\n  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW {call}",
        f"CREATE TRIGGER {whole} AFTER TRUNCATE ON {on}\n  FOR EACH STATEMENT {call}",
        f"ALTER TABLE {on} ENABLE ALWAYS TRIGGER {name}, ENABLE ALWAYS TRIGGER {whole}",
    )


def _called(of: Carried) -> tuple[str, str]:
    """The triggers, as SQL: that of rows, and that of all rows at once, which no trigger of rows sees."""
    return names.fill_trigger(of.migration, of.table), names.carry_trigger(of.migration, of.table, "fill_all")


def _drop_triggers(of: Carried) -> tuple[str, ...]:
    on = names.table(of.source.table)
    return tuple(f"DROP TRIGGER IF EXISTS {name} ON {on}" for name in _called(of))


def _trigger(of: Carried) -> Step:
    entity, source = of.table.entity, of.source.table
    lock = ((names.table(source), Lock.ACCESS_EXCLUSIVE),)
    forget = f"DROP FUNCTION IF EXISTS {names.fill(of.migration, of.table)}()"
    return Step(
        "expand",
        "create_trigger",
        f"Create the trigger that carries what is written to {source.entity} over to {entity}, whoever writes; never back",
        source,
        Lock.ACCESS_EXCLUSIVE,
        rank=EXPAND_TABLE,
        up=(Group(lock, (*_functions(of), *_drop_triggers(of), proof(of), *_create_triggers(of))),),
        down=(Group(lock, (*_drop_triggers(of), forget)),),
        precondition=f"new code writes {source.entity} and {entity} in one transaction, or {entity} by an upsert (INSERT … ON "
        f"CONFLICT DO UPDATE): at the end of a transaction the trigger inserts the row of {entity} that isn't there",
    )


def _drop(of: Carried) -> Iterator[Step]:
    entity, source = of.table.entity, of.source.table
    lock = ((names.table(source), Lock.ACCESS_EXCLUSIVE),)
    yield Step(
        "contract",
        "drop_trigger",
        f"Drop the trigger that carried {source.entity} over to {entity}: no old code is left that it serves",
        source,
        Lock.ACCESS_EXCLUSIVE,
        rank=EXPAND_TABLE,
        up=(Group(lock, _drop_triggers(of)),),
        down=(Group(lock, (*_drop_triggers(of), *_create_triggers(of))),),
    )
    forget = f"DROP FUNCTION IF EXISTS {names.fill(of.migration, of.table)}()"
    yield Step(
        "contract",
        "drop_function",
        f"Drop the function that carried {source.entity} over; the counter of old code's writes stays in the ledger",
        of.table,
        rank=LAST,
        up=(Group((), (forget, *attempts.drops(of.migration, source, of.guarded()))),),
        down=(Group((), (*_attempts(of), *_functions(of))),),
    )


def _path(of: Carried) -> str:
    return closed.search_path(of.source.table, of.table)


def function(of: Carried) -> str:
    """CREATE OR REPLACE of the trigger's function."""
    body = "\n".join(_Body(of).lines())
    tag = dollar_tag(body, "fill")
    return (
        f"CREATE OR REPLACE FUNCTION {names.fill(of.migration, of.table)}() RETURNS trigger\n"
        f"  LANGUAGE plpgsql SECURITY DEFINER SET search_path = {_path(of)}{conforming(body)} AS {tag}\n{body}\n{tag}"
    )


def proof(of: Carried) -> str:
    """A DO block that has PostgreSQL resolve every name, operator and type of the function, on no row."""
    found = [assigned(f"t.{column_name(theirs)}", of.table.type_of(c)) for c, theirs in of.identity()]
    for column, expression in of.values():
        found.append(of.written(column, expression, "t"))
        found.append(f"n.{column_name(column.name)} IS DISTINCT FROM {of.held(column, expression, 't')}")
    condition = of.where("t")
    found += [f"({condition}) IS TRUE"] if condition is not None else []
    expressions = ",\n          ".join(found)
    body = f"""
DECLARE
  before text := current_setting('search_path');
BEGIN
  -- As the trigger will see it.
  PERFORM set_config('search_path', {literal(_path(of))}, true);
  PERFORM {expressions}
     FROM {names.table(of.source.table)} AS t JOIN {names.table(of.table)} AS n ON {of.matched("n", "t")}
    WHERE FALSE;
  PERFORM set_config('search_path', before, true);
END"""
    tag = dollar_tag(body, "proof")
    return f"DO {tag}{body}\n{tag}"


class _Body:
    """The function's text. `was` is the row that the source's gave before, `gives` the one that it gives now."""

    def __init__(self, of: Carried) -> None:
        self.of = of
        self.sql = names.table(of.table)
        self.identity = of.identity()
        self.values = of.values()
        self.count = f"PERFORM nextval({literal(names.counter(of.migration, of.table))});"

    def lines(self) -> list[str]:
        """All of it."""
        return [
            "#variable_conflict use_column",  # a column may be called as a variable is
            "DECLARE",
            f"  was {self.sql};",
            f"  gives {self.sql};",
            "  had boolean := FALSE;",
            "  has boolean := FALSE;",
            "BEGIN",
            *self._emptied(),
            "  IF TG_OP <> 'INSERT' THEN",
            *(f"  {line}" for line in self._computed("OLD", "was", "had")),
            *self._unseen(),
            "  END IF;",
            *self._deleted(),
            *self._computed("NEW", "gives", "has"),
            *self._moved(),
            *self._carried(),
            "  RETURN NULL;",
            "END",
        ]

    def _own(self, row: str) -> str:
        """The new table's row of a row; by the tenant too, so that nobody else's can be meant."""
        return " AND ".join(f"n.{column_name(c)} = {row}.{column_name(theirs)}" for c, theirs in self.identity)

    def _like(self, record: str) -> str:
        same = (f"n.{column_name(c.name)} IS NOT DISTINCT FROM {record}.{column_name(c.name)}" for c, _ in self.values)
        return "".join(f"\n       AND {each}" for each in same)

    def _exists(self, row: str, record: str | None = None) -> str:
        like = self._like(record) if record else ""
        return f"EXISTS (SELECT FROM {self.sql} AS n WHERE {self._own(row)}{like})"

    def _stands(self) -> str:
        """Whether the source's row is as it was inserted: one that new code has changed since is told of by what follows."""
        same = [f"s.{column_name(theirs)} = NEW.{column_name(theirs)}" for _, theirs in self.identity]
        same += [f"{self.of.held(c, e, 's')} IS NOT DISTINCT FROM gives.{column_name(c.name)}" for c, e in self.values]
        return f"EXISTS (SELECT FROM {names.table(self.of.source.table)} AS s WHERE {' AND '.join(same)})"

    def _computed(self, row: str, record: str, flag: str) -> list[str]:
        """What a row gives."""
        lines = [f"{record}.{column_name(c)} := {row}.{column_name(theirs)};" for c, theirs in self.identity]
        lines += [f"{record}.{column_name(c.name)} := {self.of.written(c, e, row)};" for c, e in self.values]
        lines.append(f"{flag} := TRUE;")
        condition = self.of.where(row)
        if condition is not None:
            lines = [f"IF ({condition}) IS TRUE THEN", *(f"  {line}" for line in lines), "END IF;"]
        return [f"  {line}" for line in lines]

    def _insert(self, record: str) -> str:
        given = ", ".join(f"{record}.{column_name(c)}" for c in self.of.columns())
        listed = ", ".join(map(quote, self.of.columns()))
        return f"INSERT INTO {self.sql} ({listed}) VALUES ({given}) {self.of.on_conflict()};"

    def _unseen(self) -> list[str]:
        """A transaction with one snapshot for all of it can't see what a batch has filled since, and would miss it."""
        return [
            "    IF had AND current_setting('transaction_isolation') <> 'read committed'",
            f"       AND NOT {self._exists('OLD')} THEN",
            "      -- It meets the row here, and is told to try again (40001).",
            f"      {self._insert('was')}",
            f"      DELETE FROM {self.sql} AS n WHERE {self._own('OLD')};",
            "    END IF;",
        ]

    def _emptied(self) -> list[str]:
        """As if each row had been deleted. Not by TRUNCATE, which foreign keys refuse, and which may be at work here already."""
        return [
            "  IF TG_OP = 'TRUNCATE' THEN",
            f"    DELETE FROM {self.sql};",
            "    IF FOUND THEN",
            f"      {self.count}",
            "    END IF;",
            "    RETURN NULL;",
            "  END IF;",
        ]

    def _deleted(self) -> list[str]:
        """Whatever new code wrote: it belonged to the row that is gone, and nobody would find it again."""
        return [
            "  IF TG_OP = 'DELETE' THEN",
            f"    DELETE FROM {self.sql} AS n WHERE {self._own('OLD')};",
            "    IF FOUND THEN",
            f"      {self.count}",
            "    END IF;",
            "    RETURN NULL;",
            "  END IF;",
        ]

    def _moved(self) -> list[str]:
        """A row that gets another key or tenant takes along what new code wrote."""
        changed = " OR ".join(f"NEW.{column_name(c)} IS DISTINCT FROM OLD.{column_name(c)}" for _, c in self.identity)
        sets = ", ".join(f"{quote(c)} = NEW.{column_name(theirs)}" for c, theirs in self.identity)
        return [
            f"  IF TG_OP = 'UPDATE' AND ({changed}) THEN",
            "    BEGIN",
            f"      UPDATE {self.sql} AS n SET {sets} WHERE {self._own('OLD')};",
            "      had := FOUND;",
            "    EXCEPTION WHEN unique_violation OR exclusion_violation THEN",
            "      had := FALSE;  -- reconciliation finds it",
            "    END;",
            "    IF had THEN",
            f"      {self.count}",
            "    END IF;",
            "  END IF;",
        ]

    def _attempted(self, update: list[str]) -> list[str]:
        """What another row may stand in the way of: only an exclusion constraint binds from the start."""
        if not any(c.kind == "exclude" for c in self.of.table.constraints):
            return update
        caught = "EXCEPTION WHEN exclusion_violation THEN NULL;  -- reconciliation finds it"
        return ["BEGIN", *(f"  {line}" for line in update), caught, "END;"]

    def _carried(self) -> list[str]:
        """It follows as long as it is what the source gave: what new code wrote stays."""
        lines = [
            "  IF has AND NOT had THEN",
            f"    {self._insert('gives')}",
            f"    IF FOUND OR (NOT {self._exists('NEW', 'gives')}",
            f"                 AND (TG_OP = 'UPDATE' OR {self._stands()})) THEN",
            f"      {self.count}",
            "    END IF;",
            "  ELSIF had AND NOT has THEN",
            f"    DELETE FROM {self.sql} AS n WHERE {self._own('NEW')}{self._like('was')};",
            f"    IF FOUND OR {self._exists('NEW')} THEN",
            f"      {self.count}",
            "    END IF;",
        ]
        columns = [column_name(c.name) for c, _ in self.values]
        if columns:
            changed = " OR ".join(f"was.{c} IS DISTINCT FROM gives.{c}" for c in columns)
            sets = ", ".join(f"{quote(c.name)} = gives.{column_name(c.name)}" for c, _ in self.values)
            update = [f"UPDATE {self.sql} AS n SET {sets} WHERE {self._own('NEW')}{self._like('was')};"]
            lines += [
                f"  ELSIF had AND has AND ({changed}) THEN",
                *(f"    {line}" for line in self._attempted(update)),
                f"    IF FOUND OR NOT {self._exists('NEW', 'gives')} THEN",
                f"      {self.count}",
                "    END IF;",
            ]
        return [*lines, "  END IF;"]
