"""`migdsl rehearse`: a file is compiled, its files are played on a real PostgreSQL, and what came of it is told."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.cli.driver import complain, failed, load, unique
from migdsl.cli.inputs import read_inputs
from migdsl.cli.problems import unwritable
from migdsl.diagnostics import Diagnostic, Severity
from migdsl.planning.model import Planned
from migdsl.workspace import Compilation

_FAILED, _UNDOABLE, _USAGE = 1, 3, 2
_NUMBERS = {"rows": (1, 1_000_000), "tenants": (3, 1_000), "seed": (0, 2**31), "rate": (1, 5_000)}


def rehearse_command(options: Options) -> int:
    """0 all verdicts passed, 1 one failed or the file has errors, 2 usage, 3 no rehearsal could be held, 130 interrupted."""
    wrong = _misused(options)
    if wrong:
        output.complain(f"migdsl: {wrong}\n")
        return _USAGE
    (main,) = read_inputs(options.words)
    loaded = load([main], options.root)
    if loaded.problems:
        complain(loaded.problems, {})
        return _FAILED
    from migdsl.workspace import compile_files  # a wrong path doesn't need it

    compiled = compile_files(loaded.files, main.name, through="contract")
    found = unique(compiled.diagnostics)
    if failed(found, strict=False):
        complain(found, compiled.sources)
        return _FAILED
    if compiled.module is None or compiled.finished is not None:
        output.complain(f"migdsl: {output.shown(main.name)} is finished: it is history\n")
        return _USAGE
    return _guarded(options, compiled, main.name, main.path)


def _misused(options: Options) -> str:
    for name, (least, most) in _NUMBERS.items():
        said = options.rehearsal.get(f"--{name}")
        if said is not None and not (said.isdecimal() and said.isascii() and least <= int(said) <= most):
            return f"--{name} is a whole number from {least} to {most}, and not {output.shown(said)!r}"
    files, schema = options.rehearsal.get("--files"), options.rehearsal.get("--schema")
    if files is not None and not os.path.isdir(files):
        return f"there is no folder {output.shown(files)}"
    if schema is not None and not os.path.isfile(schema):
        return f"there is no file {output.shown(schema)}"
    return ""


def _guarded(options: Options, compiled: Compilation, main: str, path: str) -> int:
    try:
        import psycopg  # an optional extra

        from migdsl.rehearsal.model import Undoable  # needs it, and Alembic
    except ModuleNotFoundError as error:
        output.complain(
            f"error: {(error.name or '').split('.')[0]} is not installed here: pip install 'migdsl[rehearse]'\n"
        )
        return _UNDOABLE
    from migdsl.rehearsal.interrupted import Interrupted  # see above
    from migdsl.runtime.errors import JobError, safe_text

    try:
        with Interrupted():
            return _held(options, compiled, main, path)
    except Undoable as error:
        complain((Diagnostic("MIG740", Severity.ERROR, error.why, None, help=error.way_out),), {})
    except JobError as error:
        complain((Diagnostic("MIG740", Severity.ERROR, str(error), None),), {})
    except psycopg.Error as error:
        complain((Diagnostic("MIG740", Severity.ERROR, f"the database failed: {safe_text(error)}", None),), {})
    return _UNDOABLE


def _held(options: Options, compiled: Compilation, main: str, path: str) -> int:
    from migdsl.planning.build import build  # after the file is known to be sound
    from migdsl.rehearsal.run import Piece, rehearse
    from migdsl.workspace import source_digest

    assert compiled.module is not None
    planned = build(compiled.module, source_digest(compiled.sources), "contract")
    if options.to is not None and options.to not in [p.id for p in planned.plan.phases]:
        there = ", ".join(p.id for p in planned.plan.phases)
        output.complain(f"migdsl: {compiled.migration} has no phase {output.shown(options.to)}; there is {there}\n")
        return _USAGE
    sources = {name: source.text for name, source in compiled.sources.items()}
    home = Path(path).resolve().parent
    with tempfile.TemporaryDirectory(prefix="migdsl-rehearsal-") as folder:
        texts, notes = _texts(compiled, planned, options.rehearsal.get("--files"))
        if not texts:
            where = output.shown(options.rehearsal["--files"])
            output.complain(
                f"migdsl: {where} has no file of {compiled.migration}: is it the folder with `migrations/` in it?\n"
            )
            return _USAGE
        report = rehearse(Piece(_project(planned, texts, folder, main), sources, main, home, _settings(options)), _say)
        report.log.notes.extend(notes)
    return _told(report, options)


def _texts(compiled: Compilation, planned: Planned, folder: str | None) -> tuple[Mapping[str, str], list[str]]:
    """The files: what was compiled, or what lies in a folder in its place; and what of the folder isn't played. None at all
    where it has none of them."""
    made = {artifact.path: artifact.text for artifact in compiled.artifacts}
    if folder is None:
        return made, []
    texts = {path: Path(folder, path).read_text(encoding="utf-8") for path in made if Path(folder, path).is_file()}
    notes = [
        f"{path} isn't in {output.shown(folder)}: what it compiles to was played" for path in made.keys() - texts.keys()
    ]
    others = [path.relative_to(folder).as_posix() for path in _beside(planned, made, folder)]
    notes += [f"{output.shown(path)} is no file of the plan: it wasn't played" for path in others]
    return ({**made, **texts} if texts else {}), sorted(notes)


def _beside(planned: Planned, made: Mapping[str, str], folder: str) -> Iterator[Path]:
    """Programs that lie where the plan's lie; of other people's revisions those that rest on one of ours."""
    ids = "|".join(re.escape(revision.id) for revision in planned.revisions)
    ours = re.compile(f"[\"']({ids or '$^'})[\"']")
    chain = {Path(revision.path).parent for revision in planned.revisions}
    for home in sorted({Path(path).parent for path in made if path.endswith(".py")}):
        for path in sorted(Path(folder, home).glob("*.py")):
            known = path.relative_to(folder).as_posix() in made
            if not known and (home not in chain or ours.search(path.read_text(encoding="utf-8", errors="replace"))):
                yield path


def _project(planned: Planned, texts: Mapping[str, str], folder: str, main: str):  # type: ignore[no-untyped-def]
    """The files, in a folder of their own."""
    from migdsl.executor.model import Project  # needs the database's driver

    for path, text in texts.items():
        target = Path(folder, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return Project(planned, output.shown(main), folder, texts)


def _settings(options: Options):  # type: ignore[no-untyped-def]
    from migdsl.rehearsal.model import Settings  # see above

    default, said = Settings(), options.rehearsal
    return Settings(
        rows=int(said.get("--rows", default.rows)),
        tenants=int(said.get("--tenants", default.tenants)),
        seed=int(said.get("--seed", default.seed)),
        rate=float(said.get("--rate", default.rate)),
        to=options.to,
        keep="--keep" in said,
        schema=said.get("--schema"),
        url=_url(options),
    )


def _url(options: Options) -> str | None:
    """`env:NAME` reads it from that variable."""
    from migdsl.introspect.connect import UnreadableError, address  # the driver is an optional extra
    from migdsl.rehearsal.model import Undoable

    if options.url is None:
        return None
    try:
        return address(options.url).url
    except UnreadableError as error:
        raise Undoable(error.why, error.help) from None


def _say(line: str) -> None:
    output.say(f"{output.shown(line)}\n")
    output.flush()


def _told(report, options: Options) -> int:  # type: ignore[no-untyped-def]
    from migdsl.rehearsal import page, tell  # see above

    output.say("".join(f"{output.shown(line)}\n" for line in tell.text(report)))
    wanted = {"--json": tell.as_json, "--junit": tell.junit, "--markdown": tell.markdown, "--html": page.html}
    for path, make in ((options.rehearsal.get(name), make) for name, make in wanted.items()):
        if path is None:
            continue
        try:
            Path(path).write_text(make(report), encoding="utf-8")
        except OSError as error:
            complain((unwritable(error, path),), {})
            return _FAILED
    return 0 if report.passed else _FAILED
