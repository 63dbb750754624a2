"""`migdsl report PLAN --html FILE`: a plan and the files beside it become one page that one opens, prints and keeps."""

from __future__ import annotations

import os

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.cli.driver import complain
from migdsl.cli.help import USAGE
from migdsl.cli.inputs import Input
from migdsl.cli.problems import unwritable
from migdsl.cli.reading import text_of
from migdsl.diagnostics import Diagnostic, Severity

TYPE_CHECKING = False  # see migdsl/cli/__init__.py
if TYPE_CHECKING:
    from collections.abc import Sequence

    from migdsl.plan import DataMigrationPlan

STDOUT = "-"
_HEAD = 2048  # bytes: where a page says who made it


def report_command(options: Options) -> int:
    """1 where there is no plan to read or the page can't be written, 2 where nobody says where it goes."""
    if options.html is None:
        output.complain(f"migdsl: report needs a file to write: {USAGE['report']}\n")
        return 2
    plan = _plan(Input(options.words[0]))
    if isinstance(plan, Diagnostic):
        return _failed(plan)
    if options.html != STDOUT and _foreign(options.html) and not (options.force and os.path.isfile(options.html)):
        return _failed(_in_the_way(options.html))
    page = _page(plan, options.words[0])
    if options.html == STDOUT:
        output.say(page)
        return 0
    try:
        _write(options.html, page)
    except OSError as error:
        return _failed(unwritable(error, options.html))
    output.say(f"{output.shown(options.html)}: written\n")
    return 0


def _plan(source: Input) -> DataMigrationPlan | Diagnostic:
    """The plan of a file, MIG004 where there is no text, MIG710 where that is no plan."""
    text = text_of(source)
    if isinstance(text, Diagnostic):
        return text
    from pydantic import ValidationError  # a wrong path needs neither

    from migdsl.plan import DataMigrationPlan

    if source.name.endswith(".mig"):
        return _no_plan(source.name, "It is the source: what it becomes is written by a compile.")
    try:
        return DataMigrationPlan.model_validate_json(text)
    except ValidationError as error:
        return _no_plan(source.name, _first(error.errors(include_url=False, include_input=False)))


def _first(found: Sequence[object]) -> str:
    """What pydantic says first, and where, without the value."""
    first = found[0]
    assert isinstance(first, dict)
    place = ".".join(map(str, first["loc"]))
    return output.shown(f"{place}: {first['msg']}" if place else str(first["msg"]))


def _no_plan(name: str, why: str) -> Diagnostic:
    title = f"`{output.shown(name)}` is no plan of this version"
    help_ = "migdsl compile FILE writes the plan, by default to plan/MIGRATION.plan.json"
    return Diagnostic("MIG710", Severity.ERROR, title, None, body=why, help=help_)


def _page(plan: DataMigrationPlan, path: str) -> str:
    from migdsl.report.files import root_of  # a wrong plan needs no templates
    from migdsl.report.plan_page import plan_page, wanted

    root = root_of(plan, os.path.abspath(path).replace(os.sep, "/"))
    files = {} if root is None else {name: _text(root, name) for name in wanted(plan)}
    return plan_page(plan, {name: text for name, text in files.items() if text is not None})


def _text(root: str, name: str) -> str | None:
    """A file's text; None where there is none, or where a link leads out of the folder: a plan may come from anybody."""
    path = os.path.join(root, *name.split("/"))
    if os.path.commonpath([os.path.realpath(root), os.path.realpath(path)]) != os.path.realpath(root):
        return None
    text = text_of(Input(path))
    return text if isinstance(text, str) else None


def _foreign(path: str) -> bool:
    """Whether something is there that is no page of ours."""
    if not os.path.lexists(path):
        return False
    if not os.path.isfile(path):
        return True
    try:
        with open(path, "rb") as file:
            return b'<meta name="generator" content="migdsl ' not in file.read(_HEAD)
    except OSError:
        return True


def _in_the_way(path: str) -> Diagnostic:
    title = f"`{output.shown(path)}` is here, and is no page that migdsl wrote"
    help_ = "write into another file, or overwrite it with `--force`"
    return Diagnostic("MIG702", Severity.ERROR, title, None, body="Nothing was written.", help=help_)


def _write(path: str, text: str) -> None:
    from migdsl.cli.changes import Change  # what is printed needs no writer
    from migdsl.cli.writer import write

    target = os.path.realpath(path)
    before = None
    if os.path.lexists(target):
        with open(target, "rb") as file:
            before = file.read()
    change = Change(path, target, "source", "new" if before is None else "changed", before, text.encode())
    write(os.path.dirname(target), [change])


def _failed(problem: Diagnostic) -> int:
    complain([problem], {})
    return 1
