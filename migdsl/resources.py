"""Names of grammar, templates and schemas become paths, in a wheel and in a checkout alike."""

from __future__ import annotations

import os.path

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
