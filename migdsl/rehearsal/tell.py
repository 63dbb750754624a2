"""A rehearsal's report becomes lines for a terminal, JSON, JUnit's XML, and Markdown for a pull request."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from migdsl.rehearsal.gauge import thinned
from migdsl.rehearsal.model import FAILED, SKIPPED, UNPLAYED, Finding, Verdict
from migdsl.rehearsal.run import Report
from migdsl.rehearsal.watch import Request, percentiles

VERSION = 1
_SIGNS = {"passed": "ok", "failed": "FAILED", "skipped": "-", UNPLAYED: "?"}
_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPECIAL = re.compile(r"([\\`*_\[\]<>|])")


def text(report: Report) -> Iterator[str]:
    """For people at a terminal: the verdicts, what speaks against them, and how traffic fared."""
    width = max(len(v.says) for v in report.verdicts)
    for verdict in report.verdicts:
        last = verdict.evidence[-1] if verdict.evidence else "nothing to look at"
        if verdict.state == UNPLAYED:
            last = f"not played: {last}"
        yield f"{_SIGNS[verdict.state]:>6}  {verdict.says:{width}}" + (
            f"  ({_short(last)})" if verdict.state != FAILED else ""
        )
        for finding in verdict.findings:
            yield from _finding(finding)
    for code, found in percentiles(report.requests).items():
        yield (
            f"{code} code: {found['count']:g} requests, p50 {found['p50']:g} ms, p95 {found['p95']:g} ms, "
            f"p99 {found['p99']:g} ms, longest {found['longest']:g} ms"
        )
    yield from (f"note: {note}" for note in dict.fromkeys(report.log.notes))
    bad = [v.id for v in report.verdicts if v.state == FAILED]
    how = f"not safe: {', '.join(bad)}" if bad else f"passed{_unplayed(report)}"
    yield f"{report.migration}: {how}, in {report.seconds:.0f} s; again with --seed {report.settings.seed}"


def _short(said: str, most: int = 110) -> str:
    return said if len(said) <= most else said[: most - 2].rsplit(" ", 1)[0] + " …"


def _unplayed(report: Report) -> str:
    """What a verdict is missing on, in a few words; empty where none is."""
    count = sum(v.state == UNPLAYED for v in report.verdicts)
    return f" ({count} not played)" if count else ""


def _finding(finding: Finding) -> Iterator[str]:
    yield f"        {finding.step}, at {finding.at:.1f} s: {finding.what}"
    if finding.statement:
        yield f"          {finding.statement}"
    if finding.way_out:
        yield f"          do: {finding.way_out}"


# ------------------------------------------------------------------------------------------- machines


def as_json(report: Report) -> str:
    """See schemas/rehearsal.schema.json."""
    document = {
        "version": VERSION,
        "migration": report.migration,
        "passed": report.passed,
        "stage": report.told,
        "seed": report.settings.seed,
        "rows": report.rows,
        "tenants": report.settings.tenants,
        "rate": report.settings.rate,
        "seconds": round(report.seconds, 3),
        "noise_seconds": round(report.noise, 3),
        "verdicts": [_verdict(v) for v in report.verdicts],
        "marks": [
            {"kind": m.kind, "name": m.name, "start": round(m.start, 3), "end": round(m.end, 3)}
            for m in report.log.marks
        ],
        "waits": [
            {"statement": w.statement, "seconds": round(w.seconds, 3), "step": w.step, "at": round(w.at, 3)}
            for w in report.waits
        ],
        "traffic": [{"step": step, **row} for step, row in by_step(report)],
        "timeline": timeline(report),
        "progress": list(thinned(report.progress)),
        "drift": list(thinned(report.drift)),
        "notes": list(dict.fromkeys(report.log.notes)),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _verdict(verdict: Verdict) -> dict[str, object]:
    return {
        "id": verdict.id,
        "says": verdict.says,
        "state": verdict.state,
        "evidence": list(verdict.evidence),
        "findings": [
            {"step": f.step, "at": f.at, "what": f.what, "statement": f.statement, "way_out": f.way_out}
            for f in verdict.findings
        ],
    }


def by_step(report: Report) -> Iterator[tuple[str, dict[str, object]]]:
    """Per step and age of code: how many requests, how many failed, and how long they took (milliseconds)."""
    for mark in (m for m in report.log.marks if m.kind == "step"):
        inside = [r for r in report.requests if mark.start <= r.at < mark.end]
        for code, found in percentiles(inside).items():
            errors = sum(not r.ok for r in inside if r.code == code)
            yield mark.name, {"code": code, "errors": errors, **found}


def timeline(report: Report) -> list[dict[str, float]]:
    """Second by second: requests, errors, p50 and p99 in milliseconds."""
    seconds: dict[int, list[Request]] = defaultdict(list)
    for request in report.requests:
        seconds[int(request.at)].append(request)
    found = []
    for second, requests in sorted(seconds.items()):
        times = sorted(r.seconds * 1000 for r in requests)
        row = {"at": second, "requests": len(times), "errors": sum(not r.ok for r in requests)}
        spread = {
            "p50": round(times[len(times) // 2], 2),
            "p99": round(times[min(len(times) - 1, int(0.99 * len(times)))], 2),
        }
        found.append({**row, **spread})
    return found


def junit(report: Report) -> str:
    """One test case a verdict."""
    failed = sum(v.state == FAILED for v in report.verdicts)
    skipped = sum(v.state in (SKIPPED, UNPLAYED) for v in report.verdicts)
    about = {"name": f"migdsl rehearse {report.migration}", "time": f"{report.seconds:.3f}", "errors": "0"}
    counts = {"tests": str(len(report.verdicts)), "failures": str(failed), "skipped": str(skipped)}
    suite = ET.Element("testsuite", {**about, **counts})
    for verdict in report.verdicts:
        case = ET.SubElement(suite, "testcase", classname=report.migration, name=verdict.id)
        if verdict.state == SKIPPED:
            ET.SubElement(case, "skipped", message="nothing to look at")
        elif verdict.state == UNPLAYED:
            ET.SubElement(case, "skipped", message=_xml(f"not played: {verdict.evidence[0]}"))
        elif verdict.state == FAILED:
            said = "\n".join(line.strip() for f in verdict.findings for line in _finding(f))
            failure = ET.SubElement(case, "failure", message=_xml(verdict.findings[0].what))
            failure.text = _xml(said)
        else:
            ET.SubElement(case, "system-out").text = _xml("\n".join(verdict.evidence))
    ET.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def _xml(said: str) -> str:
    """Without what XML can't hold."""
    return _NO_XML.sub("?", said)


