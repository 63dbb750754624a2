"""Comparisons and violations become SQL: digests and differences of a range of keys, and what makes a row right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from migdsl.dialect.names import quote
from migdsl.ops import names as objects
from migdsl.ops.batches import Walk
from migdsl.ops.both_ways import Ways
from migdsl.ops.carried import Carried
from migdsl.ops.model import Comparison, TablePlan, Violation
from migdsl.ops.pairs import over
from migdsl.ops.ranges import Keyed
from migdsl.ops.stream_compare import VALUE_SEED


class Comparing:
    """The statements that compare columns of one table, over its rows `t`."""

    def __init__(self, plan: TablePlan) -> None:
        self.plan = plan
        self.walk = Walk(plan.table)
        self.key = Keyed(tuple(f"t.{quote(c)}" for c in plan.table.key))

    def next_bound(self) -> str:
        """The key `:skip` rows behind `:after`."""
        return _bound(self.key.ordered(), self.walk.source(), self.walk.confined(*self.key.within()), self.key)

    def compare(self, drifted: list[str]) -> str:
        """Counts and hashes of a range of one tenant's rows."""
        lossy = [c.lossy for c in self.plan.comparisons if c.lossy is not None]
        keys = self.key.columns
        columns = [
            "count(*) AS rows",
            f"{_hashed(keys, [c.left for c in self.plan.comparisons])} AS hash_left",
            f"{_hashed(keys, [c.right for c in self.plan.comparisons])} AS hash_right",
            f"{_counted(drifted)} AS mismatched",
            f"{_counted(lossy)} AS lossy",
        ]
        lines = ",\n       ".join(columns)
        return f"SELECT {lines}\n  FROM {self.walk.source()}\n {self.walk.confined(*self.key.within())}"

    def differing(self, drifted: list[str]) -> str:
        """Keys of rows of a range that differ, and which columns do; no values."""
        flags = [f"{sql} AS {quote(c.column)}" for sql, c in zip(drifted, self.plan.comparisons, strict=True)]
        found = f"({' OR '.join(drifted)})" if drifted else "FALSE"
        where = self.walk.confined(*self.key.within(), found)
        return self._keys([*self.key.columns, *flags], self.walk.source(), where)

    def violated(self) -> str:
        """How many of one tenant's rows would break a constraint to come."""
        return f"SELECT count(*)\n  FROM {self._rows()}\n {self.walk.confined(self._any_broken())}"

    def violating(self) -> str:
        """Keys of rows that would break a constraint to come, and which one; no values."""
        where = self.walk.confined(self._any_broken())
        return self._keys([*self.key.columns, *self._flags()], self._rows(), where)

    def repair(self, *, new: bool) -> str | None:
        """Makes the row with one key right, from the side that is the truth; None where nothing leads there."""
        sides = [(c.drifted_new, c.mended_new) if new else (c.drifted_old, c.mended_old) for c in self.plan.comparisons]
        values = {column: sql for _, mended in sides for column, sql in mended}
        if not values:
            return None
        # Of a row with several pairs only what drifted is written; two new columns may lead back to one old one.
        when = {c: _any(drifted for drifted, mended in sides if c in dict(mended)) for c in values}
        sets = [f"{quote(c)} = {_chosen(c, when[c], sql) if len(sides) > 1 else sql}" for c, sql in values.items()]
        drifts = _any(drifted for drifted, mended in sides if mended)
        # The row that is written can't be named in a JOIN: it meets the first of its parents in WHERE.
        first, *others = list(self.walk.way()) or [("", "")]
        source = f"\n  FROM {first[0]}" if first[0] else ""
        source += "".join(f"\n  JOIN {table} ON {met}" for table, met in others)
        where = self.walk.confined(*([first[1]] if first[1] else []), *self.key.equal(), f"({drifts})")
        lines = ",\n       ".join(sets)
        return f"UPDATE {objects.table(self.plan.table)} AS t\n   SET {lines}{source}\n {where}"

    def _keys(self, columns: list[str], source: str, where: str) -> str:
        lines = ",\n       ".join(columns)
        return f"SELECT {lines}\n  FROM {source}\n {where}\n ORDER BY {self.key.ordered()}\n LIMIT :limit"

    def _flags(self) -> list[str]:
        broken = (self._broken(number, each) for number, each in enumerate(self.plan.violations))
        return [f"{sql} AS {quote(v.title[:60])}" for sql, v in zip(broken, self.plan.violations, strict=True)]

    def _any_broken(self) -> str:
        return f"({' OR '.join(self._broken(number, each) for number, each in enumerate(self.plan.violations))})"

    def _rows(self) -> str:
        """The rows `t`; with how many share their value, where something is to be unique."""
        own = self._counted()
        return (
            self.walk.source()
            if own is None
            else "".join([own, *(f"\n  JOIN {t} ON {met}" for t, met in self.walk.way())])
        )

    def _counted(self) -> str | None:
        """A subselect `t` of one tenant's rows with those numbers; None where nothing is to be unique."""
        counts = [
            f"count(*){self._among(v)} OVER (PARTITION BY {', '.join(self._apart(v, 'u'))}) AS {_alike(n)}"
            for n, v in enumerate(self.plan.violations)
            if v.counted
        ]
        if not counts:
            return None
        # A row of the subselect is none of the table: a function that takes one is asked inside.
        counts += [f"{v.whole}(u) AS {_asked(n)}" for n, v in enumerate(self.plan.violations) if v.whole]
        own = Walk(self.plan.table, "u", "q")
        where = f"\n         {own.confined()}" if own.tenant else ""
        return f"(SELECT u.*, {', '.join(counts)}\n          FROM {own.source()}{where}) AS t"

    def _broken(self, number: int, violation: Violation) -> str:
        if violation.whole is not None and any(v.counted for v in self.plan.violations):
            return f"t.{_asked(number)}"
        if violation.rows is not None:
            return violation.rows
        filled = [f"{part} IS NOT NULL" for part in self._apart(violation, "t")]
        if violation.index is not None and violation.index.where is not None:
            # Unknown is as good as false: an index is for rows of which its condition is true.
            filled.append(f"({over(self.plan.table, violation.index.where, 't')}) IS TRUE")
        return f"({' AND '.join(filled)} AND t.{_alike(number)} > 1)"

    def _apart(self, violation: Violation, row: str) -> list[str]:
        """What must be unique together, of a row."""
        if violation.index is None:
            return [f"{row}.{quote(c)}" for c in violation.duplicates]
        parts = violation.index.parts
        return [
            f"({over(self.plan.table, p.expression, row)})" if p.expression else f"{row}.{quote(p.column or '')}"
            for p in parts
        ]

    def _among(self, violation: Violation) -> str:
        """The rows that a unique index is for."""
        if violation.index is None or violation.index.where is None:
            return ""
        return f" FILTER (WHERE {over(self.plan.table, violation.index.where, 'u')})"


