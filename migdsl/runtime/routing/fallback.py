"""Turns a compiled flag file into a stage for each tenant, for when no flag service answers and nothing is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migdsl.runtime.routing.errors import RoutingError
from migdsl.runtime.routing.stages import Stage, cautious, is_stage


@dataclass(frozen=True, slots=True)
class Fallback:
    """What a flag file says without a flag service: tenants by name, and the stages that anybody else may be in."""

    listed: Mapping[str, Stage]
    rest: frozenset[Stage]

    @classmethod
    def only(cls, stage: str) -> Fallback:
        """One stage for everybody. Raises RoutingError if it is none."""
        if not is_stage(stage):
            raise RoutingError(f"{stage!r} is no stage: off, dualwrite, shadow, live, rampdown or complete")
        return cls({}, frozenset({stage}))

    @classmethod
    def of_file(cls, path: str | Path, flag: str) -> Fallback:
        """From the flagd file that `migdsl compile` writes. Raises OSError, and RoutingError where it isn't one."""
        try:
            declared = json.loads(Path(path).read_text(encoding="utf-8"))["flags"][flag]
            default, targeting = declared["defaultVariant"], declared.get("targeting")
        except (ValueError, KeyError, TypeError):
            raise RoutingError(f"{path} has no staged flag {flag!r}") from None
        if not is_stage(default):
            raise RoutingError(f"the default of flag {flag!r} in {path} is no stage: {default!r}")
        return cls({}, frozenset({default})) if targeting is None else _targeted(targeting, default)

    def stage(self, tenant: str) -> Stage | None:
        """The tenant's stage; where its share isn't known here, one that suits all that it may be in; None: none does."""
        return self.listed.get(tenant) or cautious(self.rest)

    def reason(self) -> str:
        """Why there may be none."""
        return f"it may be in any of {', '.join(sorted(self.rest))}, which don't read the same side"


def _targeted(targeting: Any, default: Stage) -> Fallback:
    """The shape that the compiler writes: lists of tenants, then buckets. Of any other, all words that are stages."""
    branches = targeting.get("if") if isinstance(targeting, dict) else None
    if not isinstance(branches, list):
        return Fallback({}, frozenset({default, *_stages(targeting)}))
    listed: dict[str, Stage] = {}
    rest: set[Stage] = set(_stages(branches[-1])) if len(branches) % 2 else {default}
    for condition, stage in zip(branches[:-1:2], branches[1::2], strict=False):
        tenants = _tenants(condition)
        if tenants is None:
            rest |= _stages(stage) if not _about_missing(condition) else set()
            continue
        for tenant in tenants:
            if is_stage(stage):
                listed.setdefault(tenant, stage)
    return Fallback(listed, frozenset(rest or {default}))


def _tenants(condition: Any) -> list[str] | None:
    """The list of `{"in": [{"cat": [{"var": "tenant"}]}, […]]}`; None for any other condition."""
    match condition:
        case {"in": [{"cat": [{"var": "tenant"}]}, list(tenants)]}:
            return [str(tenant) for tenant in tenants]
    return None


def _about_missing(condition: Any) -> bool:
    # The router always says which tenant it asks for.
    return isinstance(condition, dict) and set(condition) == {"missing"}


def _stages(part: Any) -> set[Stage]:
    """All stages that are named somewhere in a piece of JSON."""
    if isinstance(part, dict):
        return _stages(list(part.values()))
    if isinstance(part, list):
        return {stage for each in part for stage in _stages(each)}
    return {part} if is_stage(part) else set()
