"""Artifacts, the last manifest and the disk become the changes that a compile would make, and the reasons not to."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from migdsl.cli import manifest as manifests
from migdsl.cli.inputs import digest
from migdsl.cli.manifest import Entry, Manifest
from migdsl.cli.paths import Outside, resolve
from migdsl.emit.artifact import Artifact

MANIFEST = "manifest"
REVISION = "revision"

State = Literal["new", "changed", "unchanged", "removed", "kept"]
Reason = Literal["outside", "foreign", "edited", "released", "source", "twice", "manifest"]


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one file: `path` relative to the output folder, `target` absolute; None for bytes is no file.

    `kept` is a file that is no longer produced, but was edited by a person.
    """

    path: str
    target: str
    kind: str
    state: State
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why a path can't be written or removed, with a `detail` if there is more to say; `forced`: `--force` helps."""

    path: str
    reason: Reason
    detail: str = ""
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """All changes of one migration, its manifest last, and what speaks against them."""

    migration: str
    changes: tuple[Change, ...]
    conflicts: tuple[Conflict, ...]


def compare(
    root: str, migration: str, artifacts: Iterable[Artifact], fresh: Manifest, protected: Collection[str]
) -> Comparison:
    """Compare one migration's artifacts with the disk. `fresh` is its new manifest, still without files.

    `protected` holds absolute paths, links followed, that are never overwritten: the sources. Raises OSError where
    the disk can't be read.
    """
    path = manifests.path_of(migration)
    try:
        target = resolve(root, path, own=True)
    except Outside as error:
        return Comparison(migration, (), (Conflict(path, "outside", str(error)),))
    before = _read(target)
    stored, problems = _stored(root, path, before)
    found = [_wanted(root, each, stored, protected) for each in sorted(artifacts, key=lambda each: each.path)]
    produced = {each.path for _, _, each in found}
    found += [_stale(root, old, entry) for old, entry in sorted(stored.items()) if old not in produced]
    changes = [change for change, _, _ in found if change is not None]
    problems += [conflict for _, conflict, _ in found if conflict is not None]
    files = {each.path: Entry(digest(each.after), each.kind) for each in changes if each.after is not None}
    after = manifests.encode(replace(fresh, files=files))
    changes.append(Change(path, target, MANIFEST, _state(before, after), before, after))
    return Comparison(migration, tuple(changes), tuple(problems))


def collisions(comparisons: Iterable[Comparison]) -> tuple[Conflict, ...]:
    """Paths that two artifacts share, on some machine at least: upper and lower case are the same file there."""
    seen: dict[str, str] = {}
    found = []
    for change in (change for comparison in comparisons for change in comparison.changes if change.after is not None):
        other = seen.setdefault(change.target.casefold(), change.path)
        if other is not change.path:
            found.append(Conflict(change.path, "twice", f"`{other}`"))
    return tuple(found)


_Found = tuple[Change | None, Conflict | None, Artifact]


def _stored(root: str, path: str, data: bytes | None) -> tuple[Mapping[str, Entry], list[Conflict]]:
    """The files that the last compile wrote; a manifest that can't be read is a conflict."""
    if data is None:
        return {}, []
    try:
        return manifests.decode(data, root).files, []
    except ValueError as error:
        return {}, [Conflict(path, "manifest", str(error), forced=True)]


def _wanted(root: str, artifact: Artifact, stored: Mapping[str, Entry], protected: Collection[str]) -> _Found:
    path, entry = artifact.path, stored.get(artifact.path)
    try:
        target = resolve(root, path)
    except Outside as error:
        return None, Conflict(path, "outside", str(error)), artifact
    before, after = _read(target), artifact.text.encode("utf-8")
    change = Change(path, target, artifact.kind, _state(before, after), before, after)
    conflict = None
    if os.path.realpath(target) in protected:
        conflict = Conflict(path, "source")
    elif before is not None and before != after and (entry is None or entry.digest != digest(before)):
        conflict = Conflict(path, "edited" if entry else "foreign", forced=True)
    return change, conflict, artifact


def _stale(root: str, path: str, entry: Entry) -> _Found:
    """A file of the last compile that this one doesn't produce: removed, unless it is a person's by now."""
    gone = Artifact(path, "", entry.kind)
    target = resolve(root, path)  # decoding the manifest has proven it
    before = _read(target)
    if before is None:
        return None, None, gone
    if entry.kind == REVISION:
        return (
            Change(path, target, entry.kind, "removed", before, None),
            Conflict(path, "released", forced=True),
            gone,
        )
    state: State = "removed" if digest(before) == entry.digest else "kept"
    return Change(path, target, entry.kind, state, before, None), None, gone


def _state(before: bytes | None, after: bytes) -> State:
    return "new" if before is None else "unchanged" if before == after else "changed"


def _read(target: str) -> bytes | None:
    """The bytes on disk; None where there is no such file, or can't be one because a folder of its path is a file."""
    try:
        with open(target, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