class Between(Comparing):
    """A new table's rows `t` beside the rows `s` that they come from, each of them at most once.

    What differs, is missing, or too much, counts only while the old is the truth: afterwards new code has the last word.
    """

    def __init__(self, plan: TablePlan, of: Carried) -> None:
        super().__init__(plan)
        self.of = of
        self.here = f"t.{quote(plan.table.key[0])} IS NOT NULL"
        self.names = tuple(column for column, _ in of.key_pairs())
        self.key = Keyed(tuple(f"t.{quote(c)}" for c in self.names))
        self.sought = of.sought("s")
        self.came = Walk(of.source.table, "s", "o")

    def left(self) -> tuple[str, str, str]:
        """What should be there: digest, next bound and rows of a range."""
        values = [c.left for c in self.plan.comparisons]
        return self._side(self.of.key_of(), values, self.of.origin(), self.sought, "")

    def right(self) -> tuple[str, str, str]:
        """What is there, likewise."""
        values = [c.right for c in self.plan.comparisons]
        return self._side(self.key.columns, values, self.walk.source(), self.key, self.walk.tenant or "")

    def violated(self) -> str:
        """How many of one tenant's rows would break a constraint to come."""
        return f"SELECT count(*)\n  FROM {self._rows()}\n WHERE {self._any_broken()}"

    def violating(self) -> str:
        """Keys of rows that would break a constraint to come, and which one; no values."""
        columns = [f"{sql} AS {quote(c)}" for c, sql in zip(self.names, self.key.columns, strict=True)]
        return self._keys([*columns, *self._flags()], self._rows(), f"WHERE {self._any_broken()}")

    def left_new(self) -> tuple[str, str, str]:
        """What should be there once the new is the truth: each column as it would be again after the way back."""
        found = self._restored()
        values = [c.restored or "" for c in found]
        return self._side(self.key.columns, values, self.walk.source(), self.key, self.walk.tenant or "", found)

    def right_new(self) -> tuple[str, str, str]:
        """What the old has then."""
        found = self._restored()
        return self._side(self.of.key_of(), [c.left for c in found], self.of.origin(), self.sought, "", found)

    def _restored(self) -> tuple[Comparison, ...]:
        return tuple(c for c in self.plan.comparisons if c.restored is not None)

    def repair(self, *, new: bool) -> str | None:
        """Makes the new row with one key what its source's row gives, which is locked as it is read."""
        values = self.of.values()
        if new and self.plan.move is not None:
            return self._repair_old(Ways(self.of, self.plan.move))
        if new or not values:
            return None
        sets = ",\n       ".join(f"{quote(c.name)} = {self.of.written(c, sql, 's')}" for c, sql in values)
        drifts = " OR ".join(c.drifted_old for c in self.plan.comparisons)
        return f"""WITH s AS (
SELECT s.*
  FROM {self.came.source()}
 {_where(self._of_source(*self.sought.equal()))}
   {self.came.shared()}
)
{self._mended(self.walk, self.came, sets, drifts)}"""

    def _mended(self, written: Walk, read: Walk, sets: str, drifts: str) -> str:
        """Writes the rows of one side from those of the other, a relation of that name; each is led to the tenant by itself."""
        way = list(read.way())
        given = read.row + "".join(f"\n  JOIN {table} ON {met}" for table, met in way)
        same = [f"{read.tenant} = :tenant_id"] if way else []
        return written.write(sets, (*same, self.of.matched("t", "s"), f"({drifts})"), given)

    def _repair_old(self, sides: Ways) -> str | None:
        """Makes the old row with one key what the new one gives, which is locked as it is read."""
        drifts = " OR ".join(c.drifted_new for c in self._restored())
        if not sides.homes() or not drifts:
            return None
        sets = ",\n       ".join(f"{quote(c.name)} = {sides.home_written(c, sql, 't')}" for c, sql in sides.homes())
        return f"""WITH t AS (
SELECT t.*
  FROM {self.walk.source()}
 {self.walk.confined(*self.key.equal())}
   {self.walk.shared()}
)
{self._mended(self.came, self.walk, sets, drifts)}"""

    def delete_old(self) -> str:
        """Takes away the old row with one key if the new has none."""
        mine = self.walk.confined(self.of.matched("t", "s")).replace("\n", "\n                   ")
        ours = self.walk.source().replace("\n", "\n                   ")
        there = f"SELECT FROM {ours}\n                    {mine}"
        return self.came.delete(*self.sought.equal(), f"NOT EXISTS ({there})")

    def delete(self) -> str:
        """Takes away the new row with one key if nothing gives it."""
        conditions = "\n                      AND ".join(self._of_source(self.of.matched("t", "s")))
        came = self.came.source().replace("\n", "\n                   ")
        source = f"SELECT FROM {came}\n                    WHERE {conditions}"
        return self.walk.delete(*self.key.equal(), f"NOT EXISTS ({source})")

    def _of_source(self, *conditions: str) -> list[str]:
        """Conditions on a row `s` that gives one: its tenant, `conditions`, and the file's `where`."""
        where = self.of.where("s")
        tenant = [f"{self.came.tenant} = :tenant_id"] if self.came.tenant else []
        return [*tenant, *conditions, *([f"({where})"] if where is not None else [])]

    def _broken(self, number: int, violation: Violation) -> str:
        return f"({self.here} AND {super()._broken(number, violation)})"

    def _rows(self) -> str:
        """Both sides, each confined to the tenant before they meet."""
        own = self._counted()
        if own is None:
            where = self.walk.confined()
            own = f"(SELECT t.*\n          FROM {self.walk.source()}{' ' + where if where else ''}) AS t"
        return f"{self.of.origin()}\n  FULL JOIN {own}\n    ON {self.of.matched('t', 's')}"

    def _side(
        self,
        key: tuple[str, ...],
        values: list[str],
        source: str,
        sought: Keyed,
        tenant: str,
        of: tuple[Comparison, ...] | None = None,
    ) -> tuple[str, str, str]:
        where = _where([*([f"{tenant} = :tenant_id"] if tenant else []), *sought.within()])
        named = [f"{sql} AS {quote(c)}" for c, sql in zip(self.names, key, strict=True)]
        pairs = zip(self.plan.comparisons if of is None else of, values, strict=True)
        hashes = [f"hash_record_extended(ROW({sql}), {VALUE_SEED}) AS {quote(c.column)}" for c, sql in pairs]
        columns = [*named, f"hash_record_extended(ROW({', '.join(key)}), 1) AS migdsl_key", *hashes]
        lines = ",\n       ".join(columns)
        return (
            f"SELECT count(*) AS rows,\n       {_hashed(key, values)} AS hash\n  FROM {source}\n {where}",
            _bound(", ".join(named), source, where, sought),
            f"SELECT {lines}\n  FROM {source}\n {where}\n ORDER BY {sought.ordered()}",
        )


