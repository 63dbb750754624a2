"""`api` becomes a checked API: a chain of versions, each found in its own place, with dates that follow one another."""

from __future__ import annotations

from migdsl.semantics import api_places
from migdsl.semantics.api_dates import day, days, grace
from migdsl.semantics.api_model import STRATEGIES, Api, Version
from migdsl.semantics.header import again, once
from migdsl.semantics.model import Tenants
from migdsl.semantics.problems import Problems
from migdsl.semantics.watch import named
from migdsl.syntax import ast

_REPEATABLE = ("route", "breaking", "grace")


def apis(problems: Problems, nodes: list[ast.Api], tenants: Tenants | None) -> tuple[Api, ...]:
    """The APIs, by their order; one with an error in it is left out, and was reported."""
    seen: dict[str, ast.Name] = {}
    found = []
    for node in nodes:
        key = node.name.text.lower()  # in generated Python they are constants
        if key in seen:
            more = [(seen[key].span, "the first one")]
            problems.error(
                "MIG104", node.name.span, f"two APIs are called `{node.name.text}`", "the second one", more=more
            )
        seen.setdefault(key, node.name)
        before = len(problems.found)
        api = _api(problems, node, tenants)
        if len(problems.found) == before:
            found.append(api)
    return tuple(found)


def _api(problems: Problems, node: ast.Api, tenants: Tenants | None) -> Api:
    named(problems, node.name, "API")
    once(problems, node.settings, "API", repeatable=_REPEATABLE)
    strategy, header = _strategy(problems, node)
    before = len(problems.found)
    versions = _versions(problems, node, strategy)
    chained = len(problems.found) == before
    announce = _setting(node, "announce")
    announced = day(problems, announce.numbers[0]) if announce else None
    deprecations, sunsets = days(problems, node, versions, announced, chained=chained)
    return Api(
        name=node.name.text,
        strategy=strategy,
        header=header,
        versions=versions,
        routes=api_places.routes(problems, node, strategy),
        breaking=tuple(_line(s.texts[0]) for s in node.settings if s.key == "breaking"),
        announce=announced.isoformat() if announced else None,
        deprecations=deprecations,
        sunsets=sunsets,
        graces=grace(problems, node, sunsets, tenants),
        guide=api_places.guide(problems, node, _setting(node, "guide")),
        span=node.name.span,
        whole=node.span,
    )


def _line(text: ast.Text) -> str:
    return " ".join(text.value.split())


def _setting(node: ast.Api, key: str) -> ast.Setting | None:
    return next((s for s in node.settings if s.key == key), None)


def _strategy(problems: Problems, node: ast.Api) -> tuple[str, str | None]:
    """The strategy, and for `header` the header's name; `url` where the file says nothing."""
    said = _setting(node, "strategy")
    if said is None:
        return "url", None
    word = said.words[0]
    if word.text not in STRATEGIES:
        problems.unknown("MIG106", "strategy", word.text, word.span, STRATEGIES)
        return "url", None
    return word.text, api_places.header(problems, said)


def _versions(problems: Problems, node: ast.Api, strategy: str) -> tuple[Version, ...]:
    """The versions, in the order in which they replace one another; as they stand where that is no chain."""
    seen: dict[str, ast.Name] = {}
    places: dict[str, ast.ApiVersion] = {}
    found = []
    for each in node.versions:
        name = each.name.text
        if name in seen:
            more = [(seen[name].span, "the first one")]
            problems.error("MIG104", each.name.span, f"two versions are called `{name}`", "the second one", more=more)
            continue
        seen[name] = each.name
        api_places.name(problems, each.name)
        at = api_places.place(problems, each, strategy)
        if at is not None and at in places:
            title, label = f"`{name}` and `{places[at].name.text}` would be told apart by nothing", "the same place"
            more = [(places[at].span, "here too")]
            problems.error(
                "MIG805", each.span, title, label, more=more, help="each version answers in a place of its own"
            )
        places.setdefault(at or "", each)
        found.append(Version(name, at or "", each.replaces.text if each.replaces else None, each.name.span))
    return _chained(problems, node, found)


def _chained(problems: Problems, node: ast.Api, found: list[Version]) -> tuple[Version, ...]:
    """From the oldest to the newest."""
    before = len(problems.found)
    known = {v.name: v for v in found}
    by: dict[str, ast.ApiVersion] = {}
    for each in node.versions:
        if each.replaces is None:
            continue
        if each.replaces.text not in known:
            problems.unknown("MIG801", "version", each.replaces.text, each.replaces.span, known)
        elif each.replaces.text in by:
            again(problems, each.span, by[each.replaces.text].span, f"replaces {each.replaces.text}", "the API")
        by.setdefault(each.replaces.text, each)
    if len(problems.found) > before:
        return tuple(found)
    if len(found) < 2:
        title = f"`{node.name.text}` has no two versions"
        help_ = 'version v1 at "/api/v1"; version v2 at "/api/v2" replaces v1'
        problems.error("MIG802", node.name.span, title, "an API goes from one to the next", help=help_)
        return tuple(found)
    first = [v for v in found if v.replaces is None]
    for extra in first[1:]:
        title, label = f"`{extra.name}` replaces nothing, and nor does `{first[0].name}`", "no step leads here"
        more = [(first[0].span, "the oldest one")]
        problems.error("MIG802", extra.span, title, label, more=more, help=f"version {extra.name} … replaces …")
    return _in_order(problems, found, first)


def _in_order(problems: Problems, found: list[Version], first: list[Version]) -> tuple[Version, ...]:
    after = {v.replaces: v for v in found if v.replaces is not None}
    order = first[:1]
    while order and (following := after.get(order[-1].name)) is not None:
        order.append(following)
    if not first or (len(first) == 1 and len(order) < len(found)):
        lost = next(v for v in found if v not in order)
        title = "the versions replace one another in a circle"
        problems.error("MIG802", lost.span, title, "no beginning", help="the oldest version replaces nothing")
        return tuple(found)
    return tuple(order) if len(order) == len(found) else tuple(found)
