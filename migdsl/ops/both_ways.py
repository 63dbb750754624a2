"""A move within one database becomes two triggers' functions: what is written to one table is carried over to the other.

No mark says who writes. A column is carried where it changed, and where neither side gives the other: what a carried write
sets off on its way is therefore nothing, and a column that one way rounds stays as it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from migdsl.dialect.names import dollar_tag, literal, quote
from migdsl.dialect.sql import Expression
from migdsl.ops import names
from migdsl.ops.carried import Carried
from migdsl.ops.pairs import assigned, column_name, compared, inputs_of, one_line, over
from migdsl.semantics.model import Column, Table
from migdsl.semantics.move_model import Move
from migdsl.values import Value

_MARK = (
    "migdsl.carrying"  # a setting of the transaction: which function takes rows away on the other side, and how deep
)


class Ways(Value):
    """A move's two sides, with what each gives the other. Rows of the source are `s` where both meet, the target's `t`."""

    of: Carried
    move: Move

    def homes(self) -> tuple[tuple[Column, Expression], ...]:
        """The source's columns that the target gives, but for key and tenant, each with the expression over its row."""
        own = {theirs for _, theirs in self.of.identity()}
        found = ((self.of.source.table.column(b.column), b.expression) for b in self.move.backs if b.column not in own)
        return tuple((column, expression) for column, expression in found if column is not None)

    def home_written(self, column: Column, expression: Expression, row: str) -> str:
        """What a row of the target gives, as what is written into the source's column."""
        return assigned(over(self.of.table, expression, row), column.type)

    def home_held(self, column: Column, expression: Expression, row: str) -> str:
        """The same as an operand, as the source's column would hold it."""
        return compared(over(self.of.table, expression, row), column.type)

    def restored(self, column: Column, expression: Expression) -> str | None:
        """`from` over what the row `t` of the target gives back: its column as it would be again. None: nothing leads back."""
        source = self.of.source.table
        backs = {theirs: f"t.{column_name(ours)}" for ours, theirs in self.of.identity()}
        backs |= {c.name: self.home_held(c, e, "t") for c, e in self.homes()}
        if not set(inputs_of(source, expression)) <= set(backs):
            return None

        def spell(name: str) -> str:
            found = source.column(name)
            if found is not None and found.generated is not None:
                return f"({one_line(found.generated.rewritten(lambda of: f'({backs[of]})'))})"
            return f"({backs[name]})"

        given = [backs[c] for c in inputs_of(source, expression)]
        attempted = self.of.attempted(column, expression, given)
        return attempted if attempted is not None else compared(one_line(expression.rewritten(spell)), column.type)

    def forth(self) -> Way:
        """From the source to the target."""
        return Way(
            self.of.source.table,
            self.of.table,
            self.of.identity(),
            tuple((c, partial(self.of.written, c, e)) for c, e in self.of.values()),
            {c.name: agrees for c, e in self.of.values() if (agrees := self._forth_agrees(e)) is not None},
            names.carry(self.of.migration, self.of.table, "forth"),
            names.counter(self.of.migration, self.of.table),
        )

    def back(self) -> Way:
        """From the target to the source."""
        return Way(
            self.of.table,
            self.of.source.table,
            tuple((theirs, ours) for ours, theirs in self.of.identity()),
            tuple((c, partial(self.home_written, c, e)) for c, e in self.homes()),
            {c.name: agrees for c, e in self.homes() if (agrees := self._back_agrees(e)) is not None},
            names.carry(self.of.migration, self.of.table, "back"),
            None,
        )

    def _forth_agrees(self, expression: Expression) -> Callable[[str, str], str] | None:
        """Whether all that a target's column is computed from is what the target gives; None where that can't be."""
        homes = {c.name: (c, e) for c, e in self.homes()}
        own = {theirs for _, theirs in self.of.identity()}
        inputs = [c for c in inputs_of(self.of.source.table, expression) if c not in own]
        if not inputs or not set(inputs) <= set(homes):
            return None
        return lambda here, there: " AND ".join(
            f"{here}.{column_name(c)} IS NOT DISTINCT FROM {self.home_held(*homes[c], there)}" for c in inputs
        )

    def _back_agrees(self, expression: Expression) -> Callable[[str, str], str] | None:
        """Whether all that a source's column is computed from is what the source gives; None where that can't be."""
        given = {c.name: (c, e) for c, e in self.of.values()}
        own = {ours for ours, _ in self.of.identity()}
        inputs = [c for c in inputs_of(self.of.table, expression) if c not in own]
        if not inputs or not set(inputs) <= set(given):
            return None
        return lambda here, there: " AND ".join(
            f"{here}.{column_name(c)} IS NOT DISTINCT FROM {self.of.held(*given[c], there)}" for c in inputs
        )

    def proof(self) -> str:
        """A DO block that has PostgreSQL resolve every name, operator and type of both functions, on no row."""
        found = [assigned(f"s.{column_name(b)}", self.of.table.type_of(a)) for a, b in self.of.identity()]
        for way, here, there in ((self.forth(), "s", "t"), (self.back(), "t", "s")):
            for column, written in way.gives:
                found.append(written(here))
                found += [way.agrees[column.name](here, there)] if column.name in way.agrees else []
        matched = " AND ".join(f"t.{column_name(a)} = s.{column_name(b)}" for a, b in self.of.identity())
        expressions = ",\n          ".join(found)
        body = f"""
DECLARE
  before text := current_setting('search_path');
BEGIN
  -- As the triggers will see it.
  PERFORM set_config('search_path', {literal(_path(self.of.source.table, self.of.table))}, true);
  PERFORM {expressions}
     FROM {names.table(self.of.source.table)} AS s JOIN {names.table(self.of.table)} AS t ON {matched}
    WHERE FALSE;
  PERFORM set_config('search_path', before, true);
END"""
        tag = dollar_tag(body, "proof")
        return f"DO {tag}{body}\n{tag}"


