"""A source file and its compiled files become a project that the executor can walk, and what stops it diagnostics."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from migdsl.cli import again, output
from migdsl.cli.arguments import Options
from migdsl.cli.changes import MANIFEST, compare
from migdsl.cli.drift import drift
from migdsl.cli.driver import complain, failed, load, unique
from migdsl.cli.inputs import Input, read_inputs
from migdsl.cli.manifest import Manifest
from migdsl.cli.problems import unwritable
from migdsl.diagnostics import Diagnostic, Severity
from migdsl.executor.model import WAITING, Project, Refused
from migdsl.planning.build import build
from migdsl.planning.paths import section
from migdsl.runtime.errors import JobError, StoppedError
from migdsl.runtime.stop import Signals
from migdsl.workspace import Compilation, compile_files, source_digest

TYPE_CHECKING = False  # what needs the driver is imported where it is known to be there
if TYPE_CHECKING:
    from migdsl.executor.sites import Sites

_DRIFT = ("new", "changed", "removed")
FAILED = 3  # the exit code where a database fails


class Problem(Exception):  # noqa: N818 - it says what became of the command
    """Diagnostics that end the command, and its exit code."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...], code: int, compiled: Compilation | None = None) -> None:
        super().__init__()
        self.diagnostics = diagnostics
        self.exit = code
        self.sources = dict(compiled.sources) if compiled else {}


def project(options: Options, *, exact: bool) -> Project:
    """The migration of the file. `exact`: refuse where the files on disk aren't what it compiles to. Raises Problem."""
    (main,) = read_inputs(options.words)
    loaded = load([main], options.root, options.attached)
    if loaded.problems:
        raise Problem(loaded.problems, 1)
    compiled = compile_files(loaded.files, main.name, through=options.through)
    found = unique(compiled.diagnostics)
    if failed(found, strict=False):
        raise Problem(tuple(d for d in found if failed([d], strict=False)), 1, compiled)
    if compiled.finished is not None or compiled.module is None:
        raise Problem((Diagnostic("MIG740", Severity.ERROR, f"{main.name} is finished: it is history", None),), 2)
    if exact:
        _refuse_drift(options, main, compiled)
    planned = build(compiled.module, source_digest(compiled.sources), options.through)
    texts = {a.path: a.text for a in compiled.artifacts}
    return Project(planned, output.shown(main.name), options.out, texts, again.connected(options))


def _refuse_drift(options: Options, main: Input, compiled: Compilation) -> None:
    """What runs is what was reviewed."""
    assert compiled.migration is not None
    fresh = Manifest(main.name, {}, {}, "")
    try:
        comparison = compare(options.out, compiled.migration, compiled.artifacts, fresh, ())
    except OSError as error:
        raise Problem((unwritable(error, options.out),), 1, compiled) from None
    changed = [c for c in comparison.changes if c.kind != MANIFEST and c.state in _DRIFT]
    if changed:
        command = f"migdsl compile {again.file(main.name)}{again.compiled(options)}"
        raise Problem(
            (drift(options.out, [comparison], changed, command, "review and commit what it writes"),), 2, compiled
        )


def sites_of(options: Options, found: Project, signals: Signals) -> Sites:
    """The databases that it changes, not connected yet. Raises Problem, and Refused where none takes part."""
    from migdsl.executor.sites import Sites  # the driver is an optional extra

    names = found.planned.lowered.databases
    if not names:
        help_ = f"{found.planned.paths.runbook} says what people do"
        raise Refused("MIG740", f"{found.name} changes no database: there is none to look at", help_, 2)
    files = {name: (file, "alembic") for name, file in _named(options.alembic_configs, names).items() if name}
    for file in (file for name, file in _named(options.alembic_configs, names).items() if not name):
        # One file for all of them has a section for each.
        files |= {n: (file, section(n) if len(names) > 1 else "alembic") for n in names if n not in files}
    return Sites.of(found, _urls(options, found, names), files, signals)


def _urls(options: Options, found: Project, names: tuple[str, ...]) -> Mapping[str, str]:
    """Each database's URL: what --url says, else what the variable holds that the file names."""
    from migdsl.introspect.connect import UnreadableError, address  # the driver is an optional extra

    module = found.planned.module
    listed = [module.listed_in(p.table) for p in found.planned.lowered.tables if p.table.owned]
    others = tuple(dict.fromkeys(d.name for d in listed if d is not None and d.name not in names))
    given = _named(options.urls, (*names, *others))
    if "" in given and len(names) > 1:
        help_ = f"say it: --url {names[0]}=URL (there is: {', '.join(names)})"
        raise Refused(
            "MIG740", f"{found.name} changes several databases, and --url doesn't say which this is", help_, 2
        )
    try:
        urls = {n: address(given.get(n) or given.get("") or f"env:{module.database(n).url_env}").url for n in names}
        # The jobs that need it say so where nothing has it.
        wanted = {n: given.get(n) or os.environ.get(module.database(n).url_env) for n in others}
        return urls | {name: address(url).url for name, url in wanted.items() if url}
    except UnreadableError as error:
        raise Problem((unreadable(error.why, error.help),), FAILED) from None


def _named(values: tuple[str, ...], names: tuple[str, ...]) -> Mapping[str, str]:
    """Database → what `NAME=VALUE` says of it; what names none of these stands under no name."""
    found: dict[str, str] = {}
    for value in values:
        name, equals, rest = value.partition("=")
        key, said = (name, rest) if equals and name in names else ("", value)
        if key in found:
            # What names no database may be a URL, with its password.
            raise Refused("MIG740", f"{output.shown(key) if key else 'what names no database'} is said twice", "", 2)
        found[key] = said
    return found


def unreadable(why: str, help_: str = "") -> Diagnostic:
    """MIG730."""
    return Diagnostic("MIG730", Severity.ERROR, f"the database can't be read: {why}", None, help=help_)


def guarded(run: Callable[[Signals], int]) -> int:
    """The exit code of what runs, and a diagnostic for whatever it raises."""
    try:
        import psycopg  # an optional extra

        from migdsl.executor.chain import Failed  # Alembic is one too
        from migdsl.runtime.database import speak
    except ModuleNotFoundError as error:
        return _missing(error)
    with Signals() as signals:
        try:
            return run(signals)
        except StoppedError:
            output.complain("stopped: nothing is half done; run the same command again\n")
            return signals.exit_code or WAITING
        except Problem as found:
            problem = found
        except Refused as refused:
            why = Diagnostic(refused.code, Severity.ERROR, refused.why, None, help=refused.help)
            problem = Problem((why,), refused.exit)
        except Failed as failure:
            problem = Problem((Diagnostic("MIG742", Severity.ERROR, failure.why, None, help=_AGAIN),), FAILED)
        except JobError as error:
            problem = Problem((unreadable(str(error)),), error.code)
        except psycopg.Error as error:
            problem = Problem((unreadable(str(speak(error))),), FAILED)
    complain(problem.diagnostics, problem.sources)
    return problem.exit


_AGAIN = "mend the cause, then run the same command again: what is done stays done"


def _missing(error: ModuleNotFoundError) -> int:
    name = (error.name or "").split(".")[0]
    if name not in ("psycopg", "alembic", "sqlalchemy"):
        raise error
    title = f"{name} is not installed here"
    complain((Diagnostic("MIG740", Severity.ERROR, title, None, help="pip install 'migdsl[apply]'"),), {})
    return FAILED
