"""MIG123: a criterion is tied to a gate that this migration doesn't have."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.diagnostics.suggest import did_you_mean
from migdsl.semantics.model import CheckedModule


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Gates that nobody knows: neither the file's own, nor those that are derived."""
    proofs = [p for a in module.policy.accepted for p in a.proofs if p.kind == "gate"]
    own = {gate.name for gate in module.policy.gates}
    if module.header is None or all(proof.text in own for proof in proofs):
        return
    # Few files ask for a derived gate, and the others are spared the import.
    from migdsl.ops.lower import lower
    from migdsl.ops.model import Gate

    known = own | {part.name for step in lower(module).steps for part in step.up if isinstance(part, Gate)}
    for proof in proofs:
        if proof.text not in known:
            near = did_you_mean(proof.text, sorted(known))
            help_ = f"did you mean `{near}`?" if near else f"there is: {', '.join(sorted(known))}"
            title = f"there is no gate `{proof.text}` in this migration"
            yield Diagnostic("MIG123", Severity.ERROR, title, Label(proof.span, "not found"), help=help_)
