"""An API becomes steps that no database takes part in: announced, the new version beside the old, clients moved, the old gone."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.ops.model import Step
from migdsl.semantics.api_model import Api, Dated
from migdsl.semantics.model import CheckedModule

_SOON_DAYS = 60


def steps(module: CheckedModule) -> Iterator[Step]:
    """The steps of all APIs of a module."""
    for api in module.apis:
        yield from of(module, api)


def of(module: CheckedModule, api: Api) -> Iterator[Step]:
    """The steps of one API, phase by phase."""
    by_request = module.rollout.by_request or module.tenants is None or module.tenants.key is None
    told = f"; on {api.announce}" if api.announce else ""
    yield _step(
        "prepare",
        "announce_api",
        f"Announce {api.newest.name} of {api.name} and publish its guide {api.guide}{told}, with all dates",
    )
    for old, new in pairs(api):
        yield _step("expand", "serve_version", f"Deploy {new} of {api.name} beside {old}; {_places(api, old, new)}")
    yield _step(
        "expand",
        "deploy_middleware",
        f"Put the middleware of {api.name} in front of the application; it counts requests of old versions, and answers "
        "as before but for three headers",
    )
    yield _step(
        "validate",
        "compare_versions",
        f"Prove that the versions of {api.name} answer alike; {_routes(api)}, but for what breaks on purpose",
    )
    share = "a share of the requests of your own clients" if by_request else "your own clients, tenant by tenant,"
    yield _step("cutover", "ramp_clients", f"Move {share} to {api.newest.name} of {api.name}; they ask the flag")
    for each in api.deprecations:
        yield _step("cutover", "deprecate_version", f"Deprecate {each.version} of {api.name}; on {each.date}")
    for each in api.sunsets:
        yield _gone(api, each)
    yield _step(
        "contract",
        "remove_version",
        f"Take {_old(api)} of {api.name} and the middleware out of the application; nobody is answered by it since "
        f"{api.last_day}",
    )


def pairs(api: Api) -> tuple[tuple[str, str], ...]:
    """Each version that goes away, and the one that takes its place."""
    return tuple((v.replaces, v.name) for v in api.versions if v.replaces is not None)


def _gone(api: Api, sunset: Dated) -> Step:
    graces = sum(len(grace.tenants) for grace in api.graces)
    apart = f", {graces} {'tenant' if graces == 1 else 'tenants'} apart" if graces else ""
    title = f"Answer 410 to requests of {sunset.version} of {api.name}; from {sunset.date} on{apart}"
    return _step("cutover", "sunset_version", title)


def _step(phase: str, operation: str, title: str) -> Step:
    return Step(phase, operation, title, None)


def _old(api: Api) -> str:
    names = [v.name for v in api.versions if v.name != api.newest.name]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _places(api: Api, old: str, new: str) -> str:
    what = {"url": "below", "header": f"where {api.header} says", "media_type": "as"}[api.strategy]
    return f"it answers {what} {api.version(new).at}, and {old} still {what} {api.version(old).at}"


def _routes(api: Api) -> str:
    return f"{len(api.routes)} routes" if len(api.routes) != 1 else f"{api.routes[0].method} {api.routes[0].path}"


def points(module: CheckedModule) -> Iterator[tuple[int, str]]:
    """What raises the risk of a migration with APIs, each with its weight."""
    from datetime import date  # most migrations have no API

    for api in module.apis:
        if api.breaking:
            count = f"{len(api.breaking)} breaking changes" if len(api.breaking) > 1 else "a breaking change"
            yield 1, f"{api.name}: {count} for clients that can't be deployed from here"
        for sunset in api.sunsets:
            notice = (
                date.fromisoformat(sunset.date) - date.fromisoformat(api.announce or api.deprecation(sunset.version))
            ).days
            if notice < _SOON_DAYS:
                yield 1, f"{api.name}: clients of {sunset.version} have {notice} days from the announcement to the sunset"
