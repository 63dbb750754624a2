"""The phases of a plan: steps with their locks, exit conditions, and who is the source of truth meanwhile."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from migdsl.plan.base import Part

PhaseId = Literal["prepare", "expand", "backfill", "validate", "cutover", "enforce", "contract"]
StageName = Literal["off", "dualwrite", "shadow", "live", "rampdown", "complete"]


class TypedStep(Part):
    """One step of a phase, as a machine reads it."""

    id: str = Field(description="Unique in the plan: the phase and a number.")
    operation: str = Field(description="What kind of step it is, for example add_column or validate_check.")
    title: str = Field(description="The step as a sentence; the same as in the phase's `steps`.")
    table: str | None = Field(description="The table that it works on, as schema.table, or null.")
    lock: str = Field(description="The strongest PostgreSQL table lock that it takes, or an empty string.")
    cost: Literal["instant", "scan", "rewrite", "batches"] = Field(
        description="How long it takes: any table alike, one scan, a rewrite, or many small transactions."
    )
    reversible: bool = Field(description="Whether its way back restores both shape and data.")
    artifact: str | None = Field(description="The path of the file that does it, or null for what people do.")
    precondition: str | None = Field(default=None, description="What must hold before it, said to people.")
    estimate_seconds: int | None = Field(
        default=None,
        description="About how long it works, in seconds, waits for locks apart: 0 for what any table takes alike, null "
        "where nobody says how many rows there are.",
    )


class ExitCondition(Part):
    """A condition under which a phase may be left."""

    id: str = Field(description="The condition's name, as gates and alerts call it.")
    text: str = Field(description="The condition as a sentence; the same as in the phase's `exit_criteria`.")
    kind: Literal["gate", "metric", "manual"] = Field(
        description="gate: SQL in a revision proves it; metric: a monitoring system does; manual: a person says so."
    )
    metric: str | None = Field(default=None, description="For kind metric: the metric's name.")
    threshold: str | None = Field(default=None, description="For kind metric: the comparison, for example `= 0`.")
    window_seconds: int | None = Field(default=None, description="How long it must have held, in seconds.")


class Truth(Part):
    """Which side is authoritative for an entity at a stage of the flag."""

    entity: str = Field(description="The entity's name.")
    stage: StageName = Field(description="The stage of the migration's flag.")
    system: str = Field(description="The columns or the system that is authoritative then.")


class Phase(Part):
    """A state of the database on the way."""

    id: str = Field(
        description="Which phase it is: one of the seven, or one of the file's own.",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
    )
    name: str = Field(description="The phase's name for people.")
    flag_stage: StageName = Field(
        description="The stage that tenants may be at most while this phase is the last one reached."
    )
    steps: tuple[str, ...] = Field(description="What happens, in order, as sentences.")
    typed_steps: tuple[TypedStep, ...] = Field(description="The same steps for machines, in the same order.")
    exit_criteria: tuple[str, ...] = Field(description="When the phase is done, as sentences.")
    exit_conditions: tuple[ExitCondition, ...] = Field(description="The same criteria for machines, in the same order.")
    source_of_truth: tuple[Truth, ...] = Field(description="Per entity and stage, who is authoritative.")
    soak_seconds: int | None = Field(
        default=None, description="How long to wait before this phase may begin, in seconds."
    )
    estimate_seconds: int | None = Field(
        default=None,
        description="About how long its steps work, in seconds; null where that is unknown of one of them.",
    )
    wait_seconds: int = Field(default=0, description="Pauses between the steps of the rollout within it, in seconds.")
    released: bool = Field(default=False, description="Whether its files are written by this compile.")
    passed: bool = Field(
        default=False,
        description="Whether the flag stands further than the stage that released it: it must have run, and can't change.",
    )
