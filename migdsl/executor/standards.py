"""A plan's modernization gates become answers: what their checks, conditions and revisions have shown so far."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from migdsl.executor.model import Answer
from migdsl.plan.model import Check, DataMigrationPlan, ModernizationGate
from migdsl.values import Value

# Which reading of a reconciliation answers a check of a kind.
_READINGS: Mapping[str, tuple[str, ...]] = {
    "coverage": ("tenants_unlisted",),
    "constraint": ("problems",),
    "invariant": ("problems",),
}
_ROWS = ("rows_mismatched", "rows_missing", "rows_extra")


class Evidence(Value):
    """What is known: the answers to conditions, the newest readings by entity, and which revisions have run or broken off."""

    answers: tuple[Answer, ...]
    readings: Mapping[str, Mapping[str, object]]
    ran: frozenset[str]
    broken: frozenset[str]


def standards(plan: DataMigrationPlan, known: Evidence) -> list[dict[str, Any]]:
    """Each gate with whether it is met (None: people look at it), and why not."""
    checks = {check.id: check for check in plan.validation.typed_checks}
    return [_standard(gate, checks, known, _enforced(plan, known)) for gate in plan.modernization_gates]


def _enforced(plan: DataMigrationPlan, known: Evidence) -> bool:
    """Whether the database itself keeps what enforce makes."""
    tasks = [t for t in plan.implementation_plan if t.phase == "enforce" and t.artifact_kind == "revision"]
    ids = {path.rsplit("/", 1)[-1].removesuffix(".py") for t in tasks for path in (*t.files_touched, *t.files_later)}
    return bool(ids) and ids <= known.ran


def _standard(gate: ModernizationGate, checks: Mapping[str, Check], known: Evidence, enforced: bool) -> dict[str, Any]:
    met: bool | None = None
    reasons: list[str] = []
    if gate.id == "idempotency":
        reasons = [f"{each} has broken off: run it again" for each in gate.checks if each in known.broken]
        met = not reasons
    elif gate.checks and (enforced and gate.id.startswith("constraints.")):
        met = True
    elif gate.checks:
        reasons = list(dict.fromkeys(why for each in gate.checks if (why := _unmet(each, checks, known))))
        met = not reasons
    return {"id": gate.id, "text": gate.text, "met_by": gate.met_by, "met": met, "reason": "; ".join(reasons)}


def _unmet(name: str, checks: Mapping[str, Check], known: Evidence) -> str:
    """Why a check hasn't shown it, empty where it has."""
    check = checks.get(name)
    if check is None:
        # A condition that no later phase asks for was met when its own was left.
        asked = (each for each in known.answers if not each.met and _is_called(name, each.condition.id))
        return "; ".join(dict.fromkeys(each.reason for each in asked))
    found = known.readings.get(check.entity, {})
    if found.get("problems") is None:
        return f"reconciliation of {check.entity} has not been run"
    return ", ".join(_bad(found, _READINGS.get(check.kind, _ROWS)))


def _bad(found: Mapping[str, object], names: Iterable[str]) -> list[str]:
    return [f"{name.replace('_', ' ')} {found[name]}" for name in names if found.get(name)]


def _is_called(name: str, id_: str) -> bool:
    """Conditions of one name are numbered."""
    return re.fullmatch(rf"{re.escape(name)}(_\d+)?", id_) is not None
