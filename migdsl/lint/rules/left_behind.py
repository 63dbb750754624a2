"""MIG454: a constraint of a table that moves, which has no counterpart on the target."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import CheckedModule
from migdsl.semantics.phrases import described


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A unique, a check, a foreign key or an index over a column that is computed or left out."""
    for move in module.moves:
        gone = {c.name for c in move.table.columns} - {theirs for _, theirs in move.copied}
        for constraint in move.behind:
            lost = constraint.uses & gone
            if not lost:
                continue  # what it points at doesn't come along, and that is told of it
            shown, why = described(constraint), ", ".join(sorted(lost))
            yield Diagnostic(
                "MIG454",
                Severity.WARNING,
                f"the {shown} of `{move.table.entity}` doesn't move along",
                Label(move.target.span, f"{why} {'is' if len(lost) == 1 else 'are'} not copied"),
                (Label(constraint.span, "stands here"),),
                body=f"Once `{move.table.name}` is gone, nothing keeps that rule." if constraint.binds else "",
                help=f"say what the target has instead: {_LINES.get(constraint.kind, constraint.kind)}; or, where it needs none: "
                'allow MIG454 because "…"',
            )


_LINES = {
    "unique": "unique (…)",
    "check": "check `…`",
    "index": "index (…)",
    "reference": "(…) -> …",
    "exclude": "a unique or a check, since an exclusion can't be said of it",
}
