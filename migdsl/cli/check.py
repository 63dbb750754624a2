"""`migdsl check`: files become all that is wrong with them, and nothing is written unless fixes are asked for."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.cli.driver import Loaded, complain, count, failed, load, unique
from migdsl.cli.inputs import Input, read_inputs
from migdsl.diagnostics import Applicability, Diagnostic
from migdsl.source import SourceFile

TYPE_CHECKING = False  # see migdsl/cli/__init__.py
if TYPE_CHECKING:
    from migdsl.cli.changes import Change
    from migdsl.cli.fixing import Found
    from migdsl.syntax.unit import Files


def check_command(options: Options) -> int:
    """Check every file; 1 where there is an error, or with `--strict` a warning."""
    inputs = read_inputs(options.words)
    loaded = load(inputs, options.root, options.attached)
    if options.fix and options.against:
        output.complain("migdsl: --against goes with no fixes: what differs from a database, a person has to decide\n")
        return 2
    if options.fix and loaded.files:
        return _fix(options, inputs, loaded)
    found, sources = _look(loaded.files) if loaded.files else ((), {})
    if options.against and loaded.files:
        from migdsl.cli.against import differences  # the catalogue's reader, for those who ask

        found = (*found, *differences(options.against, loaded.files))
    return _report(options, inputs, (*loaded.problems, *found), sources)


def _look(files: Mapping[str, str]) -> tuple[tuple[Diagnostic, ...], Mapping[str, SourceFile]]:
    from migdsl.workspace import check, overlaps  # the grammar costs a good part of the budget; a wrong path needs none

    checked = [check(files, name) for name in files]
    sources = {path: source for each in checked for path, source in each.sources.items()}
    return unique([*(problem for each in checked for problem in each.diagnostics), *overlaps(checked)]), sources


def _report(
    options: Options, inputs: Sequence[Input], found: Sequence[Diagnostic], sources: Mapping[str, SourceFile]
) -> int:
    problems = unique(found)
    if options.format != "text":
        from migdsl.cli.formats import for_programs  # and not for people

        output.say(for_programs(options.format, problems, sources))
    elif problems:
        complain(problems, sources)
        output.complain(_hint(problems))
    else:
        output.say(f"{', '.join(output.shown(each.name) for each in inputs)}: {count(problems)}\n")
    if any(each.code == "MIG730" for each in problems):
        return 3
    return 1 if failed(problems, strict=options.strict) else 0


def _hint(problems: Sequence[Diagnostic]) -> str:
    """How many of the problems a fix is at hand for."""
    kinds = [each.fix.applicability for each in problems if each.fix is not None]
    safe, unsafe = kinds.count(Applicability.SAFE), kinds.count(Applicability.UNSAFE)
    hints = [f"{safe} can be mended with --fix"] if safe else []
    if unsafe:
        hints.append(f"{unsafe} more with --unsafe-fixes" if safe else f"{unsafe} can be mended with --unsafe-fixes")
    return f"{', '.join(hints)}\n" if hints else ""


def _fix(options: Options, inputs: Sequence[Input], loaded: Loaded) -> int:
    """Mend what can be mended, or show it; then say what is left."""
    from migdsl.cli.fixing import Found, changes, mend  # nobody else changes a source
    from migdsl.syntax.unit import Files  # the grammar is needed now

    def look(files: Files) -> Found:
        return Found(*_look(files))

    assert isinstance(loaded.files, Files)
    mended = mend(loaded.files, look, unsafe=options.unsafe_fixes)
    changed = changes(loaded.inputs, mended.texts)
    left = (*loaded.problems, *mended.left.problems)
    said = f"{output.plural(mended.count, 'problem')} ({_to_look_at(len(unique(left)))})\n"
    if options.diff:
        return _show(options, loaded, look(loaded.files), changed, f"would fix {said}")
    if not _write(changed):
        return 1
    if changed or left:
        output.complain(f"fixed {said}")
    return _report(options, inputs, left, mended.left.sources)


def _to_look_at(number: int) -> str:
    return "1 needs a look" if number == 1 else f"{number or 'none'} need a look"


def _show(options: Options, loaded: Loaded, now: Found, changed: Sequence[Change], said: str) -> int:
    """What the fixes would change; the exit code is that of the files as they are."""
    from migdsl.cli.diff import render_diff  # for people who ask

    output.say(render_diff(changed, colour=output.is_coloured(sys.stdout), becomes="fixed"))
    output.complain(said)
    return 1 if failed((*loaded.problems, *now.problems), strict=options.strict) else 0


def _write(changed: Sequence[Change]) -> bool:
    from migdsl.cli.fixing import put  # loaded by now, as what found the fixes
    from migdsl.cli.writer import NotUndone  # with what it belongs to

    try:
        put(changed)
    except OSError as error:
        left = error.left if isinstance(error, NotUndone) else ()
        what = f"these are not as they were: {', '.join(map(output.shown, left))}" if left else "nothing was written"
        why = (error.strerror or type(error).__name__).lower()
        output.complain(f"error: {what}: {output.shown(str(error.filename or '.'))}: {why}\n")
        return False
    return True
