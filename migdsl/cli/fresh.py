"""A compile's inputs become the answer that there is nothing to do, without loading the compiler, or no answer.

A finished compile leaves a record in the user's cache: the digests of the sources, of all files with the manifest among
them, of the options and of the compiler. Where they are all still the same, another compile would write the same bytes.
The manifest says as much, except for the compiler, which has no place in a file that is committed.
"""

from __future__ import annotations

import hashlib
import os

from migdsl.cli.fingerprint import fingerprint
from migdsl.cli.inputs import digest
from migdsl.resources import cache_folder

TYPE_CHECKING = False  # see migdsl/cli/__init__.py
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migdsl.cli.arguments import Options
    from migdsl.cli.inputs import Input

_FORMAT = "migdsl record 1"
_HEAD = 6


class Record:
    """What a finished compile of one main file was made from and left behind; digests by path.

    `sources` by absolute path, `files` by path relative to the output folder.
    """

    __slots__ = ("files", "migration", "options", "sources", "warnings")

    def __init__(
        self, migration: str, options: str, warnings: int, sources: Mapping[str, str], files: Mapping[str, str]
    ) -> None:
        self.migration = migration
        self.options = options
        self.warnings = warnings
        self.sources = sources
        self.files = files


def options_key(options: Options) -> str:
    """The options that shape the output, in one word."""
    attached = "".join(f" {kind}={os.path.abspath(path)}" for kind, path in sorted(options.attached.items()))
    return f"through={options.through or ''}{attached}"


def up_to_date(options: Options, inputs: Sequence[Input]) -> list[Record] | None:
    """The record of every input, where all are still true; None where something is to do, or nothing is known."""
    found = []
    key = options_key(options)
    for each in inputs:
        record = None if each.problem else _read(options.out, each)
        if record is None or record[1].options != key or not _holds(options.out, record[1], inputs):
            return None
        found.append(record)
    # The dearest question last: reading the whole compiler.
    current = fingerprint() if found else ""
    return [record for _, record in found] if all(made_by == current for made_by, _ in found) else None


def remember(out: str, main: Input, record: Record) -> None:
    """Leave the record for the next compile. Trouble with the cache is no trouble: the next compile takes longer."""
    names = [str(len(record.sources))]
    head = [_FORMAT, fingerprint(), record.options, record.migration, str(record.warnings), *names]
    pairs = [word for table in (record.sources, record.files) for pair in table.items() for word in pair]
    data = "\0".join([*head, *pairs]).encode("utf-8", "surrogateescape")
    path = ""
    try:
        folder = cache_folder("fresh")
        path = os.path.join(folder, f"{_name(out, main)}.{os.getpid()}~")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(data)
        os.replace(path, os.path.join(folder, _name(out, main)))
    except (OSError, ValueError):
        _forget(path)


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return


def _read(out: str, main: Input) -> tuple[str, Record] | None:
    """The compiler's fingerprint and the record; None where there is none that can be trusted."""
    try:
        with open(
            os.path.join(cache_folder("fresh", make=False), _name(out, main)),
            encoding="utf-8",
            errors="surrogateescape",
        ) as f:
            words = f.read().split("\0")
        if words[0] != _FORMAT or len(words) % 2:
            return None
        made_by, options, migration, warnings, sources = words[1:_HEAD]
        pairs = list(zip(words[_HEAD::2], words[_HEAD + 1 :: 2], strict=True))
        count = int(sources)
        record = Record(migration, options, int(warnings), dict(pairs[:count]), dict(pairs[count:]))
    except (OSError, ValueError):
        return None
    return (made_by, record) if record.sources and record.files else None


def _holds(out: str, record: Record, inputs: Sequence[Input]) -> bool:
    known = {os.path.abspath(each.path): each.digest for each in inputs}
    return all((known.get(path) or _digest_of(path)) == wanted for path, wanted in record.sources.items()) and all(
        _digest_of(os.path.join(out, path)) == wanted for path, wanted in record.files.items()
    )


def _digest_of(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return digest(file.read())
    except OSError:
        return ""


def _name(out: str, main: Input) -> str:
    # The output folder as it really is: a link that was turned elsewhere is another folder.
    where = f"{os.path.realpath(out)}\0{os.path.abspath(main.path)}"
    return hashlib.sha256(where.encode("utf-8", "surrogateescape")).hexdigest()
