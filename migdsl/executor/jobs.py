"""A generated job's text becomes its run in this process, and its exit code how that went."""

from __future__ import annotations

from collections.abc import Mapping

from migdsl.executor.model import Project
from migdsl.planning.works import Work
from migdsl.runtime import BackfillJob, ReconcileJob, main


def run(
    project: Project, work: Work, conninfo: str, correlation: str, listing: str | None, others: Mapping[str, str]
) -> int:
    """The exit code of a backfill or reconciliation: 0 fine, 1 not clean or not done, 3 the database failed, 130 stopped.

    `listing`: the database that has the list of tenants, where it is another one. `others`: those of the migration, by their
    variables, of which one has the other side of what is compared.
    """
    assert work.path is not None
    # What was compared with the disk is what runs; its last lines, which would run it as a program, don't.
    space: dict[str, object] = {"__name__": "migdsl_job"}
    exec(compile(project.texts[work.path], work.path, "exec"), space)  # noqa: S102
    job = space["JOB"]
    assert isinstance(job, BackfillJob | ReconcileJob)
    again = ["--again"] if work.kind == "again" else []
    listed = ["--tenants-url", listing] if listing is not None else []
    across = others.get(job.other_env or "") if isinstance(job, ReconcileJob) else None
    there = ["--other-url", across] if across is not None else []
    return main(job, ["--url", conninfo, "--correlation-id", correlation, *listed, *there, *again])
