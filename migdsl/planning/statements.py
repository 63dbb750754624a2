"""Lowered steps become comparable ones: who they are, what they leave behind, and what only decides how they run."""

from __future__ import annotations

import re

from migdsl.dialect.canonical import canonical
from migdsl.ops.constraints import shape
from migdsl.ops.model import Alone, BuildIndex, Gate, Group, Part, Refill, Step, TablePlan
from migdsl.planning.model import Planned
from migdsl.semantics.model import PHASES, Table
from migdsl.values import Value, replace

_ASIDE = re.compile(r"\s*\([^()]*\)")
Key = tuple[str, str, str | None, str, int]  # phase, operation, table, subject, serial
_HEAD = re.compile(r"[,;:]\s")


class Item(Value):
    """One step, or one column's fill, comparison or rule to come, ready to be compared.

    `up` and `down` are SQL that leaves something behind; `gates` is SQL that only asks. `how` are the other aspects, by
    name. `serial` tells items apart that would have the same name.
    """

    phase: str
    operation: str
    table: str | None
    subject: str
    serial: int
    title: str
    up: tuple[str, ...]
    down: tuple[str, ...]
    gates: tuple[str, ...]
    how: tuple[tuple[str, str], ...]

    @property
    def key(self) -> Key:
        """What makes it the same step in two versions of a file."""
        return self.phase, self.operation, self.table, self.subject, self.serial


def items(planned: Planned) -> dict[Key, Item]:
    """All items of a migration by their identity, in the order of their phases."""
    # What is only asked before anything changes follows from the rest.
    steps = (*planned.lowered.steps, *planned.lowered.beside)
    found = [_step(step) for step in steps if not step.operation.startswith("check_")]
    found += [item for plan in planned.lowered.tables for item in _data(plan)]
    by_key: dict[Key, Item] = {}
    for item in sorted(found, key=lambda each: PHASES.index(each.phase)):
        serial = 0
        while (key := (*item.key[:4], serial)) in by_key:
            serial += 1
        by_key[key] = replace(item, serial=serial)
    return by_key


def plain(parts: tuple[str, ...]) -> tuple[str, ...]:
    """SQL as it is compared: comments, blanks and line ends don't count."""
    return tuple(canonical(part) for part in parts)


def _step(step: Step) -> Item:
    gates = sorted(f"-- {part.name}\n{part.unmet}" for part in (*step.up, *step.down) if isinstance(part, Gate))
    how = (
        ("lock", step.lock.value),
        ("cost", step.cost.value),
        ("precondition", step.precondition or ""),
        ("reversible", "yes" if step.reversible else "no"),
    )
    up, down = (tuple(sql for part in parts for sql in _effects(part)) for parts in (step.up, step.down))
    return Item(
        step.phase,
        step.operation,
        _table(step.table),
        _subject(step),
        0,
        step.title,
        up,
        down,
        tuple(gates),
        how,
    )


def _effects(part: Part) -> tuple[str, ...]:
    if isinstance(part, Gate):
        return ()
    if isinstance(part, Group):
        return part.statements
    if isinstance(part, BuildIndex):
        return (part.create,)
    if isinstance(part, Alone):
        return (part.statement,)
    # What a replay makes again stands in the ledger: where from is all that a file can say.
    return (part.batch,) if isinstance(part, Refill) else (f"-- made again, as remembered in {part.subject}",)


def _subject(step: Step) -> str:
    """An index has a name; other steps are told apart by the beginning of their titles, which name what they work on."""
    named = [part.name for part in (*step.up, *step.down) if isinstance(part, BuildIndex)]
    if named:
        return named[0]
    title, count = step.title, 1
    while count:  # from the inside out
        title, count = _ASIDE.subn("", title)
    return _HEAD.split(title)[0]


def _table(table: Table | None) -> str | None:
    return f"{table.database}.{table.schema}.{table.name}" if table is not None else None


def _data(plan: TablePlan) -> list[Item]:
    table, entity = _table(plan.table), plan.table.entity
    found = []
    for fill in plan.fills:
        sql = f"{fill.column} = {fill.source} WHERE {fill.wanted}"
        title = f"Fill {entity}.{fill.column} of the rows from before"
        found.append(Item("backfill", "fill", table, fill.column, 0, title, (sql,), (), (), ()))
    for compared in plan.comparisons:
        asked = (compared.left, compared.right, compared.drifted_old, compared.drifted_new, compared.lossy or "")
        title = f"Compare {entity}.{compared.column} with the other side"
        found.append(Item("validate", "compare", table, compared.column, 0, title, (), (), asked, ()))
    for rule in plan.violations:
        broken = (rule.rows or (shape(rule.index) if rule.index else ", ".join(rule.duplicates)),)
        title = f"Count rows of {entity} that would break: {rule.title}"
        found.append(Item("validate", "count_violations", table, rule.title, 0, title, (), (), broken, ()))
    return found
