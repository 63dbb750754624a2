"""`migdsl plan`: a file becomes what would happen, phase by phase, as text for people or canonical JSON."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.cli.driver import complain, failed, load, unique
from migdsl.cli.inputs import read_inputs

if TYPE_CHECKING:
    from migdsl.plan import DataMigrationPlan


def plan_command(options: Options) -> int:
    """Show the plan; 1 where the file has errors. Nothing is written."""
    (main,) = read_inputs(options.words)
    loaded = load([main], options.root, options.attached)
    if loaded.problems:
        complain(loaded.problems, {})
        return 1
    from migdsl.workspace import compile_files  # the whole compiler, which a wrong path doesn't need

    compiled = compile_files(loaded.files, main.name, through=options.through)
    problems = unique(compiled.diagnostics)
    complain(problems, compiled.sources)
    if compiled.finished is not None and not failed(problems, strict=False):
        output.say(f"{output.shown(main.name)}: finished {compiled.finished}; nothing will happen\n")
        return 0
    if failed(problems, strict=False) or compiled.plan is None:
        return 1
    if options.json:
        from migdsl.plan.base import canonical  # pydantic is there already: the plan is made of it

        output.say(canonical(compiled.plan))
    else:
        output.say(_shown(compiled.plan))
    return 0


def _shown(plan: DataMigrationPlan) -> str:
    """For people: laid out by rich on a terminal, where it is installed; else plain text, the same everywhere."""
    colour, width = output.is_coloured(sys.stdout), output.width_of(sys.stdout)
    if output.is_terminal(sys.stdout) and find_spec("rich") is not None:
        from migdsl.cli import plan_rich  # an optional extra

        return plan_rich.render_plan(plan, colour=colour, width=width)
    from migdsl.cli.plan_text import render_plan  # for people only

    return render_plan(plan, colour=colour, width=width)
