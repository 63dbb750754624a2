"""The tables of a stream become its sync job: a file that shows every statement that carries rows between two databases."""

from __future__ import annotations

from migdsl.emit.python import block, docstring, formatted, names, quoted
from migdsl.emit.templates import render
from migdsl.ops.stream_carry import carry
from migdsl.ops.stream_model import Moved, Side
from migdsl.ops.stream_slot import capture, publication_name, slot_name
from migdsl.values import Value

_BLOCKS = ("take", "read", "stage", "gone", "upsert")


class Keys(Value):
    """The sequences that give out a column's numbers on both sides, as SQL, and the largest number.

    With `columns`, those of the old and the new side, `old` and `new` are tables, and the sequences those that belong there.
    """

    old: str
    new: str
    most: int = 9_223_372_036_854_775_807
    columns: tuple[str, str] | None = None


class SyncJob(Value):
    """What a sync job says beside its statements.

    `path` is its own, for the docstring; `listing` the statement that lists the tenants, on the side `listed`. `backfills`
    are the names of the jobs that enqueue, and `keys` the sequences (of the key, and of what else is numbered), of each table
    in the order of `moved`.
    """

    moved: tuple[Moved, ...]
    path: str
    old_env: str
    new_env: str
    backfills: tuple[str | None, ...]
    keys: tuple[tuple[Keys, ...], ...]
    listing: str | None = None
    listed: Side = "old"
    lag_s: float = 30.0


def text(marker: str, job: SyncJob) -> str:
    """The file."""
    view = {"marker": marker, "docstring": docstring(_docstring(job)), **described(job)}
    return formatted(render("sync/job.py.j2", view))


def described(job: SyncJob) -> dict[str, object]:
    """What the part that describes the stream shows."""
    first = job.moved[0]
    return {
        "migration": quoted(first.migration),
        "stream": quoted(first.stream),
        "old_env": quoted(job.old_env),
        "new_env": quoted(job.new_env),
        "tenants": block(job.listing) if job.listing is not None else "None",
        "tenants_in": quoted(job.listed),
        "switched": "A tenant is" if first.old.tenant else "All are",
        "lag_s": repr(float(job.lag_s)),
        "slot": _slot(first) if first.captured else None,
        "sequences": any(job.keys),
        "moves": [_move(*each) for each in zip(job.moved, job.backfills, job.keys, strict=True)],
    }


def _move(moved: Moved, backfill: str | None, keys: tuple[Keys, ...]) -> dict[str, object]:
    return {
        "entity": quoted(moved.entity),
        "old_table": quoted(moved.old.table),
        "new_table": quoted(moved.new.table),
        "key": names(moved.new.key),
        "lanes": repr(moved.lanes),
        "backfill": quoted(backfill) if backfill is not None else "None",
        "sequences": [_sequence(each) for each in keys],
        "capture": _capture(moved) if moved.captured else None,
        "ways": [
            _way(moved, "old", "forward", "From the old side to the new one."),
            _way(moved, "new", "back", f"From the new side to the old one, {_switched(moved)}."),
        ],
    }


def _switched(moved: Moved) -> str:
    return "of tenants that have been switched" if moved.old.tenant else "once all writes have been switched"


def _sequence(keys: Keys) -> dict[str, str]:
    columns = names(keys.columns) if keys.columns is not None else ""
    return {"old": quoted(keys.old), "new": quoted(keys.new), "most": repr(keys.most), "columns": columns}


def _way(moved: Moved, origin: Side, name: str, comment: str) -> dict[str, str]:
    made = carry(moved, origin)
    statements = {field: block(getattr(made, field)) for field in _BLOCKS}
    return {"name": name, "comment": comment, "outbox": quoted(made.outbox), "copy": quoted(made.copy), **statements}


def _slot(moved: Moved) -> dict[str, str]:
    return {"name": quoted(slot_name(moved)), "publication": quoted(publication_name(moved))}


def _capture(moved: Moved) -> dict[str, str]:
    made = capture(moved)
    sides = {"table": names(made.table), "key": names(made.key), "tenant": quoted(made.tenant)}
    return {**sides, "enqueue": block(made.enqueue)}


def _docstring(job: SyncJob) -> str:
    first = job.moved[0]
    tables = ", ".join(f"{moved.old.table} and {moved.new.table}" for moved in job.moved)
    run = f"python {job.path}"
    where, who, what = "where each tenant writes", "--tenant ID --to new", "a tenant's writes"
    if not first.old.tenant:
        where, who, what = "where they are written", "--to new            ", "all writes"
    return f"""Keeps {tables} equal in two databases, and switches their writes, for migration {first.migration}.

    {run} run                              carry over what is written, both ways
    {run} status                           what waits, and {where}
    {run} switch {who}      turn {what} over; --to old turns them back
    {run} dead-letters                     the rows that can't be applied

The old side is the database that {job.old_env} names, the new side that of {job.new_env}. Kill it at any time: nothing is
lost, and what is applied twice changes nothing."""
