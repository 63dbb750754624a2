"""One way of a move within one database becomes a trigger's function: what is written here is carried over there.

No mark says who writes. A column is carried where it changed, and where neither side gives the other: what a carried write
sets off on its way is therefore nothing, and a column that one way rounds stays as it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from migdsl.dialect.names import conforming, dollar_tag, literal, quote
from migdsl.ops import closed, names
from migdsl.ops.pairs import column_name
from migdsl.semantics.model import Column, Table
from migdsl.values import Value

_MARK = (
    "migdsl.carrying"  # a setting of the transaction: which function takes rows away on the other side, and how deep
)


class Owner(Value):
    """A table (as SQL) that a foreign key points at, by which columns: each with the one there that it holds."""

    table: str
    columns: tuple[tuple[str, str], ...]


class Way(Value):
    """From the table `here` to `there`. `own`: the columns there that say which row it is, each with the one here that it is.

    `gives`: the other columns there, each with what a row here (by its name) gives; `agrees`: whether the row there gives back
    all that this is computed from. `counter` counts what is carried; without one, two rows that meet are an error.
    `takes_along`: tables whose rows take along those here that point at them when they go.
    """

    here: Table
    there: Table
    own: tuple[tuple[str, str], ...]
    gives: tuple[tuple[Column, Callable[[str], str]], ...]
    agrees: dict[str, Callable[[str, str], str]]
    name: str
    counter: str | None
    takes_along: tuple[Owner, ...] = ()

    def function(self, other: str) -> str:
        """CREATE OR REPLACE of the trigger's function; `other` is the one of the way back."""
        body = "\n".join(self._lines(other))
        tag = dollar_tag(body, "carry")
        return (
            f"CREATE OR REPLACE FUNCTION {self.name}() RETURNS trigger\n"
            f"  LANGUAGE plpgsql SECURITY DEFINER SET search_path = {closed.search_path(self.here, self.there)}\n"
            f"  SET row_security = off{conforming(body)} AS {tag}\n{body}\n{tag}"
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
        """The row there of a row here; by the tenant too, or by what leads there, so that nobody else's can be meant."""
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
        counted = self._count()
        if self.takes_along:
            # It goes with what it belongs to, whichever code takes that away: there it is counted.
            counted = [
                f"IF {' AND '.join(self._stays(each) for each in self.takes_along)} THEN",
                *_deep(counted, 2),
                "END IF;",
            ]
        delete = f"DELETE FROM {there} AS n WHERE {self._of_there('OLD')};"
        unseen = [
            "ELSIF current_setting('transaction_isolation') <> 'read committed' THEN",
            "  -- One snapshot for the whole transaction can't see a row that was carried over since: it meets the row",
            "  -- here, and is told to try again (40001).",
            *_deep(self._computed("OLD", "was"), 2),
            f"  {self._insert('was', self._met())}",
            f"  {delete}",
            "END IF;",
        ]
        return [
            "  IF TG_OP = 'DELETE' THEN",
            f"    IF EXISTS (SELECT FROM {names.table(self.here)} AS h WHERE {self._of_here('h', 'OLD')}) THEN",
            "      RETURN NULL;  -- written again in this transaction",
            "    END IF;",
            *_deep(self._marked([delete, "IF FOUND THEN", *_deep(counted, 2), *unseen]), 4),
            "    RETURN NULL;",
            "  END IF;",
        ]

    def _met(self) -> str:
        """By the key: ON CONFLICT without one can't do with a deferrable unique. By an exclusion constraint only without."""
        excluding = any(c.kind == "exclude" for c in self.there.constraints)
        key = "" if excluding else f" ({', '.join(map(quote, self.there.key))})"
        return f"ON CONFLICT{key} DO NOTHING"

    def _stays(self, key: Owner) -> str:
        """Whether what a deleted row pointed at is there, or there was nothing."""
        nothing = [f"OLD.{column_name(ours)} IS NULL" for ours, _ in key.columns]
        met = " AND ".join(f"q.{quote(theirs)} = OLD.{column_name(ours)}" for ours, theirs in key.columns)
        return f"({' OR '.join([*nothing, f'EXISTS (SELECT FROM {key.table} AS q WHERE {met})'])})"

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
        owner = next((a for a, _ in self.own if a not in self.there.key), None)
        whose = f" WHERE n.{column_name(owner)} = EXCLUDED.{column_name(owner)}" if owner else ""
        return f"ON CONFLICT ({key}) DO UPDATE SET {sets}{whose}"


def _deep(lines: Iterable[str], spaces: int) -> list[str]:
    return [f"{' ' * spaces}{line}" for line in lines]
