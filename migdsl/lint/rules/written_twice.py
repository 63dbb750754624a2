"""MIG431: the file forbids that anything is written twice, and an operation can't do without."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import CheckedModule


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Two-way triggers where `dual_write forbidden` is said."""
    said = module.policy.one_way
    if said is None or module.header is None:
        return
    # Few files ask for it, and the others are spared the import.
    from migdsl.ops.lower import lower

    for plan in lower(module).tables:
        if plan.counter is not None:
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
