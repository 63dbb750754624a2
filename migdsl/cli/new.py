"""`migdsl new`: answers, or options, become a first file in which `check` finds no error."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.cli.driver import complain, count, failed
from migdsl.cli.inputs import relative_name
from migdsl.cli.problems import unwritable
from migdsl.diagnostics import Diagnostic, Severity
from migdsl.introspect.words import WordlessError
from migdsl.values import Value

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ANY = "a letter, then letters, digits and _"


class Answers(Value):
    """What was said: on the command line, or on the terminal."""

    path: str
    name: str
    ticket: str
    url: str
    tables: tuple[str, ...]
    changes: tuple[str, ...]


def new_command(options: Options) -> int:
    """1 where the file is there already, can't be written or would have errors; 2 without a name; 3 without a database."""
    answers = _answers(options)
    if answers is None:
        output.complain("migdsl: new needs a file or a name: migdsl new users_nickname.mig\n")
        return 2
    if _NAME.fullmatch(answers.name) is None:
        output.complain(f"migdsl: {output.shown(answers.name)!r} can't be a migration's name ({_ANY})\n")
        return 2
    if os.path.lexists(answers.path):
        complain([_in_the_way(answers.path)], {})
        return 1
    return _written(answers, options)


def _written(answers: Answers, options: Options) -> int:
    from migdsl.cli.new_text import Wish, first_file  # a file that is in the way doesn't need the parser

    declared = None
    if answers.url:
        from migdsl.cli.importing import FAILED, declarations  # the driver is an optional extra

        found = declarations(answers.url, options.schemas, answers.tables)
        if isinstance(found, Diagnostic):
            complain([found], {})
            return FAILED
        declared = found
    try:
        text = first_file(Wish(answers.name, answers.ticket, answers.tables, answers.changes, declared))
    except WordlessError as error:
        output.complain(f"migdsl: {error}\n")
        return 2
    return _checked(answers.path, text)


def _checked(path: str, text: str) -> int:
    from migdsl.workspace import check  # as above

    name = relative_name(path)
    found = check({name: text}, name)
    if failed(found.diagnostics, strict=False):
        complain(found.diagnostics, found.sources)
        output.complain("nothing was written: the lines above are those of the file that would have been\n")
        return 1
    try:
        _write(path, text)
    except OSError as error:
        taken = isinstance(error, FileExistsError) and error.filename == path
        complain([_in_the_way(path) if taken else unwritable(error, path)], {})
        return 1
    shown = output.shown(path)
    output.say(f"{shown}: written ({count(found.diagnostics)}); look at each line that says `# yours` or `# guess`\n")
    output.say(f"then: migdsl plan {shown}\n")
    return 0


def _write(path: str, text: str) -> None:
    """A new file and never another's: whoever was faster keeps what is there."""
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    with open(path, "x", encoding="utf-8", newline="\n") as file:
        try:
            file.write(text)
            file.flush()
        except OSError:
            with suppress(OSError):
                os.unlink(path)
            raise


def _in_the_way(path: str) -> Diagnostic:
    help_ = "name another file; an existing one gets its blocks from `migdsl import`"
    title = f"`{output.shown(path)}` is here already"
    return Diagnostic("MIG702", Severity.ERROR, title, None, body="Nothing was written.", help=help_)


def _answers(options: Options) -> Answers | None:
    """The options, and on a terminal what they leave open; None where the name stays open."""
    path = options.words[0] if options.words else ""
    name = options.name or _name_of(path)
    ask = output.is_terminal(sys.stdin) and output.is_terminal(sys.stderr)
    if ask and options.name is None:
        name = _asked("name of the migration", name)
    if not name:
        return None
    ticket, url, tables, changes = options.ticket, options.url, options.tables, options.changes
    if ask and ticket is None:
        ticket = _asked("ticket that asks for it")
    if ask and url is None:
        url = _asked("database to read, env:NAME or a URL")
    if ask and not tables:
        tables = tuple(_asked("tables that it is about, by commas", "all" if url else "").split(","))
        tables = tuple(each.strip() for each in tables if each.strip() not in ("", "all"))
    if ask and not changes:
        changes = tuple(each for each in [_asked("a change, such as: User add nickname text?")] if each)
    return Answers(path or f"{name}.mig", name, ticket or "", url or "", tables, changes)


def _name_of(path: str) -> str:
    """`db/Users-Email.mig` → `users_email`."""
    return re.sub(r"\W+", "_", os.path.basename(path).removesuffix(".mig"), flags=re.ASCII).strip("_").lower()


def _asked(what: str, usual: str = "") -> str:
    """One answer; an empty line, or the end of the input, takes what is usual."""
    output.complain(f"{what} [{output.shown(usual) or 'none'}]: ")
    line = sys.stdin.readline()
    if not line:
        output.complain("\n")
    return line.strip() or usual
