"""The dates of an API become a calendar that no clock is needed for: announced, deprecated, sunset, the end of grace."""

from __future__ import annotations

from datetime import date

from migdsl.semantics.api_model import Dated, Grace, Version
from migdsl.semantics.header import again, bad_number
from migdsl.semantics.model import Tenants
from migdsl.semantics.problems import Problems
from migdsl.semantics.rollout import tenant_names
from migdsl.source import Span
from migdsl.syntax import ast


def day(problems: Problems, number: ast.Number) -> date | None:
    """A date, or None where it is none (and that was reported)."""
    try:
        return date.fromisoformat(number.raw)
    except ValueError:
        bad_number(problems, number, "date", "2026-12-01")
        return None


def days(
    problems: Problems, node: ast.Api, versions: tuple[Version, ...], announced: date | None, *, chained: bool
) -> tuple[tuple[Dated, ...], tuple[Dated, ...]]:
    """When versions are deprecated, and when they are gone. `chained`: it is known which of them goes away."""
    deprecations = _of(problems, node, "deprecate", versions, chained=chained)
    sunsets = _of(problems, node, "sunset", versions, chained=chained)
    begin = _last(node, "announce")
    for each in deprecations.values():
        if announced is not None and begin is not None and date.fromisoformat(each.date) < announced:
            title = f"`{each.version}` would be deprecated before anybody is told"
            _out_of_order(problems, each.span, title, f"announced on {announced}", begin)
    for each in sunsets.values():
        before = deprecations.get(each.version)
        if before is not None and each.date < before.date:
            title = f"`{each.version}` would be gone before it is deprecated"
            _out_of_order(problems, each.span, title, f"deprecated on {before.date}", before.span)
    if chained:
        _complete(problems, node, versions, deprecations, sunsets)
    order = [v.name for v in versions]
    found = (sorted(each.values(), key=lambda d: order.index(d.version)) for each in (deprecations, sunsets))
    first, second = (tuple(each) for each in found)
    return first, second


def _last(node: ast.Api, key: str) -> Span | None:
    return next((s.numbers[0].span for s in node.settings if s.key == key), None)


def _of(
    problems: Problems, node: ast.Api, key: str, versions: tuple[Version, ...], *, chained: bool
) -> dict[str, Dated]:
    """The dates of one kind by version, each once, of versions that there are and that something replaces."""
    known = [v.name for v in versions]
    replaced = {v.replaces for v in versions if v.replaces is not None}
    found: dict[str, Dated] = {}
    for each in (d for d in node.dates if d.key == key):
        name = each.version.text
        if name not in known:
            problems.unknown("MIG801", "version", name, each.version.span, known)
        elif name in found:
            again(problems, each.span, found[name].span, f"{key} {name}", "the API")
        elif name not in replaced and chained:
            title = f"nothing replaces `{name}`: its clients would have nowhere to go"
            label = "the newest version"
            problems.error("MIG802", each.version.span, title, label, help=f"version … replaces {name}")
        elif (when := day(problems, each.date)) is not None:
            found[name] = Dated(name, when.isoformat(), each.date.span)
    return found


def _complete(
    problems: Problems,
    node: ast.Api,
    versions: tuple[Version, ...],
    deprecations: dict[str, Dated],
    sunsets: dict[str, Dated],
) -> None:
    """Whoever is replaced has both dates."""
    names = {v.name for v in versions}
    said = {(d.key, d.version.text) for d in node.dates}
    # A line whose version is misspelt may have been meant for any of them.
    lost = {d.key for d in node.dates if d.version.text not in names}
    for version in (v for v in versions if any(w.replaces == v.name for w in versions)):
        for key, found in (("deprecate", deprecations), ("sunset", sunsets)):
            if version.name not in found and (key, version.name) not in said and key not in lost:
                what, day_ = ("deprecated", "2026-12-15") if key == "deprecate" else ("gone", "2027-03-01")
                title = f"the file doesn't say when `{version.name}` is {what}"
                help_ = f"{key} {version.name} on {day_}"
                problems.error("MIG804", version.span, title, "is replaced", help=help_)


def grace(problems: Problems, node: ast.Api, sunsets: tuple[Dated, ...], tenants: Tenants | None) -> tuple[Grace, ...]:
    """Who is answered for longer, and until when."""
    seen: dict[str, Span] = {}
    found = []
    earliest = min(sunsets, key=lambda s: s.date, default=None)
    for line in (s for s in node.settings if s.key == "grace"):
        names = tenant_names(problems, list(line.texts), tenants)
        until = day(problems, line.numbers[0])
        for name, text in zip(names, line.texts, strict=True):
            if name in seen:
                again(problems, text.span, seen[name], f"grace of {name}", "the API")
            seen.setdefault(name, text.span)
        if until is None:
            continue
        if earliest is not None and until.isoformat() < earliest.date:
            title = "the grace would be over before it begins"
            _out_of_order(
                problems, line.numbers[0].span, title, f"gone for everybody on {earliest.date}", earliest.span
            )
        found.append(Grace(names, until.isoformat(), line.span))
    return tuple(found)


def _out_of_order(problems: Problems, span: Span, title: str, label: str, other: Span) -> None:
    help_ = "announce, deprecate, sunset and grace follow one another"
    problems.error("MIG803", span, title, "too early", more=[(other, label)], help=help_)
