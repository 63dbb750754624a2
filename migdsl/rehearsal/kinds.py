"""What a reconciliation compares becomes rows that it must tell of: of every kind, in every column, behind everybody's back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import psycopg

from migdsl.dialect.names import literal, quote
from migdsl.ops import names
from migdsl.ops.carried import Carried
from migdsl.ops.model import TablePlan
from migdsl.rehearsal.alerts import expressions
from migdsl.rehearsal.belonging import whose
from migdsl.rehearsal.clients import Client
from migdsl.rehearsal.journal import Connection, Row
from migdsl.rehearsal.model import Log
from migdsl.rehearsal.shapes import Shape
from migdsl.values import Value

MISSING, EXTRA = "missing", "extra"
_OTHER, _EMPTY, _FULL = "another value", "NULL where a value belongs", "a value where NULL belongs"
_ROWS = {MISSING: "a row that the new side hasn't got", EXTRA: "a row of the new side that nothing gives"}
_SPARE = 6  # new rows, of which some may have no counterpart by the file's own `where`
_SOME = 5  # rows that are tried: others may point at the first
_TOLD = 3  # findings of one look
_MEASURED = ("migdsl_reconcile_rows_", "migdsl_reconcile_drift")
LIMIT = "1000"  # rows of a tenant that a job names: more than are planted
WAY = "its comparison must see every column, NULLs too, in every range, and rows that are on one side alone"
# As the jobs show keys.
_SHOWN = b"SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL bytea_output = 'hex'"
_FOUND = b"""
SELECT DISTINCT ON (tenant) tenant, found -> 'differing' FROM migdsl.reconciliation
 WHERE migration = %s AND entity = %s ORDER BY tenant, id DESC"""
_TRIGGERS = b"""
SELECT quote_ident(tgname), tgenabled::text FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND NOT tgisinternal"""
_AGAIN = {"A": "ENABLE ALWAYS", "O": "ENABLE", "R": "ENABLE REPLICA"}
Key = tuple[str, ...]


class Bench(Value):
    """Where rows are put wrong: the new side of what is compared, by a connection there. `tenants`: whose rows, in the order in
    which they are tried; None: anybody's."""

    plan: TablePlan
    desk: Connection
    tenants: tuple[str | None, ...]

    @property
    def entity(self) -> str:
        return self.plan.table.entity

    @property
    def name(self) -> str:
        """The table, as SQL."""
        return names.table(self.plan.table)

    @property
    def shown(self) -> str:
        """The key of the row `t`, as PostgreSQL spells it: a cast to text does it otherwise for some types."""
        return ", ".join(f"format('%s', t.{quote(each)})" for each in self.plan.table.key)

    def own(self, tenant: str | None) -> str:
        """The condition under which the row `t` is that tenant's."""
        mine = whose(self.plan.table, "t")
        return f"{mine}::text = {literal(tenant)}" if mine is not None and tenant is not None else "TRUE"


class Planted(Value):
    """A row that is wrong: its key as jobs show it, what they have to call it, in which column; `how` is for people."""

    key: Key
    kind: str
    column: str
    how: str

    @property
    def told(self) -> str:
        """Without the row."""
        return f"{self.how}, in {self.column}" if self.column else self.how


def benched(plan: TablePlan, desk: Connection, *tenants: str | None) -> Bench:
    """Of these tenants, where rows are tenants', and there are such."""
    known = tuple(each for each in tenants if each is not None) if plan.table.owned else ()
    return Bench(plan, desk, known or (None,))


# ------------------------------------------------------------------------------------------- values


def values(bench: Bench, rows: list[Planted]) -> list[Planted]:
    """Each column by itself in a row of its own, and of none of these, in each of the ways in which it can be wrong; the first
    column in a row of each tenant. The last rows as well as the first ones."""
    found = list(rows)
    with bench.desk.transaction(), untriggered(bench.desk, bench.name):
        bench.desk.execute(_SHOWN)
        for number, compared in enumerate(_columns(bench.plan)):
            for how, holds, given in _ways(bench, compared.place):
                tries = [(t, value) for t in bench.tenants for value in given]
                apart = bench.tenants if number == 0 and how == _OTHER else (None,)
                for one in apart:
                    own = [(t, value) for t, value in tries if one in (None, t)]
                    key = _first(bench, compared, holds, own, found)
                    found += [Planted(key, "mismatched", compared.column, how)] if key is not None else []
    return found


class _Compared(Value):
    """What is compared: what jobs call it, the new side's column, and what holds of the row `t` where it is worth something of
    its own: what the old side gives back of it would give it again."""

    column: str
    place: str
    own: str


