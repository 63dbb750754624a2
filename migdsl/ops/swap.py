"""All columns of a migration that have a shadow become one swap: names and all that stands on them change over at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from migdsl.dialect.names import dollar_tag, literal
from migdsl.ops import conversion, gates, listing, names, retype, shadows, standing
from migdsl.ops.context import Context
from migdsl.ops.model import Gate, Group, Lock, Step
from migdsl.ops.shadows import Swapped, Twin
from migdsl.resources import read_resource
from migdsl.semantics.model import CheckedModule, RetypeColumn
from migdsl.semantics.retypes import default_after

BEFORE, SWAP, AFTER = 20, 21, 30
_SEPARATOR = re.compile(r"^-- ;$", re.MULTILINE)


def steps(migration: str, module: CheckedModule) -> Iterator[Step]:
    """Validate and cutover of all retyped columns; nothing where none has a shadow."""
    swapped = shadows.swapped(migration, module)
    if not swapped:
        return
    twins = tuple(shadows.twins(migration, module, swapped))
    yield from _refusals(swapped, twins)
    for twin in twins:
        yield from shadows.typed(twin)
    # Where a value may not fit, what binds comes at the last moment: until then old code's writes must go on.
    early = all(o.plain for each in swapped for o in each.columns)
    phase = "validate" if early else "cutover"
    if twins or not early:
        yield _ready(migration, swapped, phase)
    for twin in twins:
        yield from shadows.steps(twin, phase)
    if early:
        yield _ready(migration, swapped, "cutover")
        if twins:
            yield _again(twins)
    yield _swap(migration, swapped, twins)
    yield _home(swapped, twins)


def procedures(migration: str) -> Step:
    """The procedures that retype calls, beside the ledger."""
    parts = _SEPARATOR.split(read_resource("templates", "alembic/swap.sql"))
    made = tuple(part.strip().rstrip(";") for part in parts)
    title = f"Create the procedures by which {migration} gives a column another type"
    return Step("expand", "create_procedures", title, None, rank=0, up=(Group((), made),))


def _refusals(swapped: tuple[Swapped, ...], twins: tuple[Twin, ...]) -> Iterator[Step]:
    for each in swapped:
        table = each.context.table
        for operation in each.columns:
            expected = [t.said for t in _standing(twins) if t.uses(table, operation.column.name)]
            call = refuse(each.context, operation, expected, in_place=False)
            odd = tuple(standing.call("refuse_odd", t.whole) for t in twins if t.table is table and t.plain)
            title = f"Refuse where retype can't take along what stands on {table.entity}.{operation.column.name}"
            yield Step("expand", "check_dependents", title, table, rank=0, up=(Group((), (call, *odd)),))


def refuse(context: Context, operation: RetypeColumn, expected: list[standing.Said], *, in_place: bool) -> str:
    """What stands on the column and isn't expected is refused by name."""
    said = standing.jsonb(expected)
    column, type_ = literal(operation.column.name), literal(operation.column.type.sql)
    return f"CALL migdsl.swap_refuse({literal(context.sql)}, {column}, {type_}, {said}, {str(in_place).upper()})"


def _standing(twins: tuple[Twin, ...]) -> list[Twin]:
    """All but NOT NULL, which belongs to its column."""
    return [twin for twin in twins if twin.constraint.kind != "filled"]


def _ready(migration: str, swapped: tuple[Swapped, ...], phase: str) -> Step:
    """The shadows are filled and equal: a key that isn't there yet would refuse the rows that point at it."""
    found: list[Gate] = []
    for each in swapped:
        table = each.context.table
        found.append(gates.backfilled(migration, table.entity))
        if table.owned:
            found.append(gates.listed(migration, table.entity, listing.elsewhere(each.context.module, table)))
        if phase == "cutover":
            found.append(gates.agreed(migration, table.entity))
    return Step(phase, "gate", gates.refusal(phase, tuple(found)), None, rank=-1, up=tuple(found))


def _again(twins: tuple[Twin, ...]) -> Step:
    """After the way back of the swap the shadow is bare: what validate has built is built again."""
    title = "On the way back: build again what stood on the shadows before the swap"
    down = tuple(part for twin in twins for part in shadows.build(twin, names.incoming))
    return Step("cutover", "rebuild", title, None, rank=0, down=down)


def _home(swapped: tuple[Swapped, ...], twins: tuple[Twin, ...]) -> Step:
    """What the way back of the swap does first, while reads and writes go on."""
    title = "On the way back: see that every value fits into its old type, and build what stood on the old columns"
    fits = tuple(_fits(each, operation) for each in swapped for operation in each.columns)
    build = tuple(part for twin in twins for part in shadows.build(twin, names.outgoing))
    filled = tuple(p for each in swapped for o in each.columns if o.column.nullable for p in shadows.fitting(each, o))
    return Step("cutover", "check_values", title, None, rank=AFTER, down=(*fits, *filled, *build))


