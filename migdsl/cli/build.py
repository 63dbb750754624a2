"""Inputs become compilations, those become changes, and the changes become files, or a report of what they would be."""

from __future__ import annotations

import os
import posixpath
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from migdsl import __version__
from migdsl.cli import again, output
from migdsl.cli.arguments import Options
from migdsl.cli.chain import Written, broken_chains
from migdsl.cli.changes import REVISION, Change, Comparison, collisions, compare
from migdsl.cli.drift import drift
from migdsl.cli.driver import complain, failed, load, unique
from migdsl.cli.fresh import Record, options_key, remember
from migdsl.cli.inputs import Input, digest, relative_name
from migdsl.cli.manifest import Manifest
from migdsl.cli.problems import refusals, unwritable
from migdsl.cli.writer import NotUndone, write
from migdsl.diagnostics import Diagnostic
from migdsl.source import SourceFile
from migdsl.workspace import Compilation, compile_files, overlaps

_DRIFT = ("new", "changed", "removed")
_CERTAIN = ("outside", "source", "twice")  # wrong whatever is on disk, so `--check` refuses too


@dataclass(frozen=True, slots=True)
class Work:
    """One main file on its way: what it compiled to, the digests of all its sources, and how it compares with the disk."""

    main: Input
    compiled: Compilation
    digests: Mapping[str, str]
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a compile went: its exit code, all diagnostics, and the work where it got so far."""

    code: int
    diagnostics: tuple[Diagnostic, ...]
    sources: dict[str, SourceFile] = field(default_factory=dict)
    works: tuple[Work, ...] = ()
    written: bool = False
    finished: tuple[tuple[str, str], ...] = ()  # files that are history, with the date
    shared: tuple[str, ...] = ()  # files that only declare


def build(options: Options, inputs: Sequence[Input]) -> int:
    """Compile all inputs and write all their files, or none; the exit code."""
    outcome = _outcome(options, inputs)
    if options.format == "json":
        from migdsl.cli.report_json import render_outcome  # for programs only

        output.say(render_outcome(outcome))
        return outcome.code
    if options.format != "text":
        from migdsl.cli.formats import for_programs  # and not for people

        output.say(for_programs(options.format, outcome.diagnostics, outcome.sources))
        return outcome.code
    if options.check and outcome.code == 2:
        from migdsl.cli.diff import render_diff  # difflib: for drift only

        changes = [change for work in outcome.works for change in work.comparison.changes if change.state in _DRIFT]
        output.say(render_diff(changes, colour=output.is_coloured(sys.stdout)))
    complain(outcome.diagnostics, outcome.sources)
    if outcome.code == 0:
        from migdsl.cli.report import render_summary  # for people, where all went well

        output.say(render_summary(outcome, options, colour=output.is_coloured(sys.stdout)))
        notes = (f"{output.shown(name)}: finished {date}; nothing to compile\n" for name, date in outcome.finished)
        output.say("".join(notes))
        output.say("".join(f"{output.shown(name)}: migrates nothing; nothing to compile\n" for name in outcome.shared))
    return outcome.code


def _outcome(options: Options, inputs: Sequence[Input]) -> Outcome:
    loaded = load(inputs, options.root, options.attached)
    mains = [each for each in inputs if each.name in loaded.files]
    compiled = [_compiled(options, loaded.files, each.name) for each in mains]
    sources = {path: source for each in compiled for path, source in each.sources.items()}
    problems = [*loaded.problems, *(problem for each in compiled for problem in each.diagnostics)]
    found = unique([*problems, *overlaps(compiled)])
    if failed(found, strict=options.strict):
        return Outcome(1, found, sources)
    try:
        works = _compare(options, loaded.inputs, zip(mains, compiled, strict=True))
    except OSError as error:
        return Outcome(1, unique([*found, unwritable(error, options.out)]), sources)
    conflicts = [conflict for work in works for conflict in work.comparison.conflicts]
    conflicts += collisions(work.comparison for work in works)
    if options.check:
        conflicts = [conflict for conflict in conflicts if conflict.reason in _CERTAIN]
    if options.taken_back:
        conflicts = [conflict for conflict in conflicts if conflict.reason != "released"]
    refused = [*refusals(options.out, conflicts, force=options.force), *_broken_chains(options.out, works)]
    changing = _rewritten(options, works)
    if refused or failed(changing, strict=options.strict):
        return Outcome(1, unique([*found, *refused, *changing]), sources, works)
    found = unique([*found, *changing])
    finish = _drift if options.check else _write
    history = tuple((each.name, c.finished) for each, c in zip(mains, compiled, strict=True) if c.finished)
    shared = tuple(each.name for each, c in zip(mains, compiled, strict=True) if not (c.finished or c.migration))
    return replace(finish(options, Outcome(0, found, sources, works)), finished=history, shared=shared)


def _compiled(options: Options, files: Mapping[str, str], name: str) -> Compilation:
    """One file. With `--check` one that only declares is fine: what others use of it shows in their files."""
    found = compile_files(files, name, through=options.through)
    shared = found.module is not None and found.module.header is None
    if not (options.check and shared and [each.code for each in found.diagnostics] == ["MIG005"]):
        return found
    return replace(found, diagnostics=())


def _compare(
    options: Options, inputs: Mapping[str, Input], compiled: Iterable[tuple[Input, Compilation]]
) -> tuple[Work, ...]:
    protected = {os.path.realpath(each.path) for each in inputs.values()}
    works = []
    for main, each in compiled:
        if each.finished is not None or (options.check and each.migration is None):
            continue
        assert each.migration is not None, "a compilation without errors has a migration"
        digests = {name: inputs[name].digest for name in each.sources}
        fresh = _manifest(main, digests, options)
        own = protected | {os.path.realpath(path) for path in each.sources}
        works.append(Work(main, each, digests, compare(options.out, each.migration, each.artifacts, fresh, own)))
    return tuple(works)


def _rewritten(options: Options, works: Iterable[Work]) -> tuple[Diagnostic, ...]:
    """Released revisions that would do something else; `--check` shows them as drift, and `--force` is meant."""
    if options.force or options.check:
        return ()
    found: list[Diagnostic] = []
    for work in works:
        plan, module = work.compiled.plan, work.compiled.module
        if plan is not None and module is not None and any(map(_is_rewritten, work.comparison.changes)):
            from migdsl.cli.rewritten import rewritten  # for revisions that change only

            found += rewritten(options.out, work.comparison, plan, module, __version__)
    return tuple(found)


def _is_rewritten(change: Change) -> bool:
    return change.kind == REVISION and change.state == "changed"


def _broken_chains(out: str, works: Iterable[Work]) -> Iterator[Diagnostic]:
    found = []
    for work in works:
        texts = {a.path: a.text for a in work.compiled.artifacts if a.kind == "revision"}
        found.append(Written(work.compiled.sources[work.main.name], texts))
    return broken_chains(out, found)


def _manifest(main: Input, digests: Mapping[str, str], options: Options) -> Manifest:
    """Without files yet, and with no name that depends on where the project stands."""
    folder = posixpath.dirname(main.name) or "."
    names = {posixpath.relpath(path, folder): found for path, found in digests.items()}
    said = {kind: posixpath.relpath(relative_name(path), folder) for kind, path in options.attached.items()}
    return Manifest(posixpath.basename(main.name), names, {"through": options.through, **said}, __version__)


def _drift(options: Options, outcome: Outcome) -> Outcome:
    comparisons = [work.comparison for work in outcome.works]
    changes = [change for each in comparisons for change in each.changes if change.state in _DRIFT]
    if not changes:
        return outcome
    command = f"migdsl compile {' '.join(again.file(w.main.name) for w in outcome.works)}{again.compiled(options)}"
    problem = drift(options.out, comparisons, changes, command)
    return Outcome(2, unique([*outcome.diagnostics, problem]), outcome.sources, outcome.works)


def _write(options: Options, outcome: Outcome) -> Outcome:
    """All or nothing, over all files of all migrations."""
    try:
        write(options.out, [change for work in outcome.works for change in work.comparison.changes])
    except OSError as error:
        left = error.left if isinstance(error, NotUndone) else ()
        problem = unwritable(error, options.out, left)
        return Outcome(1, unique([*outcome.diagnostics, problem]), outcome.sources, outcome.works)
    for work in outcome.works:
        remember(options.out, work.main, _record(options, work))
    return Outcome(0, outcome.diagnostics, outcome.sources, outcome.works, written=True)


def _record(options: Options, work: Work) -> Record:
    changes = work.comparison.changes
    files = {each.path: digest(each.after) for each in changes if each.after is not None}
    sources = {os.path.abspath(name): found for name, found in work.digests.items()}
    warnings = len(work.compiled.diagnostics)
    return Record(work.comparison.migration, options_key(options), warnings, sources, files)
