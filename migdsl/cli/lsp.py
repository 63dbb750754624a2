"""`migdsl lsp`: the language server on standard input and output; the files of the disk behind those that are open."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.cli.files import DiskFiles
from migdsl.cli.inputs import Input, relative_name
from migdsl.cli.reading import text_of
from migdsl.source import SourceFile
from migdsl.syntax.parser import Parsed, parse
from migdsl.syntax.unit import Files


def lsp_command(_: Options) -> int:
    """Serve one editor; 2 where the extra that this needs is not installed."""
    try:
        from migdsl.lsp.server import serve  # pygls is an optional extra
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("pygls", "lsprotocol"):
            raise
        output.complain("migdsl: pygls is not installed here: pip install 'migdsl[lsp]'\n")
        return 2
    gc.enable()  # commands do without, since they end; this one stays
    serve(open_files)
    return 0


def open_files(names: Iterable[str], texts: Mapping[str, str]) -> Files:
    """These files and all that they use: as they are open (`texts`, by name), else as the disk has them."""
    inputs = [Opened(name, texts[name]) if name in texts else Input(name) for name in dict.fromkeys(names)]
    read = {each.name: text for each in inputs if isinstance(text := _text(each, texts), str)}
    return OpenFiles(read, [each for each in inputs if each.name in read], texts)


def _text(source: Input, texts: Mapping[str, str]) -> object:
    return texts[source.name] if source.name in texts else text_of(source)


class Opened(Input):
    """A file that an editor holds: nothing of it is read from the disk, where it may not even be."""

    __slots__ = ()

    def __init__(self, name: str, text: str) -> None:
        self.path = self.name = name
        self.data = text.encode("utf-8", "surrogatepass")
        self.problem = self.digest = ""


class OpenFiles(DiskFiles):
    """Files of the disk, where those that are open are as the editor has them."""

    def __init__(self, read: Mapping[str, str], inputs: Iterable[Input], texts: Mapping[str, str]) -> None:
        super().__init__(read, inputs)
        self._open = texts

    def parse(self, name: str) -> Parsed:
        """The file's syntax tree; a text is parsed once, whoever asks."""
        return _parsed(name, self[name])

    def _read(self, path: str, used: str) -> str:
        name = relative_name(path)
        if name not in self._open or os.path.isdir(path):
            return super()._read(path, used)
        self._texts[name] = self._open[name]
        self._inputs = {**self._inputs, name: Opened(name, self._open[name])}
        return name


@lru_cache(maxsize=64)
def _parsed(name: str, text: str) -> Parsed:
    return parse(SourceFile(name, text))
