"""`migdsl finish`: a migration that is done becomes the shared entities as they are now, and a file that is history."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.cli.changes import Change
from migdsl.cli.diff import render_diff
from migdsl.cli.driver import Loaded, complain, failed, load
from migdsl.cli.files import DiskFiles
from migdsl.cli.inputs import Input, read_inputs, relative_name
from migdsl.cli.problems import unwritable
from migdsl.cli.writer import NotUndone, write
from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.folding import Finishing, Unfoldable, finish, stages_left
from migdsl.formatting import format_source
from migdsl.source import SourceFile, Span
from migdsl.syntax import parse
from migdsl.syntax.unit import Files, is_date, unit
from migdsl.workspace import Compilation, check

_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class _Refusal(Exception):  # noqa: N818 - it says what becomes of the command
    """Why nothing is written, with the texts that the diagnostics speak of."""

    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, SourceFile]


def finish_command(options: Options) -> int:
    """Fold the migration and write its files, or show with `--diff` what would be written; the exit code."""
    if options.date is not None and not is_date(options.date):
        output.complain(f"migdsl: {output.shown(options.date)!r} is no date; for example --date 2027-02-01\n")
        return 2
    (main,) = read_inputs(options.words)
    try:
        loaded, compiled = _checked(main, options)
        if compiled.finished is not None:
            output.say(f"{output.shown(main.name)}: finished {compiled.finished} already\n")
            return 0
        changes = _changes(loaded, compiled, main, options)
    except _Refusal as refusal:
        complain(refusal.diagnostics, refusal.sources)
        return 1
    if options.diff:
        output.say(render_diff(changes, colour=output.is_coloured(sys.stdout)))
        return 0
    return _write(changes, main)


def _checked(main: Input, options: Options) -> tuple[Loaded, Compilation]:
    """The migration, without errors, and with nobody behind `complete`."""
    also = [] if options.into is None or not os.path.lexists(options.into) else [Input(options.into)]
    loaded = load([main, *also], options.root)
    if loaded.problems:
        raise _Refusal(loaded.problems, {})
    compiled = check(loaded.files, main.name)
    if failed(compiled.diagnostics, strict=False):
        raise _Refusal(compiled.diagnostics, compiled.sources)
    if also and (broken := _broken(loaded, also[0])):
        raise _Refusal(*broken)
    if compiled.finished is None and (problem := _early(compiled, main, force=options.force)) is not None:
        raise _Refusal((problem,), compiled.sources)
    return loaded, compiled


def _broken(loaded: Loaded, into: Input) -> tuple[tuple[Diagnostic, ...], Mapping[str, SourceFile]] | None:
    """What can't be read of the file that the entities go to: nothing is put behind that. An empty one is as good as new."""
    source = SourceFile(into.name, loaded.files[into.name])
    found = tuple(d for d in parse(source).diagnostics if d.severity is Severity.ERROR and d.code != "MIG005")
    return (found, {into.name: source}) if found else None


def _early(compiled: Compilation, main: Input, *, force: bool) -> Diagnostic | None:
    module = compiled.module
    if module is None or module.header is None:
        label = Label(Span(main.name, 0, 0), "nothing here has an end")
        return Diagnostic("MIG720", Severity.ERROR, "there is no migration in this file to finish", label)
    stage = stages_left(module)
    if stage is None or force:
        return None
    place = next((line.span for line in module.stages if line.stage == stage and line.span), module.header.span)
    title = f"`{module.header.name}` is not finished: its flag is not `complete` for all"
    help_ = "stage complete for all; if contract has run everywhere all the same: --force"
    return Diagnostic("MIG720", Severity.ERROR, title, Label(place, f"some are {stage}"), help=help_)


