"""Pairs of old and new columns become the trigger that keeps them equal while old and new code both write.

Each clause answers a loss that was seen (docs/decisions/004-two-way-trigger.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from migdsl.dialect.names import conforming, dollar_tag, literal, quote
from migdsl.ops import attempts, names, outside
from migdsl.ops.pairs import Fact, Kept, Pair, Sibling, assigned, column_name, compared, inputs_of, over
from migdsl.semantics.model import AddColumn, Back, Table

_AND = "\n       AND "


def function(
    migration: str,
    table: Table,
    pairs_: tuple[Pair, ...],
    kept_: tuple[Kept, ...],
    outside_: tuple[AddColumn, ...] = (),
    *,
    fill: bool,
    turns: bool,
) -> str:
    """CREATE OR REPLACE FUNCTION of the trigger. `outside_` are the columns that Python computes.

    `fill`: rows that the backfill hasn't reached are filled on UPDATE. `turns`: who inserts a fact for which two unique
    indexes stand takes turns; not before there are two, since a batch or a COPY would hold a lock a row.
    """
    given = "given" if len(pairs_) > 1 else "NEW"
    lines = ["BEGIN"]
    if given != "NEW":
        # What the trigger does for one pair must not look like a client's write to another.
        lines = ["DECLARE", "  given record := NEW;  -- as the client wrote it", "BEGIN"]
        lines += _whole(migration, table, pairs_) if fill else []
    for pair in pairs_:
        others = tuple(other.column for other in pairs_ if other is not pair)
        lines += _Clauses(migration, table, pair, given, others).lines(fill, turns)
    for one in kept_:
        lines += _kept(table, one)
    # Last, when what the others carried over stands in the inputs.
    lines += outside.clauses(migration, table, outside_, fill=fill)
    lines += ["  RETURN NEW;", "END"]
    body = "\n".join(lines)
    tag = dollar_tag(body, "sync")
    return (
        f"CREATE OR REPLACE FUNCTION {names.function(migration, table)}() RETURNS trigger\n"
        f"  LANGUAGE plpgsql SET search_path = {', '.join(_schemas(table))}{conforming(body)} AS {tag}\n{body}\n{tag}"
    )


def _whole(migration: str, table: Table, pairs_: tuple[Pair, ...]) -> list[str]:
    """Who writes one part of what is split, in a row that hasn't been filled, must not lose the others on the way back."""
    lines: list[str] = []
    for pair in pairs_:
        parts = {p.column: {p.column, *(s.column for s in p.siblings)} for p in pairs_}
        others = set().union(*(group for group in parts.values() if pair.column in group)) - {pair.column}
        if others:
            new = column_name(pair.column)
            changed = " OR ".join(
                f"given.{column_name(c)} IS DISTINCT FROM OLD.{column_name(c)}" for c in sorted(others, key=str.encode)
            )
            lines += [
                f"    IF NEW.{new} IS NULL AND OLD.{new} IS NULL AND ({changed}) THEN",
                f"      NEW.{new} := {attempts.written(migration, table, pair, 'OLD')};",
                "    END IF;",
            ]
    return ["  IF TG_OP = 'UPDATE' THEN", *lines, "  END IF;"] if lines else []


def _schemas(table: Table) -> list[str]:
    return list(dict.fromkeys(["pg_catalog", quote(table.schema), "public", "pg_temp"]))


def trigger(migration: str, table: Table) -> tuple[str, ...]:
    """The statements that create the trigger; ALWAYS, or a replica that applies changes would skip it."""
    name = names.trigger(migration)
    function_ = names.function(migration, table)
    on = names.table(table)
    return (
        f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {on}\n  FOR EACH ROW EXECUTE FUNCTION {function_}()",
        f"ALTER TABLE {on} ENABLE ALWAYS TRIGGER {name}",
    )


