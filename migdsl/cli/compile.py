"""`migdsl compile`: files become an answer at once where nothing is to do, else work for the whole compiler."""

from __future__ import annotations

import os

from migdsl.cli import again, output
from migdsl.cli.fresh import up_to_date
from migdsl.cli.inputs import read_inputs

TYPE_CHECKING = False  # see migdsl/cli/__init__.py
if TYPE_CHECKING:
    from migdsl.cli.arguments import Options
    from migdsl.cli.fresh import Record
    from migdsl.cli.inputs import Input


def compile_command(options: Options) -> int:
    """Compile, or compare with `--check`; the exit code."""
    inputs = read_inputs(options.words)
    # Programs get every diagnostic each time, and the record only counts them.
    done = up_to_date(options, inputs) if options.format == "text" else None
    if done is not None and not (options.strict and any(record.warnings for record in done)):
        output.say("".join(_line(each, record, options) for each, record in zip(inputs, done, strict=True)))
        return 0
    # Pydantic would look through every installed distribution for plugins, which is a tenth of a first compile.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from migdsl.cli.build import build  # the whole compiler: only where there is something to do

    return build(options, inputs)


def _line(main: Input, record: Record, options: Options) -> str:
    files = output.plural(len(record.files) - 1, "file")  # the manifest is not one of the artifacts
    where = "" if options.out == "." else f" in {output.shown(options.out)}"
    said = f"{output.shown(record.migration)}: up to date ({files}{where})"
    if record.warnings:
        said += f"; {output.plural(record.warnings, 'warning')}: migdsl check {again.file(main.name)}{again.checked(options)}"
    return f"{said}\n"