def _where(conditions: Iterable[str]) -> str:
    return "WHERE " + "\n   AND ".join(conditions)


def _any(conditions: Iterable[str]) -> str:
    return " OR ".join(dict.fromkeys(conditions))


def _chosen(column: str, condition: str, value: str) -> str:
    return f"CASE WHEN {condition} THEN {value} ELSE t.{quote(column)} END"


def _bound(columns: str, source: str, where: str, key: Keyed) -> str:
    return f"SELECT {columns}\n  FROM {source}\n {where}\n ORDER BY {key.ordered()}\nOFFSET :skip LIMIT 1"


def _hashed(key: Sequence[str], values: Sequence[str]) -> str:
    """A 64-bit hash a row, added up: order does not matter, and no pair cancels as under xor.

    Each row has a seed of its own, its key's hash: a row's hash is its columns' by constant factors, so that with one seed
    for all of them two rows that have each other's values would add up to the same.
    """
    seed = f"hash_record_extended(ROW({', '.join(key)}), 1)"
    # Sums of bigint are added up in 128 bits; a numeric a row would take twice the time.
    return f"sum(hash_record_extended(ROW({', '.join([*key, *values])}),\n         {seed}))"


def _alike(number: int) -> str:
    return f"migdsl_alike_{number}"


def _asked(number: int) -> str:
    return f"migdsl_asked_{number}"


def _counted(conditions: list[str]) -> str:
    return f"count(*) FILTER (WHERE {' OR '.join(conditions)})" if conditions else "0"
