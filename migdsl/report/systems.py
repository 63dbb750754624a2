"""A plan becomes what there is and who feeds whom: code, databases, tables with their two sides, and who else is affected."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migdsl.plan import DataMigrationPlan
from migdsl.plan.model import DataDomain
from migdsl.plan.phases import TypedStep
from migdsl.report.words import listed
from migdsl.values import Value, replace

_ENTITY = re.compile(r"(?P<entity>.+) \((?P<table>.+)\)")
# Where a table goes to another database.
_ACROSS = re.compile(r"(?P<old>[^.]+)\..+ to (?P<new>[^.]+)\..+")
_SIDE = re.compile(r"(?P<owner>[^{}]+?)\.(?:\{(?P<several>.+)\}|(?P<one>[^.{}]+))")
_DATABASE = "database "
# Steps that only look, or that every migration has.
_ASIDE = re.compile(r"check_(?!constraint).*|gate|stage|deploy_.*|create_ledger|create_procedures")


class Side(Value):
    """A table, or one of its two shapes. `tone`: `old`, `new`, or nothing where there is one shape alone."""

    name: str
    table: str
    columns: tuple[str, ...]
    tone: str
    notes: tuple[str, ...] = ()


class Feed(Value):
    """How data gets from one side to the other. `both`: there and back; `compares`: it only looks."""

    text: str
    both: bool = False
    compares: bool = False


class Holding(Value):
    """One side, or two with what runs between them."""

    left: Side
    right: Side | None = None
    feeds: tuple[Feed, ...] = ()


class Database(Value):
    """A database with the tables in it that matter here; without a name, what else has two sides: services, versions.

    `to`: the database that these tables go to, where it is another one.
    """

    name: str
    holdings: tuple[Holding, ...]
    to: str = ""

    @property
    def title(self) -> str:
        """What people call it."""
        both = f"databases {self.name} and {self.to}" if self.to else f"database {self.name}"
        return both if self.name else "what is replaced"


class Systems(Value):
    """Everything. `code`: who uses it, with what they know and do; `others`: systems that are affected too."""

    code: tuple[tuple[str, str, str], ...]
    databases: tuple[Database, ...]
    others: tuple[str, ...]

    @property
    def drawable(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self.databases or self.others)


def systems(plan: DataMigrationPlan) -> Systems:
    """What the plan says of systems, from its domains, its sources of truth and its steps."""
    found: dict[tuple[str, str], list[Holding]] = {}
    for database, entity, table in _entities(plan):
        found.setdefault((database, _other(table)), []).append(_holding(plan, entity, table))
    replaced = tuple(dict.fromkeys(t.entity for p in plan.phases for t in p.source_of_truth))
    known = {entity for _, entity, _ in _entities(plan)}
    if set(replaced) - known:
        found["", ""] = [_replaced(plan, each) for each in replaced if each not in known]
    databases = tuple(Database(name, tuple(holdings), to) for (name, to), holdings in found.items())
    drawn = (*(name for names in found for name in names), *replaced)  # an API says its versions after its name
    others = tuple(s for s in plan.impact.affected_systems if s.removeprefix(_DATABASE).partition(" (")[0] not in drawn)
    return Systems(_code(plan, databases), databases, others)


def _entities(plan: DataMigrationPlan) -> Iterator[tuple[str, str, str]]:
    """Database, entity and table of all that changes."""
    for domain in plan.data_domains:
        for said in domain.tables_or_entities:
            match = _ENTITY.fullmatch(said)
            yield (domain.domain, match["entity"], match["table"]) if match else (domain.domain, said, "")


def _other(table: str) -> str:
    """The database that a table goes to."""
    match = _ACROSS.fullmatch(table)
    return match["new"] if match else ""


def databases_of(domain: DataDomain) -> str:
    """Where the data of a domain is: in a database, or on its way from one to another."""
    tables = (match["table"] for said in domain.tables_or_entities if (match := _ENTITY.fullmatch(said)))
    return " and ".join([domain.domain, *dict.fromkeys(other for table in tables if (other := _other(table)))])


def truths(plan: DataMigrationPlan, entity: str) -> tuple[str, ...]:
    """Who is authoritative for an entity, each system once, in the order of the stages."""
    said = (each for phase in plan.phases for each in phase.source_of_truth if each.entity == entity)
    return tuple(dict.fromkeys(each.system for each in said))


def _code(plan: DataMigrationPlan, databases: tuple[Database, ...]) -> tuple[tuple[str, str, str], ...]:
    verb = "reads and writes"
    if any(holding.right for database in databases if database.name for holding in database.holdings):
        return ("Old code", "knows the old side alone", verb), ("New code", f"asks the flag {plan.migration}", verb)
    if any(database.name for database in databases):
        return (("Old and new code", "use what is there, before and after", verb),)
    return (("Callers", f"are sent by the flag {plan.migration}", "requests"),) if databases else ()


def _replaced(plan: DataMigrationPlan, entity: str) -> Holding:
    """What is no table and changes sides: requests move from one to the other."""
    sides = truths(plan, entity)
    if len(sides) != 2:
        return Holding(Side(entity, "", (), "", sides))
    return Holding(Side(sides[0], "", (), "old"), Side(sides[1], "", (), "new"), (Feed("requests move over"),))


def _holding(plan: DataMigrationPlan, entity: str, table: str) -> Holding:
    sides = truths(plan, entity)
    if len(sides) != 2:
        return Holding(Side(entity, table, (), "", tuple(_notes(plan, table))))
    left, right = _side(sides[0], entity, table, "old"), _side(sides[1], entity, table, "new")
    names, tables = {entity, left.name, right.name}, {left.table, right.table, table}
    mine = [step for step in _steps(plan) if _about(step, names, tables)]
    return Holding(_placed(left, table, mine), _placed(right, table, mine), tuple(_feeds(plan, mine)))


def _placed(side: Side, other: str, steps: list[TypedStep]) -> Side:
    """A side with its table, where a step says which of another table than that one it works on."""
    if side.table == side.name:
        return replace(side, table="")  # some are called by their place already
    if side.table:
        return side
    triggers = (step for step in steps if step.operation == "create_trigger" and _says(step, side.name))
    found = next((step.table for step in triggers if step.table and step.table != other), "")
    return replace(side, table="" if found == side.name else found)


def _says(step: TypedStep, name: str) -> bool:
    """Whether a step speaks of something by that name."""
    return re.search(rf"\b{re.escape(name)}\b", step.title) is not None


def _side(system: str, entity: str, table: str, tone: str) -> Side:
    """`User.{email, username}` → the columns email and username of User."""
    match = _SIDE.fullmatch(system)
    if match is None:
        return Side(system, "", (), tone)
    columns = tuple(each.strip() for each in (match["several"] or match["one"]).split(","))
    # A table that moves has two names, its entity one.
    own = match["owner"] in (entity, table, table.rpartition(".")[2])
    return Side(match["owner"], table if own else "", columns, tone)


def _steps(plan: DataMigrationPlan) -> list[TypedStep]:
    return [step for phase in plan.phases for step in phase.typed_steps]


def _about(step: TypedStep, names: set[str], tables: set[str]) -> bool:
    return step.table in tables - {""} or any(_says(step, name) for name in names)


def _feeds(plan: DataMigrationPlan, steps: list[TypedStep]) -> Iterator[Feed]:
    operations = {step.operation for step in steps}
    if "create_outbox" in operations:
        yield Feed(f"sync job, {_noted(plan)}", both=True)
    elif "create_trigger" in operations:
        both = "two-way" in plan.pattern
        yield Feed("trigger, at each write", both=both)
    if "backfill" in operations:
        yield Feed("backfill, once")
    if "reconcile" in operations:
        yield Feed("reconciliation compares", both=True, compares=True)


def _noted(plan: DataMigrationPlan) -> str:
    """Where a sync job finds what was written."""
    slot = any(step.operation == "create_slot" for step in _steps(plan))
    return "WAL + outbox" if slot else "by outboxes"


def _notes(plan: DataMigrationPlan, table: str) -> Iterator[str]:
    """What becomes of a table, phase by phase."""
    for phase in plan.phases:
        mine = (s.operation for s in phase.typed_steps if s.table == table and table)
        done = dict.fromkeys(each.replace("_", " ") for each in mine if not _ASIDE.fullmatch(each))
        if done:
            yield f"{phase.id}: {', '.join(done)}"


def in_words(all_: Systems) -> tuple[str, ...]:
    """The same as sentences, for those who don't see a picture."""
    return tuple(_sentences(all_))


def _sentences(all_: Systems) -> Iterator[str]:
    yield from (f"{name} {duty}." for name, duty, _ in all_.code)
    for database in all_.databases:
        for holding in database.holdings:
            verb = "hold" if database.to else "holds"
            title = database.title[:1].upper() + database.title[1:]
            where = f"{title} {verb}" if database.name else f"{title}:"
            yield f"{where} {_named(holding.left)}{_then(holding)}."
    if all_.others:
        yield f"Also affected: {'; '.join(all_.others)}."


def _named(side: Side) -> str:
    return f"{side.name} ({side.table})" if side.table else side.name


def _then(holding: Holding) -> str:
    if holding.right is None:
        return f": {'; '.join(holding.left.notes)}" if holding.left.notes else ""
    old, new = (
        f"{_named(side)}{f': {listed(side.columns)}' if side.columns else ''}" for side in (holding.left, holding.right)
    )
    ways = [
        f"{feed.text}{'' if feed.compares else ', both ways' if feed.both else ', old to new'}"
        for feed in holding.feeds
    ]
    return f"; the old side is {old}, the new side is {new}{'; between them: ' if ways else ''}{'; '.join(ways)}"
