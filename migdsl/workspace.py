"""The pure driver: paths and texts become a compilation. No disk, network or clock; CLI and editors stand on it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.diagnostics.fixes import settled
from migdsl.source import SourceFile, Span
from migdsl.syntax.parser import uncollected
from migdsl.syntax.unit import Files, unit

if TYPE_CHECKING:
    from migdsl.emit.artifact import Artifact
    from migdsl.plan.model import DataMigrationPlan
    from migdsl.semantics.model import CheckedModule


MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Compilation:
    """What came of a file: diagnostics in order, and, where none is an error, the plan and all artifacts.

    `sources` are the file and all that it uses. `finished` is the date of a migration that is history; such a file has no
    plan, and nothing is wrong with that. `module` is None where there was nothing to check.
    """

    sources: Mapping[str, SourceFile]
    diagnostics: tuple[Diagnostic, ...]
    plan: DataMigrationPlan | None
    artifacts: tuple[Artifact, ...]
    migration: str | None
    finished: str | None = None
    module: CheckedModule | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is an error."""
        return all(d.severity is not Severity.ERROR for d in self.diagnostics)


def check(files: Mapping[str, str], path: str) -> Compilation:
    """Check one file. A file without a migration is fine: entities may be declared to be shared."""
    found = _checked(files, path)
    module = found.module
    name = module.header.name if module is not None and module.header is not None else None
    return Compilation(found.sources, _ordered(found.problems, found.sources), None, (), name, found.finished, module)


def compile_files(files: Mapping[str, str], path: str, *, through: str | None = None) -> Compilation:
    """Compile one file. `through` names the last phase to release, instead of what the flag's stages permit."""
    found = _checked(files, path)
    module, problems = found.module, found.problems
    if module is not None and module.header is None and not _failed(problems):
        problems = (*problems, _no_migration(found.sources[path]))
    if module is None or module.header is None or _failed(problems):
        return Compilation(found.sources, _ordered(problems, found.sources), None, (), None, found.finished, module)
    # What follows takes most of the time to import, and is of no use to a file with errors.
    from migdsl.emit.run import emit
    from migdsl.planning.build import build

    planned = build(module, source_digest(found.sources), through)
    artifacts = emit(planned, _file_name(path))
    return Compilation(
        found.sources, _ordered(problems, found.sources), planned.plan, artifacts, module.header.name, None, module
    )


def overlaps(compilations: Iterable[Compilation]) -> tuple[Diagnostic, ...]:
    """What migrations that are open at the same time want of one and the same column, table or name."""
    sound = (each.module for each in compilations if each.ok)
    modules = [module for module in sound if module is not None and module.header is not None]
    if len(modules) < 2:
        return ()
    from migdsl.lint.open_migrations import overlapping  # one file alone has no use for it

    return tuple(sorted(overlapping(modules), key=Diagnostic.sort_key))


def source_digest(sources: Mapping[str, SourceFile]) -> str:
    """SHA-256 of the main file's text; where it uses others, of all texts in the order in which they are read."""
    texts = [source.text.encode() for source in sources.values()]
    if len(texts) == 1:
        return hashlib.sha256(texts[0]).hexdigest()
    return hashlib.sha256(b"".join(hashlib.sha256(text).digest() for text in texts)).hexdigest()


@dataclass(frozen=True, slots=True)
class _Checked:
    sources: Mapping[str, SourceFile]
    problems: tuple[Diagnostic, ...]
    module: CheckedModule | None = None
    finished: str | None = None


@uncollected()
def _checked(files: Mapping[str, str], path: str) -> _Checked:
    source = SourceFile(path, files[path])
    broken = _half_a_character(source)
    if broken is not None:
        return _Checked({path: source}, (broken,))
    if not _says_something(source.text):
        return _Checked({path: source}, (_empty(source),))
    whole = unit(files if isinstance(files, Files) else Files(files), path)
    halves = tuple(found for each in whole.sources.values() if (found := _half_a_character(each)) is not None)
    read = (*whole.parsed.diagnostics, *halves)
    if whole.finished is not None or halves or not whole.whole:
        return _Checked(whole.sources, read, None, whole.finished)
    # A file that can't be parsed at all never gets this far, so what checks it is imported late.
    from migdsl.lint import lint
    from migdsl.semantics import check as check_semantics

    module, problems = check_semantics(whole.parsed, whole.documents)
    problems = (*read, *problems)
    return _Checked(whole.sources, (*problems, *lint(module, _places(problems))), module)


def _places(found: tuple[Diagnostic, ...]) -> tuple[Span, ...]:
    """Where errors are: what a rule would say of these places is likely to be said of a misunderstanding."""
    return tuple(d.primary.span for d in found if d.severity is Severity.ERROR and d.primary is not None)


def _failed(found: tuple[Diagnostic, ...]) -> bool:
    return any(d.severity is Severity.ERROR for d in found)


def _ordered(found: tuple[Diagnostic, ...], sources: Mapping[str, SourceFile]) -> tuple[Diagnostic, ...]:
    """In the order of their places, errors never cut off by warnings; more than anybody reads are not shown."""
    ordered = sorted(dict.fromkeys(found), key=Diagnostic.sort_key)
    if len(ordered) <= MOST_SHOWN:
        return tuple(settled(each, sources) for each in ordered)
    errors = [d for d in ordered if d.severity is Severity.ERROR] or ordered
    title = f"{len(ordered)} problems in all: the first {MOST_SHOWN} are shown"
    more = Diagnostic("MIG010", Severity.WARNING, title, None, help="mend these and run it again")
    return (*(settled(each, sources) for each in errors[:MOST_SHOWN]), more)


def _says_something(text: str) -> bool:
    return any(line.split("#", 1)[0].strip() for line in text.splitlines())


def _half_a_character(source: SourceFile) -> Diagnostic | None:
    """A lone surrogate is no text: nothing could write it anywhere. (Files are decoded before; editors send what they have.)"""
    try:
        source.text.encode()
    except UnicodeEncodeError as error:
        label = Label(Span(source.path, error.start, error.end), "half a character")
        return Diagnostic("MIG004", Severity.ERROR, "this file can't be written as UTF-8", label)
    return None


def _empty(source: SourceFile) -> Diagnostic:
    label = Label(Span(source.path, 0, 0), "the file is empty" if not source.text.strip() else "only comments here")
    return Diagnostic("MIG005", Severity.ERROR, "there is nothing in this file", label, help=_SHORTEST)


def _no_migration(source: SourceFile) -> Diagnostic:
    label = Label(Span(source.path, 0, 0), "declares things, and migrates none")
    return Diagnostic("MIG005", Severity.ERROR, "there is no migration in this file", label, help=_SHORTEST)


_SHORTEST = 'begin with: migration users_email { ticket "MIG-77" }'


def _file_name(path: str) -> str:
    """Headers name the file and not its folder: the same bytes wherever it is compiled."""
    return path.replace("\\", "/").rsplit("/", 1)[-1]
