"""MIG605: a pace is set for a backfill that there isn't."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import CheckedModule


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """`backfill` of an entity without a column that is filled."""
    if not module.policy.paces or module.header is None:
        return
    # Few files ask for it, and the others are spared the import.
    from migdsl.ops.lower import lower

    filled = {plan.table.entity for plan in lower(module).tables if plan.fills}
    for pace in module.policy.paces:
        if pace.entity not in filled:
            title = f"no row of `{pace.entity}` is filled by this migration"
            label = Label(pace.span, "there is no backfill to pace")
            help_ = "leave it out, or say by `from` what the rows from before get"
            yield Diagnostic("MIG605", Severity.WARNING, title, label, help=help_)
