"""Turns the rollout lines of a migration's flags into one flagd file that any OpenFeature provider can read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Literal, TypeAlias

from migdsl.emit.artifact import Artifact, canonical_json

Scope: TypeAlias = Literal["all", "canary", "percent", "tenants"]
Json: TypeAlias = dict[str, object]

STAGES = ("off", "dualwrite", "shadow", "live", "rampdown", "complete")
SCHEMA = "https://flagd.dev/schema/v0/flags.json"

# flagd sums weights in a signed 32-bit integer; 100 % at seven decimals is 10^9, the finest scale that fits.
_FINEST = Decimal("0.0000001")


@dataclass(frozen=True, slots=True)
class StageLine:
    """`stage STAGE for SCOPE`: `percent` is decimal text such as `0.1` (scope `percent`), `tenants` are ids as text."""

    scope: Scope
    stage: str
    percent: str | None = None
    tenants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FlagView:
    """A staged flag. `canary` are the tenants of `cutover { canary … }`; `by_request` buckets on the targeting key."""

    name: str
    migration: str
    lines: tuple[StageLine, ...]
    canary: tuple[str, ...] = ()
    by_request: bool = False


@dataclass(frozen=True, slots=True)
class OnLine:
    """`on for SCOPE` of a boolean flag; fields as in `StageLine`."""

    scope: Scope
    percent: str | None = None
    tenants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BooleanFlagView:
    """`flag NAME boolean { on for … }`: on where any line matches, else off."""

    name: str
    migration: str
    lines: tuple[OnLine, ...]
    canary: tuple[str, ...] = ()
    by_request: bool = False


def flag_file(view: FlagView, path: str, also: tuple[FlagView | BooleanFlagView, ...] = ()) -> Artifact:
    """The flagd file at `path` with `view`'s staged flag and the flags in `also`.

    The application passes the tenant's id as text in the attribute `tenant`. The most specific line wins: tenants,
    canary, percent (the smaller percentage first), all; of two equally specific lines the earlier stage wins, which is
    the safe one. Raises ValueError for an unknown stage, a percentage that is no number within 0..100, a name that is
    empty or has a line break, and two flags of one name.
    """
    views = (view, *also)
    flags = {each.name: _staged(each) if isinstance(each, FlagView) else _boolean(each) for each in views}
    if not all(re.fullmatch(".+", name) for name in flags):
        raise ValueError("flagd wants a flag's name on one line, and not empty")
    if len(flags) < len(views):
        raise ValueError("two flags of one file have the same name")
    return Artifact(path, canonical_json({"$schema": SCHEMA, "flags": flags}), "flags")


def _staged(view: FlagView) -> Json:
    unknown = {line.stage for line in view.lines} - set(STAGES)
    if unknown:
        raise ValueError(f"unknown stage: {', '.join(sorted(unknown))}")
    lines = tuple(sorted(view.lines, key=lambda line: STAGES.index(line.stage)))
    default = next((line.stage for line in lines if line.scope == "all"), "off")
    listed = _listed((line.tenants, line.stage) for line in lines if line.scope == "tenants")
    canary = [(view.canary, line.stage) for line in lines if line.scope == "canary"][:1]
    shares = [(_percent(line.percent), line.stage) for line in lines if line.scope == "percent"]
    targeting = _targeting([*listed, *canary], shares, default, view.by_request)
    return _flag({stage: stage for stage in STAGES}, default, targeting, "staged", view.migration)


def _boolean(view: BooleanFlagView) -> Json:
    default = "on" if any(line.scope == "all" for line in view.lines) else "off"
    tenants = [tenant for line in view.lines if line.scope == "tenants" for tenant in line.tenants]
    if any(line.scope == "canary" for line in view.lines):
        tenants += view.canary
    shares = [(_percent(line.percent), "on") for line in view.lines if line.scope == "percent"]
    targeting = _targeting([(tuple(tenants), "on")], shares, default, view.by_request) if default == "off" else None
    return _flag({"on": True, "off": False}, default, targeting, "boolean", view.migration)


def _flag(variants: Json, default: str, targeting: Json | None, kind: str, migration: str) -> Json:
    # flagd allows scalars alone in metadata, and its schema does not notice a default that is no variant.
    metadata: Json = {"generator": "migdsl; generated, do not edit", "kind": kind, "migration": migration}
    flag: Json = {"state": "ENABLED", "variants": variants, "defaultVariant": default, "metadata": metadata}
    return flag | ({"targeting": targeting} if targeting else {})


def _listed(lines: Iterable[tuple[tuple[str, ...], str]]) -> list[tuple[tuple[str, ...], str]]:
    """Lists of tenants with their stage, one list a stage."""
    by_stage: dict[str, tuple[str, ...]] = {}
    for tenants, stage in lines:
        by_stage[stage] = (*by_stage.get(stage, ()), *tenants)
    return [(tenants, stage) for stage, tenants in by_stage.items()]


def _targeting(
    lists: list[tuple[tuple[str, ...], str]], shares: list[tuple[Decimal, str]], default: str, by_request: bool
) -> Json | None:
    """JSONLogic that gives a variant's name, or None where the default variant alone decides."""
    subject = "targetingKey" if by_request else "tenant"
    # `cat` makes text of a tenant id that the application passes as a number.
    tenant = {"cat": [{"var": "tenant"}]}
    branches: list[object] = []
    for tenants, variant in lists:
        if tenants:
            branches += [{"in": [tenant, sorted(set(tenants))]}, variant]
    weights = _weights(shares, default)
    if not branches and not weights:
        return None
    rest: object = default
    if weights:
        # All who come without a subject would share one bucket, so that 1 % could be everybody: they get the default.
        branches += [{"missing": [subject]}, default]
        rest = {"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": subject}]}, *weights]}
    return {"if": [*branches, rest]}


def _weights(shares: list[tuple[Decimal, str]], default: str) -> list[list[object]]:
    """flagd's `fractional` buckets: integer weights, in ascending order of percentage, the rest to `default`.

    Buckets are stretches of one hash range and the first begins at 0, so a percentage that grows only adds tenants,
    whatever the scale of the weights. A larger percentage contains the smaller ones.
    """
    decimals = max((-_exponent(percent) for percent, _ in shares), default=0)
    scale = 10 ** max(decimals, 0)
    buckets: list[list[object]] = []
    reached = 0
    for percent, variant in sorted(shares, key=lambda share: share[0]):
        upto = int(percent * scale)
        if upto > reached:
            buckets.append([variant, upto - reached])
            reached = upto
    rest = 100 * scale - reached
    return [*buckets, *([[default, rest]] if rest else [])] if buckets else []


def _exponent(percent: Decimal) -> int:
    return int(percent.normalize().as_tuple().exponent)


def _percent(text: str | None) -> Decimal:
    try:
        percent = Decimal(text or "")
    except InvalidOperation:
        raise ValueError(f"not a percentage: {text!r}") from None
    if not (percent.is_finite() and 0 <= percent <= 100):
        raise ValueError(f"a percentage is between 0 and 100: {text}")
    return percent.quantize(_FINEST, ROUND_DOWN)
