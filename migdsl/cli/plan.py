"""`migdsl plan`: a file becomes what would happen, phase by phase, as text for people or canonical JSON."""

from __future__ import annotations

import sys

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.cli.driver import complain, failed, load, unique
from migdsl.cli.inputs import read_inputs


def plan_command(options: Options) -> int:
    """Show the plan; 1 where the file has errors. Nothing is written."""
    (main,) = read_inputs(options.words)
    loaded = load([main])
    if loaded.problems:
        complain(loaded.problems, {})
        return 1
    from migdsl.workspace import compile_files  # the whole compiler, which a wrong path doesn't need

    compiled = compile_files(loaded.files, main.name, through=options.through)
    problems = unique(compiled.diagnostics)
    complain(problems, compiled.sources)
    if failed(problems, strict=False) or compiled.plan is None:
        return 1
    if options.json:
        from migdsl.plan.base import canonical  # pydantic is there already: the plan is made of it

        output.say(canonical(compiled.plan))
    else:
        from migdsl.cli.plan_text import render_plan  # for people only

        colour, width = output.is_coloured(sys.stdout), output.width_of(sys.stdout)
        output.say(render_plan(compiled.plan, colour=colour, width=width))
    return 0
