"""What changes between two versions of a migration: the part of the contract that `migdsl diff --json` prints."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from migdsl.plan.base import Part
from migdsl.plan.phases import PhaseId, StageName

DIFF_VERSION = 1


class StepChange(Part):
    """A step that is there in one version only, or does something else in the other."""

    change: Literal["added", "removed", "changed"] = Field(description="What becomes of it.")
    phase: PhaseId = Field(description="The phase that it belongs to.")
    operation: str = Field(description="What kind of step it is, as in the plan.")
    table: str | None = Field(description="The table that it works on, as database.schema.table, or null.")
    subject: str = Field(description="What tells it from other steps of the same operation on that table.")
    title: str = Field(description="The step as a sentence, of the newer version where it is there.")
    aspects: tuple[str, ...] = Field(
        description="What is different: statements, way back, questions (what gates and comparisons ask), lock, cost, "
        "precondition, reversible."
    )
    binding: bool = Field(
        description="Whether it leaves something else behind; gates, locks and comparisons only decide whether and how."
    )
    ran: bool = Field(description="Whether its phase has run.")
    before: tuple[str, ...] = Field(
        description="The SQL of the older version, `-- way back` before that of the way back; empty where it wasn't there."
    )
    after: tuple[str, ...] = Field(description="The SQL of the newer version, likewise; empty where it is gone.")


class StageMove(Part):
    """Tenants whose stage changes."""

    audience: str = Field(description="Who: `canary`, `tenant …`, `0% to 10%`, or `everybody else`.")
    before: tuple[StageName, ...] = Field(description="The stages that they may be in now.")
    after: tuple[StageName, ...] = Field(description="The stages that they may be in then.")
    verdict: Literal["forward", "back", "skips", "no_way_back"] = Field(
        description="skips: a stage lies in between; no_way_back: from `complete` nothing leads back."
    )


class Difference(Part):
    """Something that the file says differently and that is no step by itself."""

    section: Literal[
        "migration", "database", "tenants", "entities", "apis", "replacements", "rollout", "flags", "revisions"
    ] = Field(description="Which part of the file it belongs to.")
    subject: str = Field(description="What it is about.")
    before: str | None = Field(description="What the older version says; null where it says nothing.")
    after: str | None = Field(description="What the newer version says; null where it says nothing.")


class Problem(Part):
    """Why the newer version may not follow the older one."""

    code: str = Field(description="The diagnostic's code.")
    title: str = Field(description="The problem, in one line.")
    line: int | None = Field(description="The line of the newer version that it is about, from 1; null: no line.")
    column: int | None = Field(description="The column there, from 1; null: no line.")


class PlanDiff(Part):
    """Two versions of one migration, compared."""

    diff_version: int = Field(default=DIFF_VERSION, description="The version of this format.")
    migration: str = Field(description="The migration's name.")
    before_digest: str = Field(description="The digest of the older version's sources.")
    after_digest: str = Field(description="The digest of the newer version's sources.")
    ran: tuple[PhaseId, ...] = Field(description="The phases that have run, in order.")
    steps: tuple[StepChange, ...] = Field(description="The steps that differ, in the order of their phases.")
    stages: tuple[StageMove, ...] = Field(description="How the flag moves.")
    changes: tuple[Difference, ...] = Field(description="What else differs.")
    problems: tuple[Problem, ...] = Field(description="Why it isn't allowed; empty where it is.")
    allowed: bool = Field(description="Whether the newer version may follow the older one.")
