"""A source file and its compiled files become a project that the executor can walk, and what stops it diagnostics."""

from __future__ import annotations

from collections.abc import Callable

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.cli.changes import MANIFEST, compare
from migdsl.cli.driver import complain, failed, load, unique
from migdsl.cli.inputs import Input, read_inputs
from migdsl.cli.manifest import Manifest
from migdsl.cli.problems import drifted, unwritable
from migdsl.diagnostics import Diagnostic, Severity
from migdsl.executor.model import WAITING, Project, Refused
from migdsl.planning.build import build
from migdsl.runtime.errors import JobError, StoppedError
from migdsl.runtime.stop import Signals
from migdsl.workspace import Compilation, compile_files, source_digest

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
    loaded = load([main], options.root, options.beside)
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
    return Project(planned, output.shown(main.name), options.out, {a.path: a.text for a in compiled.artifacts})


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
        through = f" --through {options.through}" if options.through else ""
        out = "" if options.out == "." else f" --out {options.out}"
        paths = [f"{c.path} ({'missing' if c.state == 'new' else c.state})" for c in changed]
        command = f"migdsl compile {main.name}{out}{through}; review and commit what it writes"
        raise Problem((drifted(options.out, paths, command),), 2, compiled)


def url_of(options: Options, found: Project) -> str:
    """The database's URL: what --url says, else what the variable holds that the file names. Raises Problem."""
    from migdsl.introspect.connect import UnreadableError, address  # the driver is an optional extra

    module = found.planned.module
    used = [module.database(plan.table.database) for plan in found.planned.lowered.tables]
    try:
        return address(options.url or f"env:{used[0].url_env}").url
    except UnreadableError as error:
        raise Problem((unreadable(error.why, error.help),), FAILED) from None


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
