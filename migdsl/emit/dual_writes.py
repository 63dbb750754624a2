"""The tables of a stream become the module with which an application writes both databases, one side's rows at a time."""

from __future__ import annotations

from migdsl.emit import sync_job
from migdsl.emit.python import block, docstring, formatted
from migdsl.emit.sync_job import SyncJob
from migdsl.emit.templates import render
from migdsl.ops.stream_enter import enter, rights


def text(marker: str, job: SyncJob, path: str, flags: str) -> str:
    """The file at `path`; `job` is what the sync job says, which lies beside it, and `flags` the flag file's path."""
    view: dict[str, object] = {
        "marker": marker,
        "docstring": docstring(_docstring(job, path, flags)),
        **sync_job.described(job),
        "enter_old": block(enter(job.moved, "old")),
        "enter_new": block(enter(job.moved, "new")),
    }
    return formatted(render("routing/dual.py.j2", view))


def _docstring(job: SyncJob, path: str, flags: str) -> str:
    first = job.moved[0]
    name, module = first.migration, path.removesuffix(".py").replace("/", ".")
    tables = ", ".join(f"{moved.old.table} and {moved.new.table}" for moved in job.moved)
    variable = first.entity.lower() if first.entity.isidentifier() else "rows"
    grants = ";\n    ".join(rights(job.moved, "ROLE"))
    return f"""Writes {tables} where each tenant is written, and carries each write over to the other side at once.

    from migdsl.runtime.routing import LogRecorder, OpenFeature, Router
    from {module} import dual_writes

    router = Router(OpenFeature.flagd_file("{flags}"), LogRecorder())
    {variable} = dual_writes(router.migration("{name}"), old=old_pool.connection, new=new_pool.connection)

    {variable}.write(tenant, old=lambda connection: ..., new=lambda connection: ...)
    {variable}.read(tenant, old=lambda connection: ..., new=lambda connection: ...)

One of the two functions is called, in a transaction of its own, and writes that side alone. Triggers tell which rows it wrote;
these are read again and put in place on the other side, by the statements below, before `write` returns. What a crash or a
silent database leaves in the outbox, {job.path} carries over.

The old side is the database that {job.old_env} names, the new side that of {job.new_env}: there the second writes connect, as a
role with the sync job's rights. The role of the leased connections needs, on both sides, beside its rights on the tables:

    {grants};"""
