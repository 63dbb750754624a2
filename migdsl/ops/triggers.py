"""Pairs of old and new columns become the trigger that keeps them equal while old and new code both write.

Each clause answers a loss that was seen (docs/decisions/004-two-way-trigger.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from migdsl.dialect.names import dollar_tag, literal, quote
from migdsl.dialect.sql import Expression
from migdsl.dialect.types import SqlType
from migdsl.ops import names
from migdsl.semantics.model import AddColumn, Back, Change, DropColumn, Table, UniqueSet

# Words that PL/pgSQL keeps to itself and SQL doesn't: `NEW.loop := …` is a syntax error.
_PLPGSQL = frozenset("begin by declare execute foreach if loop strict while".split())
# Their arguments round a value that is written; those of other types would cut it short without a word.
_ROUNDED = ("numeric", "timestamp", "time", "interval")
_ONE_LONG = ("character", "bit")  # what they mean without an argument


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another new column that a pair's `back` reads, and its `from` where it has one."""

    column: str
    type: SqlType
    source: Expression | None


@dataclass(frozen=True, slots=True)
class Pair:
    """A new column, what it is computed from, and what is computed back from it.

    `siblings` are the other new columns that its `back` reads; `shared` is the `back` of such a sibling, where it has none
    of its own (a name split into two columns has one way back for both). `counted` are the inputs whose change shows that old code
    still writes; `going` says that they go away, so that nobody but old code writes them. `locked` are the sets of unique
    columns for which an advisory lock keeps two writers of one fact apart.
    """

    column: str
    type: SqlType
    source: Expression
    backs: tuple[Back, ...]
    shared: tuple[Back, ...]
    siblings: tuple[Sibling, ...]
    counted: tuple[str, ...]
    going: bool
    locked: tuple[tuple[str, ...], ...]

    @property
    def way_back(self) -> tuple[Back, ...]:
        """What leads back from it, whoever says so."""
        return self.backs or self.shared


@dataclass(frozen=True, slots=True)
class Kept:
    """A NOT NULL column that new code no longer writes: `back` fills it on INSERT until it is dropped."""

    column: str
    back: Back


def pairs(change: Change) -> tuple[Pair, ...]:
    """The pairs of a change: one for each added column that has a `from`.

    Those that compute old columns back come first: what the others start from must be there by then.
    """
    found = [
        _pair_of(change, operation, operation.source)
        for operation in change.operations
        if isinstance(operation, AddColumn) and operation.source is not None
    ]
    return tuple(sorted(found, key=lambda pair: not pair.backs))


def _pair_of(change: Change, operation: AddColumn, source: Expression) -> Pair:
    dropped = {o.column.name for o in change.operations if isinstance(o, DropColumn)}
    inputs = inputs_of(change.table, source)
    going = tuple(name for name in inputs if name in dropped)
    read = {name for back in operation.backs for name in back.expression.names()}
    siblings = tuple(
        Sibling(o.column.name, o.column.type, o.source)
        for o in change.operations
        if isinstance(o, AddColumn) and o is not operation and o.column.name in read
    )
    locked = _locked(change.table, operation.uniques, inputs)
    column = operation.column
    shared = tuple(
        back
        for o in change.operations
        if isinstance(o, AddColumn) and o is not operation
        for back in o.backs
        if column.name in back.expression.names() and back.column in inputs
    )
    return Pair(column.name, column.type, source, operation.backs, shared, siblings, going or inputs, bool(going), locked)


def kept(change: Change) -> tuple[Kept, ...]:
    """Dropped NOT NULL columns with a way home of their own."""
    return tuple(
        Kept(o.column.name, o.back)
        for o in change.operations
        if isinstance(o, DropColumn) and o.back is not None and not o.column.nullable
    )