def _columns(plan: TablePlan) -> Iterator[_Compared]:
    """All of them but what leads to a row's owner: by that it is found. Between databases a value agrees that the old side has
    another one for, and comes to the same there."""
    via = plan.table.via
    leading = via.hops[0].column if via is not None else None
    for each in plan.comparisons:
        place = each.mended_old[0][0] if each.mended_old else each.column
        if place != leading:
            restored = each.restored if plan.moved is not None else None
            yield _Compared(each.column, place, f"{restored} IS NOT DISTINCT FROM {each.right}" if restored else "")


def _ways(bench: Bench, place: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """What is wrong, what a row has to hold for that, and what it may be given, over the row `t`."""
    column, table = quote(place), bench.plan.table
    known = table.column(place)
    text = "::text" if known is not None and not known.type.comparable else ""
    mine, theirs = whose(table, "t"), whose(table, "o")
    same = f"{mine} = {theirs} AND " if mine is not None else ""
    other = (
        f"(SELECT o.{column} FROM {bench.name} AS o WHERE {same}o.{column} IS NOT NULL"
        f" AND o.{column}{text} IS DISTINCT FROM t.{column}{text} LIMIT 1)"
    )
    # Where no two rows may have the same, one that nobody has.
    fresh = (f"(SELECT max(o.{column}) FROM {bench.name} AS o) + 1", f"t.{column} || '~'")
    yield _OTHER, f"t.{column} IS NOT NULL", (other, *fresh)
    yield _EMPTY, f"t.{column} IS NOT NULL", ("NULL",)
    yield _FULL, f"t.{column} IS NULL", (other, *fresh)


def _first(
    bench: Bench, compared: _Compared, holds: str, tries: Iterable[tuple[str | None, str]], used: list[Planted]
) -> Key | None:
    """The key of the row that one of these values was given to; None where no rule permits any."""
    way = "DESC" if len(used) % 2 else "ASC"
    order = ", ".join(f"t.{quote(each)} {way}" for each in bench.plan.table.key)
    gone = ", ".join(f"ROW({', '.join(map(literal, each.key))})" for each in used)
    free = f" AND ROW({bench.shown}) NOT IN ({gone})" if gone else ""
    for tenant, value in tries:
        some = "" if value == "NULL" else f" AND ({value}) IS NOT NULL"
        where = f"WHERE {bench.own(tenant)} AND {holds}{some}{free}"
        rows = f"SELECT {bench.shown} FROM {bench.name} AS t {where} ORDER BY {order} LIMIT {_SOME}"
        for key in _asked(bench.desk, rows):
            met = _met(dict(zip(bench.plan.table.key, key, strict=True)))
            given = (
                f"UPDATE {bench.name} AS t SET {quote(compared.place)} = {value} WHERE {met} RETURNING {bench.shown}"
            )
            if _given(bench, given, f"{met} AND {compared.own}" if compared.own else ""):
                return key
    return None


def _given(bench: Bench, statement: str, holds: str) -> bool:
    """Whether a row could be written, and is what it has to be since; else it is as it was."""
    with bench.desk.transaction() as whole:
        done = _asked(bench.desk, statement)
        if done and (not holds or _asked(bench.desk, f"SELECT {bench.shown} FROM {bench.name} AS t WHERE {holds}")):
            return True
        raise psycopg.Rollback(whole)
    return False


def _asked(desk: Connection, statement: str) -> list[Key]:
    """What a statement answers; nothing where the table's rules refuse it, or a value of that type isn't made so."""
    try:
        with desk.transaction():
            rows = desk.execute(statement.encode()).fetchall()
    except psycopg.OperationalError:
        raise
    except psycopg.Error:
        return []
    return [tuple(map(str, row)) for row in rows]


# ------------------------------------------------------------------------------------------- rows


def spares(bench: Bench, client: Client, shape: Shape, first: str) -> list[Row]:
    """New rows by old code, for one side to lack: nothing points at them. `first`: a tenant. While all rest."""
    if bench.plan.origin is None:
        return []
    tenant = (bench.tenants[0] or first) if shape.table.owned else ""
    found: list[Row] = []
    for _ in range(_SPARE):
        try:
            row = client.put(shape, tenant)
        except psycopg.Error:
            return found  # which is what the traffic tells
        found += [row] if row is not None else []
    return found


def one_sided(bench: Bench, migration: str, old: tuple[Connection, str], rows: list[Row]) -> list[Planted]:
    """Of rows that both sides have one is taken from the new side, one from the old: its connection, and the table there."""
    if bench.plan.origin is None:
        return []
    of = Carried(migration, bench.plan.table, bench.plan.origin)
    found: list[Planted] = []
    for row in rows:
        known: Mapping[str, str | None] = {**row.facts, **row.key}
        there = {ours: known.get(theirs) for ours, theirs in of.key_pairs()}
        if not found:
            key = _taken(bench.desk, bench.name, there, bench.shown)
            found += [Planted(key, MISSING, "", _ROWS[MISSING])] if key is not None else []
        elif (key := _key(bench, there)) is not None and _taken(*old, dict(row.key), "TRUE") is not None:
            row.alive = False
            return [*found, Planted(key, EXTRA, "", _ROWS[EXTRA])]
    return found


def _taken(desk: Connection, table: str, key: Mapping[str, str | None], shown: str) -> Key | None:
    """A row is taken away; None where it isn't there, or something keeps it."""
    with desk.transaction(), untriggered(desk, table):
        desk.execute(_SHOWN)
        return next(iter(_asked(desk, f"DELETE FROM {table} AS t WHERE {_met(key)} RETURNING {shown}")), None)


def _key(bench: Bench, key: Mapping[str, str | None]) -> Key | None:
    """A key as jobs show it, where the new side has such a row."""
    with bench.desk.transaction():
        bench.desk.execute(_SHOWN)
        return next(iter(_asked(bench.desk, f"SELECT {bench.shown} FROM {bench.name} AS t WHERE {_met(key)}")), None)


def there(bench: Bench, planted: Planted) -> bool:
    """Whether the new side has the row."""
    return _key(bench, dict(zip(bench.plan.table.key, planted.key, strict=True))) is not None


def _met(key: Mapping[str, str | None]) -> str:
    values = ((f"t.{quote(name)}", literal(value or "")) for name, value in key.items())
    return " AND ".join(f"{value} IN (format('%s', {column}), {column}::text)" for column, value in values)


@contextmanager
def untriggered(desk: Connection, table: str) -> Iterator[None]:
    """No trigger fires that isn't PostgreSQL's own; each is as it was afterwards. In a transaction."""
    # What waits for the end of the transaction would keep the table as it is.
    desk.execute("SET CONSTRAINTS ALL IMMEDIATE")
    found = desk.execute(_TRIGGERS, (table,)).fetchall()
    for name, _ in found:
        desk.execute(f"ALTER TABLE {table} DISABLE TRIGGER {name}".encode())
    yield
    for name, state in found:
        if state in _AGAIN:
            desk.execute(f"ALTER TABLE {table} {_AGAIN[str(state)]} TRIGGER {name}".encode())


# ------------------------------------------------------------------------------------------- what was told


def judged(log: Log, desk: Connection, migration: str, bench: Bench, planted: list[Planted], path: str) -> None:
    """Whether the newest comparisons, by the ledger at `desk`, tell of each of them, and what they say is wrong."""
    said = {
        (tuple(map(str, row["key"])), row["kind"], column)
        for _, rows in desk.execute(_FOUND, (migration, bench.entity)).fetchall()
        for row in (rows if isinstance(rows, list) else ())
        for column in row["columns"] or ("",)
    }
    untold = [each for each in planted if (each.key, each.kind, each.column) not in said]
    for each in untold[:_TOLD]:
        what = f"{bench.entity} {' '.join(each.key)}: {each.told}, is not told of"
        log.against("reconciliation", what, path, WAY)
    if len(untold) > _TOLD:
        what = f"{bench.entity}: nor are {', '.join(dict.fromkeys(each.told for each in untold[_TOLD:]))}"
        log.against("reconciliation", what, path, WAY)


def kept(log: Log, bench: Bench, planted: list[Planted], path: str) -> None:
    """What nothing gives is there until somebody says `--delete`: new code might have meant it."""
    for each in (each for each in planted if each.kind == EXTRA and not there(bench, each)):
        what = f"{bench.entity} {' '.join(each.key)}: {each.how}, was taken away by --repair without --delete"
        log.against("reconciliation", what, path, "a repair takes nothing away unless it is told to")


def alerts(texts: Mapping[str, str]) -> frozenset[str]:
    """The alerts of a file's own that tell of such rows."""
    rules = next((text for path, text in texts.items() if path.endswith(".rules.json")), None)
    found = expressions(rules) if rules is not None else {}
    return frozenset(name for name, rule in found.items() if any(each in rule for each in _MEASURED))


def summed(planted: list[Planted]) -> str:
    """What was tried, for the evidence."""
    columns = list(dict.fromkeys(each.column for each in planted if each.column))
    ways = list(dict.fromkeys(each.how for each in planted))
    of = f" in {len(columns)} {'columns' if len(columns) > 1 else 'column'}" if columns else ""
    return f"{len(planted)} rows that were made to differ{of} ({', '.join(ways)})"
