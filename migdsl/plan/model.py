"""The DataMigrationPlan: all that is known of a migration, as one frozen value that becomes JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from migdsl.plan.asked import IntegrationPart, TicketPart
from migdsl.plan.base import Part
from migdsl.plan.phases import Phase
from migdsl.plan.timeline import Timeline

BaseType = Literal[
    "service_extraction",
    "service_migration",
    "database_migration",
    "schema_change",
    "backfill",
    "dual_write",
    "cdc",
    "other",
]
Sensitivity = Literal["public", "internal", "confidential", "pii", "phi", "unknown"]
PLAN_VERSION = 1


class DataDomain(Part):
    """A set of tables that the migration touches, with how much and how sensitive data is in them."""

    domain: str = Field(description="The database that owns the data.")
    tables_or_entities: tuple[str, ...] = Field(description="Entities with their tables.")
    volume: str = Field(description="How much data, for people, for example `~500k rows`.")
    sensitivity: Sensitivity = Field(description="The highest sensitivity of its columns.")
    rows: int | None = Field(description="The estimated number of rows, or null where the file doesn't say.")
    tenant_scope: str = Field(description="How rows belong to tenants: the tenant column, or why there is none.")
    pii_columns: tuple[str, ...] = Field(description="Names of the columns with personal or health data.")
    invariants: tuple[str, ...] = Field(description="What must stay true of the data, as sentences.")


class RolloutStep(Part):
    """One step of the cutover."""

    audience: Literal["canary", "percent"] = Field(description="Whom the step is for.")
    tenants: tuple[str, ...] = Field(description="For the canary: the tenants.")
    percent: float | None = Field(description="For a percentage: how many of the tenants, from 0 to 100.")
    wait_seconds: int = Field(description="How long to watch before the next step, in seconds.")


class Cutover(Part):
    """How tenants move to the new shape."""

    approach: str = Field(description="The approach as a sentence.")
    downtime_expectation: str = Field(description="What users notice, as a sentence.")
    steps: tuple[str, ...] = Field(description="The steps as sentences.")
    rollout: tuple[RolloutStep, ...] = Field(description="The audience of each step, in order.")
    abort_conditions: tuple[str, ...] = Field(description="When to stop and go back.")
    sequence_resets: tuple[str, ...] = Field(description="Sequences that must be set at the switch.")


class PhaseRollback(Part):
    """The way back out of a phase."""

    from_phase: str = Field(description="The phase that is left.")
    to_phase: str = Field(description="The phase that is reached.")
    commands: tuple[str, ...] = Field(description="What to run, in order.")
    keeps: str = Field(description="What is kept of the data that was written meanwhile.")
    kept_for_seconds: int | None = Field(
        description="For how long the way back stays open, in seconds; null: until contract."
    )


class Rollback(Part):
    """When and how to go back."""

    conditions: tuple[str, ...] = Field(description="When to roll back.")
    steps: tuple[str, ...] = Field(description="How, as sentences.")
    data_reconciliation: tuple[str, ...] = Field(description="How the data is proven right afterwards.")
    phases: tuple[PhaseRollback, ...] = Field(description="The way back out of each phase.")


class Check(Part):
    """One thing that validation proves."""

    id: str = Field(description="Unique in the plan.")
    kind: Literal[
        "counts", "checksum", "constraint", "round_trip", "sample", "invariant", "coverage", "answers", "command"
    ] = Field(description="What kind of proof it is.")
    entity: str = Field(description="The entity that it is about.")
    text: str = Field(description="The check as a sentence.")
    artifact: str = Field(description="The path of the file that holds its SQL.")
    threshold: str = Field(description="The comparison that must hold, for example `= 0`.")


class Validation(Part):
    """How it is proven that the data is right."""

    checks: tuple[str, ...] = Field(description="The checks as sentences.")
    metrics: tuple[str, ...] = Field(description="Metrics to watch.")
    sampling: tuple[str, ...] = Field(description="What is sampled, and how much.")
    typed_checks: tuple[Check, ...] = Field(description="The checks for machines.")


class Task(Part):
    """A piece of work with the files that it is about."""

    task: str = Field(description="What is to be done, as a sentence.")
    owner_role: str = Field(description="Who does it.")
    files_touched: tuple[str, ...] = Field(description="Files that this compile writes.")
    phase: str = Field(description="The phase that it belongs to.")
    artifact_kind: str = Field(description="What kind of files they are.")
    files_later: tuple[str, ...] = Field(
        description="Files that a later compile writes, once the flag's stage permits them."
    )
    files_elsewhere: tuple[str, ...] = Field(
        default=(), description="Files of other people, which no compile writes: those of an integration plan's tasks."
    )


class Impact(Part):
    """What the migration means for everybody else."""

    affected_systems: tuple[str, ...] = Field(description="Databases, services and APIs that notice.")
    breaking_changes: tuple[str, ...] = Field(description="What stops working for whom, and when.")
    downtime_minutes: float = Field(description="Planned downtime in minutes.")
    rollback_complexity: Literal["easy", "moderate", "hard"] = Field(description="How hard the way back is.")
    risk: Literal["low", "medium", "high", "critical"] = Field(description="How risky the migration is.")
    reasons: tuple[str, ...] = Field(description="Why: what raised risk and complexity.")
    stakeholders: tuple[str, ...] = Field(description="Who must know.")


class Acceptance(Part):
    """An acceptance criterion and what proves it."""

    id: str | None = Field(description="What the ticket calls it, for example AC-1, or null.")
    criterion: str = Field(description="The criterion, in the words of the ticket.")
    origin: str = Field(description="Where it stands: the ticket, the PRD, or the file itself.")
    proven_by: tuple[str, ...] = Field(description="Checks, gates and metrics that prove it; empty: nothing does.")


class ModernizationGate(Part):
    """A standard that the result must meet."""

    id: str = Field(description="The gate's name.")
    text: str = Field(description="What it demands.")
    met_by: str = Field(description="What in this plan meets it.")
    checks: tuple[str, ...] = Field(
        default=(),
        description="What shows it: ids of checks and exit conditions of this plan, or of revisions; empty: people look at it.",
    )


class Exemption(Part):
    """A query or table that is not confined to one tenant, and why."""

    subject: str = Field(description="The table or the statement.")
    reason: str = Field(description="Why it may see more than one tenant.")


class AllowedRule(Part):
    """A rule that the file lifts."""

    code: str = Field(description="The rule's code.")
    reason: str = Field(description="The reason that the file gives.")


class Guardrails(Part):
    """What always holds, and where the file says otherwise."""

    rules: tuple[str, ...] = Field(description="The guardrails as sentences.")
    tenancy_exemptions: tuple[Exemption, ...] = Field(description="What is not confined to one tenant, and why.")
    allowed: tuple[AllowedRule, ...] = Field(description="Rules that the file lifts, with its reasons.")
    irreversible: tuple[str, ...] = Field(description="Operations without a way back, with their reasons.")


class DataMigrationPlan(Part):
    """A zero-downtime migration, as agreed, reviewed and executed."""

    plan_version: int = Field(default=PLAN_VERSION, description="The version of this format.")
    migration: str = Field(description="The migration's name.")
    title: str = Field(description="What it is about, in one line.")
    ticket_id: str = Field(description="The ticket that asked for it; empty where there is none.")
    ticket: TicketPart | None = Field(description="What that ticket says, or null where its file is not given.")
    integration: IntegrationPart | None = Field(
        description="What the integration plan says, or null where none is given."
    )
    prd: str | None = Field(description="Where the requirements stand, or null where nobody says.")
    migration_type: BaseType = Field(description="The type; what the base shape doesn't know is `other`.")
    category: str = Field(description="The exact type, for example api_migration.")
    pattern: str = Field(description="The pattern that it follows.")
    compiler_version: str = Field(description="The version of migdsl that made the plan.")
    source_digest: str = Field(description="The digest of the sources that it was made from.")
    source_of_truth: str = Field(description="Who is authoritative, in one sentence.")
    data_domains: tuple[DataDomain, ...] = Field(description="The data that is touched.")
    strategy: tuple[str, ...] = Field(description="How it is done, as sentences.")
    constraints: tuple[str, ...] = Field(
        description="What the plan must keep to: downtime, assumptions, what the file demands."
    )
    phases: tuple[Phase, ...] = Field(description="The phases that have steps, in order.")
    timeline: Timeline = Field(description="How long it takes, and what is deployed when.")
    cutover: Cutover = Field(description="How tenants move.")
    rollback: Rollback = Field(description="How to go back.")
    validation: Validation = Field(description="How the data is proven right.")
    risks: tuple[str, ...] = Field(description="What can go wrong, and what is done about it.")
    impact: Impact = Field(description="What it means for everybody else.")
    acceptance: tuple[Acceptance, ...] = Field(description="Acceptance criteria and their proofs.")
    modernization_gates: tuple[ModernizationGate, ...] = Field(description="Standards that the result meets.")
    guardrails: Guardrails = Field(description="What always holds.")
    implementation_plan: tuple[Task, ...] = Field(description="The work, and the files that it is about.")
