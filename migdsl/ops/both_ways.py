"""A move within one database becomes two ways: what each table gives the other, and what tells that they agree."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from migdsl.dialect.names import dollar_tag, literal, quote
from migdsl.dialect.sql import Expression
from migdsl.ops import closed, names
from migdsl.ops.carried import Carried
from migdsl.ops.pairs import assigned, column_name, compared, inputs_of, one_line, over
from migdsl.ops.way import Owner, Way
from migdsl.semantics.model import Column
from migdsl.semantics.move_model import Move
from migdsl.values import Value


class Ways(Value):
    """A move's two sides, with what each gives the other. Rows of the source are `s` where both meet, the target's `t`."""

    of: Carried
    move: Move
    takes_along: tuple[Owner, ...] = ()

    def homes(self) -> tuple[tuple[Column, Expression], ...]:
        """The source's columns that the target gives, but for key and tenant, each with the expression over its row."""
        own = {theirs for _, theirs in self.of.identity()}
        found = ((self.of.source.table.column(b.column), b.expression) for b in self.move.backs if b.column not in own)
        return tuple((column, expression) for column, expression in found if column is not None)

    def own(self) -> tuple[tuple[str, str], ...]:
        """What says which row it is, and whose: key, and tenant or what leads there; the target's columns with the source's."""
        leading = self.of.leading()
        return tuple(dict.fromkeys([*self.of.identity(), *([leading] if leading is not None else [])]))

    def home_written(self, column: Column, expression: Expression, row: str) -> str:
        """What a row of the target gives, as what is written into the source's column."""
        leading = self.of.leading()
        if leading is not None and leading[1] == column.name:
            return f"{row}.{quote(leading[0])}"  # uncast, as it can be proven whose row it leads to
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
            self.own(),
            tuple((c, partial(self.of.written, c, e)) for c, e in self._given()),
            {c.name: agrees for c, e in self._given() if (agrees := self._forth_agrees(e)) is not None},
            names.carry(self.of.migration, self.of.table, "forth"),
            names.counter(self.of.migration, self.of.table),
            self.takes_along,
        )

    def back(self) -> Way:
        """From the target to the source."""
        return Way(
            self.of.table,
            self.of.source.table,
            tuple((theirs, ours) for ours, theirs in self.own()),
            tuple((c, partial(self.home_written, c, e)) for c, e in self._brought()),
            {c.name: agrees for c, e in self._brought() if (agrees := self._back_agrees(e)) is not None},
            names.carry(self.of.migration, self.of.table, "back"),
            None,
        )

    def _given(self) -> tuple[tuple[Column, Expression], ...]:
        """What the source gives besides."""
        own = {ours for ours, _ in self.own()}
        return tuple((c, e) for c, e in self.of.values() if c.name not in own)

    def _brought(self) -> tuple[tuple[Column, Expression], ...]:
        """What the target gives back besides."""
        own = {theirs for _, theirs in self.own()}
        return tuple((c, e) for c, e in self.homes() if c.name not in own)

    def _forth_agrees(self, expression: Expression) -> Callable[[str, str], str] | None:
        """Whether all that a target's column is computed from is what the target gives; None where that can't be."""
        homes = {c.name: (c, e) for c, e in self.homes()}
        own = {theirs for _, theirs in self.own()}
        inputs = [c for c in inputs_of(self.of.source.table, expression) if c not in own]
        if not inputs or not set(inputs) <= set(homes):
            return None
        return lambda here, there: " AND ".join(
            f"{here}.{column_name(c)} IS NOT DISTINCT FROM {self.home_held(*homes[c], there)}" for c in inputs
        )

    def _back_agrees(self, expression: Expression) -> Callable[[str, str], str] | None:
        """Whether all that a source's column is computed from is what the source gives; None where that can't be."""
        given = {c.name: (c, e) for c, e in self.of.values()}
        own = {ours for ours, _ in self.own()}
        inputs = [c for c in inputs_of(self.of.table, expression) if c not in own]
        if not inputs or not set(inputs) <= set(given):
            return None
        return lambda here, there: " AND ".join(
            f"{here}.{column_name(c)} IS NOT DISTINCT FROM {self.of.held(*given[c], there)}" for c in inputs
        )

    def proof(self) -> str:
        """A DO block that has PostgreSQL resolve every name, operator and type of both functions, on no row."""
        found = [assigned(f"s.{column_name(b)}", self.of.table.type_of(a)) for a, b in self.own()]
        for way, here, there in ((self.forth(), "s", "t"), (self.back(), "t", "s")):
            for column, written in way.gives:
                found.append(written(here))
                found += [way.agrees[column.name](here, there)] if column.name in way.agrees else []
        matched = " AND ".join(f"t.{column_name(a)} = s.{column_name(b)}" for a, b in self.own())
        expressions = ",\n          ".join(found)
        body = f"""
DECLARE
  before text := current_setting('search_path');
BEGIN
  -- As the triggers will see it.
  PERFORM set_config('search_path', {literal(closed.search_path(self.of.source.table, self.of.table))}, true);
  PERFORM {expressions}
     FROM {names.table(self.of.source.table)} AS s JOIN {names.table(self.of.table)} AS t ON {matched}
    WHERE FALSE;
  PERFORM set_config('search_path', before, true);
END"""
        tag = dollar_tag(body, "proof")
        return f"DO {tag}{body}\n{tag}"
