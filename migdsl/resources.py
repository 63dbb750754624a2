"""Names of grammar, templates, schemas and caches become paths, in a wheel and in a checkout alike."""

from __future__ import annotations

import os
import os.path
import stat

# `typing` and `pathlib` would each cost the fastest commands a good part of bare Python's own start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    Kind = Literal["grammar", "templates", "schemas"]

_PACKAGE = os.path.dirname(os.path.abspath(__file__))


def resource_path(kind: Kind, name: str) -> Path:
    """The path of the file or folder `name` (with `/`) among the resources of `kind`; it need not exist.

    A wheel carries the three folders in `migdsl/_data`; in a checkout they stand beside the package.
    """
    from pathlib import Path  # not needed by the fastest commands

    return Path(_locate(kind, name))


def read_resource(kind: Kind, name: str) -> str:
    """The text of the resource (UTF-8, every line end a `\n`); FileNotFoundError where there is none."""
    with open(_locate(kind, name), encoding="utf-8") as file:
        return file.read()


def _locate(kind: str, name: str) -> str:
    packed = os.path.join(_PACKAGE, "_data")
    root = packed if os.path.isdir(packed) else os.path.dirname(_PACKAGE)
    return os.path.join(root, kind, *name.split("/"))


def cache_folder(name: str, *, make: bool = True) -> str:
    """The folder `name` among this release's caches, of this user alone.

    OSError where it can't be had, or could be written by someone else: what is read from it is trusted.
    """
    from migdsl import __version__  # the package's own module, read late: resources are found without it

    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # as the XDG specification wants it
        base = os.path.join(os.path.expanduser("~"), ".cache")
    own = os.path.join(base, "migdsl")
    folders = (own, os.path.join(own, __version__), os.path.join(own, __version__, name))
    if make:
        os.makedirs(base, exist_ok=True)
        for each in folders:
            if not os.path.isdir(each):
                os.mkdir(each, 0o700)
    for each in folders:
        found = os.lstat(each)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
            raise OSError(f"{each} is not this user's own")
    return folders[-1]
