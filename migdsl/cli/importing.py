"""`migdsl import`: a live database becomes declarations, printed or written to a new file."""

from __future__ import annotations

import os
import re

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.cli.driver import complain
from migdsl.cli.problems import unwritable
from migdsl.diagnostics import Diagnostic, Severity

_GUESSED = re.compile(r"# guess\b")
_UNSAID = re.compile(r"^ *#.*\b(?:not|can't be) declared: ", re.MULTILINE)
_ENTITY = re.compile(r"^entity ", re.MULTILINE)
FAILED = 3  # the exit code where a database can't be read


def import_command(options: Options) -> int:
    """1 where the file can't be written, 3 where the database can't be read."""
    if options.out != "." and os.path.lexists(options.out) and not options.force:
        complain([_in_the_way(options.out)], {})
        return 1
    text = declarations(options.words[0], options.schemas, options.tables)
    if isinstance(text, Diagnostic):
        complain([text], {})
        return FAILED
    if options.out == ".":
        output.say(text)
        output.complain(f"{_summary(text)}\n")
        return 0
    if not _write(options.out, text):
        return 1
    output.say(f"{output.shown(options.out)}: {_summary(text)}\n")
    return 0


def declarations(url: str, schemas: tuple[str, ...], tables: tuple[str, ...]) -> str | Diagnostic:
    """The database of `url` (or `env:NAME`) in the language: these schemas and tables, or all; MIG730 where that can't be."""
    try:
        from migdsl.introspect.connect import UnreadableError, address, reading  # the driver is an optional extra
        from migdsl.introspect.read import read, selected
        from migdsl.introspect.render import render
    except ModuleNotFoundError as error:
        return driverless(error)
    try:
        where = address(url)
        with reading(where) as session:
            whole = read(session)
        found = selected(whole, schemas, tables)
    except UnreadableError as error:
        return unreadable(error.why, error.help)
    return render(found, where.variable, whole)


def driverless(error: ModuleNotFoundError) -> Diagnostic:
    """MIG730 where there is no driver; whatever else is missing is a mistake of ours."""
    if (error.name or "").split(".")[0] != "psycopg":
        raise error
    return unreadable("no driver for PostgreSQL is installed", "pip install 'migdsl[runtime]'")


def unreadable(why: str, help_: str) -> Diagnostic:
    """MIG730."""
    return Diagnostic("MIG730", Severity.ERROR, f"the database can't be read: {why}", None, help=help_)


def _in_the_way(path: str) -> Diagnostic:
    help_ = "write into another file with `--out`, or overwrite it with `--force`"
    title = f"`{output.shown(path)}` is here already"
    return Diagnostic("MIG702", Severity.ERROR, title, None, body="Nothing was written.", help=help_)


def _write(path: str, text: str) -> bool:
    from migdsl.cli.changes import Change  # what is printed needs no writer
    from migdsl.cli.writer import write

    target = os.path.realpath(path)
    try:
        before = None
        if os.path.exists(target):
            with open(target, "rb") as file:
                before = file.read()
        write(
            os.path.dirname(target),
            [Change(path, target, "source", "new" if before is None else "changed", before, text.encode())],
        )
    except OSError as error:
        complain([unwritable(error, path)], {})
        return False
    return True


def _summary(text: str) -> str:
    entities = len(_ENTITY.findall(text))
    count = f"{entities} entit{'y' if entities == 1 else 'ies'}"
    guesses, unsaid = len(_GUESSED.findall(text)), len(_UNSAID.findall(text))
    look = f"{guesses} line{'s' if guesses != 1 else ''} to look at (`# guess`)" if guesses else "no guesses"
    rest = f", {unsaid} left out with the reason (`grep declared:`)" if unsaid else ""
    return f"{count}, {look}{rest}"
