"""`migdsl rollout`: a move of the flag becomes the file's new text and all that is compiled from it; or it is recorded."""

from __future__ import annotations

import os
import re
import sys
from typing import NamedTuple

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.cli.build import build as compile_all
from migdsl.cli.changes import Change
from migdsl.cli.diff import render_diff
from migdsl.cli.driver import Loaded, complain, failed, load
from migdsl.cli.inputs import Input, read_inputs
from migdsl.cli.problems import unwritable
from migdsl.cli.writer import write
from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.folding.stages import Audience, moved
from migdsl.formatting import format_source
from migdsl.planning.build import build
from migdsl.planning.compare import compare
from migdsl.planning.model import Planned
from migdsl.planning.verdict import problems
from migdsl.source import SourceFile, Span
from migdsl.syntax import ast
from migdsl.syntax.unit import Files, unit
from migdsl.workspace import Compilation, check, source_digest

_SHARE = re.compile(r"[0-9]+(?:\.[0-9]+)?%")
_TENANT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s",]+)')
_ALL = 100.0


class _Edited(NamedTuple):
    """The file that holds the flag, before and after, and what the whole was and would be."""

    change: Change
    before: Planned
    after: Compilation


def rollout_command(options: Options) -> int:
    """0 moved, recorded, or nothing to do; 1 the move is refused; 2 usage; 3 a database failed."""
    wrong = _misused(options)
    audience = None if wrong or options.stage is None else _audience(options.audience or "")
    if wrong or (options.stage is not None and audience is None):
        output.complain(f"migdsl: {wrong or f'{output.shown(options.audience or str())!r} is nobody; {_WHO}'}\n")
        return 2
    if audience is not None and (code := _move(options, audience)) != 0:
        return code
    if options.record and not options.dry_run:
        from migdsl.cli.recording import record  # the database's driver is an optional extra

        return record(options)
    return 0


_WHO = 'say all, canary, 10%, or tenants "ID", "ID"'


def _misused(options: Options) -> str:
    if (options.stage is None) != (options.audience is None):
        return "--stage and --for belong together"
    if options.stage is None and not options.record:
        return f"nothing to do: --stage STAGE --for WHO moves the flag, --record records what is deployed; {_WHO}"
    return ""


def _audience(words: str) -> Audience | None:
    """Whom the words mean; a share of 100% is everybody."""
    words = words.strip()
    if words in ("all", "canary"):
        return Audience(words)
    if _SHARE.fullmatch(words):
        return Audience("all") if float(words[:-1]) == _ALL else Audience("percent", words)
    first, _, rest = words.partition(" ")
    named = tuple(m[1] if m[1] is not None else m[2] for m in _TENANT.finditer(rest))
    return Audience("tenants", "", tuple(dict.fromkeys(named))) if first in ("tenant", "tenants") and named else None


def _move(options: Options, audience: Audience) -> int:
    (main,) = read_inputs(options.words)
    loaded = load([main], options.root, options.attached)
    if loaded.problems:
        complain(loaded.problems, {})
        return 1
    found = check(loaded.files, main.name)
    if failed(found.diagnostics, strict=False) or found.module is None or found.module.header is None:
        complain(found.diagnostics or _flagless(main, found), found.sources)
        return 1
    edit = _edited(options, loaded, main, found, audience)
    if edit is None:
        output.say(f"{output.shown(main.name)}: {audience.words} stands at {options.stage} already\n")
        return 0
    refused = () if options.force else _refused(options, edit)
    if failed(edit.after.diagnostics, strict=False) or refused:
        complain([*(d for d in edit.after.diagnostics if failed([d], strict=False)), *refused], edit.after.sources)
        return 1
    output.say(render_diff([edit.change], colour=output.is_coloured(sys.stdout), becomes="moved"))
    if options.dry_run:
        return 0
    return _written(options, edit)


def _flagless(main: Input, found: Compilation) -> tuple[Diagnostic, ...]:
    """Why nothing can be moved in a file without fault."""
    if found.finished is not None:
        title = f"`{main.name}` is finished since {found.finished}: its flag is history"
        return (Diagnostic("MIG005", Severity.ERROR, title, None),)
    label = Label(Span(main.name, 0, 0), "there is no flag to move")
    help_ = "name the migration's own file; one without a `migration` is used by others"
    return (Diagnostic("MIG005", Severity.ERROR, "there is no migration in this file", label, help=help_),)


def _edited(options: Options, loaded: Loaded, main: Input, found: Compilation, audience: Audience) -> _Edited | None:
    """None where nothing changes."""
    assert found.module is not None
    assert found.module.header is not None
    assert isinstance(loaded.files, Files)
    declared = unit(loaded.files, main.name).parsed.module.declarations
    name = next((d.span.path for d in declared if isinstance(d, ast.Flag)), main.name)
    source, stage = found.sources[name], options.stage or ""
    text = moved(source, found.module.header.name, stage, audience)
    if text == source.text:
        return None
    if format_source(source).text == source.text:
        text = format_source(SourceFile(name, text)).text
    texts = {path: each.text for path, each in found.sources.items()} | {name: text}
    held = loaded.inputs[name]
    mark = b"\xef\xbb\xbf" if held.data.startswith(b"\xef\xbb\xbf") else b""
    target = os.path.realpath(held.path)
    change = Change(name, target, "source", "changed", held.data, mark + text.encode("utf-8"))
    planned = build(found.module, source_digest(found.sources), options.through)
    return _Edited(change, planned, check(Files(texts, loaded.files.attached), main.name))


def _refused(options: Options, edit: _Edited) -> tuple[Diagnostic, ...]:
    """A stage that is skipped, one behind `complete`, or one that the database isn't ready for."""
    module = edit.after.module
    if module is None or failed(edit.after.diagnostics, strict=False):
        return ()
    after = build(module, source_digest(edit.after.sources), options.through)
    found = problems(edit.before, after, compare(edit.before, after, frozenset()))
    # Whether contract has taken the old away is what keeps a flag at complete: a database that is asked knows, of tables.
    beside = module.apis or module.replacements
    if options.url is None or any(beside or each.code != "MIG509" for each in found):
        return found
    from migdsl.cli.recording import unready  # the database's driver is an optional extra

    return unready(options, edit.before, after)


def _written(options: Options, edit: _Edited) -> int:
    """The source first, and again as it was where it can't be compiled."""
    change = edit.change
    try:
        write(".", [change])
    except OSError as error:
        complain([unwritable(error, change.path)], {})
        return 1
    code = compile_all(options, read_inputs(options.words))
    if code != 0:
        write(".", [Change(change.path, change.target, "source", "changed", change.after, change.before)])
        output.complain(f"{output.shown(change.path)}: put back as it was\n")
    return code
