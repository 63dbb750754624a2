"""Turns the APIs of a migration into alerts on who still asks for an old version, each with cases that fire and that do not."""

from __future__ import annotations

from migdsl.emit import telemetry as t

NEAR_SECONDS = 30 * 86_400
_BY = "migration, api, version"


def alerts(view: t.TelemetryView) -> tuple[t.AlertSpec, ...]:
    """None where the migration has no API."""
    return (_usage(view), _gone(view)) if view.apis else ()


def near(migration: str) -> str:
    """The time until the sunset of each old version, in seconds."""
    return f"min by ({_BY}) ({t.SUNSET.of(migration)}) - time()"


def by_client(metric: t.MetricRef, migration: str, window: str) -> str:
    """How often each client has asked."""
    return f"sum by ({_BY}, client) (increase({metric.of(migration)}[{window}]))"


def _usage(view: t.TelemetryView) -> t.AlertSpec:
    days = NEAR_SECONDS // 86_400

    def case(name: str, values: str, sunset: int, fires: bool) -> t.AlertCase:
        series = (
            t.Series(t.DEPRECATED.name, _counted(view), values),
            t.Series(t.SUNSET.name, _version(view), f"{sunset}x90"),
        )
        return t.AlertCase(name, series, 3600, _client(view) if fires else None)

    soon, late = NEAR_SECONDS // 2, 2 * NEAR_SECONDS
    return t.AlertSpec(
        id="deprecated_usage",
        title="Old version still in use",
        expr=f"{by_client(t.DEPRECATED, view.migration, '1d')} > 0 and on ({_BY}) ({near(view.migration)} < {NEAR_SECONDS})",
        for_seconds=0,
        severity="ticket",
        summary=f"A client has asked for an old API version within the last day, and its sunset is less than {days} days away",
        what_to_do="Find who runs this client, and tell them the day and the guide. Where they can't move in time, give their "
        "tenant a grace, or move the sunset, before the day and not after it.",
        phase="cutover",
        runbook=view.section("deprecated_usage"),
        subject="client",
        cases=(
            case("asks, and the sunset is near", "1+1x90", soon, True),
            case("asks, and there is time", "1+1x90", late, False),
            case("has stopped asking", "7x90", soon, False),
        ),
    )


def _gone(view: t.TelemetryView) -> t.AlertSpec:
    def case(name: str, values: str, fires: bool) -> t.AlertCase:
        series = (t.Series(t.GONE.name, _counted(view), values),)
        return t.AlertCase(name, series, 3600, _client(view) if fires else None)

    return t.AlertSpec(
        id="gone_requests",
        title="Requests answered 410",
        expr=f"{by_client(t.GONE, view.migration, '1h')} > 0",
        for_seconds=0,
        severity="ticket",
        summary="A client asks for an API version that is gone, and is answered 410",
        what_to_do="If it matters to you, it is broken now: move its tenant's grace or the sunset to a later day, compile, and "
        "deploy the description. No 410 is stored anywhere, so it is answered at once.",
        phase="cutover",
        runbook=view.section("gone_requests"),
        subject="client",
        cases=(case("asks and gets 410", "0+1x90", True), case("nobody asks", "3x90", False)),
    )


def _version(view: t.TelemetryView) -> t.Labels:
    name, version = view.apis[0]
    return (("migration", view.migration), ("api", name), ("version", version))


def _client(view: t.TelemetryView) -> t.Labels:
    return (*_version(view), ("client", "orders-sdk"))


def _counted(view: t.TelemetryView) -> t.Labels:
    return (*_version(view), ("route", "other"), ("client", "orders-sdk"))
