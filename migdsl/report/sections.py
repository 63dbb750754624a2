"""The lists of a plan become tables: stages, rollout, proofs, exemptions, work."""

from __future__ import annotations

from collections.abc import Iterable

from migdsl.plan import DataMigrationPlan
from migdsl.plan.model import RolloutStep
from migdsl.report.parts import Cell, Grid, Mark, cells
from migdsl.report.systems import databases_of
from migdsl.report.words import duration, listed, movers, short

# What code does at each stage of the flag, where old and new stand side by side.
_STAGES = {
    "off": "old code alone",
    "dualwrite": "new code writes, and reads the old",
    "shadow": "new code reads both, and answers from the old",
    "live": "new code answers from the new",
    "rampdown": "new code reads the new alone",
    "complete": "nobody needs the old",
}


def stages(plan: DataMigrationPlan) -> Grid | None:
    """Who is authoritative at each stage, and the phases in which tenants may stand there; None where nobody ever changes."""
    said: dict[tuple[str, str], str] = {
        (t.stage, t.entity): t.system for phase in plan.phases for t in phase.source_of_truth
    }
    entities = tuple(dict.fromkeys(entity for _, entity in said))
    if not entities:
        return None
    sides = {
        entity: list(dict.fromkeys(system for (_, e), system in said.items() if e == entity)) for entity in entities
    }
    data = any(_about(domain.tables_or_entities, entity) for domain in plan.data_domains for entity in entities)
    rows = []
    for stage, meaning in _STAGES.items():
        truth = [(said[stage, e], _tone(said[stage, e], sides[e])) for e in entities if (stage, e) in said]
        if truth:
            (first, tone), *rest = truth
            rows.append(
                (
                    Cell(stage, (meaning,) if data else ()),
                    Cell(first, tuple(system for system, _ in rest), (Mark(tone, "good" if tone == "new" else ""),)),
                    Cell(_since(plan, stage)),
                )
            )
    of = "the stage of a tenant" if movers(plan) == "tenants" else "stage"
    caption = f"Who is right where the two sides differ, by {of}" if data else "Who is in charge, by stage"
    columns = ("Stage", "Source of truth" if data else "In charge", "Reached at the earliest in")
    return Grid(caption, columns, tuple(rows), headed=True)


def _about(said: tuple[str, ...], entity: str) -> bool:
    """Whether a domain names an entity."""
    return any(each == entity or each.startswith(f"{entity} (") for each in said)


def _tone(system: str, sides: list[str]) -> str:
    return "same" if len(sides) == 1 else "old" if system == sides[0] else "new"


def _since(plan: DataMigrationPlan, stage: str) -> str:
    """The first phase in which tenants may stand at a stage."""
    order = list(_STAGES)
    return next((p.id for p in plan.phases if order.index(p.flag_stage) >= order.index(stage)), "")


def rollout(plan: DataMigrationPlan) -> Grid | None:
    """The steps of the rollout with the time of each; None where nothing moves in steps."""
    rows, at = [], 0
    for step in plan.cutover.rollout:
        watch = duration(step.wait_seconds) if step.wait_seconds else ""
        rows.append(
            (Cell(_audience(step, movers(plan)), step.tenants), Cell(short(at) if at else "start"), Cell(watch))
        )
        at += step.wait_seconds
    columns = ("Who moves to live", "Earliest", "Watched for")
    return Grid("Steps of the rollout", columns, tuple(rows), headed=True) if rows else None


def _audience(step: RolloutStep, who: str) -> str:
    if step.audience == "canary":
        return "Canary"
    if step.percent == 100:
        return "All tenants" if who == "tenants" else "Everybody"
    return f"{step.percent or 0:g}% of the {who}"


def data(plan: DataMigrationPlan) -> Grid | None:
    """The data that is touched: how much, how sensitive, whose, and what must stay true of it."""
    rows = []
    for domain in plan.data_domains:
        invariants = tuple(f"Stays true: {each}" for each in domain.invariants)
        private = (f"personal: {listed(domain.pii_columns)}",) if domain.pii_columns else ()
        name = Cell(listed(domain.tables_or_entities), invariants)
        sensitivity = Cell(domain.sensitivity, private)
        rows.append((name, Cell(databases_of(domain)), Cell(domain.volume), sensitivity, Cell(domain.tenant_scope)))
    return _grid(
        "The data that is touched", ("Data", "Database", "Volume", "Sensitivity", "Whose rows"), rows, headed=True
    )


def acceptance(plan: DataMigrationPlan) -> Grid | None:
    """Each criterion with its proofs."""
    rows = []
    for each in plan.acceptance:
        marks = () if each.proven_by else (Mark("not proven", "careful"),)
        said = " · ".join(part for part in (each.id, each.origin) if part)
        rows.append((Cell(each.criterion, (said,)), Cell(listed(each.proven_by) or "Nothing proves it", (), marks)))
    return _grid("Acceptance criteria of the ticket, and what proves each", ("Criterion", "Proven by"), rows)


def checks(plan: DataMigrationPlan) -> Grid | None:
    """What validation compares."""
    rows = (
        (Cell(check.text, (check.artifact,)), *cells(check.kind.replace("_", " "), check.threshold))
        for check in plan.validation.typed_checks
    )
    return _grid("What is checked, and by which file", ("Check", "Kind", "Has to be"), rows)


def gates(plan: DataMigrationPlan) -> Grid | None:
    """Standards that the result meets."""
    rows = (cells(gate.text, gate.met_by) for gate in plan.modernization_gates)
    return _grid("Standards that the result meets", ("Standard", "Met by"), rows)


def exemptions(plan: DataMigrationPlan) -> Grid | None:
    """What isn't confined to one tenant."""
    rows = (cells(each.subject, each.reason) for each in plan.guardrails.tenancy_exemptions)
    return _grid("Not confined to one tenant, and why", ("What", "Why"), rows)


def allowed(plan: DataMigrationPlan) -> Grid | None:
    """Rules that the file lifts."""
    rows = (cells(each.code, each.reason) for each in plan.guardrails.allowed)
    return _grid("Rules that the file lifts, with its reasons", ("Rule", "Reason"), rows)


def work(plan: DataMigrationPlan) -> Grid:
    """Who does what, and with which files."""
    rows = []
    for task in plan.implementation_plan:
        files = (*task.files_touched, *(f"{path} (written later)" for path in task.files_later))
        files += tuple(f"{path} (of others)" for path in task.files_elsewhere)
        rows.append((Cell(task.task, files), Cell(task.owner_role), Cell(task.phase)))
    return Grid("Tasks with their files", ("Task", "Who", "Phase"), tuple(rows))


def _grid(
    caption: str, columns: tuple[str, ...], rows: Iterable[tuple[Cell, ...]], *, headed: bool = False
) -> Grid | None:
    found = tuple(rows)
    return Grid(caption, columns, found, headed) if found else None
