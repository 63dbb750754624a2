"""A checked module becomes the diagnostics of all rules, without those that the file allows with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.lint.rules import (
    back_without_input,
    big_bang,
    drop_in_use,
    drop_without_way_back,
    fighting_operations,
    incomparable,
    indistinguishable,
    no_ticket,
    nothing_changes,
    nullability_already_so,
    required_without_value,
    short_soak,
)
from migdsl.semantics.model import CheckedModule

Rule = Callable[[CheckedModule], Iterator[Diagnostic]]

RULES: tuple[tuple[str, Rule], ...] = (
    ("MIG109", incomparable.check),
    ("MIG401", required_without_value.check),
    ("MIG402", drop_in_use.check),
    ("MIG403", fighting_operations.check),
    ("MIG404", drop_without_way_back.check),
    ("MIG405", indistinguishable.check),
    ("MIG407", short_soak.check),
    ("MIG410", nullability_already_so.check),
    ("MIG412", back_without_input.check),
    ("MIG501", big_bang.check),
    ("MIG601", no_ticket.check),
    ("MIG602", nothing_changes.check),
)
# The rest says that something can't work or would lose data: no reason makes that right.
ALLOWABLE = frozenset(["MIG407", "MIG410", "MIG501", "MIG601"])


def lint(module: CheckedModule) -> tuple[Diagnostic, ...]:
    """What the rules say of a module."""
    found = [d for _, rule in RULES for d in rule(module)]
    lifted = {a.code for a in module.allows} & ALLOWABLE
    return (*(d for d in found if d.code not in lifted), *_bad_allows(module))


def _bad_allows(module: CheckedModule) -> Iterator[Diagnostic]:
    for allow in module.allows:
        if allow.code not in ALLOWABLE:
            yield Diagnostic(
                "MIG012",
                Severity.ERROR,
                f"`{allow.code}` can't be allowed",
                Label(allow.span, "has no effect here"),
                help=f"rules that a reason may lift: {', '.join(sorted(ALLOWABLE))}; the others say what can't be right",
            )
