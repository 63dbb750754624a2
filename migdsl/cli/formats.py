"""Diagnostics become text for programs: JSON, SARIF, or GitHub's workflow commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from migdsl import __version__
from migdsl.diagnostics import Diagnostic
from migdsl.source import SourceFile


def for_programs(format_: str, problems: Iterable[Diagnostic], sources: Mapping[str, SourceFile]) -> str:
    """The text in one of the formats other than `text`."""
    if format_ == "sarif":
        from migdsl.diagnostics.render_sarif import render_sarif  # brings the whole catalog

        return render_sarif(problems, sources, version=__version__)
    if format_ == "github":
        from migdsl.diagnostics.render_github import render_github  # each run needs one of these

        return render_github(problems, sources)
    from migdsl.diagnostics.render_json import render_json  # as above

    return render_json(problems, sources)
