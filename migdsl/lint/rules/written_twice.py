"""MIG431: the file forbids that anything is written twice, and an operation can't do without."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import CheckedModule
from migdsl.source import Span


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Two-way triggers, and writes of both sides, where `dual_write forbidden` is said."""
    said = module.policy.one_way
    if said is None or module.header is None:
        return
    # Few files ask for it, and the others are spared the import.
    from migdsl.ops.lower import lower

    yield from _moved(module, said)
    for plan in lower(module).tables:
        if plan.counter is not None and plan.move is None:
            change = next(c for c in module.changes if c.table == plan.table)
            yield Diagnostic(
                "MIG431",
                Severity.ERROR,
                f"`{plan.table.entity}` can't be changed without writing something twice",
                Label(said, "forbidden here"),
                (Label(change.span, "a trigger would keep its old and new columns in step"),),
                help="leave `dual_write forbidden` out; or add columns without `from` and `back`, and drop the old ones in a "
                "migration of its own, once no code uses them",
            )


def _moved(module: CheckedModule, said: Span) -> Iterator[Diagnostic]:
    """Between two databases only the application writes both; an outbox or the WAL tells of what was written once."""
    for move in module.moves:
        application = move.across and move.sync.by == "application"
        if move.across and not application:
            continue
        what = f"{'the application' if application else 'a trigger'} would write both tables"
        other = "; or say `by outbox`, which carries over what was written once" if application else ""
        yield Diagnostic(
            "MIG431",
            Severity.ERROR,
            f"`{move.table.entity}` can't be moved in this way without writing something twice",
            Label(said, "forbidden here"),
            (Label(move.sync.span if application else move.span, what),),
            help=f"leave `dual_write forbidden` out{other}",
        )