def proof(
    migration: str,
    table: Table,
    pairs_: tuple[Pair, ...],
    kept_: tuple[Kept, ...],
    outside_: tuple[AddColumn, ...] = (),
) -> str:
    """A DO block that has PostgreSQL resolve every name, operator and type of the trigger, on no row.

    CREATE FUNCTION doesn't look into a body: a misspelt function would fail each write of old code from then on.
    """
    found = []
    for pair in pairs_:
        source = over(table, pair.source, "t")
        found += [
            assigned(source, pair.type),
            f"t.{column_name(pair.column)} IS DISTINCT FROM {compared(source, pair.type)}",
        ]
        found += [attempts.fails(migration, table, pair, "t")] if pair.guarded else []
        found += [_proof_of(table, back) for back in pair.backs]
    found += [_proof_of(table, one.back) for one in kept_]
    for operation in outside_:
        given = (operation.column.name, *(operation.python.inputs if operation.python else ()))
        found += [f"t.{column_name(name)} IS DISTINCT FROM t.{column_name(name)}" for name in given]
    expressions = ",\n          ".join(found)
    body = f"""
DECLARE
  before text := current_setting('search_path');
BEGIN
  -- As the trigger will see it.
  PERFORM set_config('search_path', {literal(", ".join(_schemas(table)))}, true);
  PERFORM {expressions}
     FROM {names.table(table)} AS t WHERE FALSE;
  PERFORM set_config('search_path', before, true);
END"""
    tag = dollar_tag(body, "proof")
    return f"DO {tag}{body}\n{tag}"


def _proof_of(table: Table, back: Back) -> str:
    sql = over(table, back.expression, "t")
    type_ = table.type_of(back.column)
    return f"{assigned(sql, type_)},\n          t.{column_name(back.column)} IS DISTINCT FROM {compared(sql, type_)}"


