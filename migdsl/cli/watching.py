"""`migdsl status`: how far a database is, once or again and again, for people or for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.cli.projects import guarded, project, sites_of
from migdsl.executor.model import Project, Wishes

TYPE_CHECKING = False  # what needs the driver is imported where it is known to be there
if TYPE_CHECKING:
    from migdsl.executor.sites import Sites
    from migdsl.executor.status import Status
    from migdsl.runtime.stop import Signals

_EVERY_S = 2.0
_HOME = "\x1b[H\x1b[2J"


def status_command(options: Options) -> int:
    """0 the next step can be taken, 1 something is wrong, 2 usage, 3 a database failed, 4 waiting."""
    return guarded(lambda signals: _status(options, signals))


def _status(options: Options, signals: Signals) -> int:
    found = project(options, exact=False)
    if not found.planned.lowered.databases:
        return _bare(options, found)
    sites = sites_of(options, found, signals)
    try:
        sites.open()
        sites.proven()
        return _watched(options, sites, signals)
    finally:
        sites.close()


def _bare(options: Options, found: Project) -> int:
    """Once: no database is looked at, and a file doesn't move by itself."""
    from migdsl.cli import bare  # few migrations have no database

    report = bare.report(found)
    output.say(json.dumps(report, indent=2, sort_keys=True) + "\n" if options.json else _shown(report))
    return bare.code(report)


def _watched(options: Options, sites: Sites, signals: Signals) -> int:
    from migdsl.executor.status import status  # see above

    shown = ""
    while True:
        now = status(sites, Wishes(prometheus=options.prometheus))
        text = _text(options, now)
        if text != shown:
            clear = _HOME if options.watch and not options.json and output.is_terminal(sys.stdout) else ""
            output.say(clear + text)
            output.flush()
            shown = text
        if not options.watch:
            return now.exit
        signals.sleep(_EVERY_S)
        if signals.requested:
            return now.exit


def _text(options: Options, now: Status) -> str:
    if options.json:
        # One line a report where there are several.
        return json.dumps(now.report, indent=None if options.watch else 2, sort_keys=True) + "\n"
    return _shown(now.report)


def _shown(report: Mapping[str, Any]) -> str:
    """For people: laid out by rich on a terminal, where it is installed; else plain text, the same everywhere."""
    if output.is_terminal(sys.stdout) and find_spec("rich") is not None:
        from migdsl.cli import status_rich  # an optional extra

        return status_rich.render(report, colour=output.is_coloured(sys.stdout), width=output.width_of(sys.stdout))
    from migdsl.cli.status_view import render  # for people only

    return render(report)