def _locked(table: Table, uniques: tuple[UniqueSet, ...], inputs: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """ON CONFLICT names one unique index; a second one for the same fact would raise instead of resolving."""
    twice = any(c.kind in ("unique", "key") and set(inputs) & set(c.columns) for c in table.constraints)
    return tuple(dict.fromkeys(unique.columns for unique in uniques)) if twice or set(inputs) & set(table.key) else ()


def inputs_of(table: Table, source: Expression) -> tuple[str, ...]:
    """The stored columns that an expression reads; a generated column stands for what it is generated from."""
    found: list[str] = []
    for name in sorted(source.names()):
        column = table.column(name)
        found += sorted(column.generated.names()) if column and column.generated else [name]
    return tuple(dict.fromkeys(found))


def over(table: Table, source: Expression, row: str) -> str:
    """The expression over the columns of `row`. Generated columns are inlined: they are NULL in a BEFORE trigger."""

    def spell(name: str) -> str:
        column = table.column(name)
        if column and column.generated:
            inner = column.generated.rewritten(lambda of: f"{row}.{_name(of)}")
            return f"({one_line(inner)})"
        return f"{row}.{_name(name)}"

    return one_line(source.rewritten(spell))


def one_line(sql: str) -> str:
    """Comments to the end of a line would swallow what follows the expression, so such an expression keeps its lines."""
    return sql.strip() if "--" not in sql else sql.strip() + "\n"


def assigned(sql: str, type_: SqlType) -> str:
    """An expression as what is written into a column of that type: trigger, backfill and refill must agree on it.

    An UPDATE would refuse a text for an enum, where PL/pgSQL would take it. What is too long must fail, not be cut.
    """
    cuts = ("(" in type_.sql or type_.base in _ONE_LONG) and not type_.base.startswith(_ROUNDED)
    return sql if type_.sql == "text" or cuts else f"CAST({sql} AS {type_.sql})"


def compared(sql: str, type_: SqlType) -> str:
    """An expression as an operand, as the column would hold it.

    Unrounded it would differ from what was written into the column, and the backfill would pass for new code's write.
    """
    return _operand(sql) if type_.sql == "text" else f"CAST({sql} AS {type_.sql})"


def function(migration: str, table: Table, pairs_: tuple[Pair, ...], kept_: tuple[Kept, ...], fill: bool) -> str:
    """CREATE OR REPLACE FUNCTION of the trigger. `fill`: rows that the backfill hasn't reached are filled on UPDATE."""
    counter = names.counter(migration, table)
    given = "given" if len(pairs_) > 1 else "NEW"
    lines = ["BEGIN"]
    if given != "NEW":
        # What the trigger does for one pair must not look like a client's write to another.
        lines = ["DECLARE", "  given record := NEW;  -- as the client wrote it", "BEGIN"]
    for pair in pairs_:
        others = tuple(other.column for other in pairs_ if other is not pair)
        lines += _Clauses(table, pair, counter, given, others).lines(fill)
    for one in kept_:
        lines += _kept(table, one)
    lines += ["  RETURN NEW;", "END"]
    body = "\n".join(lines)
    tag = dollar_tag(body, "sync")
    return (
        f"CREATE OR REPLACE FUNCTION {names.function(migration, table)}() RETURNS trigger\n"
        f"  LANGUAGE plpgsql SET search_path = {', '.join(_schemas(table))} AS {tag}\n{body}\n{tag}"
    )


def _schemas(table: Table) -> list[str]:
    return list(dict.fromkeys(["pg_catalog", quote(table.schema), "public", "pg_temp"]))


def trigger(migration: str, table: Table) -> tuple[str, ...]:
    """The statements that create the trigger; ALWAYS, or a replica that applies changes would skip it."""
    name = names.trigger(migration)
    return (
        f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {names.table(table)}\n"
        f"  FOR EACH ROW EXECUTE FUNCTION {names.function(migration, table)}()",
        f"ALTER TABLE {names.table(table)} ENABLE ALWAYS TRIGGER {name}",
    )


def proof(table: Table, pairs_: tuple[Pair, ...], kept_: tuple[Kept, ...]) -> str:
    """A DO block that has PostgreSQL resolve every name, operator and type of the trigger, on no row.

    CREATE FUNCTION doesn't look into a body: a misspelt function would fail each write of old code from then on.
    """
    found = []
    for pair in pairs_:
        source = over(table, pair.source, "t")
        found += [assigned(source, pair.type), f"t.{_name(pair.column)} IS DISTINCT FROM {compared(source, pair.type)}"]
        found += [_proof_of(table, back) for back in pair.backs]
    found += [_proof_of(table, one.back) for one in kept_]
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
    return f"{assigned(sql, type_)},\n          t.{_name(back.column)} IS DISTINCT FROM {compared(sql, type_)}"


@dataclass(frozen=True, slots=True)
class _Clauses:
    """What the trigger does for one pair. `given` is the row as the client wrote it, `others` are other pairs' columns."""

    table: Table
    pair: Pair
    counter: str
    given: str
    others: tuple[str, ...]

    def lines(self, fill: bool) -> list[str]:
        """The pair's part of the function."""
        new = _name(self.pair.column)
        source = over(self.table, self.pair.source, "NEW")
        # Who gives any of the new columns is new code, which leaves the others to the trigger.
        silent = "".join(f" AND {self.given}.{_name(other)} IS NULL" for other in self.others)
        found = [
            f"  -- {' '.join(self.pair.column.split())}",
            "  IF TG_OP = 'INSERT' THEN",
            f"    IF NEW.{new} IS NULL THEN",
            f"      NEW.{new} := {assigned(source, self.pair.type)};",
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
        for columns in self.pair.locked:
            found += self._advisory_lock(columns)
        return found

    def _count(self) -> str:
        return f"PERFORM nextval({literal(self.counter)});"

    def _differs(self, row: str = "NEW") -> str:
        source = compared(over(self.table, self.pair.source, row), self.pair.type)
        return f"{row}.{_name(self.pair.column)} IS DISTINCT FROM {source}"

    def _changed(self, *columns: str, row: str = "") -> str:
        row = row or self.given
        return " OR ".join(f"{row}.{_name(c)} IS DISTINCT FROM OLD.{_name(c)}" for c in columns) or "FALSE"

    def _untouched(self) -> str:
        targets = (_name(back.column) for back in self.pair.backs)
        return " AND ".join(f"{self.given}.{c} IS NOT DISTINCT FROM OLD.{c}" for c in targets)

    def _insert_back(self) -> list[str]:
        if not self.pair.backs:
            return []
        # A required old column that new code leaves out must get its value, also where `from` would do without it.
        required = [b.column for b in self.pair.backs if not self._nullable(b.column)]
        apart = [self._differs(), *(f"NEW.{_name(c)} IS NULL" for c in required)]
        apart += [f"NEW.{_name(s.column)} IS NOT NULL AND {self._apart(s)}" for s in self.pair.siblings]
        return [f"    ELSIF {' OR '.join(apart)} THEN", *self._set_backs(6)]

    def _nullable(self, column: str) -> bool:
        found = self.table.column(column)
        return found is None or found.nullable

    def _apart(self, sibling: Sibling) -> str:
        """Whether a sibling holds something that new code wrote."""
        if sibling.source is None:
            return "TRUE"
        source = compared(over(self.table, sibling.source, "NEW"), sibling.type)
        return f"NEW.{_name(sibling.column)} IS DISTINCT FROM {source}"

    def _sibling_changed(self) -> list[str]:
        if not self.pair.backs or not self.pair.siblings:
            return []
        written = " OR ".join(f"{self._changed(s.column)} AND {self._apart(s)}" for s in self.pair.siblings)
        return [f"  ELSIF ({written}) AND {self._untouched()} THEN", *self._set_backs(4)]

    def _new_changed(self) -> list[str]:
        if not self.pair.backs:
            return ["    NULL;  -- new code wrote it, and nothing goes back"]
        # Other inputs may change in the same UPDATE: the old column must follow, or old code would undo new code's value.
        return [f"    IF {self._untouched()}", f"       AND {self._differs()} THEN", *self._set_backs(6), "    END IF;"]

    def _inputs_changed(self, fill: bool) -> list[str]:
        new = _name(self.pair.column)
        source = over(self.table, self.pair.source, "NEW")
        unfilled = f" OR NEW.{new} IS NULL" if fill else ""
        follow = self._differs()
        if not self.pair.way_back:
            follow = f"(NOT {self._differs('OLD')}{unfilled}) AND {follow}"
        count = [f"    IF {self._changed(*self.pair.counted)} THEN", f"      {self._count()}", "    END IF;"]
        # Of columns that stay, new code writes too: only what the trigger had to carry over shows old code.
        inner = [] if self.pair.going else [f"  {line}" for line in count]
        return [
            f"  ELSIF {self._input_changed()}{unfilled} THEN",
            f"    IF {follow} THEN",
            f"      NEW.{new} := {assigned(source, self.pair.type)};",
            *inner,
            "    END IF;",
            *(count if self.pair.going else []),
        ]

    def _input_changed(self) -> str:
        """An input changed, and not to what the new column gives back: such a pair agrees (a refill writes just that)."""
        inputs = inputs_of(self.table, self.pair.source)
        targets = {back.column for back in self.pair.way_back}
        others = [c for c in inputs if c not in targets]
        if not targets:
            # It follows its inputs whoever wrote them: new code may have, by way of another pair's `back`.
            return self._changed(*inputs, row="NEW")
        given_back = " AND ".join(
            f"NEW.{_name(b.column)} IS NOT DISTINCT FROM {self._back(b)}" for b in self.pair.way_back
        )
        agrees = f"NEW.{_name(self.pair.column)} IS NOT NULL AND {given_back}"
        back_changed = f"({self._changed(*sorted(targets))}) AND NOT ({agrees})"
        return "\n     OR ".join([self._changed(*others), back_changed] if others else [back_changed])

    def _back(self, back: Back) -> str:
        return compared(over(self.table, back.expression, "NEW"), self.table.type_of(back.column))

    def _set_backs(self, indent: int) -> list[str]:
        return [
            f"{' ' * indent}NEW.{_name(b.column)} := "
            f"{assigned(over(self.table, b.expression, 'NEW'), self.table.type_of(b.column))};"
            for b in self.pair.backs
        ]

    def _advisory_lock(self, columns: tuple[str, ...]) -> list[str]:
        row = ", ".join(f"NEW.{_name(name)}" for name in columns)
        changed = " OR ".join(f"NEW.{_name(c)} IS DISTINCT FROM OLD.{_name(c)}" for c in columns)
        fact = literal(f"{names.table(self.table)} {', '.join(columns)} ")
        return [
            f"  IF TG_OP = 'INSERT' OR {changed} THEN",
            f"    PERFORM pg_advisory_xact_lock(hashtextextended({fact} || ROW({row})::text, 0));",
            "  END IF;",
        ]


def _kept(table: Table, one: Kept) -> list[str]:
    column = _name(one.column)
    value = assigned(over(table, one.back.expression, "NEW"), table.type_of(one.column))
    return [
        f"  -- {' '.join(one.column.split())}: new code no longer writes it",
        f"  IF TG_OP = 'INSERT' AND NEW.{column} IS NULL THEN",
        f"    NEW.{column} := {value};",
        "  END IF;",
    ]


def _name(column: str) -> str:
    return f'"{column}"' if column in _PLPGSQL else quote(column)


def _operand(source: str) -> str:
    """The expression as one operand, in parentheses unless it plainly is one."""
    return (
        source if source.isidentifier() or source.replace(".", "_").replace('"', "_").isidentifier() else f"({source})"
    )
