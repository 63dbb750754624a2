"""Flag files are resolved by the real OpenFeature provider for flagd, offline, and hold what the lines say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migdsl.emit.artifact import Artifact
from migdsl.emit.flags import STAGES, BooleanFlagView, FlagView, OnLine, StageLine, flag_file

pytest.importorskip("openfeature.contrib.provider.flagd", reason="openfeature-provider-flagd is not installed")

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext

TENANTS = tuple(f"7f1f9a52-53f0-4d0e-9f0a-{number:012x}" for number in range(2000))
CANARY = TENANTS[7]
HOSTILE = (
    '"quoted" \\ back\\slash',
    '{"var": "tenant"}',
    "$flagd.flagKey",
    "Zürich · 東京 · 😀",
    "two\nlines\ttabbed",
    "'; DROP TABLE users; --",
    "null",
    "off",
    " ",
)
Resolve = Callable[[Artifact], "Resolver"]


class Resolver:
    """Asks one flag file as an application would."""

    def __init__(self, path: Path) -> None:
        provider = FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(path))
        api.set_provider_and_wait(provider, domain=path.name)
        self.client = api.get_client(domain=path.name)

    def stage(self, tenant: str | int, flag: str = "users_email") -> str:
        details = self.client.get_string_details(flag, "none", EvaluationContext("somebody", {"tenant": tenant}))
        assert details.error_code is None, details.error_message
        return details.value

    def stages(self, flag: str = "users_email") -> dict[str, str]:
        return {tenant: self.stage(tenant, flag) for tenant in TENANTS}

    def is_on(self, tenant: str, flag: str) -> bool:
        details = self.client.get_boolean_details(flag, False, EvaluationContext("somebody", {"tenant": tenant}))
        assert details.error_code is None, details.error_message
        return details.value


@pytest.fixture
def resolve(tmp_path: Path) -> Iterator[Resolve]:
    files: list[Path] = []

    def load(artifact: Artifact) -> Resolver:
        path = tmp_path / f"{len(files)}.flagd.json"
        path.write_text(artifact.text, encoding="utf-8")
        files.append(path)
        return Resolver(path)

    yield load
    api.shutdown()


def staged(*lines: StageLine, canary: tuple[str, ...] = (CANARY,), by_request: bool = False) -> Artifact:
    view = FlagView("users_email", "users_email", lines, canary, by_request)
    return flag_file(view, "flags/users_email.flagd.json")


def percent(stage: str, share: str) -> StageLine:
    return StageLine("percent", stage, percent=share)


def flag_of(artifact: Artifact, name: str = "users_email") -> dict[str, Any]:
    return json.loads(artifact.text)["flags"][name]


@pytest.mark.parametrize("stage", STAGES)
def test_one_line_for_all_needs_no_targeting(resolve: Resolve, stage: str):
    artifact = staged(StageLine("all", stage))
    assert "targeting" not in flag_of(artifact)
    assert resolve(artifact).stage(TENANTS[0]) == stage


def test_no_line_at_all_is_off(resolve: Resolve):
    assert resolve(staged()).stage(TENANTS[0]) == "off"


def test_the_most_specific_line_wins(resolve: Resolve):
    lines = (
        StageLine("all", "dualwrite"),
        percent("shadow", "100"),
        StageLine("canary", "live"),
        StageLine("tenants", "rampdown", tenants=(TENANTS[1], TENANTS[2])),
    )
    both = resolve(staged(*lines, canary=(TENANTS[2], TENANTS[3])))
    reversed_lines = resolve(staged(*reversed(lines), canary=(TENANTS[2], TENANTS[3])))
    for resolver in (both, reversed_lines):
        assert [resolver.stage(tenant) for tenant in TENANTS[:4]] == ["shadow", "rampdown", "rampdown", "live"]


def test_equally_specific_lines_give_the_earlier_stage(resolve: Resolve):
    lines = (
        StageLine("tenants", "live", tenants=(TENANTS[1], TENANTS[2])),
        StageLine("tenants", "dualwrite", tenants=(TENANTS[1],)),
        percent("live", "100"),
        percent("shadow", "100"),
    )
    resolver = resolve(staged(*lines))
    assert [resolver.stage(tenant) for tenant in TENANTS[:3]] == ["shadow", "dualwrite", "live"]


def test_a_canary_line_without_canaries_reaches_nobody(resolve: Resolve):
    artifact = staged(StageLine("canary", "live"), StageLine("all", "dualwrite"), canary=())
    assert "targeting" not in flag_of(artifact)
    assert resolve(artifact).stage(TENANTS[0]) == "dualwrite"


@pytest.mark.parametrize(("share", "least", "most"), [("1", 8, 36), ("10", 150, 250), ("50", 900, 1100)])
def test_a_percentage_reaches_about_that_many(resolve: Resolve, share: str, least: int, most: int):
    found = Counter(resolve(staged(percent("live", share), StageLine("all", "dualwrite"))).stages().values())
    assert set(found) == {"live", "dualwrite"}
    assert least <= found["live"] <= most


def test_tenants_keep_their_place_while_the_percentage_grows(resolve: Resolve):
    reached: set[str] = set()
    for share in ("0.1", "1", "2.5", "10", "50", "99.9", "100"):
        stages = resolve(staged(percent("live", share))).stages()
        now = {tenant for tenant, stage in stages.items() if stage == "live"}
        assert reached <= now
        reached = now
    assert reached == set(TENANTS)


def test_two_percentages_nest(resolve: Resolve):
    ten = resolve(staged(percent("live", "10"), StageLine("all", "dualwrite"))).stages()
    both = resolve(staged(percent("shadow", "50"), percent("live", "10"), StageLine("all", "dualwrite"))).stages()
    fifty = resolve(staged(percent("shadow", "50"), StageLine("all", "dualwrite"))).stages()
    assert set(both.values()) == {"live", "shadow", "dualwrite"}
    for tenant in TENANTS:
        expected = "live" if ten[tenant] == "live" else fifty[tenant]
        assert both[tenant] == expected


@pytest.mark.parametrize(
    ("shares", "weights"),
    [
        (("10",), [["live", 10], ["off", 90]]),
        (("0.1",), [["live", 1], ["off", 999]]),
        (("2.50",), [["live", 25], ["off", 975]]),
        (("100",), [["live", 100]]),
        (("0.0000001",), [["live", 1], ["off", 999_999_999]]),
    ],
)
def test_weights_are_the_smallest_integers(shares: tuple[str, ...], weights: list[list[object]]):
    rule = flag_of(staged(*(percent("live", share) for share in shares)))["targeting"]
    assert rule["if"][-1]["fractional"][1:] == weights


@given(st.lists(st.decimals(0, 100, places=9), min_size=1, max_size=4))
@settings(max_examples=60)
def test_weights_always_fit_flagd(shares):
    targeting = flag_of(staged(*(percent("live", str(share)) for share in shares))).get("targeting")
    if targeting is None:
        assert max(shares) < Decimal("1e-7")
        return
    weights = [weight for _, weight in targeting["if"][-1]["fractional"][1:]]
    assert all(type(weight) is int and weight > 0 for weight in weights)
    assert sum(weights) <= 2**31 - 1
    reached = sum(weights) if max(shares) == 100 else sum(weights[:-1])
    assert abs(reached / sum(weights) - float(max(shares) / 100)) < 1e-8


def test_zero_percent_reaches_nobody():
    assert "targeting" not in flag_of(staged(percent("live", "0")))


@pytest.mark.parametrize("share", ["-1", "100.1", "nan", "inf", "ten", "", None])
def test_what_is_no_percentage_is_refused(share: str | None):
    with pytest.raises(ValueError, match="percentage"):
        staged(StageLine("percent", "live", percent=share))


def test_an_unknown_stage_is_refused():
    with pytest.raises(ValueError, match="unknown stage: lve"):
        staged(StageLine("all", "lve"))


@pytest.mark.parametrize("tenant", HOSTILE)
def test_hostile_tenant_names_are_names(resolve: Resolve, tenant: str):
    resolver = resolve(staged(StageLine("tenants", "live", tenants=(tenant,)), StageLine("all", "shadow")))
    assert resolver.stage(tenant) == "live"
    assert resolver.stage(tenant + "x") == "shadow"
    assert resolver.stage(tenant[:-1]) == "shadow"


def test_hostile_tenant_names_have_a_bucket(resolve: Resolve):
    resolver = resolve(staged(percent("live", "50")))
    assert {resolver.stage(tenant) for tenant in HOSTILE} == {"live", "off"}


def test_a_tenant_id_may_be_a_number(resolve: Resolve):
    resolver = resolve(staged(StageLine("tenants", "live", tenants=("42",)), percent("shadow", "50")))
    assert resolver.stage(42) == "live"
    assert {resolver.stage(number) for number in range(20)} == {"shadow", "off"}
    assert all(resolver.stage(number) == resolver.stage(str(number)) for number in range(20))


@pytest.mark.parametrize(
    "context", [EvaluationContext(), EvaluationContext("k", {}), EvaluationContext("k", {"tenant": ""})]
)
def test_who_comes_without_a_tenant_gets_the_line_for_all(resolve: Resolve, context: EvaluationContext):
    resolver = resolve(staged(percent("live", "99.9"), StageLine("canary", "live"), StageLine("all", "dualwrite")))
    details = resolver.client.get_string_details("users_email", "none", context)
    assert (details.value, details.error_code) == ("dualwrite", None)


def test_by_request_buckets_on_the_targeting_key(resolve: Resolve):
    client = resolve(staged(percent("live", "50"), by_request=True)).client
    same_tenant = [EvaluationContext(f"request-{number}", {"tenant": TENANTS[0]}) for number in range(400)]
    found = Counter(client.get_string_value("users_email", "none", context) for context in same_tenant)
    assert 150 < found["live"] < 250
    assert found["live"] + found["off"] == 400


def test_the_bucket_depends_on_the_flag(resolve: Resolve):
    lines = (percent("live", "50"),)
    other = FlagView("orders", "users_email", lines)
    resolver = resolve(flag_file(FlagView("users_email", "users_email", lines), "f.flagd.json", (other,)))
    assert resolver.stages("users_email") != resolver.stages("orders")


def test_boolean_flags_are_on_where_any_line_matches(resolve: Resolve):
    lines = (OnLine("tenants", tenants=(TENANTS[1],)), OnLine("canary"), OnLine("percent", percent="10"))
    boolean = BooleanFlagView("new_form", "users_email", lines, (CANARY,))
    everywhere = BooleanFlagView("old_form", "users_email", (*lines, OnLine("all")), (CANARY,))
    nowhere = BooleanFlagView("no_form", "users_email", ())
    main = FlagView("users_email", "users_email", ())
    resolver = resolve(flag_file(main, "f.flagd.json", (boolean, everywhere, nowhere)))
    on = {tenant for tenant in TENANTS if resolver.is_on(tenant, "new_form")}
    assert {TENANTS[1], CANARY} <= on
    assert 150 <= len(on) <= 250
    assert resolver.is_on(TENANTS[0], "old_form")
    assert not resolver.is_on(TENANTS[0], "no_form")
    assert resolver.stage(TENANTS[0]) == "off"


@pytest.mark.parametrize("name", ["", "two\nlines"])
def test_a_name_that_flagd_refuses_is_refused(name: str):
    with pytest.raises(ValueError, match="one line"):
        flag_file(FlagView(name, "users_email", ()), "f.flagd.json")


@pytest.mark.parametrize("name", ['we"ird {{ .X }} $HOME', "Zürich 😀", "$flagd.flagKey", "n" * 63])
def test_hostile_flag_names_resolve(resolve: Resolve, name: str):
    view = FlagView(name, name, (percent("live", "50"), StageLine("canary", "shadow")), (CANARY,))
    resolver = resolve(flag_file(view, "f.flagd.json"))
    assert resolver.stage(CANARY, name) == "shadow"
    assert set(resolver.stages(name).values()) == {"shadow", "live", "off"}


def test_two_flags_of_one_name_are_refused():
    view = FlagView("users_email", "users_email", ())
    with pytest.raises(ValueError, match="same name"):
        flag_file(view, "f.flagd.json", (BooleanFlagView("users_email", "users_email", ()),))


def test_the_shape_is_what_flagd_reads():
    lines = (StageLine("canary", "shadow"), percent("live", "0.1"), StageLine("all", "dualwrite"))
    artifact = staged(*lines)
    document = json.loads(artifact.text)
    flag = flag_of(artifact)
    assert (artifact.path, artifact.kind) == ("flags/users_email.flagd.json", "flags")
    assert document["$schema"] == "https://flagd.dev/schema/v0/flags.json"
    assert flag["state"] == "ENABLED"
    assert flag["variants"] == {stage: stage for stage in STAGES}
    assert flag["defaultVariant"] == "dualwrite"
    assert all(isinstance(value, str | int | float | bool) for value in flag["metadata"].values())
    assert targeted(flag["targeting"]) <= set(flag["variants"])


def targeted(rule: dict[str, Any]) -> set[str]:
    """The variants that a targeting rule may name: flagd's own schema does not look whether they exist."""
    arms = rule["if"]
    names = set(arms[1::2]) | ({arms[-1]} if isinstance(arms[-1], str) else set())
    return names | ({name for name, _ in arms[-1]["fractional"][1:]} if isinstance(arms[-1], dict) else set())


def test_the_same_lines_give_the_same_bytes_in_any_order():
    tenants = StageLine("tenants", "live", tenants=(TENANTS[2], TENANTS[1], TENANTS[2]))
    again = StageLine("tenants", "live", tenants=(TENANTS[1], TENANTS[2]))
    rest = (percent("shadow", "10"), StageLine("all", "dualwrite"))
    assert staged(tenants, *rest).text == staged(*reversed(rest), again).text
