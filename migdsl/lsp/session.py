"""Open texts become answers: what was read and checked of each is kept until a text changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from migdsl.diagnostics import Diagnostic, Edit
from migdsl.lsp import actions, navigate
from migdsl.lsp.becomes import Becomes, becomes
from migdsl.lsp.completion import Item, complete
from migdsl.lsp.hover import Hover, hover
from migdsl.lsp.names import Name
from migdsl.source import Span
from migdsl.syntax.unit import Files
from migdsl.values import Value
from migdsl.workspace import Compilation, check

# Names of files and the texts of those that are open become files that know what they use.
Open = Callable[[Iterable[str], Mapping[str, str]], Files]


def in_memory(names: Iterable[str], texts: Mapping[str, str]) -> Files:
    """Files that use none but open ones."""
    return Files({**texts, **{name: "" for name in names if name not in texts}})


class Checked(Value):
    """A file's check, and what its operations become (nothing where it has errors)."""

    compilation: Compilation
    becomes: tuple[Becomes, ...]


class Session:
    """The texts that are open, by name. Not for several threads at a time."""

    def __init__(self, open_files: Open = in_memory) -> None:
        self._open = open_files
        self._texts: dict[str, str] = {}
        self._checked: dict[str, Checked] = {}

    @property
    def texts(self) -> Mapping[str, str]:
        """All that is open."""
        return self._texts

    def put(self, name: str, text: str) -> None:
        """A file was opened, or its text is another one now."""
        if self._texts.get(name) != text:
            self._texts[name] = text
            self._checked.clear()  # what uses it is another file too

    def drop(self, name: str) -> None:
        """A file was closed: what is on the disk counts."""
        if self._texts.pop(name, None) is not None:
            self._checked.clear()

    def changed(self) -> None:
        """Something on the disk is another."""
        self._checked.clear()

    def files(self, *names: str) -> Files:
        """These files, and whatever they use."""
        return self._open(names, self._texts)

    def check(self, name: str) -> Checked:
        """The check of a file; made once for each state of the texts."""
        if name not in self._checked:
            self._checked[name] = checked(self.files(name), name)
        return self._checked[name]

    def known(self, name: str) -> Checked | None:
        """The check of a file, if it was made for its present text."""
        return self._checked.get(name)

    def remember(self, name: str, text: str, made: Checked) -> None:
        """A check that was made elsewhere, if the text is still that one."""
        if self._texts.get(name) == text:
            self._checked[name] = made

    def hover(self, name: str, offset: int) -> Hover | None:
        """What there is to say of a place."""
        return hover(self.files(name), name, offset, self.check(name).becomes)

    def complete(self, name: str, offset: int) -> tuple[Item, ...]:
        """What may be written at a place."""
        return complete(self.files(name), name, offset)

    def definition(self, name: str, offset: int) -> tuple[Span, ...]:
        """Where the name at a place is declared."""
        return navigate.definition(self.files(name), name, offset)

    def references(self, name: str, offset: int, others: Iterable[str] = ()) -> tuple[navigate.Found, ...]:
        """Everywhere the name at a place stands."""
        files = self.files(name, *others)
        return navigate.references(files, name, offset, [each for each in others if each in files])

    def renameable(self, name: str, offset: int) -> Name:
        """The name at a place. Raises NotRenamed."""
        return navigate.renameable(self.files(name), name, offset)

    def rename(self, name: str, offset: int, new: str, others: Iterable[str] = ()) -> tuple[Edit, ...]:
        """The edits that give the name at a place another one. Raises NotRenamed."""
        files = self.files(name, *others)
        return navigate.renamed(files, name, offset, new, [each for each in others if each in files])

    def actions(self, name: str, start: int, end: int) -> tuple[actions.Action, ...]:
        """What mends the problems at a place."""
        return actions.actions(self.problems(name), name, start, end)

    def problems(self, name: str) -> tuple[Diagnostic, ...]:
        """All that is wrong with a file and what it uses."""
        return self.check(name).compilation.diagnostics


def checked(files: Files, name: str) -> Checked:
    """Check a file, and see what its operations become."""
    found = check(files, name)
    sound = found.ok and found.module is not None and found.finished is None
    return Checked(found, becomes(found.module) if sound and found.module is not None else ())