def markdown(report: Report) -> str:
    """A comment for a pull request."""
    bad = [v for v in report.verdicts if v.state == FAILED]
    title = f"**{_plain(report.migration)}** was rehearsed on {_plain(report.told)}: " + (
        f"**not safe**, {len(bad)} of {len(report.verdicts)} verdicts failed"
        if bad
        else f"no verdict failed{_unplayed(report)}" if _unplayed(report) else "all verdicts passed"
    )
    lines = ["## Rehearsal", "", f"{title}.", "", "| | verdict | evidence |", "| --- | --- | --- |"]
    for verdict in report.verdicts:
        shown = (
            verdict.findings[0].what
            if verdict.findings
            else verdict.evidence[-1] if verdict.evidence else "nothing to look at"
        )
        first = f"not played: {shown}" if verdict.state == UNPLAYED else shown.splitlines()[0]
        lines.append(f"| {_SIGNS[verdict.state]} | {_plain(verdict.says)} | {_plain(first[:160])} |")
    for finding in (f for v in bad for f in v.findings):
        lines += [
            "",
            f"- **{finding.verdict}** in {_plain(finding.step)}, at {finding.at:.1f} s: {_plain(finding.what)}",
        ]
        lines += [f"  - `{finding.statement.replace('`', '')}`"] if finding.statement else []
        lines += [f"  - {_plain(finding.way_out)}"] if finding.way_out else []
    lines += [
        "",
        f"{report.rows} rows, {len(report.requests)} requests, {report.seconds:.0f} s, seed {report.settings.seed}.",
        "",
    ]
    return "\n".join(lines)


def _plain(said: str) -> str:
    """Nothing of it is Markdown's."""
    return _SPECIAL.sub(r"\\\1", " ".join(said.split()))
