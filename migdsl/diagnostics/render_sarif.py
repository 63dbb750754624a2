"""Diagnostics become SARIF 2.1.0, which code scanning services and editors read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from migdsl.diagnostics.catalog import all_codes
from migdsl.diagnostics.code import Code
from migdsl.diagnostics.model import Applicability, Diagnostic, Fix, Label
from migdsl.diagnostics.render_text import clamp
from migdsl.source import SourceFile, Span

# https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render_sarif(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, SourceFile], *, version: str, docs: str = ""
) -> str:
    """One run with all diagnostics, sorted as in the terminal, and the rules that they speak of.

    Lines and columns count from 1, in Unicode code points; paths are relative to where the command ran. `docs` is the
    address that a code is appended to for its `helpUri`.
    """
    found = sorted(diagnostics, key=Diagnostic.sort_key)
    rules = sorted({each.code for each in found})
    driver = {"name": "migdsl", "semanticVersion": version, "rules": [_rule(all_codes()[code], docs) for code in rules]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, rules.index(each.code), sources) for each in found],
    }
    shape = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(shape, indent=2, sort_keys=True).replace("\x7f", "\\u007f") + "\n"


def _rule(code: Code, docs: str) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "id": code.id,
        "shortDescription": {"text": f"{code.title}."},
        "fullDescription": {"text": " ".join(code.why.split("\n\n")[0].split())},
        "help": {"text": f"{code.why}\n\n`migdsl explain {code.id}` tells more."},
        "defaultConfiguration": {"level": code.severity.value},
    }
    return shape | {"helpUri": f"{docs}{code.id}"} if docs else shape


def _result(each: Diagnostic, rule: int, sources: Mapping[str, SourceFile]) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "ruleId": each.code,
        "ruleIndex": rule,
        "level": each.severity.value,
        "message": {"text": _message(each)},
        "partialFingerprints": {"migdsl/v1": _fingerprint(each, sources)},
    }
    if each.primary is not None:
        shape["locations"] = [{"physicalLocation": _place(each.primary.span, sources)}]
    if each.secondary:
        shape["relatedLocations"] = [_related(number, label, sources) for number, label in enumerate(each.secondary)]
    if each.fix is not None and each.fix.applicability is Applicability.SAFE:
        shape["fixes"] = [_fix(each.fix, sources)]
    return shape


def _message(each: Diagnostic) -> str:
    label = each.primary.text if each.primary else ""
    parts = [f"{each.title}{f': {label}' if label else ''}", each.body, f"help: {each.help}" if each.help else ""]
    return "\n\n".join(part for part in parts if part)


def _fingerprint(each: Diagnostic, sources: Mapping[str, SourceFile]) -> str:
    """The same while the problem is the same, wherever lines above it move it to."""
    span = each.primary.span if each.primary else None
    source = sources.get(span.path) if span else None
    text = source.text[slice(*clamp(span, len(source.text)))] if span and source else ""
    return hashlib.sha256("\0".join([each.code, span.path if span else "", each.title, text]).encode()).hexdigest()[:32]


def _related(number: int, label: Label, sources: Mapping[str, SourceFile]) -> dict[str, Any]:
    return {
        "id": number,
        "physicalLocation": _place(label.span, sources),
        "message": {"text": label.text or "see here"},
    }


def _place(span: Span, sources: Mapping[str, SourceFile]) -> dict[str, Any]:
    shape: dict[str, Any] = {"artifactLocation": {"uri": _uri(span.path)}}
    region = _region(span, sources)
    return shape | {"region": region} if region else shape


def _region(span: Span, sources: Mapping[str, SourceFile]) -> dict[str, int] | None:
    source = sources.get(span.path)
    if source is None:
        return None
    first, last = clamp(span, len(source.text))
    start, end = source.position(first), source.position(last)
    return {"startLine": start.line, "startColumn": start.column, "endLine": end.line, "endColumn": end.column}


def _fix(fix: Fix, sources: Mapping[str, SourceFile]) -> dict[str, Any]:
    changes: dict[str, list[dict[str, Any]]] = {}
    for edit in fix.edits:
        region = _region(edit.span, sources)
        if region is not None:
            replaced = {"deletedRegion": region, "insertedContent": {"text": edit.text}}
            changes.setdefault(edit.span.path, []).append(replaced)
    artifacts: Sequence[dict[str, Any]] = [
        {"artifactLocation": {"uri": _uri(path)}, "replacements": found} for path, found in changes.items()
    ]
    return {"description": {"text": fix.title}, "artifactChanges": artifacts}


def _uri(path: str) -> str:
    return quote(path.encode("utf-8", "surrogateescape"), safe="/")
