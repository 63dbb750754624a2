"""Replacements become alerts and panels over the requests that each side counts."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.emit import telemetry as t

_TOLERATED = 0.01


def errors(migration: str, side: str) -> str:
    """The share of a side's requests that fail, by replacement; nothing where the side is sent none."""
    failed = f"rate({t.REPLACE_REQUESTS.of(migration, side=side, outcome='error')}[5m])"
    done = f"rate({t.REPLACE_REQUESTS.of(migration, side=side)}[5m])"
    # Where nothing is sent to a side its share is 0/0, which compares to nothing: left out, as if it weren't there.
    return f"(sum by (migration, replace) ({failed}) / sum by (migration, replace) ({done}) >= 0)"


def alerts(view: t.TelemetryView) -> Iterator[t.AlertSpec]:
    """The alerts of a migration that replaces something."""
    if view.replaced:
        yield _errors(view)
    if view.strangled:
        yield _unanswered(view)


def _errors(view: t.TelemetryView) -> t.AlertSpec:
    labels = _labels(view)
    new, old = errors(view.migration, "new"), errors(view.migration, "old")
    back = "dualwrite" if view.entities else "off"
    return t.AlertSpec(
        id="replace_errors",
        title="Replacement fails requests",
        expr=f"{new} > on (migration, replace) (({old} or {new} * 0) + {_TOLERATED})",
        for_seconds=120,
        severity="page",
        summary="The new side fails a larger share of its requests than the old one",
        what_to_do=f"Move the flag back to {back} for all, as in the section on rollback: the old side can take everybody. "
        "Then look for the cause among the requests of the new side.",
        phase="cutover",
        runbook=view.section("replace_errors"),
        subject="replace",
        cases=(
            t.AlertCase("the new fails 5%, the old nothing", _served(view, (95, 5), (100, 0)), 900, labels),
            t.AlertCase("the new fails alone, all have moved", _served(view, (95, 5), (0, 0)), 900, labels),
            t.AlertCase("both fail alike", _served(view, (95, 5), (95, 5)), 900, None),
            t.AlertCase("nobody is sent to the new", _served(view, (0, 0), (95, 5)), 900, None),
            t.AlertCase("neither fails", _served(view, (100, 0), (100, 0)), 900, None),
        ),
    )


def _unanswered(view: t.TelemetryView) -> t.AlertSpec:
    labels = _labels(view)
    metric = t.REPLACE_FLAG_ERRORS
    return t.AlertSpec(
        id="replace_flag_errors",
        title="Flag without an answer",
        expr=f"sum by (migration, replace) (rate({metric.of(view.migration)}[5m])) > 0",
        for_seconds=300,
        severity="ticket",
        summary="The router gets no answer from the flag service, and sends those that it doesn't know to the old side",
        what_to_do="Mend the flag service before the next step: a move of the flag reaches nobody, a move back neither.",
        phase="cutover",
        runbook=view.section("replace_flag_errors"),
        subject="replace",
        cases=(
            t.AlertCase("answers are missing", (t.Series(metric.name, labels, "0+5x30"),), 1500, labels),
            t.AlertCase("all are there", (t.Series(metric.name, labels, "0x30"),), 1500, None),
        ),
    )


def _served(view: t.TelemetryView, new: tuple[int, int], old: tuple[int, int]) -> tuple[t.Series, ...]:
    """What each side answers a minute: well, and not."""
    return tuple(
        t.Series(t.REPLACE_REQUESTS.name, (*_labels(view), ("side", side), ("outcome", outcome)), f"0+{count}x30")
        for side, counts in (("new", new), ("old", old))
        for outcome, count in zip(("ok", "error"), counts, strict=True)
    )


def _labels(view: t.TelemetryView) -> t.Labels:
    return (("migration", view.migration), ("replace", view.replaced[0]))
