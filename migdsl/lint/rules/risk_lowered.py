"""MIG604: the file says that the migration is less risky than its operations are."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import CheckedModule


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A risk below the derived one."""
    said = module.policy.impact
    if said is None or said.risk is None or said.risk_span is None or module.header is None:
        return
    # Few files ask for it, and the others are spared the import.
    from migdsl.ops.lower import lower
    from migdsl.ops.risk import LEVELS, risk

    derived, reasons = risk(module, lower(module))
    if [level == said.risk for level in LEVELS].index(True) < LEVELS.index(derived):
        yield Diagnostic(
            "MIG604",
            Severity.ERROR,
            f"the risk of this migration is {derived}, and can't be called {said.risk}",
            Label(said.risk_span, "lower than what its operations say"),
            body="What raised it: " + "; ".join(reasons) + ".",
            help=f"say {derived} or more, or leave the line out",
        )