def _fits(each: Swapped, operation: RetypeColumn) -> Gate:
    context, type_ = each.context, operation.column.type.sql
    shown = f"{context.table.entity}.{operation.column.name}"
    lost = conversion.side(context, operation, "lost")
    return Gate(
        f"fits_{context.table.entity}_{operation.column.name}",
        f"every {shown} fits into {type_}",
        f"""SELECT {literal(f"{shown} has values that {type_} can not hold: ")} || count(*) || ' rows'
  FROM {context.sql} AS t WHERE {lost} HAVING count(*) > 0""",
    )


def _swap(migration: str, swapped: tuple[Swapped, ...], twins: tuple[Twin, ...]) -> Step:
    lock = tuple((sql, Lock.ACCESS_EXCLUSIVE) for sql in _parents_first(swapped, twins))
    shown = ", ".join(f"{e.context.table.entity}.{o.column.name}" for e in swapped for o in e.columns)
    return Step(
        "cutover",
        "swap",
        f"Swap {shown} and the shadow, for everybody at once: names, defaults, numbers, constraints, views and grants",
        swapped[0].context.table,
        Lock.ACCESS_EXCLUSIVE,
        rank=SWAP,
        up=(Group(lock, tuple(_over(migration, swapped, twins, names.incoming, names.outgoing))),),
        down=(Group(lock, tuple(_over(migration, swapped, twins, names.outgoing, names.incoming))),),
        precondition="every INSERT and COPY names its columns, whose order changes; pools reconnect, or prepare no statement that"
        f" returns {shown}: its type changes under them (0A000)",
    )


def _parents_first(swapped: tuple[Swapped, ...], twins: tuple[Twin, ...]) -> list[str]:
    """All tables that take part, as most code takes their locks: what is pointed at before what points."""
    pointing: dict[str, set[str]] = {each.context.sql: set() for each in swapped}
    for twin in twins:
        if twin.parent is not None:
            pointing.setdefault(names.table(twin.parent), set())
            pointing.setdefault(twin.context.sql, set()).add(names.table(twin.parent))
    found: list[str] = []
    waiting = sorted(pointing)
    while waiting:
        # In a ring there is no first: then the next by name.
        ready = next((t for t in waiting if pointing[t] <= {t, *found}), waiting[0])
        found.append(ready)
        waiting.remove(ready)
    return found


Named = Callable[[str], str]


def _over(
    migration: str, swapped: tuple[Swapped, ...], twins: tuple[Twin, ...], comes: Named, goes: Named
) -> Iterator[str]:
    """The swap in one direction: `comes` names what takes over, `goes` what is left behind."""
    home = comes is names.outgoing
    places = [(each.context.sql, o.column.name) for each in swapped for o in each.columns]
    tables = ", ".join(f"{literal(sql)}::regclass" for sql, _ in places)
    columns = ", ".join(f"{literal(column)}::name" for _, column in places)
    own = literal(migration)
    yield f"CALL migdsl.swap_set_aside({own}, ARRAY[{tables}], ARRAY[{columns}])"
    # Foreign keys first: they hold on to the keys of what they point at.
    for twin in sorted(_standing(twins), key=lambda t: t.constraint.kind != "reference"):
        yield f"CALL migdsl.swap_standing({standing.jsonb(twin.said)}, {literal(comes(twin.base))})"
    for each in swapped:
        for operation in each.columns:
            if home and operation.column.nullable:
                yield shadows.fitted(each, operation)
            name, converted = operation.column.name, "NULL" if home else literal(_default(operation))
            yield (
                f"CALL migdsl.swap_column({literal(each.context.sql)}::regclass, {literal(name)}, {literal(comes(name))}, "
                f"{literal(goes(name))}, {own}, {converted})"
            )
        yield retype.function(each.context, before=home)
    yield f"CALL migdsl.swap_put_back({own})"
    yield _event(migration, home)


def _default(operation: RetypeColumn) -> str:
    """A default of the new type, as a pattern for the old one."""
    return default_after(operation, "\0").replace("%", "%%").replace("\0", "%1$s")


def _event(migration: str, home: bool) -> str:
    """When it was: the soak is counted from here. Run again after a kill, it has been said."""
    own = f"migration = {literal(migration)} AND kind = 'swap' AND subject = 'columns'"
    value = "old" if home else "new"
    body = f"""
BEGIN
  IF (SELECT e.value FROM migdsl.event AS e WHERE {own} ORDER BY id DESC LIMIT 1) IS DISTINCT FROM '{value}' THEN
    INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ({literal(migration)}, 'swap', 'columns', '{value}');
  END IF;
END"""
    tag = dollar_tag(body, "said")
    return f"DO {tag}{body}\n{tag}"