@dataclass(frozen=True, slots=True)
class _Clauses:
    """What the trigger does for one pair. `given` is the row as the client wrote it, `others` the other pairs' columns."""

    migration: str
    table: Table
    pair: Pair
    given: str
    others: tuple[str, ...]

    def lines(self, fill: bool, turns: bool) -> list[str]:
        """The pair's part of the function."""
        new = column_name(self.pair.column)
        source = attempts.written(self.migration, self.table, self.pair, "NEW")
        # Who gives any of the new columns is new code, which leaves the others to the trigger.
        silent = "".join(f" AND {self.given}.{column_name(other)} IS NULL" for other in self.others)
        found = [
            f"  -- {' '.join(self.pair.column.split())}",
            "  IF TG_OP = 'INSERT' THEN",
            f"    IF NEW.{new} IS NULL THEN",
            f"      NEW.{new} := {source};",
            f"      IF NEW.{new} IS NOT NULL{silent} THEN",
            f"        {self._count()}",
            "      END IF;",
            *self._insert_back(),
            "    END IF;",
            *self._sibling_changed(),
            f"  ELSIF {self._changed(self.pair.column)} THEN",
            *self._new_changed(),
            *self._inputs_changed(fill),
            "  END IF;",
        ]
        for fact in self.pair.locked if turns else ():
            found += self._advisory_lock(fact)
        return found

    def _count(self) -> str:
        return f"PERFORM nextval({literal(names.counter(self.migration, self.table))});"

    def _differs(self, row: str = "NEW") -> str:
        source = attempts.held(self.migration, self.table, self.pair, row)
        return f"{row}.{column_name(self.pair.column)} IS DISTINCT FROM {source}"

    def _changed(self, *columns: str, row: str = "") -> str:
        row = row or self.given
        return " OR ".join(f"{row}.{column_name(c)} IS DISTINCT FROM OLD.{column_name(c)}" for c in columns) or "FALSE"

    def _untouched(self) -> str:
        targets = (column_name(back.column) for back in self.pair.backs)
        return " AND ".join(f"{self.given}.{c} IS NOT DISTINCT FROM OLD.{c}" for c in targets)

    def _insert_back(self) -> list[str]:
        if not self.pair.backs:
            return []
        # An old column that new code leaves out must get its value, also where `from` would do without it: a later change
        # of another input would change what new code wrote, and a rollback would lose it.
        apart = [self._differs(), *(f"NEW.{column_name(b.column)} IS NULL" for b in self.pair.backs)]
        apart += [f"NEW.{column_name(s.column)} IS NOT NULL AND {self._apart(s)}" for s in self.pair.siblings]
        return [f"    ELSIF {' OR '.join(apart)} THEN", *self._set_backs(6)]

    def _apart(self, sibling: Sibling) -> str:
        """Whether a sibling holds something that new code wrote."""
        if sibling.source is None:
            return "TRUE"
        source = attempts.held(self.migration, self.table, sibling, "NEW")
        return f"NEW.{column_name(sibling.column)} IS DISTINCT FROM {source}"

    def _sibling_changed(self) -> list[str]:
        if not self.pair.backs or not self.pair.siblings:
            return []
        written = " OR ".join(f"{self._changed(s.column)} AND {self._apart(s)}" for s in self.pair.siblings)
        return [f"  ELSIF ({written}) AND {self._untouched()} THEN", *self._set_backs(4)]

    def _new_changed(self) -> list[str]:
        if not self.pair.backs:
            return ["    NULL;  -- new code wrote it, and nothing goes back"]
        # Other inputs may change in the same UPDATE: without this old code would undo new code's value later.
        return [f"    IF {self._untouched()}", f"       AND {self._differs()} THEN", *self._set_backs(6), "    END IF;"]

    def _inputs_changed(self, fill: bool) -> list[str]:
        new = column_name(self.pair.column)
        source = attempts.written(self.migration, self.table, self.pair, "NEW")
        unfilled = f" OR NEW.{new} IS NULL" if fill else ""
        follow = [self._differs()]
        if (written := self._written_back()) is not None:
            follow = [f"({written}NOT {self._differs('OLD')}{unfilled})", *follow]
        count = [f"    IF {self._changed(*self.pair.counted)} THEN", f"      {self._count()}", "    END IF;"]
        # Of columns that stay, new code writes too: only what the trigger had to carry over shows old code.
        inner = [] if self.pair.going else [f"  {line}" for line in count]
        return [
            f"  ELSIF {self._input_changed()}{unfilled} THEN",
            f"    IF {_AND.join(follow)} THEN",
            f"      NEW.{new} := {source};",
            *inner,
            "    END IF;",
            *(count if self.pair.going else []),
        ]

    def _input_changed(self) -> str:
        """An input changed, and not to what the new column gives back (as a refill does): such a pair agrees."""
        inputs, targets = self._inputs()
        if not targets:
            # It follows its inputs whoever wrote them: new code may have, by way of another pair's `back`.
            return self._changed(*inputs, row="NEW")
        others = [c for c in inputs if c not in targets]
        back_changed = self._back_changed(targets)
        return "\n     OR ".join([self._changed(*others), back_changed] if others else [back_changed])

    def _written_back(self) -> str | None:
        """Begins the condition that another input's change is followed: the pair agreed before, or old code wrote its half.

        A pair that didn't agree may be one that the way back from contract hasn't reached: it holds what new code alone wrote.
        None where there is no other input.
        """
        inputs, targets = self._inputs()
        if not targets:
            return ""
        return f"{self._back_changed(targets)}\n        OR " if set(inputs) - targets else None

    def _inputs(self) -> tuple[tuple[str, ...], frozenset[str]]:
        """The columns that the new one is computed from, and those of them that it gives back."""
        return tuple(inputs_of(self.table, self.pair.source)), frozenset(back.column for back in self.pair.way_back)

    def _back_changed(self, targets: frozenset[str]) -> str:
        given_back = " AND ".join(
            f"NEW.{column_name(b.column)} IS NOT DISTINCT FROM {self._back(b)}" for b in self.pair.way_back
        )
        agrees = f"NEW.{column_name(self.pair.column)} IS NOT NULL AND {given_back}"
        return f"({self._changed(*sorted(targets))}) AND NOT ({agrees})"

    def _back(self, back: Back) -> str:
        return compared(over(self.table, back.expression, "NEW"), self.table.type_of(back.column))

    def _set_backs(self, indent: int) -> list[str]:
        return [
            (
                f"{' ' * indent}NEW.{column_name(b.column)} := "
                f"{assigned(over(self.table, b.expression, 'NEW'), self.table.type_of(b.column))};"
            )
            for b in self.pair.backs
        ]

    def _advisory_lock(self, of: Fact) -> list[str]:
        row = ", ".join(sql for _, sql in of)
        fact = literal(f"{names.table(self.table)} {', '.join(said for said, _ in of)} ")
        return [
            "  IF TG_OP = 'INSERT' THEN",
            f"    PERFORM pg_advisory_xact_lock(hashtextextended({fact} || ROW({row})::text, 0));",
            "  END IF;",
        ]


def _kept(table: Table, one: Kept) -> list[str]:
    column = column_name(one.column)
    value = assigned(over(table, one.back.expression, "NEW"), table.type_of(one.column))
    return [
        f"  -- {' '.join(one.column.split())}: new code no longer writes it",
        f"  IF TG_OP = 'INSERT' AND NEW.{column} IS NULL THEN",
        f"    NEW.{column} := {value};",
        "  END IF;",
    ]
