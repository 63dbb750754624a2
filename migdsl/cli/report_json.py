"""How a compile went becomes one JSON object for programs."""

from __future__ import annotations

import json

from migdsl.cli.build import Outcome, Work
from migdsl.cli.changes import MANIFEST
from migdsl.cli.report import later_files
from migdsl.diagnostics.render_json import render_json


def render_outcome(outcome: Outcome) -> str:
    """`diagnostics` (as of `check`), `files` with what becomes of each, `later`, `ok`, whether it was all `written`.

    A file's `state`: new, changed, unchanged, removed (no longer produced), kept (so too, but edited by a person).
    """
    shape = {
        "ok": outcome.code == 0,
        "written": outcome.written,
        "diagnostics": json.loads(render_json(outcome.diagnostics, outcome.sources)),
        "files": [each for work in outcome.works for each in _files(work)],
        "later": [each for work in outcome.works for each in _later(work)],
    }
    return json.dumps(shape, indent=2, sort_keys=True) + "\n"


def _files(work: Work) -> list[dict[str, str]]:
    name = work.comparison.migration
    changes = (change for change in work.comparison.changes if change.kind != MANIFEST)
    return [{"migration": name, "path": each.path, "kind": each.kind, "state": each.state} for each in changes]


def _later(work: Work) -> list[dict[str, str]]:
    if work.compiled.plan is None:
        return []
    name, later = work.comparison.migration, later_files(work.compiled.plan)
    return [{"migration": name, "phase": phase, "path": path} for phase, paths in later.items() for path in paths]
