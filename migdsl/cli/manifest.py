"""What a compile wrote becomes a committed JSON file, and that file says which files are migdsl's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from migdsl.cli.paths import OWN, Outside, resolve

VERSION = 1
_SHAPE = {"version", "main", "sources", "options", "compiler", "files"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A generated file: the SHA-256 of its bytes (hexadecimal), and its kind."""

    digest: str
    kind: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one migration's last compile was made from and wrote.

    `main` is the name of its file without folders, `sources` digests by name relative to that file's folder, `files` by
    path relative to the output folder.
    """

    main: str
    sources: Mapping[str, str]
    options: Mapping[str, str | None]
    compiler: str
    files: Mapping[str, Entry] = field(default_factory=dict)


def path_of(migration: str) -> str:
    """Where a migration's manifest stands, relative to the output folder."""
    return f"{OWN}/{migration}.manifest.json"


def encode(manifest: Manifest) -> bytes:
    """Canonical JSON: sorted keys, two spaces, ASCII, no times; the same bytes on every machine."""
    shape = {
        "version": VERSION,
        "main": manifest.main,
        "sources": dict(manifest.sources),
        "options": dict(manifest.options),
        "compiler": manifest.compiler,
        "files": {path: {"digest": entry.digest, "kind": entry.kind} for path, entry in manifest.files.items()},
    }
    return (json.dumps(shape, indent=2, sort_keys=True) + "\n").encode("ascii")


def decode(data: bytes, root: str) -> Manifest:
    """The manifest of an output folder `root`. Raises ValueError, with a reason for people.

    It is committed, so anybody may have edited it: a path in it that leaves the folder makes all of it worthless.
    """
    try:
        shape = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON (was a merge left unfinished?)") from error
    if not isinstance(shape, dict) or shape.get("version") != VERSION or set(shape) != _SHAPE:
        raise ValueError("it is not a manifest of this version of migdsl")
    texts = _texts(shape["sources"]) and isinstance(shape["main"], str) and isinstance(shape["compiler"], str)
    if not texts or not isinstance(shape["options"], dict) or not isinstance(shape["files"], dict):
        raise ValueError("it has values of the wrong type")
    files = {path: _entry(root, path, found) for path, found in shape["files"].items()}
    return Manifest(shape["main"], shape["sources"], shape["options"], shape["compiler"], files)


def _entry(root: str, path: str, found: object) -> Entry:
    if not isinstance(found, dict) or set(found) != {"digest", "kind"} or not _texts(found):
        raise ValueError("it has values of the wrong type")
    try:
        resolve(root, path)
    except Outside as error:
        raise ValueError(f"it names a file outside the output folder: {error}") from error
    return Entry(found["digest"], found["kind"])


def _texts(found: object) -> bool:
    return isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
