"""Changes become files on disk, all of them or none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress

from migdsl.cli.changes import Change

_Step = Callable[[], None]


class NotUndone(OSError):  # noqa: N818 - it says what is the case now
    """Writing failed, and so did putting back: `left` holds the paths of what is not as it was."""

    def __init__(self, cause: OSError, left: list[str]) -> None:
        super().__init__(cause.errno, cause.strerror or str(cause), cause.filename)
        self.left = tuple(left)


def write(root: str, changes: Iterable[Change]) -> None:
    """Make the changes under the folder `root`, made where it is missing. Files that stay the same aren't touched.

    Raises OSError after everything was put back (NotUndone where that failed); an interruption gets through likewise.
    """
    work = _Work()
    todo = [change for change in changes if change.state in ("new", "changed", "removed")]
    try:
        work.make_folder(os.path.realpath(root))
        # All bytes are on the disk before the first file is replaced: a full disk shows here.
        ready = [(change, work.prepare(change)) for change in todo]
        for change, temporary in ready:
            work.put(change, temporary)
    except BaseException as error:
        left = work.undo()
        if left and isinstance(error, OSError):
            raise NotUndone(error, left) from error
        raise
    work.finish()
    for change in todo:
        if change.state == "removed":
            _remove_empty(os.path.dirname(change.target), os.path.realpath(root))


class _Work:
    """What was done so far, as the steps that undo it and those that tidy up once all is done."""

    def __init__(self) -> None:
        self._undo: list[tuple[str, _Step]] = []
        self._tidy: list[_Step] = []
        self._count = 0

    def make_folder(self, folder: str) -> None:
        """Make the folder and those above it."""
        missing = []
        while not os.path.isdir(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        for each in reversed(missing):
            os.mkdir(each)
            self._undo.append((each, _call(os.rmdir, each)))

    def prepare(self, change: Change) -> str:
        """Write what is to become the file beside it; the path, or an empty string where the file is to go."""
        if change.after is None:
            return ""
        folder = os.path.dirname(change.target)
        self.make_folder(folder)
        temporary = self._beside(change.target)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        self._undo.append((temporary, _call(_unlink, temporary)))
        with open(handle, "wb") as file:
            file.write(change.after)
        if change.before is not None:
            os.chmod(temporary, os.stat(change.target).st_mode & 0o777)
        return temporary

    def put(self, change: Change, temporary: str) -> None:
        """Replace or remove the file; what stood there stays beside it until all is done."""
        if change.before is not None:
            kept = self._beside(change.target)
            # Said first: an interruption may come right after the next line.
            self._undo.append((change.target, _call(_restore, kept, change.target)))
            self._tidy.append(_call(_unlink, kept))
            _keep(change.target, kept, stays=bool(temporary))
        elif os.path.lexists(change.target):
            raise FileExistsError(17, "it appeared while migdsl was at work", change.target)
        if temporary:
            os.replace(temporary, change.target)
            if change.before is None:
                self._undo.append((change.target, _call(os.unlink, change.target)))

    def undo(self) -> list[str]:
        """Put everything back, the last step first; the paths where that failed."""
        left = []
        for path, step in reversed(self._undo):
            try:
                step()
            except OSError:
                left.append(path)
        return left

    def finish(self) -> None:
        """Remove what stood there before. What can't be removed is litter, no failure: the files are all in place."""
        for step in self._tidy:
            with suppress(OSError):
                step()

    def _beside(self, target: str) -> str:
        """A free name in the same folder, and so on the same disk; short, as the target's own may be very long."""
        self._count += 1
        return os.path.join(os.path.dirname(target), f".migdsl-{os.getpid()}-{self._count}~")


def _call(function: Callable[..., None], *arguments: str) -> _Step:
    return lambda: function(*arguments)


def _keep(target: str, kept: str, *, stays: bool) -> None:
    """Give the file a second name (`stays`: so it is never missing, even after a SIGKILL), or another one."""
    if stays:
        try:
            os.link(target, kept, follow_symlinks=False)
        except OSError:  # not every file system has links
            os.rename(target, kept)
    else:
        os.rename(target, kept)


def _restore(kept: str, target: str) -> None:
    with suppress(FileNotFoundError):
        os.replace(kept, target)
        os.unlink(kept)  # two names of one file: replacing one with the other leaves both


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _remove_empty(folder: str, root: str) -> None:
    """Remove the folder and those above it, as long as nothing is left in them, up to `root`."""
    while folder != root and folder.startswith(root):
        try:
            os.rmdir(folder)
        except OSError:
            return
        folder = os.path.dirname(folder)
