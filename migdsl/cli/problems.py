"""What the disk says against writing becomes diagnostics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from migdsl.cli.changes import Conflict, Reason
from migdsl.diagnostics import Diagnostic, Severity


def refusals(out: str, conflicts: Iterable[Conflict], *, force: bool) -> tuple[Diagnostic, ...]:
    """One diagnostic a reason, which names every file; what `--force` gets past is left out with it."""
    found: dict[Reason, list[Conflict]] = {}
    for conflict in conflicts:
        if not (force and conflict.forced):
            found.setdefault(conflict.reason, []).append(conflict)
    return tuple(_refusal(out, reason, group) for reason, group in sorted(found.items()))


def unwritable(error: OSError, out: str, left: Sequence[str] = ()) -> Diagnostic:
    """MIG705, with the path and the system's reason; `left`: what could not be put back."""
    path = error.filename if isinstance(error.filename, str) else out
    said = error.strerror or type(error).__name__
    body = "Nothing was changed."
    if left:
        body = "Not all could be put back as it was. Look at these:\n" + "\n".join(f"  {each}" for each in left)
    return Diagnostic("MIG705", Severity.ERROR, f"`{path}` can't be written: {said}", None, body=body)


def drifted(out: str, paths: Sequence[str], command: str) -> Diagnostic:
    """MIG704: the files of these paths are not what the source says."""
    title = f"{_files(len(paths))} in `{out}` {'is' if len(paths) == 1 else 'are'} not what the source says"
    return Diagnostic("MIG704", Severity.ERROR, title, None, body=_list(paths), help=command)


def _refusal(out: str, reason: Reason, group: Sequence[Conflict]) -> Diagnostic:
    code, one, many, help_ = _TEXTS[reason]
    title = one.format(path=group[0].path) if len(group) == 1 else many.format(files=_files(len(group)))
    lines = [f"{each.path}{f': {each.detail}' if each.detail else ''}" for each in group]
    body = f"In `{out}`:\n{_list(lines)}\nNothing was written."
    return Diagnostic(code, Severity.ERROR, title, None, body=body, help=help_)


def _files(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)


# Per reason: code, title for one path, title for several, help.
_TEXTS: dict[Reason, tuple[str, str, str, str]] = {
    "outside": (
        "MIG701",
        "`{path}` leaves the output folder",
        "{files} would leave the output folder",
        "use paths inside, and `--out` to say where that is",
    ),
    "source": (
        "MIG702",
        "`{path}` is a source of this compile",
        "{files} are sources of this compile",
        "compile into another folder with `--out`",
    ),
    "foreign": (
        "MIG702",
        "`{path}` is here, and migdsl did not write it",
        "{files} are here that migdsl did not write",
        "move it away, compile into another folder with `--out`, or overwrite it with `--force`",
    ),
    "edited": (
        "MIG702",
        "`{path}` was changed by hand since migdsl wrote it",
        "{files} were changed by hand since migdsl wrote them",
        "bring the change into the source, or lose it with `--force`; `migdsl compile --check` shows it",
    ),
    "manifest": (
        "MIG702",
        "the manifest can't be used, so nobody knows which files are migdsl's own",
        "{files} that say which files are migdsl's own can't be used",
        "bring it back from version control, or have it written anew with `--force`",
    ),
    "released": (
        "MIG702",
        "`{path}` was released, and this compile would take it away",
        "{files} were released, and this compile would take them away",
        "downgrade the database first, then `--force`; or keep it: `--through PHASE` as before, or `through PHASE` in the header",
    ),
    "twice": (
        "MIG703",
        "`{path}` would be written twice",
        "{files} would be written twice",
        "give each migration a name of its own, or compile them into folders of their own",
    ),
}
