"""Files with problems become files in which the problems that have a fix are mended, round by round until nothing moves."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from migdsl.cli.changes import Change
from migdsl.cli.inputs import Input
from migdsl.cli.writer import write
from migdsl.diagnostics import Applicability, Diagnostic, Edit
from migdsl.source import SourceFile
from migdsl.syntax.unit import Files

MOST_ROUNDS = 10  # a fix may uncover what another one mends; two that undo each other would never end
_MARK = b"\xef\xbb\xbf"  # of the byte order


@dataclass(frozen=True, slots=True)
class Found:
    """All problems of some files, and the texts they speak of."""

    problems: tuple[Diagnostic, ...]
    sources: Mapping[str, SourceFile]


@dataclass(frozen=True, slots=True)
class Mended:
    """What came of the fixes: the texts that changed, how many fixes that took, and what is left to be said."""

    texts: Mapping[str, str]
    count: int
    left: Found


Look = Callable[[Files], Found]


class Edited(Files):
    """The same files, some of them with another text."""

    def __init__(self, files: Files, texts: Mapping[str, str]) -> None:
        super().__init__({name: texts.get(name, files[name]) for name in files}, files.attached)
        self._files = files

    def __getitem__(self, name: str) -> str:
        """The text by now."""
        return self._texts[name] if name in self._texts else self._files[name]

    def locate(self, user: str, used: str) -> str:
        """As the files themselves have it: where a file stands doesn't depend on its text. Raises Refused."""
        return self._files.locate(user, used)


def mend(files: Files, look: Look, *, unsafe: bool) -> Mended:
    """Apply what can be applied to the files that were named, in memory; those that they use are other people's."""
    texts: dict[str, str] = {}
    refused: set[Diagnostic] = set()
    count = 0
    found = look(files)
    for _ in range(MOST_ROUNDS):
        before = Edited(files, texts)
        wanted = [each for each in fixable(found.problems, unsafe=unsafe) if each not in refused and _own(each, files)]
        chosen = _disjoint(wanted)
        kept = _kept(before, found, chosen, look)
        if not kept:
            break
        refused |= set(chosen) - set(kept)
        texts |= _applied(before, kept)
        count += len(kept)
        found = look(Edited(files, texts))
    changed = {name: text for name, text in texts.items() if text != files[name]}
    return Mended(changed, count, found)


def fixable(problems: Iterable[Diagnostic], *, unsafe: bool) -> list[Diagnostic]:
    """Those that have a fix of the kind that is asked for."""
    kinds = {Applicability.SAFE, Applicability.UNSAFE} if unsafe else {Applicability.SAFE}
    return [each for each in problems if each.fix is not None and each.fix.applicability in kinds]


def changes(inputs: Mapping[str, Input], texts: Mapping[str, str]) -> list[Change]:
    """What becomes of the files on the disk: a byte order mark and the kind of line ends stay."""
    made = []
    for name, text in sorted(texts.items()):
        source = inputs[name]
        mark = _MARK if source.data.startswith(_MARK) else b""
        # Behind a link stands the file: the link itself stays.
        target = os.path.realpath(source.path)
        made.append(Change(name, target, "source", "changed", source.data, mark + text.encode("utf-8")))
    return made


def put(changed: Sequence[Change]) -> None:
    """Write all files or none. Raises OSError, also where a file changed since it was read."""
    for each in changed:
        if not os.access(each.target, os.W_OK):  # replacing it would need the folder's permission only
            raise PermissionError(13, "permission denied", each.path)
        with open(each.target, "rb") as file:
            if file.read() != each.before:
                raise OSError(11, "it was changed meanwhile", each.path)
    write(".", changed)


def _own(each: Diagnostic, files: Files) -> bool:
    assert each.fix is not None
    return all(edit.span.path in set(files) for edit in each.fix.edits)


def _disjoint(wanted: Iterable[Diagnostic]) -> list[Diagnostic]:
    """As many as touch no place twice, those that come first in the files first."""
    chosen: list[Diagnostic] = []
    taken: list[Edit] = []
    for each in wanted:
        assert each.fix is not None
        if not any(_meet(edit, other) for edit in each.fix.edits for other in taken):
            chosen.append(each)
            taken.extend(each.fix.edits)
    return chosen


def _meet(one: Edit, other: Edit) -> bool:
    a, b = one.span, other.span
    return a.path == b.path and ((a.start < b.end and b.start < a.end) or a.start == b.start)


def _kept(files: Files, found: Found, chosen: list[Diagnostic], look: Look) -> list[Diagnostic]:
    """Those that may be applied together: all, or else one by one the ones that mend what they promise."""
    if _is_better(files, found, chosen, look):
        return chosen
    kept: list[Diagnostic] = []
    for each in chosen:
        if _is_better(files, found, [*kept, each], look):
            kept.append(each)
    return kept


def _is_better(files: Files, found: Found, chosen: list[Diagnostic], look: Look) -> bool:
    """Whether the files read at least as well with these fixes as without, and their problems are gone."""
    after = Edited(files, _applied(files, chosen))
    if _read(after) < _read(files):
        return False
    then, now = _said(found.problems), _said(look(after).problems)
    return all(now[what] <= then[what] - number for what, number in _said(chosen).items())


def _read(files: Files) -> tuple[int, int]:
    """How much of the files could be read: more is better."""
    parsed = [files.parse(name) for name in files]
    return sum(len(each.module.declarations) for each in parsed), -sum(len(each.diagnostics) for each in parsed)


def _said(problems: Iterable[Diagnostic]) -> Counter[tuple[str, str]]:
    return Counter((each.code, each.title) for each in problems)


def _applied(files: Files, chosen: Iterable[Diagnostic]) -> dict[str, str]:
    """The texts that these fixes change, from the last edit to the first, so that places stay true."""
    edits = [edit for each in chosen if each.fix is not None for edit in each.fix.edits]
    texts: dict[str, str] = {}
    for edit in sorted(edits, key=lambda each: (each.span.start, each.span.end), reverse=True):
        name = edit.span.path
        text = texts.get(name, files[name])
        texts[name] = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return texts
