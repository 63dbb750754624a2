"""MIG603, MIG606: criteria of the ticket that nothing proves, and proofs of criteria that the ticket doesn't have."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity, fixes
from migdsl.diagnostics.suggest import did_you_mean
from migdsl.semantics.documents import Criterion
from migdsl.semantics.model import CheckedModule
from migdsl.semantics.policy import Accepted

_LONGEST = 60  # characters of a criterion in a title


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Both directions of `accept`; a criterion that is probably meant by a misspelt one is said once, there."""
    if module.ticket is None or module.header is None:
        return
    criteria, accepted = module.ticket.criteria, module.policy.accepted
    stray = [each for each in accepted if not any(c.is_meant(each.criterion) for c in criteria)]
    open_ = [c for c in criteria if not any(c.is_meant(each.criterion) for each in accepted)]
    meant = {each: near for each in stray if (near := _near(each.criterion, tuple(open_))) is not None}
    for each in stray:
        if each in meant or module.policy.prd is None:
            yield _stray(each, meant.get(each), module.ticket.id)
    yield from (_open(c) for c in open_ if c not in meant.values())


def _near(said: str, criteria: tuple[Criterion, ...]) -> Criterion | None:
    """The criterion that is probably meant: by its id, or by words of which most are the same."""
    ids = [c.id for c in criteria if c.id is not None]
    near = did_you_mean(said, ids) or did_you_mean(said, [c.text for c in criteria])
    found = next((c for c in criteria if near is not None and near in (c.id, c.text)), None)
    if found is not None:
        return found
    words = set(said.casefold().split())
    alike = [(len(words & set(c.text.casefold().split())) / max(len(words), len(c.text.split())), c) for c in criteria]
    best = max(alike, key=lambda each: each[0], default=(0.0, None))
    return best[1] if best[0] >= 0.75 else None


def _stray(accepted: Accepted, near: Criterion | None, ticket: str) -> Diagnostic:
    help_ = fix = None
    if near is not None:
        spelt = '"' + (near.id or near.text).replace("\\", "\\\\").replace('"', '\\"') + '"'
        help_ = f"did you mean {spelt}?"
        fix = fixes.replacing(accepted.span, spelt, "it is called as the ticket does", safe=False)
    return Diagnostic(
        "MIG606",
        Severity.WARNING,
        f"{ticket} has no criterion of these words",
        Label(accepted.span, "is none of the ticket's"),
        (Label(near.span, "this one?"),) if near is not None else (),
        help=help_ or 'if it is the PRD\'s, say where that is: prd "docs/contact-address.md"',
        fix=fix,
    )


def _open(criterion: Criterion) -> Diagnostic:
    said = criterion.id or criterion.text
    spelt = said.replace("\\", "\\\\").replace('"', '\\"')
    shown = said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"
    return Diagnostic(
        "MIG603",
        Severity.WARNING,
        f"nothing proves this criterion: {shown}",
        Label(criterion.span, "no `accept` speaks of it"),
        help=f'accept "{spelt}" by invariant "…", or by manual "who"',
    )
