"""`accept`, `impact`, and the header's dates become promises that the rest of the file is held against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from migdsl.semantics.conditions import watched
from migdsl.semantics.header import again, bad_number
from migdsl.semantics.model import PHASES, Header
from migdsl.semantics.policy import Accepted, Due, Impact, Metric, Proof, spoken
from migdsl.semantics.problems import Problems
from migdsl.semantics.replacement import Service
from migdsl.semantics.replacing import named
from migdsl.source import Span
from migdsl.syntax import ast, lexis

RISKS = ("low", "medium", "high", "critical")


def accepted(
    problems: Problems, nodes: list[ast.Accept], metrics: Mapping[str, Metric], invariants: tuple[str, ...]
) -> tuple[Accepted, ...]:
    """The criteria with their proofs; that a gate is there is for those to say who know all gates."""
    seen: dict[str, Span] = {}
    found = []
    for node in nodes:
        text = " ".join(node.criterion.value.split())
        if text in seen:
            again(problems, node.criterion.span, seen[text], "this criterion", "the migration")
            continue
        seen[text] = node.criterion.span
        found.append(Accepted(text, tuple(_proofs(problems, node, metrics, invariants)), node.criterion.span))
    return tuple(found)


def _proofs(
    problems: Problems, node: ast.Accept, metrics: Mapping[str, Metric], invariants: tuple[str, ...]
) -> Iterator[Proof]:
    for proof in node.proofs:
        if proof.condition is not None:
            condition = watched(problems, proof.condition, metrics)
            if condition is not None:
                yield Proof("metric", spoken(condition), proof.span)
        elif proof.name is not None:
            yield Proof("gate", proof.name.text, proof.name.span)
        elif proof.text is not None:
            text = " ".join(proof.text.value.split())
            if proof.kind == "invariant" and text not in invariants:
                problems.unknown("MIG123", "invariant", text, proof.text.span, invariants, spell=_string)
            yield Proof(proof.kind, text, proof.text.span)


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def impact(
    problems: Problems, nodes: list[ast.Impact], header: Header | None, services: tuple[Service, ...]
) -> Impact | None:
    """What people know of the impact."""
    for extra in nodes[1:]:
        again(problems, extra.span, nodes[0].span, "impact", "the migration")
    if not nodes:
        return None
    node = nodes[0]
    for key in ("impact_risk", "impact_downtime"):
        twice = [s for s in node.settings if s.key == key]
        for second in twice[1:]:
            again(problems, second.span, twice[0].span, key.removeprefix("impact_"), "the impact")
    risk = next((s.words[0] for s in node.settings if s.key == "impact_risk"), None)
    if risk is not None and risk.text not in RISKS:
        problems.unknown("MIG106", "risk", risk.text, risk.span, RISKS)
    return Impact(
        named(problems, tuple(name for line in node.affects for name in line.names), services),
        _texts(node, "breaking"),
        _texts(node, "stakeholders"),
        _downtime(problems, node, header),
        risk.text if risk is not None and risk.text in RISKS else None,
        risk.span if risk is not None else None,
    )


def _texts(node: ast.Impact, key: str) -> tuple[str, ...]:
    return tuple(" ".join(t.value.split()) for s in node.settings if s.key == key for t in s.texts)


def _downtime(problems: Problems, node: ast.Impact, header: Header | None) -> float:
    for setting in node.settings:
        if setting.key == "impact_downtime":
            seconds = lexis.seconds(setting.numbers[0].raw)
            if seconds is None:
                bad_number(problems, setting.numbers[0], "duration", "2m")
                return 0.0
            allowed = header.downtime_seconds if header is not None else None
            if header is not None and allowed is not None and seconds > allowed:
                title = "more downtime is expected than the migration allows"
                help_ = f'downtime window {setting.numbers[0].raw} "Sunday 02:00 UTC"'
                label = "none is allowed" if not allowed else f"at most {allowed:g} seconds are allowed"
                problems.error("MIG604", setting.span, title, label, help=help_)
            return seconds
    return 0.0


def start(problems: Problems, nodes: list[ast.Migration]) -> str | None:
    """The date on which the migration starts."""
    for setting in _settings(nodes, "start_on"):
        found = _date(problems, setting.numbers[0])
        return found.isoformat() if found else None
    return None


def dues(problems: Problems, nodes: list[ast.Migration], start: str | None) -> tuple[Due, ...]:
    """The dates by which phases are to be over; that there is time enough is for those to say who know all pauses."""
    seen: dict[str, Span] = {}
    found = []
    for setting in _settings(nodes, "due"):
        phase, day = setting.words[0], _date(problems, setting.numbers[0])
        if phase.text not in PHASES:
            problems.unknown("MIG106", "phase", phase.text, phase.span, PHASES)
        elif phase.text in seen:
            again(problems, setting.span, seen[phase.text], f"due {phase.text}", "the migration")
        elif day is not None:
            days = (day - date.fromisoformat(start)).days if start else None
            found.append(Due(phase.text, day.isoformat(), days, setting.span))
        seen.setdefault(phase.text, setting.span)
    return tuple(found)


def prd(nodes: list[ast.Migration]) -> str | None:
    """Where the requirements stand."""
    return next((" ".join(s.texts[0].value.split()) for s in _settings(nodes, "prd")), None)


def one_way(problems: Problems, nodes: list[ast.Migration]) -> Span | None:
    """Where the file says that nothing may be written twice."""
    for setting in _settings(nodes, "dual_write"):
        word = setting.words[0]
        if word.text == "forbidden":
            return setting.span
        if word.text != "allowed":
            problems.unknown("MIG106", "dual-write policy", word.text, word.span, ("allowed", "forbidden"))
    return None


def _settings(nodes: list[ast.Migration], key: str) -> list[ast.Setting]:
    return [s for node in nodes[:1] for s in node.settings if s.key == key]


def _date(problems: Problems, number: ast.Number) -> date | None:
    try:
        return date.fromisoformat(number.raw)
    except ValueError:
        bad_number(problems, number, "date", "2026-12-01")
        return None
