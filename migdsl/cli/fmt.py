"""`migdsl fmt`: files are laid out in place, or what would change is said."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.cli.changes import Change
from migdsl.cli.driver import complain
from migdsl.cli.inputs import LARGEST, Input, digest, read_inputs
from migdsl.cli.reading import text_of
from migdsl.cli.writer import NotUndone, write
from migdsl.diagnostics import Diagnostic
from migdsl.formatting import FormatError, format_source
from migdsl.source import SourceFile

_STDIN = "<stdin>"
_MARK = b"\xef\xbb\xbf"  # of the byte order
_COLOURS = {"-": "31", "+": "32", "@": "36"}


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of one file: its bytes laid out, or the diagnostics or the failure that left it as it is."""

    source: Input
    after: bytes
    diagnostics: tuple[Diagnostic, ...] = ()
    text: str = ""
    failure: str = ""

    @property
    def ok(self) -> bool:
        return not self.diagnostics and not self.failure

    @property
    def changes(self) -> bool:
        return self.after != self.source.data


def fmt_command(options: Options) -> int:
    """1 where a file has errors or can't be written, else 2 where `--check` found something to change, else 0."""
    piped = "-" in options.words
    if piped and len(options.words) > 1:
        output.complain("migdsl: - stands for the standard input and goes with no other file\n")
        return 2
    results = [_format(each) for each in ([_stdin()] if piped else _once(read_inputs(options.words)))]
    _show_problems(results)
    failed = not all(result.ok for result in results)
    if options.check or options.diff:
        changing = _preview(results, options)
        return 1 if failed else 2 if changing and options.check else 0
    if piped:
        if not failed:
            _pour(results[0].after)
    else:
        failed |= not _write(results)
    return int(failed)


def _once(inputs: Sequence[Input]) -> list[Input]:
    """Each file once, whatever links lead to it."""
    found: dict[str, Input] = {}
    for each in inputs:
        found.setdefault(each.path if each.problem else os.path.realpath(each.path), each)
    return list(found.values())


def _stdin() -> Input:
    """All that the standard input holds; its path is that of no file."""
    found = Input(os.devnull)
    found.path, found.name, found.problem = "", _STDIN, ""
    try:
        found.data = sys.stdin.buffer.read(LARGEST + 1) if sys.stdin is not None else b""
    except OSError as error:
        found.problem = error.strerror or type(error).__name__
    if len(found.data) > LARGEST:
        found.problem = f"it is larger than {LARGEST >> 20} MiB"
    found.digest = digest(found.data)
    return found


def _format(source: Input) -> _Result:
    text = text_of(source)
    if isinstance(text, Diagnostic):
        return _Result(source, source.data, (text,))
    try:
        found = format_source(SourceFile(source.name, text))
    except FormatError as error:
        return _Result(source, source.data, failure=str(error))
    mark = _MARK if source.data.startswith(_MARK) else b""
    after = source.data if found.diagnostics else mark + found.text.encode("utf-8")
    return _Result(source, after, found.diagnostics, text)


def _show_problems(results: Sequence[_Result]) -> None:
    sources = {each.source.name: SourceFile(each.source.name, each.text) for each in results if each.text}
    complain([found for each in results for found in each.diagnostics], sources)
    for each in results:
        if each.failure:
            name = output.shown(each.source.name)
            output.complain(f"internal error: {name} is left as it is: {each.failure}; please report this\n")


def _preview(results: Sequence[_Result], options: Options) -> bool:
    """Say what would change; whether anything would."""
    changing = [each for each in results if each.changes]
    if options.diff:
        colour = output.is_coloured(sys.stdout)
        output.say("".join(f"{line}\n" for each in changing for line in _diff(each, colour)))
    else:
        output.say("".join(f"{output.shown(each.source.name)}: would be formatted\n" for each in changing))
        _say_rest(results)
    return bool(changing)


def _write(results: Sequence[_Result]) -> bool:
    """Write all files that change, or none; whether that went well."""
    changing = [each for each in results if each.changes]
    try:
        for each in changing:
            if not os.access(each.source.path, os.W_OK):  # replacing it would need the folder's permission only
                raise PermissionError(13, "permission denied", each.source.path)
        write(".", [_change(each) for each in changing])
    except OSError as error:
        left = error.left if isinstance(error, NotUndone) else ()
        what = f"these are not as they were: {', '.join(map(output.shown, left))}" if left else "nothing was written"
        why = (error.strerror or type(error).__name__).lower()
        output.complain(f"error: {what}: {output.shown(str(error.filename or '.'))}: {why}\n")
        return False
    output.say("".join(f"{output.shown(each.source.name)}: formatted\n" for each in changing))
    _say_rest(results)
    return True


def _change(result: _Result) -> Change:
    source = result.source
    # Behind a link stands the file: the link itself stays.
    return Change(source.name, os.path.realpath(source.path), "source", "changed", source.data, result.after)


def _say_rest(results: Sequence[_Result]) -> None:
    fine = sum(each.ok and not each.changes for each in results)
    if fine:
        output.say(f"{output.plural(fine, 'file')} formatted already\n")


def _pour(data: bytes) -> None:
    """Write bytes to the standard output: no line end and no character of a source is to be translated."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.buffer.write(data)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise output.OutputError(error.strerror or str(error)) from error


def _diff(result: _Result, colour: bool) -> Iterator[str]:
    name = output.shown(result.source.name)
    before, after = (_visible(data) for data in (result.source.data, result.after))
    for line in difflib.unified_diff(before, after, name, f"{name} (formatted)", lineterm=""):
        style = "1" if line.startswith(("--- ", "+++ ")) else _COLOURS.get(line[:1], "")
        yield f"\x1b[{style}m{line}\x1b[0m" if colour and style else line


def _visible(data: bytes) -> list[str]:
    """Lines without their ends, all that is invisible spelt out."""
    lines = ["\t".join(map(output.shown, line.split("\t"))) for line in data.decode("utf-8").split("\n")]
    return [*lines[:-1], f"{lines[-1]}\\ No newline at end of file"] if lines[-1] else lines[:-1]
