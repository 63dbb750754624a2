"""Relative paths of artifacts become absolute ones that are proven to stay under the output folder."""

from __future__ import annotations

import os

OWN = ".migdsl"  # the folder of the manifests, where no artifact may stand
_MARKERS = ("pyproject.toml", ".git", "migdsl.toml")


class Outside(Exception):  # noqa: N818 - it says where a path leads
    """A path that leaves the output folder, and how."""


def resolve(root: str, path: str, *, own: bool = False) -> str:
    """The absolute path of `path` (relative, with `/`) under `root`, all links in its folders followed.

    Raises Outside for what is absolute, climbs out, or goes through a symbolic link to elsewhere. `own` permits
    `.migdsl/`.
    """
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or not path.isprintable() or "\\" in path or path[1:2] == ":":
        raise Outside("it is not a plain relative path")
    if parts[0].casefold() == OWN and not own:
        raise Outside(f"{OWN}/ holds the manifests")
    base = os.path.realpath(root)
    folder = os.path.realpath(os.path.join(base, *parts[:-1]))
    target = os.path.join(folder, parts[-1])
    if not is_under(base, folder) or (os.path.islink(target) and not is_under(base, os.path.realpath(target))):
        raise Outside("it goes through a symbolic link to elsewhere")
    return target


def is_under(base: str, path: str) -> bool:
    """Whether the absolute `path` is `base` or stands below it; both without links."""
    return path == base or path.startswith(base.rstrip(os.sep) + os.sep)


def project_root(folder: str) -> str:
    """The folder of the project that the absolute `folder` belongs to: the nearest with a marker in it, else itself."""
    own = found = os.path.realpath(folder)
    while not any(os.path.lexists(os.path.join(found, marker)) for marker in _MARKERS):
        if found == os.path.dirname(found):
            return own
        found = os.path.dirname(found)
    return found