class Way(Value):
    """From the table `here` to `there`. `own`: the columns there that say which row it is, each with the one here that it is.

    `gives`: the other columns there, each with what a row here (by its name) gives; `agrees`: whether the row there gives back
    all that this is computed from. `counter` counts what is carried; without one, two rows that meet are an error.
    """

    here: Table
    there: Table
    own: tuple[tuple[str, str], ...]
    gives: tuple[tuple[Column, Callable[[str], str]], ...]
    agrees: dict[str, Callable[[str, str], str]]
    name: str
    counter: str | None

    def function(self, other: str) -> str:
        """CREATE OR REPLACE of the trigger's function; `other` is the one of the way back."""
        body = "\n".join(self._lines(other))
        tag = dollar_tag(body, "carry")
        return (
            f"CREATE OR REPLACE FUNCTION {self.name}() RETURNS trigger\n"
            f"  LANGUAGE plpgsql SECURITY DEFINER SET search_path = {_path(self.here, self.there)}\n"
            f"  SET row_security = off AS {tag}\n{body}\n{tag}"
        )

    def _lines(self, other: str) -> list[str]:
        here, there = names.table(self.here), names.table(self.there)
        return [
            "#variable_conflict use_column",  # a column may be called as a variable is
            "DECLARE",
            f"  stands {here};  -- the row as it is now: another trigger may have written it again",
            f"  was {there};",
            f"  gives {there};",
            "  differs boolean;",
            f"  before text := coalesce(current_setting('{_MARK}', TRUE), '');",
            "BEGIN",
            f"  IF before = {literal(f'{other} ')} || (pg_trigger_depth() - 1) THEN",
            "    RETURN NULL;  -- taken away here because it was taken away there",
            "  END IF;",
            "  IF TG_OP = 'TRUNCATE' THEN",
            *_deep(self._marked([f"TRUNCATE {there};"]), 4),
            "    RETURN NULL;",
            "  END IF;",
            *self._deleted(),
            f"  SELECT h.* INTO stands FROM {here} AS h WHERE {self._of_here('h', 'NEW')};",
            "  IF NOT FOUND THEN",
            "    RETURN NULL;  -- gone again in this transaction, and that was carried over",
            "  END IF;",
            *_deep(self._computed("stands", "gives"), 2),
            *self._updated(),
            *self._carried(),
            "  RETURN NULL;",
            "END",
        ]

    def _count(self) -> list[str]:
        return [f"PERFORM nextval({literal(self.counter)});"] if self.counter is not None else ["NULL;"]

    def _marked(self, statements: Iterable[str]) -> list[str]:
        set_ = f"PERFORM set_config('{_MARK}', {{}}, TRUE);"
        mark = literal(f"{self.name} ")
        return [set_.format(f"{mark} || pg_trigger_depth()"), *statements, set_.format("before")]

    def _of_there(self, row: str) -> str:
        """The row there of a row here; by the tenant too, so that nobody else's can be meant."""
        return " AND ".join(f"n.{column_name(a)} = {row}.{column_name(b)}" for a, b in self.own)

    def _of_here(self, alias: str, row: str) -> str:
        return " AND ".join(f"{alias}.{column_name(b)} = {row}.{column_name(b)}" for _, b in self.own)

    def _computed(self, row: str, record: str) -> list[str]:
        lines = [f"{record}.{column_name(a)} := {row}.{column_name(b)};" for a, b in self.own]
        return lines + [f"{record}.{column_name(c.name)} := {written(row)};" for c, written in self.gives]

    def _insert(self, record: str, conflict: str) -> str:
        columns = [*(a for a, _ in self.own), *(c.name for c, _ in self.gives)]
        given = ", ".join(f"{record}.{column_name(c)}" for c in columns)
        listed = ", ".join(map(quote, columns))
        # A column that numbers its rows itself gets the number that the row has.
        numbers = any(c.identity is not None for c in self.there.columns)
        overriding = " OVERRIDING SYSTEM VALUE" if numbers else ""
        end = f" {conflict}" if conflict else ""
        return f"INSERT INTO {names.table(self.there)} AS n ({listed}){overriding} VALUES ({given}){end};"

    def _deleted(self) -> list[str]:
        there = names.table(self.there)
        delete = f"DELETE FROM {there} AS n WHERE {self._of_there('OLD')};"
        unseen = [
            "ELSIF current_setting('transaction_isolation') <> 'read committed' THEN",
            "  -- One snapshot for the whole transaction can't see a row that was carried over since: it meets the row",
            "  -- here, and is told to try again (40001).",
            *_deep(self._computed("OLD", "was"), 2),
            f"  {self._insert('was', 'ON CONFLICT DO NOTHING')}",
            f"  {delete}",
            "END IF;",
        ]
        return [
            "  IF TG_OP = 'DELETE' THEN",
            f"    IF EXISTS (SELECT FROM {names.table(self.here)} AS h WHERE {self._of_here('h', 'OLD')}) THEN",
            "      RETURN NULL;  -- written again in this transaction",
            "    END IF;",
            *_deep(self._marked([delete, "IF FOUND THEN", *_deep(self._count(), 2), *unseen]), 4),
            "    RETURN NULL;",
            "  END IF;",
        ]

    def _updated(self) -> list[str]:
        """A row that gets another key or tenant is the same row there."""
        changed = " OR ".join(f"NEW.{column_name(b)} IS DISTINCT FROM OLD.{column_name(b)}" for _, b in self.own)
        sets = ", ".join(f"{quote(a)} = NEW.{column_name(b)}" for a, b in self.own)
        return [
            "  IF TG_OP = 'UPDATE' THEN",
            *_deep(self._computed("OLD", "was"), 4),
            f"    IF {changed} THEN",
            f"      UPDATE {names.table(self.there)} AS n SET {sets} WHERE {self._of_there('OLD')};",
            "      IF FOUND THEN",
            *_deep(self._count(), 8),
            "      END IF;",
            "    END IF;",
            "  END IF;",
        ]

    def _wanted(self, column: Column) -> str:
        """Whether a column of the row `n` there is to follow: it changed here, and neither side gives the other."""
        name = column_name(column.name)
        found = (
            f"(TG_OP = 'INSERT' OR was.{name} IS DISTINCT FROM gives.{name}) AND n.{name} IS DISTINCT FROM gives.{name}"
        )
        agrees = self.agrees.get(column.name)
        return f"({found} AND NOT ({agrees('stands', 'n')}))" if agrees is not None else f"({found})"

    def _carried(self) -> list[str]:
        there, own = names.table(self.there), self._of_there("stands")
        wanted = [self._wanted(c) for c, _ in self.gives]
        any_ = "\n      OR ".join(wanted) or "FALSE"
        refuse = [
            "IF TG_OP = 'INSERT' THEN",
            "  RAISE EXCEPTION 'a row with this key is in % already, and has not been carried over yet',",
            f"    {literal(there)} USING ERRCODE = '23505';",
            "END IF;",
        ]
        counted = self.counter is not None
        return [
            f"  SELECT {any_}\n    INTO differs FROM {there} AS n WHERE {own};",
            "  IF NOT FOUND THEN",
            f"    {self._insert('gives', self._conflict() if counted else '')}",
            *_deep(self._count() if counted else [], 4),
            "  ELSIF differs THEN",
            *_deep([] if counted else refuse, 4),
            *_deep(self._update(any_, wanted), 4),
            "  END IF;",
        ]

    def _update(self, any_: str, wanted: list[str]) -> list[str]:
        if not wanted:
            return []
        sets = ",\n         ".join(
            f"{quote(c.name)} = CASE WHEN {when} THEN gives.{column_name(c.name)} ELSE n.{column_name(c.name)} END"
            for (c, _), when in zip(self.gives, wanted, strict=True)
        )
        where = f"{self._of_there('stands')}\n     AND ({any_})"
        return [
            f"UPDATE {names.table(self.there)} AS n\n     SET {sets}\n   WHERE {where};",
            *(["IF FOUND THEN", *_deep(self._count(), 2), "END IF;"] if self.counter is not None else []),
        ]

    def _conflict(self) -> str:
        """A row that came in between, as with one snapshot for the whole transaction, where it is told to try again."""
        key = ", ".join(quote(a) for a in self.there.key)
        columns = [c.name for c, _ in self.gives]
        if not columns:
            return f"ON CONFLICT ({key}) DO NOTHING"
        sets = ", ".join(f"{quote(c)} = EXCLUDED.{column_name(c)}" for c in columns)
        tenant = next((a for a, _ in self.own if a not in self.there.key), None)
        whose = f" WHERE n.{column_name(tenant)} = EXCLUDED.{column_name(tenant)}" if tenant else ""
        return f"ON CONFLICT ({key}) DO UPDATE SET {sets}{whose}"


def _deep(lines: Iterable[str], spaces: int) -> list[str]:
    return [f"{' ' * spaces}{line}" for line in lines]


def _path(*tables: Table) -> str:
    return ", ".join(dict.fromkeys(["pg_catalog", *(quote(t.schema) for t in tables), "public", "pg_temp"]))
