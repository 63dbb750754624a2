"""Two words of a command line become two versions of a file: each planned, or why there is no plan of it."""

from __future__ import annotations

import os
import sys

from migdsl.cli.driver import failed, load, unique
from migdsl.cli.inputs import LARGEST, Input, digest, relative_name
from migdsl.diagnostics import Diagnostic
from migdsl.planning.build import build
from migdsl.planning.model import Planned
from migdsl.source import SourceFile
from migdsl.values import Value
from migdsl.workspace import check, compile_files, source_digest

_STDIN = "<stdin>"
_NOWHERE = (os.devnull, "/dev/null")


class Version(Value):
    """One of the two: its plan, or why there is none, which may be that it is `finished`, `absent` or only `shared`.

    Absent is the null device, or a file with nothing in it: there is no such version. A shared file declares, and
    migrates nothing.
    """

    planned: Planned | None
    problems: tuple[Diagnostic, ...]
    sources: dict[str, SourceFile]
    finished: str | None = None
    absent: bool = False
    shared: bool = False


def version(word: str, other: str, root: str | None, *, partial: bool = False) -> Version:
    """The version that `word` names, `-` being the standard input; `partial`: it may be absent, or shared."""
    if partial and word in _NOWHERE:
        return Version(None, (), {}, absent=True)
    main = _stdin(other, as_other=partial and other not in _NOWHERE) if word == "-" else Input(word)
    if partial and not main.problem and not main.data.strip():
        return Version(None, (), {}, absent=True)
    loaded = load([main], root)
    if loaded.problems:
        return Version(None, loaded.problems, {})
    found = check(loaded.files, main.name)
    shared = found.module is not None and found.module.header is None and not failed(found.diagnostics, strict=False)
    if shared and not partial:
        found = compile_files(loaded.files, main.name)  # it says what is missing
    wrong = tuple(each for each in unique(found.diagnostics) if failed([each], strict=False))
    sources = dict(found.sources)
    if wrong or shared or found.module is None:
        return Version(None, wrong, sources, found.finished, shared=shared)
    return Version(build(found.module, source_digest(sources)), (), sources)


def _stdin(beside: str, *, as_other: bool) -> Input:
    """What stands on the standard input; files that it uses are looked for beside the other version.

    `as_other` gives it that version's name too: a plan tells its file's name, which is no difference then.
    """
    folder = os.path.dirname(beside) if beside not in _NOWHERE else ""
    found = Input(os.devnull)
    found.path = beside if as_other else os.path.join(folder, _STDIN)
    found.name = relative_name(found.path)
    found.problem = ""
    try:
        found.data = sys.stdin.buffer.read(LARGEST + 1) if sys.stdin is not None else b""
    except OSError as error:
        found.problem = error.strerror or type(error).__name__
    if len(found.data) > LARGEST:
        found.problem = f"it is larger than {LARGEST >> 20} MiB"
    found.digest = digest(found.data)
    return found
