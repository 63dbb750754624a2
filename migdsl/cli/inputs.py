"""Paths on the command line become the bytes of source files, each with its name and digest, or the reason why not."""

from __future__ import annotations

import hashlib
import os
import stat

LARGEST = 16 * 1024 * 1024  # bytes; nobody writes a migration that long, and a mistaken path may hold gigabytes


class Input:
    """A source file: `path` as given, `name` as diagnostics show it (relative, `/`), and `data` or the `problem`."""

    __slots__ = ("data", "digest", "name", "path", "problem")

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = relative_name(path)
        self.data = b""
        self.problem = ""
        try:
            self.data = _read(path)
        except OSError as error:
            said = error.strerror or type(error).__name__
            self.problem = said[:1].lower() + said[1:]
        except ValueError as error:
            self.problem = str(error)
        self.digest = digest(self.data)

    @property
    def folder(self) -> str:
        """The absolute folder that it stands in."""
        return os.path.dirname(os.path.abspath(self.path))


def read_inputs(paths: tuple[str, ...]) -> list[Input]:
    """Every file once, in the order given."""
    return list({each.name: each for each in map(Input, paths)}.values())


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def relative_name(path: str) -> str:
    """The path relative to the current folder, with `/`: the same wherever the project stands."""
    try:
        return os.path.relpath(path).replace(os.sep, "/")
    except (OSError, ValueError):  # the current folder is gone, or the path has a NUL
        return os.path.basename(path) or path


def _read(path: str) -> bytes:
    """The file's bytes; OSError or ValueError (with a reason) where that can't be."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise ValueError("it is a folder")
    if not stat.S_ISREG(mode):
        raise ValueError("it is not a regular file")  # reading a pipe or a device might never end
    with open(path, "rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST >> 20} MiB")
    return data
