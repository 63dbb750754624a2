"""The files on the command line and all that they use become texts by name, read from the disk when they are asked for."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Mapping

from migdsl.cli.inputs import LARGEST, Input, relative_name
from migdsl.cli.paths import is_under, project_root
from migdsl.cli.reading import sources_in, text_of
from migdsl.diagnostics import Diagnostic, Severity
from migdsl.diagnostics.suggest import did_you_mean
from migdsl.syntax.unit import RELATIVE, Files, Refused, joined

MOST_BYTES = 2 * LARGEST  # of all files of one command together


class DiskFiles(Files):
    """Files of the disk. A used one is read once, whatever paths lead to it, and only below the project's folder.

    `root` is that folder; where it is None, the project of any file that was named on the command line.
    """

    def __init__(self, texts: Mapping[str, str], inputs: Iterable[Input], root: str | None = None) -> None:
        super().__init__(texts)
        self._inputs = {each.name: each for each in inputs}
        self._roots = None if root is None else {os.path.realpath(root)}
        self._known = {key: name for name, each in self._inputs.items() if (key := _identity(each.path))}
        self._size = sum(len(each.data) for each in self._inputs.values())

    @property
    def inputs(self) -> Mapping[str, Input]:
        """All files that were read so far, by name."""
        return self._inputs

    def locate(self, user: str, used: str) -> str:
        """The name of the file that `used` means in the file `user`. Raises Refused."""
        joined(user, used)  # what no path may be, on any system
        path = os.path.normpath(os.path.join(os.path.dirname(self._inputs[user].path), *used.split("/")))
        self._inside(path, used)
        known = self._known.get(_identity(path) or (0, 0))
        if known is not None and known in self._texts:
            return known
        return self._read(path, used)

    def attach(self, kind: str, path: str) -> tuple[Diagnostic, ...]:
        """Read a document that the command line names; the problem where that can't be."""
        try:
            self._inside(path, path)
            known = self._known.get(_identity(path) or (0, 0))
            self.attached[kind] = known if known is not None and known in self._texts else self._read(path, path)
        except Refused as error:
            title = f"the document `{relative_name(path)}` can't be read: {error.label}"
            help_ = error.help if error.code == "MIG015" else ""
            return (Diagnostic(error.code, Severity.ERROR, title, None, body=error.body, help=help_),)
        return ()

    def _inside(self, path: str, used: str) -> None:
        if self._roots is None:
            self._roots = {project_root(self._inputs[name].folder) for name in self}
        real = os.path.realpath(path)
        if not any(is_under(root, real) for root in self._roots):
            below = ", ".join(sorted(self._roots))
            body = f"The project is {below}."
            link = os.path.islink(path) or real != os.path.abspath(path)
            label = "leaves the project" + (" through a symbolic link" if link and ".." not in used.split("/") else "")
            raise Refused(
                "MIG015", label, body=body, help="use a file of this project, or say where it begins: --root DIR"
            )

    def _read(self, path: str, used: str) -> str:
        source = Input(path)
        text = text_of(source)
        if isinstance(text, Diagnostic):
            label = source.problem or "it is not UTF-8 text"
            missing = not os.path.lexists(path)
            help_ = _instead(path, used) if source.problem else text.help
            raise Refused("MIG014", "there is no such file" if missing else label, body=text.body, help=help_)
        self._size += len(source.data)
        if self._size > MOST_BYTES:
            raise Refused("MIG014", f"with it, all files together are larger than {MOST_BYTES >> 20} MiB")
        self._texts[source.name] = text
        self._inputs[source.name] = source
        if key := _identity(path):
            self._known[key] = source.name
        return source.name


def _identity(path: str) -> tuple[int, int] | None:
    """What two paths of one file have in common; None where there is no file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _instead(path: str, used: str) -> str:
    folder, name = posixpath.split(used)
    ending = os.path.splitext(name)[1] or ".mig"
    near = did_you_mean(name, sources_in(os.path.dirname(path) or ".", ending))
    return f'did you mean "{posixpath.join(folder, near)}"?' if near else RELATIVE
