"""The compiler on this disk becomes one digest: whatever could change its output changes that."""

from __future__ import annotations

import hashlib
import os
import sys

_SUFFIXES = (".py", ".lark", ".j2", ".sql", ".json")
_BESIDE = ("grammar", "templates", "schemas")  # in a checkout; a wheel has them inside the package
_SHAPING = ("black", "jinja2", "lark", "postgast", "pydantic", "pydantic_core", "markupsafe")


def fingerprint() -> str:
    """A digest of the package's own files, the versions of what shapes its output, and Python's."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = hashlib.sha256(sys.version.encode())
    for version in _versions():
        found.update(version.encode("utf-8", "surrogateescape") + b"\0")
    for folder in (package, *(os.path.join(os.path.dirname(package), name) for name in _beside(package))):
        for name, path in sorted(_files(folder, "")):
            with open(path, "rb") as file:
                data = file.read()
            found.update(f"{name}\0{len(data)}\0".encode("utf-8", "surrogateescape") + data)
    return found.hexdigest()


def _beside(package: str) -> tuple[str, ...]:
    return () if os.path.isdir(os.path.join(package, "_data")) else _BESIDE


def _files(folder: str, prefix: str) -> list[tuple[str, str]]:
    """Names relative to the first folder, with paths; no folder is no files."""
    found: list[tuple[str, str]] = []
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return found
    for entry in entries:
        name = prefix + entry.name
        if entry.name.endswith(_SUFFIXES):
            found.append((name, entry.path))
        elif entry.is_dir(follow_symlinks=False) and entry.name != "__pycache__":
            found += _files(entry.path, f"{name}/")
    return found


def _versions() -> list[str]:
    """Names of the folders that packages leave their metadata in, `black-25.1.0.dist-info`.

    importlib.metadata would tell the same, for more time than all the rest of a compile with nothing to do.
    """
    found = []
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        found += [name for name in names if name.endswith(".dist-info") and name.lower().startswith(_SHAPING)]
    return sorted(found)
