"""How long a migration takes and what is deployed when: the part of a plan that says it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from migdsl.plan.base import Part


class Deploy(Part):
    """Something that people deploy, in its place among the phases."""

    kind: Literal["application", "revision"] = Field(
        description="application: code of the users' own; revision: one that Alembic runs."
    )
    phase: str = Field(description="The phase that it belongs to; code comes before the phase's own steps.")
    text: str = Field(description="What is deployed, as a sentence.")
    artifact: str | None = Field(description="The path of the revision, or null for the application.")


class Wait(Part):
    """Time in which nothing is done but watch."""

    phase: str = Field(description="The phase that begins, or ends, only afterwards.")
    text: str = Field(description="What is waited for, as a sentence.")
    seconds: int = Field(description="For how long at least, in seconds.")


class Timeline(Part):
    """What the whole takes. Work is estimated from the declared numbers of rows; waits are what the file asks for."""

    deploys: tuple[Deploy, ...] = Field(description="All deploys, in order.")
    waits: tuple[Wait, ...] = Field(description="The waits that follow one another, in order.")
    work_seconds: int = Field(description="The estimated work of all steps whose rows are declared, in seconds.")
    unknown: tuple[str, ...] = Field(description="Tables of steps that can't be estimated: their rows aren't declared.")
    calendar_seconds: int = Field(description="Work and waits: from the first step to the last at least so long.")
    assumptions: tuple[str, ...] = Field(description="What the estimates rest on.")
