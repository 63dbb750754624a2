"""`migdsl check --against`: checked files and a live database become diagnostics of what differs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from migdsl.cli.importing import driverless, unreadable
from migdsl.diagnostics import Diagnostic, Severity
from migdsl.semantics.model import CheckedModule, Database

_NAMED = re.compile(r"(\w+)=(.+)", re.DOTALL)


def differences(wheres: Sequence[str], files: Mapping[str, str]) -> tuple[Diagnostic, ...]:
    """What differs, for all files that are free of errors; what keeps a database from being read is a MIG730.

    `wheres` are URLs, a database each: of several databases as `NAME=URL`.
    """
    from migdsl.workspace import check  # as late as the driver

    modules = [
        found.module for found in (check(files, name) for name in files) if found.ok and found.module is not None
    ]
    return tuple(found for where in wheres for found in _differences(where, modules))


def _differences(where: str, modules: Sequence[CheckedModule]) -> tuple[Diagnostic, ...]:
    try:
        from migdsl.introspect.compare import compare  # the driver is an optional extra
        from migdsl.introspect.computed import uncomputable
        from migdsl.introspect.connect import UnreadableError, address, asking, reading
        from migdsl.introspect.read import read
        from migdsl.introspect.refusals import refusals
        from migdsl.introspect.taken import taken
    except ModuleNotFoundError as error:
        return (driverless(error),)
    chosen = [_choice(where, module) for module in modules if module.databases]
    problems = tuple(each for each in chosen if isinstance(each, Diagnostic))
    pairs = [each for each in chosen if not isinstance(each, Diagnostic)]
    if problems or not pairs:
        return problems
    try:
        where_ = address(pairs[0][2])
        with reading(where_) as session:
            catalog = read(session)
            compared = [d for module, database, _ in pairs for d in compare(module, database, catalog, session)]
            compared += [d for module, database, _ in pairs for d in taken(module, database, session)]
        # What is otherwise comes first: the questions go by what the file says.
        if any(d.severity is Severity.ERROR for d in compared):
            return tuple(compared)
        with asking(where_) as session:
            compared += [d for module, database, _ in pairs for d in uncomputable(module, database, session)]
            return (*compared, *(d for module, database, _ in pairs for d in refusals(module, database, session)))
    except UnreadableError as error:
        return (unreadable(error.why, error.help),)


def _choice(where: str, module: CheckedModule) -> tuple[CheckedModule, Database, str] | Diagnostic:
    """Which of a file's databases is meant, and its URL: the only one, or the one named in `NAME=URL`."""
    match = _NAMED.fullmatch(where)
    named = {database.name: database for database in module.databases}
    if match is not None and match[1] in named:
        return module, named[match[1]], match[2]
    if len(named) == 1:
        return module, module.databases[0], where
    title = "the file declares several databases, and `--against` doesn't say which one this is"
    help_ = f"say it, once for each: --against {module.databases[0].name}=URL (there is: {', '.join(sorted(named))})"
    return Diagnostic("MIG730", Severity.ERROR, title, None, help=help_)
