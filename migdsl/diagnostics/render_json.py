"""Diagnostics become JSON for programs: the shape of schemas/diagnostics.schema.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from migdsl.diagnostics.model import Diagnostic, Fix, Label
from migdsl.diagnostics.render_text import clamp
from migdsl.source import SourceFile, Span


def render_json(diagnostics: Iterable[Diagnostic], sources: Mapping[str, SourceFile], *, docs: str = "") -> str:
    """All diagnostics as one JSON list, sorted as in the terminal: plain ASCII, two spaces, sorted keys.

    Lines and columns count from 1, offsets from 0, all in characters (Unicode code points). A range is null where the
    file isn't in `sources`. `docs` is the address that a code is appended to for its `url`; without it there is none.
    """
    found = [_diagnostic(each, sources, docs) for each in sorted(diagnostics, key=Diagnostic.sort_key)]
    text = json.dumps(found, indent=2, sort_keys=True, ensure_ascii=True)
    return text.replace("\x7f", "\\u007f") + "\n"  # the one control character that is ASCII and json leaves as it is


def _diagnostic(each: Diagnostic, sources: Mapping[str, SourceFile], docs: str) -> dict[str, Any]:
    primary = [_label(each.primary, sources, primary=True)] if each.primary else []
    shape: dict[str, Any] = {
        "code": each.code,
        "severity": each.severity.value,
        "title": each.title,
        "file": each.primary.span.path if each.primary else None,
        "range": _range(each.primary.span, sources) if each.primary else None,
        "labels": primary + [_label(label, sources, primary=False) for label in each.secondary],
        "body": each.body,
        "help": each.help,
        "fix": _fix(each.fix, sources) if each.fix else None,
    }
    return shape | {"url": f"{docs}{each.code}"} if docs else shape


def _label(label: Label, sources: Mapping[str, SourceFile], *, primary: bool) -> dict[str, Any]:
    place = _range(label.span, sources)
    return {"file": label.span.path, "range": place, "text": label.text, "primary": primary}


def _fix(fix: Fix, sources: Mapping[str, SourceFile]) -> dict[str, Any]:
    edits = [{"file": e.span.path, "range": _range(e.span, sources), "text": e.text} for e in fix.edits]
    return {"title": fix.title, "applicability": fix.applicability.value, "edits": edits}


def _range(span: Span, sources: Mapping[str, SourceFile]) -> dict[str, Any] | None:
    source = sources.get(span.path)
    if source is None:
        return None
    start, end = clamp(span, len(source.text))
    return {"start": _position(source, start), "end": _position(source, end)}


def _position(source: SourceFile, offset: int) -> dict[str, int]:
    position = source.position(offset)
    return {"line": position.line, "column": position.column, "offset": offset}