def _changes(loaded: Loaded, compiled: Compilation, main: Input, options: Options) -> list[Change]:
    """All files that change, as they will be. Raises _Refusal."""
    assert isinstance(loaded.files, DiskFiles)
    assert compiled.module is not None
    into = relative_name(options.into) if options.into is not None else None
    if into == main.name:
        label = Label(Span(main.name, 0, 0), "is the migration itself")
        problem = Diagnostic(
            "MIG720", Severity.ERROR, "the entities have to go to another file", label, help="--into schema.mig"
        )
        raise _Refusal((problem,), compiled.sources)
    # What is finished today, nobody but the clock can say; whoever wants the same bytes again says --date.
    day = options.date or date.today().isoformat()  # noqa: DTZ011
    target = unit(loaded.files, into) if into is not None and into in loaded.files else None
    what = Finishing(unit(loaded.files, main.name), compiled.module, day, target, into, options.force)
    sources = dict(compiled.sources) | (dict(target.sources) if target else {})
    try:
        texts = {name: _laid_out(name, sources, text) for name, text in finish(what).items()}
    except Unfoldable as error:
        code = "MIG720" if "--into" in error.help else "MIG721"
        label = Label(error.span, error.label)
        raise _Refusal((Diagnostic(code, Severity.ERROR, error.title, label, help=error.help),), sources) from error
    _proven(sources, texts)
    return [_change(loaded.inputs, name, text) for name, text in sorted(texts.items())]


def _laid_out(name: str, before: Mapping[str, SourceFile], text: str) -> str:
    """In the layout of `migdsl fmt`, where the file had it; a file that its people lay out stays as they do."""
    known = before.get(name)
    if known is not None and format_source(known).text != known.text:
        return text
    return format_source(SourceFile(name, text)).text


def _proven(sources: Mapping[str, SourceFile], texts: Mapping[str, str]) -> None:
    """What is about to be written says no more errors than what is there; raises _Refusal."""
    before = Files({name: source.text for name, source in sources.items()})
    after = Files({name: source.text for name, source in sources.items()} | dict(texts))
    for name in sorted(texts):
        known = {(d.code, d.title) for d in check(before, name).diagnostics} if name in before else set()
        found = check(after, name)
        worse = [d for d in found.diagnostics if d.severity is Severity.ERROR and (d.code, d.title) not in known]
        if worse:
            body = "\n".join(f"  {d.code} {d.title}" for d in worse)
            title = f"{name} would have errors once the migration is folded into it"
            help_ = "change the entity by hand, and then say so in the migration's file: finished 2027-02-01"
            raise _Refusal((Diagnostic("MIG721", Severity.ERROR, title, None, body=body, help=help_),), found.sources)


def _change(inputs: Mapping[str, Input], name: str, text: str) -> Change:
    source = inputs.get(name)
    if source is None:
        return Change(name, os.path.abspath(name), "source", "new", None, text.encode("utf-8"))
    mark = _MARK if source.data.startswith(_MARK.encode("utf-8")) else ""
    # Behind a link stands the file: the link itself stays.
    return Change(name, os.path.realpath(source.path), "source", "changed", source.data, (mark + text).encode("utf-8"))


def _write(changes: list[Change], main: Input) -> int:
    try:
        for each in changes:
            if each.before is not None and not os.access(each.target, os.W_OK):
                raise PermissionError(13, "permission denied", each.path)
        write(".", changes)
    except OSError as error:
        complain((unwritable(error, ".", error.left if isinstance(error, NotUndone) else ()),), {})
        return 1
    output.say("".join(_lines(changes, main)))
    return 0


def _lines(changes: list[Change], main: Input) -> Iterator[str]:
    for each in sorted(changes, key=lambda each: each.path != main.name):
        what = "is history now; its files stay" if each.path == main.name else "shows the tables as they are now"
        yield f"{output.shown(each.path)}: {what}\n"
    others = [output.shown(each.path) for each in changes if each.path != main.name]
    if others:
        yield f"next: compile what else uses {', '.join(others)}, and commit\n"
