"""A place in a file becomes where its name is declared, everywhere it stands, and the edits that give it another one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from migdsl.diagnostics import Edit
from migdsl.lsp.names import RENAMED, Name, names, spelt
from migdsl.lsp.reading import Reading, read
from migdsl.source import Span
from migdsl.syntax.unit import MOST_FILES, Files, Refused
from migdsl.values import Value

_WORD = re.compile(r"[^\W\d]\w*")


class NotRenamed(Exception):  # noqa: N818 - it says why there is no other name
    """Why a name can't be given."""


class Found(Value):
    """A name, and the file that it stands in."""

    path: str
    name: Name

    @property
    def span(self) -> Span:
        """Its place."""
        return Span(self.path, self.name.start, self.name.end)


@lru_cache(maxsize=64)  # texts; a file is read once a change, however much is asked of it
def reading_of(text: str) -> Reading:
    """The reading of a text."""
    return read(text)


@lru_cache(maxsize=64)
def names_of(text: str) -> tuple[Name, ...]:
    """The names in a text."""
    return names(reading_of(text))


def unit_of(files: Files, path: str) -> Mapping[str, str]:
    """A file and all that it uses, by path; what can't be had is left out."""
    found: dict[str, str] = {}
    todo = [path]
    while todo and len(found) < MOST_FILES:
        name = todo.pop()
        if name in found:
            continue
        found[name] = files[name]
        todo += [used for _, used in _used(files, name)]
    return found


def used_at(files: Files, path: str, offset: int) -> str | None:
    """The file that the `use` at an offset brings in."""
    return next((used for span, used in _used(files, path) if span.start <= offset <= span.end), None)


def _used(files: Files, path: str) -> Iterator[tuple[Span, str]]:
    for line in reading_of(files[path]).lines:
        if line.rule() == "use" and len(line.pieces) > 1:
            piece = line.pieces[1]
            try:
                yield Span(path, piece.start, piece.end), files.locate(path, piece.text[1:-1])
            except Refused:
                continue


def name_at(text: str, offset: int) -> Name | None:
    """The name that an offset stands in or behind."""
    return next((each for each in names_of(text) if each.start <= offset <= each.end), None)


def declarations(texts: Mapping[str, str], name: Name) -> tuple[Found, ...]:
    """Where a name is declared; what old code called it counts as well (`rename` declares the new one)."""
    return tuple(each for each in occurrences(texts, name) if each.name.declares)


def occurrences(texts: Mapping[str, str], name: Name) -> tuple[Found, ...]:
    """Everywhere a name stands, in the order of files and places."""
    return tuple(Found(path, each) for path, text in texts.items() for each in names_of(text) if each.key == name.key)


def definition(files: Files, path: str, offset: int) -> tuple[Span, ...]:
    """Where the name at an offset is declared; for a `use`, the file that it brings in."""
    used = used_at(files, path, offset)
    if used is not None:
        return (Span(used, 0, 0),)
    name = name_at(files[path], offset)
    return tuple(each.span for each in declarations(unit_of(files, path), name)) if name else ()


def references(files: Files, path: str, offset: int, others: Iterable[str] = ()) -> tuple[Found, ...]:
    """Everywhere the name at an offset stands: in its unit, and in those of `others` that use the file that declares it."""
    name = name_at(files[path], offset)
    if name is None:
        return ()
    return occurrences(_reach(files, path, name, others), name)


def _reach(files: Files, path: str, name: Name, others: Iterable[str]) -> Mapping[str, str]:
    """The files in which the same name means the same."""
    texts = dict(unit_of(files, path))
    homes = {each.path for each in declarations(texts, name)} or {path}
    texts = {each: text for each, text in texts.items() if each in homes or homes & set(unit_of(files, each))}
    for other in others:
        if other not in texts and homes & set(unit_of(files, other)):
            texts[other] = files[other]
    return texts


def renamed(files: Files, path: str, offset: int, new: str, others: Iterable[str] = ()) -> tuple[Edit, ...]:
    """The edits that give the name at an offset another one, everywhere. Raises NotRenamed."""
    name = renameable(files, path, offset)
    if not new.isprintable() or not 0 < len(new.encode()) <= (63 if name.kind != "invariant" else 500):
        raise NotRenamed("a name has 1 to 63 bytes, on one line")
    if name.kind in ("metric", "flag", "migration") and _WORD.fullmatch(new) is None:
        raise NotRenamed(f"the name of a {name.kind} is letters, digits and `_`")
    texts = _reach(files, path, name, others)
    if any(each.key == (name.kind, name.entity, new) for text in texts.values() for each in names_of(text)):
        raise NotRenamed(f"there is a {name.kind} `{new}` already")
    return tuple(Edit(each.span, spelt(each.name, new)) for each in occurrences(texts, name))


def renameable(files: Files, path: str, offset: int) -> Name:
    """The name at an offset, if it can be given another one. Raises NotRenamed."""
    name = name_at(files[path], offset)
    if name is None or name.kind not in RENAMED:
        raise NotRenamed("there is no name here that could be changed")
    if not declarations(unit_of(files, path), name):
        raise NotRenamed(f"`{name.text}` is declared nowhere here")
    return name
