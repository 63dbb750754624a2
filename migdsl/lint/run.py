"""A checked module becomes the diagnostics of all rules, without those that the file allows with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity, fixes
from migdsl.lint.rules import (
    back_without_input,
    big_bang,
    cannot_follow,
    cannot_point,
    drop_in_use,
    drop_without_way_back,
    fighting_operations,
    filled_from,
    incomparable,
    indistinguishable,
    kept_beside,
    left_behind,
    may_fail,
    name_taken,
    no_revision,
    no_ticket,
    not_unique,
    nothing_changes,
    nothing_to_fill,
    nullability_already_so,
    private_key,
    python_alone,
    raw_sql,
    rename_alone,
    required_without_value,
    retype_blocked,
    retype_cast,
    retype_key,
    risk_lowered,
    session,
    shared_at_once,
    short_soak,
    spelt_apart,
    stage_without_meaning,
    too_late,
    unknown_gate,
    unproven,
    via_moves,
    written_twice,
)
from migdsl.semantics.model import Allowed, Change, CheckedModule
from migdsl.source import Span
from migdsl.values import replace

Rule = Callable[[CheckedModule], Iterator[Diagnostic]]

RULES: tuple[tuple[str, Rule], ...] = (
    ("MIG428", filled_from.check),
    ("MIG104", name_taken.check),
    ("MIG109", incomparable.check),
    ("MIG115", cannot_point.check),
    ("MIG305", private_key.check),
    ("MIG401", required_without_value.check),
    ("MIG402", drop_in_use.check),
    ("MIG403", fighting_operations.check),
    ("MIG404", drop_without_way_back.check),
    ("MIG405", indistinguishable.check),
    ("MIG407", short_soak.check),
    ("MIG409", not_unique.check),
    ("MIG410", nullability_already_so.check),
    ("MIG412", back_without_input.check),
    ("MIG413", may_fail.check),
    ("MIG415", cannot_follow.check),
    ("MIG416", session.check),
    ("MIG418", raw_sql.check),
    ("MIG422", retype_cast.check),
    ("MIG423", retype_blocked.check),
    ("MIG424", retype_key.check),
    ("MIG425", rename_alone.check),
    ("MIG429", via_moves.check),
    ("MIG434", python_alone.check),
    ("MIG435", kept_beside.check),
    ("MIG454", left_behind.check),
    ("MIG455", spelt_apart.check),
    ("MIG501", big_bang.check),
    ("MIG512", shared_at_once.check),
    ("MIG601", no_ticket.check),
    ("MIG602", nothing_changes.check),
    ("MIG808", stage_without_meaning.check),
    ("MIG603", unproven.check),
)
PLANNED: tuple[Rule, ...] = (
    written_twice.check,
    too_late.check,
    unknown_gate.check,
    risk_lowered.check,
    nothing_to_fill.check,
    no_revision.check,
)
# They speak of the file as a whole, which is not known while some of it can't be read.
_OF_THE_WHOLE = frozenset(["MIG501", "MIG602", "MIG603"])
# They look at what becomes of other tables, which is not known while a change is left out.
_OF_OTHERS = frozenset(["MIG115"])
# The rest says that something can't work or would lose data: no reason makes that right.
ALLOWABLE = frozenset(
    ["MIG306", "MIG407", "MIG410", "MIG413", "MIG435", "MIG454", "MIG501", "MIG512", "MIG601", "MIG603", "MIG606"]
)
# They look at one entity, so that a reason which stands in an entity is of no other.
_OF_ENTITIES = frozenset(["MIG306"])


def lint(module: CheckedModule, errors: tuple[Span, ...] = ()) -> tuple[Diagnostic, ...]:
    """What the rules say of a module. Changes with an error in them, or in their entity, are left out: each root cause
    is reported once."""
    sound = replace(module, changes=tuple(c for c in module.changes if not _touched(c, errors)))
    silent = _OF_THE_WHOLE if errors else frozenset[str]()
    silent |= _OF_OTHERS if len(sound.changes) < len(module.changes) else frozenset[str]()
    rules = [rule for code, rule in RULES if code not in silent]
    found = [d for rule in rules for d in rule(sound)]
    if not errors and not any(d.severity is Severity.ERROR for d in found):
        # They look at what the file is lowered to, which only a file without errors can be.
        found += [d for rule in PLANNED for d in rule(module)]
    return (*(d for d in found if not _lifted(d, module)), *_bad_allows(module))


def _lifted(found: Diagnostic, module: CheckedModule) -> bool:
    allows = (a for a in module.allows if a.code == found.code)
    return found.code in ALLOWABLE and any(_covers(_within(a, module), found.primary) for a in allows)


def _within(allow: Allowed, module: CheckedModule) -> Span | None:
    if allow.code in _OF_ENTITIES and allow.within is None:
        here = Label(allow.span, "")
        return next((table.whole for table in module.tables if _covers(table.whole, here)), None)
    return allow.within


def _covers(within: Span | None, label: Label | None) -> bool:
    if within is None or label is None:
        return within is None
    return within.path == label.span.path and within.start <= label.span.start < within.end


def _touched(change: Change, errors: tuple[Span, ...]) -> bool:
    places = (change.span, change.table.whole)
    return any(p.path == e.path and p.start <= e.start < p.end for p in places for e in errors)


def _bad_allows(module: CheckedModule) -> Iterator[Diagnostic]:
    for allow in module.allows:
        if allow.code not in ALLOWABLE:
            yield Diagnostic(
                "MIG012",
                Severity.ERROR,
                f"`{allow.code}` can't be allowed",
                Label(allow.span, "has no effect here"),
                help=f"rules that a reason may lift: {', '.join(sorted(ALLOWABLE))}; the others say what can't be right",
                fix=fixes.removing(allow.span, "it goes, since it has no effect", safe=True),
            )
