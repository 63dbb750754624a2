"""`migdsl check`: files become all that is wrong with them, and nothing is written."""

from __future__ import annotations

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.cli.driver import complain, count, failed, load, unique
from migdsl.cli.inputs import read_inputs
from migdsl.source import SourceFile


def check_command(options: Options) -> int:
    """Check every file; 1 where there is an error, or with `--strict` a warning."""
    inputs = read_inputs(options.words)
    loaded = load(inputs, options.root)
    diagnostics, sources = list(loaded.problems), dict[str, SourceFile]()
    if loaded.files:
        from migdsl.workspace import (
            check,
            overlaps,
        )  # the grammar costs a good part of the budget, and a wrong path needs none

        checked = [check(loaded.files, name) for name in loaded.files]
        for found in checked:
            diagnostics += found.diagnostics
            sources |= found.sources
        diagnostics += overlaps(checked)
    problems = unique(diagnostics)
    if options.format == "json":
        from migdsl.diagnostics.render_json import render_json  # for programs only

        output.say(render_json(problems, sources))
    elif problems:
        complain(problems, sources)
    else:
        output.say(f"{', '.join(output.shown(each.name) for each in inputs)}: {count(problems)}\n")
    return 1 if failed(problems, strict=options.strict) else 0
