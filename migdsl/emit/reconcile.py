"""Comparisons and violations become reconciliation jobs: one statement a tenant, one snapshot, one scan."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import quote
from migdsl.emit.artifact import Artifact
from migdsl.emit.backfill import tenants
from migdsl.emit.context import EmitContext
from migdsl.emit.python import block, docstring, formatted, names, quoted
from migdsl.emit.templates import render
from migdsl.ops import names as objects
from migdsl.ops.batches import Walk
from migdsl.ops.carried import Carried
from migdsl.ops.model import TablePlan, Violation
from migdsl.semantics.model import Table
from migdsl.syntax import lexis


def emit(context: EmitContext) -> Iterator[Artifact]:
    """One job for each table that changes."""
    for plan in context.planned.lowered.tables:
        path = context.planned.paths.reconcile(plan.table)
        yield Artifact(path, formatted(_text(context, plan, path)), "reconcile")


def _text(context: EmitContext, plan: TablePlan, path: str) -> str:
    sql = _statements(context, plan)
    database = context.planned.module.database(plan.table.database)
    listed = "None" if plan.leaves else tenants(context, plan)
    view: dict[str, object] = {
        "marker": context.marker,
        "docstring": docstring(_docstring(context, plan, path)),
        "migration": quoted(context.planned.plan.migration),
        "entity": quoted(plan.table.entity),
        "table": quoted(objects.table(plan.table)),
        "database_env": quoted(database.url_env),
        "key": names(plan.table.key),
        "tenants": listed,
        "compare_old": block(sql.compare([c.drifted_old for c in plan.comparisons])),
        "compare_new": block(sql.compare([c.drifted_new for c in plan.comparisons])),
        "differing_old": block(sql.differing([c.drifted_old for c in plan.comparisons])),
        "differing_new": block(sql.differing([c.drifted_new for c in plan.comparisons])),
        "violating": block(sql.violating()) if plan.violations else "",
        "unlisted": block(_all_unlisted(context, plan)) if listed != "None" else "",
        "invariants": list(_invariants(context, plan)),
        "old_writes": block(_old_writes(plan.counter)) if plan.counter else "",
    }
    return render("reconcile/job.py.j2", view)


def _statements(context: EmitContext, plan: TablePlan) -> Comparing:
    if plan.origin is not None:
        return Between(plan, Carried(context.planned.plan.migration, plan.table, plan.origin))
    return Nothing(plan) if plan.leaves else Comparing(plan)


class Comparing:
    """The statements that compare one table, over its rows `t`."""

    def __init__(self, plan: TablePlan) -> None:
        self.plan = plan
        self.walk = Walk(plan.table)

    def compare(self, drifted: list[str]) -> str:
        """Counts and hashes of one tenant."""
        lossy = [c.lossy for c in self.plan.comparisons if c.lossy is not None]
        columns = [
            "count(*) AS rows",
            f"{self._hash([c.left for c in self.plan.comparisons])} AS hash_left",
            f"{self._hash([c.right for c in self.plan.comparisons])} AS hash_right",
            f"{_counted(drifted)} AS mismatched",
            f"{_counted([self._broken(n, v) for n, v in enumerate(self.plan.violations)])} AS violations",
            f"{_counted(lossy)} AS lossy",
        ]
        lines = ",\n       ".join(columns)
        return f"SELECT {lines}\n  FROM {self._rows()}\n {self.walk.confined()}".rstrip()

    def differing(self, drifted: list[str]) -> str:
        """Keys of rows that differ, and which columns do; no values."""
        flags = [f"{sql} AS {quote(c.column)}" for sql, c in zip(drifted, self.plan.comparisons, strict=True)]
        return self._keys(self.walk.source(), flags, drifted)

    def violating(self) -> str:
        """Keys of rows that would break a constraint to come, and which one; no values."""
        broken = [self._broken(n, v) for n, v in enumerate(self.plan.violations)]
        flags = [f"{sql} AS {quote(v.title[:60])}" for sql, v in zip(broken, self.plan.violations, strict=True)]
        return self._keys(self._rows(), flags, broken)

    def _keys(self, source: str, flags: list[str], conditions: list[str]) -> str:
        columns = ",\n       ".join([self.walk.keys(), *flags])
        found = "(" + " OR ".join(conditions) + ")" if conditions else "FALSE"
        where = self.walk.confined(found)
        return f"SELECT {columns}\n  FROM {source}\n {where}\n ORDER BY {self.walk.keys()}\n LIMIT :limit"

    def _rows(self) -> str:
        """The rows `t`; with how many share their value, where something is to be unique."""
        counts = [
            f"count(*) OVER (PARTITION BY {', '.join('u.' + quote(c) for c in v.duplicates)}) AS {_alike(n)}"
            for n, v in enumerate(self.plan.violations)
            if v.duplicates
        ]
        if not counts:
            return self.walk.source()
        own = Walk(self.plan.table, "u", "q")
        where = f"\n         {own.confined()}" if own.tenant else ""
        inner = f"(SELECT u.*, {', '.join(counts)}\n          FROM {own.source()}{where}) AS t"
        return "".join([inner, *(f"\n  JOIN {table} ON {met}" for table, met in self.walk.way())])

    def _broken(self, number: int, violation: Violation) -> str:
        if violation.rows is not None:
            return violation.rows
        filled = " AND ".join(f"t.{quote(c)} IS NOT NULL" for c in violation.duplicates)
        return f"({filled} AND t.{_alike(number)} > 1)"

    def _hash(self, values: list[str]) -> str:
        return _hashed(f"ROW({', '.join([self.walk.keys(), *values])})")


class Nothing(Comparing):
    """A table that goes away as a whole has no rows to compare, and is not there in the end: the counter is all."""

    def compare(self, _: list[str]) -> str:
        """One row of zeros."""
        numbers = ", ".join(f"0 AS {name}" for name in ("rows", "mismatched", "violations", "lossy"))
        return f"SELECT {numbers}, NULL AS hash_left, NULL AS hash_right"

    def differing(self, _: list[str]) -> str:
        """No row."""
        keys = ", ".join(f"NULL AS {quote(c)}" for c in self.plan.table.key)
        return f"SELECT {keys} WHERE FALSE LIMIT :limit"


class Between(Comparing):
    """A new table's rows `t` beside the rows `s` that they come from, each of them at most once.

    What is missing, or too much, counts only while the old is the truth: afterwards new code has the last word.
    """

    def __init__(self, plan: TablePlan, of: Carried) -> None:
        super().__init__(plan)
        self.of = of
        self.here = f"t.{quote(plan.table.key[0])} IS NOT NULL"
        self.there = f"s.{quote(of.key_pairs()[0][1])} IS NOT NULL"

    def compare(self, drifted: list[str]) -> str:
        """Counts and hashes of one tenant; without what may differ from live on, where nothing drifts."""
        old = self._strict(drifted)
        missing, extra = (f"{self.there} AND NOT {self.here}", f"{self.here} AND NOT {self.there}") if old else ("", "")
        broken = [f"({self.here} AND {self._broken(n, v)})" for n, v in enumerate(self.plan.violations)]
        columns = [
            "count(*) AS rows",
            f"{self._side(self.of.key_of(), [c.left for c in self.plan.comparisons])} FILTER (WHERE {self.there}) AS hash_left",
            f"{self._side(self._key(), [c.right for c in self.plan.comparisons])} FILTER (WHERE {self.here}) AS hash_right",
            f"{_counted([self._apart(drifted)] if old else [])} AS mismatched",
            f"{_counted(broken)} AS violations",
            "0 AS lossy",
            f"{_counted([missing] if old else [])} AS missing",
            f"{_counted([extra] if old else [])} AS extra",
        ]
        lines = ",\n       ".join(columns)
        return f"SELECT {lines}\n  FROM {self._rows()}"

    def differing(self, drifted: list[str]) -> str:
        """Keys of rows that differ, are missing or too many; no values."""
        both = f"{self.here} AND {self.there}"
        flags = [
            f"({both} AND {sql}) AS {quote(c.column)}" for sql, c in zip(drifted, self.plan.comparisons, strict=True)
        ]
        flags += [f'NOT ({self.here}) AS "the row is missing"', f'NOT ({self.there}) AS "there should be no row"']
        found = f"NOT ({both}) OR {self._apart(drifted)}" if self._strict(drifted) else "FALSE"
        return self._all(flags, found)

    def violating(self) -> str:
        """Keys of rows that would break a constraint to come, and which one; no values."""
        broken = [f"({self.here} AND {self._broken(n, v)})" for n, v in enumerate(self.plan.violations)]
        flags = [f"{sql} AS {quote(v.title[:60])}" for sql, v in zip(broken, self.plan.violations, strict=True)]
        return self._all(flags, " OR ".join(broken))

    def _strict(self, drifted: list[str]) -> bool:
        return drifted == [c.drifted_old for c in self.plan.comparisons]

    def _apart(self, drifted: list[str]) -> str:
        return f"({self.here} AND {self.there} AND ({' OR '.join(drifted)}))"

    def _key(self) -> tuple[str, ...]:
        return tuple(f"t.{quote(c)}" for c, _ in self.of.key_pairs())

    def _all(self, flags: list[str], condition: str) -> str:
        keys = [
            f"coalesce({a}, {b}) AS {quote(c)}"
            for (c, _), a, b in zip(self.of.key_pairs(), self._key(), self.of.key_of(), strict=True)
        ]
        columns = ",\n       ".join([*keys, *flags])
        order = ", ".join(str(n) for n, _ in enumerate(keys, 1))
        return f"SELECT {columns}\n  FROM {self._rows()}\n WHERE {condition}\n ORDER BY {order}\n LIMIT :limit"

    def _rows(self) -> str:
        """Both sides, each confined to the tenant before they meet."""
        own = super()._rows()
        if own == self.walk.source():
            where = self.walk.confined()
            own = f"(SELECT t.*\n          FROM {own}{' ' + where if where else ''}) AS t"
        return f"{self.of.origin()}\n  FULL JOIN {own}\n    ON {self.of.matched('t', 's')}"

    def _side(self, key: tuple[str, ...], values: list[str]) -> str:
        return _hashed(f"ROW({', '.join([*key, *values])})")


def _hashed(row: str) -> str:
    # Two 64-bit hashes with other seeds, added up: order does not matter, and a pair can't cancel as under xor.
    return f"sum(hash_record_extended({row}, 1)::numeric * 18446744073709551616 + hash_record_extended({row}, 2))"


def _alike(number: int) -> str:
    return f"migdsl_alike_{number}"


def _counted(conditions: list[str]) -> str:
    return f"count(*) FILTER (WHERE {' OR '.join(conditions)})" if conditions else "0"


def _all_unlisted(context: EmitContext, plan: TablePlan) -> str:
    """Rows that nobody carries over are lost with what they come from."""
    own = _unlisted(context, plan.table)
    return own if plan.origin is None else f"SELECT ({own})\n     + ({_unlisted(context, plan.origin.table)})"


def _unlisted(context: EmitContext, table: Table) -> str:
    declared = context.planned.module.tenants
    assert declared is not None
    assert declared.listing is not None
    listed = f"""(
{declared.listing.text.strip().rstrip(";")}
) AS listed (tenant)"""
    walk = Walk(table)
    if table.via is None:
        return f"""SELECT count(*)
  FROM {walk.source()}
 WHERE NOT EXISTS (SELECT FROM {listed} WHERE listed.tenant = {walk.tenant})"""
    # Rows that lead to nobody are among them.
    parents = ", ".join(parent for parent, _ in walk.way())
    met = " AND ".join(condition for _, condition in walk.way())
    return f"""SELECT count(*)
  FROM {objects.table(table)} AS t
 WHERE NOT EXISTS (SELECT FROM {parents}, {listed} WHERE {met} AND listed.tenant = {walk.tenant})"""


def _invariants(context: EmitContext, plan: TablePlan) -> Iterator[tuple[str, str]]:
    """Texts and statements, as Python. Of what a user's statement returns only the number of rows leaves the database."""
    for each in context.planned.module.policy.invariants(plan.table.entity):
        sql = lexis.dedent(each.statement.text).rstrip().rstrip(";")
        yield quoted(each.text), block(f"SELECT count(*)\n  FROM (\n{sql}\n) AS broken")


def _old_writes(counter: str) -> str:
    return f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {counter}"


def _docstring(context: EmitContext, plan: TablePlan, path: str) -> str:
    what = ", ".join(c.column for c in plan.comparisons)
    compares = f"Compares {what} of" if what else "Counts the rows of"
    if plan.origin is not None:
        compares = f"Compares the rows of {objects.table(plan.origin.table)} with those of"
    if plan.leaves:
        compares = "Counts who still writes"
    return f"""{compares} {objects.table(plan.table)} for migration {context.planned.plan.migration}.

    python {path}          compare, record the result in the ledger
    python {path} --json   the same, as JSON

Exit code 0 means: no difference, no violation of a constraint to come, no tenant that the list leaves out."""
