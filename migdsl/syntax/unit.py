"""A file and all the files that it uses become one syntax tree, or what keeps them from being one."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.diagnostics.suggest import did_you_mean
from migdsl.source import SourceFile, Span
from migdsl.syntax import ast
from migdsl.syntax.parser import Parsed, parse
from migdsl.values import Value

RELATIVE = "a path is relative to the file that says it"
MOST_FILES = 200  # of one unit; nobody shares more, and a loop of links would never end
_USES = re.compile(r"[ \t]*use\b")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DECLARING = (ast.Database, ast.Service, ast.Tenants, ast.Entity)


class Refused(Exception):  # noqa: N818 - it says what becomes of a `use`
    """Why a file can't be used: a code, what is to be seen at the `use`, evidence, and a way out."""

    def __init__(self, code: str, label: str, *, body: str = "", help: str = "") -> None:
        super().__init__(label)
        self.code = code
        self.label = label
        self.body = body
        self.help = help


class Attached(Value):
    """A document that goes with the migration: `kind` is ticket or integration; `said` is where the file names it."""

    kind: str
    source: SourceFile
    said: Span | None


class Files(Mapping[str, str]):
    """Texts by name (relative, with `/`). Iterating gives those that were named; `locate` may know more.

    The command line's own kind reads used files from the disk; this one has what it was given. `attached` are the names of
    documents that were given for the migration, by kind (ticket, integration).
    """

    def __init__(self, texts: Mapping[str, str], attached: Mapping[str, str] | None = None) -> None:
        self.attached = dict(attached or {})
        self._texts = dict(texts)
        self._named = tuple(texts)
        self._parsed: dict[str, Parsed] = {}

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)

    def locate(self, user: str, used: str) -> str:
        """The name under which the file is to be had that `used` means in the file `user`. Raises Refused."""
        name = joined(user, used)
        if name in self._texts:
            return name
        if name.startswith("../"):
            raise Refused("MIG015", "leaves the project", help="use a file of this project")
        near = did_you_mean(name, self._texts)
        folder = f"{posixpath.dirname(user)}/" if "/" in user else ""
        help_ = f'did you mean "{near.removeprefix(folder)}"?' if near else RELATIVE
        raise Refused("MIG014", "there is no such file", help=help_)

    def parse(self, name: str) -> Parsed:
        """The file's syntax tree; files that share a third parse it once."""
        if name not in self._parsed:
            self._parsed[name] = parse(SourceFile(name, self[name]))
        return self._parsed[name]


def joined(user: str, used: str) -> str:
    """The path `used`, as the file `user` means it: relative to that file's own folder. Raises Refused."""
    if not used or used.endswith("/") or posixpath.normpath(used) == ".":
        raise Refused("MIG014", "names no file", help='use "shared/schema.mig"')
    if "\\" in used or not used.isprintable():
        raise Refused("MIG014", "is no path", help="folders are parted by `/`, on every system")
    if used.startswith("/") or used[1:2] == ":":
        body = "An absolute path is there on one machine only."
        raise Refused("MIG015", "is absolute", body=body, help=RELATIVE)
    return posixpath.normpath(posixpath.join(posixpath.dirname(user), used))


class Unit(Value):
    """What is compiled together: the declarations of all files, used ones first.

    `whole` is False where a file is missing, so that unknown names mean nothing. `finished` is the date, as written,
    where the main file is history; nothing of it is to be checked then.
    """

    parsed: Parsed
    sources: Mapping[str, SourceFile]
    whole: bool
    finished: str | None
    documents: tuple[Attached, ...] = ()


def unit(files: Files, path: str) -> Unit:
    """Read the file `path` and all that it uses, each once. Never raises where `path` is among the files."""
    reader = _Reader(files)
    reader.read(path, ())
    documents = tuple(reader.documents(path)) if reader.finished is None else ()
    parsed = Parsed(ast.Module(path, tuple(reader.declarations)), tuple(reader.problems), frozenset(reader.broken))
    return Unit(parsed, reader.sources, reader.whole, reader.finished, documents)


class _Reader:
    """What was read so far."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.sources: dict[str, SourceFile] = {}
        self.declarations: list[ast.Declaration] = []
        self.problems: list[Diagnostic] = []
        self.broken: set[str] = set()
        self.whole = True
        self.finished: str | None = None

    def read(self, name: str, trail: tuple[tuple[str, ast.Use], ...]) -> None:
        """Read a file, those that it uses first; `trail`: the files on the way to it, with the `use` of each."""
        source = self.sources[name] = SourceFile(name, self._files[name])
        parsed = self._files.parse(name)
        self.problems += parsed.diagnostics
        self.broken |= parsed.broken
        if any(_USES.match(line) for line in _lines(source, parsed.diagnostics)):
            self.whole = False
        declared = parsed.module.declarations
        done = self._finished(declared)
        if done and not trail:
            self.finished = done
            return
        for use in (each for each in declared if isinstance(each, ast.Use)):
            self._use(name, use, trail)
        if trail:
            self.whole &= bool(declared) or not parsed.diagnostics
            self.declarations += self._shared(trail[-1][1], declared, bool(done))
        else:
            self.declarations += [d for d in declared if not isinstance(d, ast.Use | ast.Finished)]

    def documents(self, main: str) -> Iterator[Attached]:
        """The ticket that the main file names or that was given, and the integration plan."""
        headers = [d for d in self.declarations if isinstance(d, ast.Migration)][:1]
        said = [s.texts[0] for d in headers for s in d.settings if s.key == "ticket_file"][:1]
        given = self._files.attached.get("ticket")
        for text in said:
            name = self._located(main, text)
            if name is not None:
                self.sources[name] = SourceFile(name, self._files[name])
                yield Attached("ticket", self.sources[name], text.span)
                if given not in (None, name):
                    title = f"`{given}` is given as the ticket, and the file names another one"
                    label = "this is the migration's ticket"
                    self._problem("MIG607", title, text.span, label, help_="give none, or leave this line out")
            given = None
        for kind, other in (("ticket", given), ("integration", self._files.attached.get("integration"))):
            if other is not None:
                self.sources[other] = SourceFile(other, self._files[other])
                yield Attached(kind, self.sources[other], None)

    def _located(self, user: str, path: ast.Text) -> str | None:
        try:
            return self._files.locate(user, path.value)
        except Refused as error:
            title = f"the ticket `{path.value}` can't be read"
            help_ = error.help.replace("use a file of this project", "take a file of this project")
            help_ = help_ if "use " not in help_ else 'ticket file "tickets/MIG-91.json"'
            self._problem(error.code, title, path.span, error.label, body=error.body, help_=help_)
            return None

    def _use(self, user: str, use: ast.Use, trail: tuple[tuple[str, ast.Use], ...]) -> None:
        if not use.path.value and use.path.span.end - use.path.span.start > 2:
            self.whole = False  # an escape in it means nothing, which was said
            return
        try:
            name = self._files.locate(user, use.path.value)
            way = (*trail, (user, use))
            names = [each for each, _ in way]
            if name in names:
                self._circle(way[names.index(name) :], name)
            elif name not in self.sources:
                if len(self.sources) >= MOST_FILES:
                    raise Refused("MIG014", f"would be one file more than {MOST_FILES}")
                self.read(name, way)
        except Refused as error:
            title = f"`{use.path.value}` can't be used"
            self._problem(error.code, title, use.path.span, error.label, body=error.body, help_=error.help)
            self.whole = False

    def _circle(self, way: tuple[tuple[str, ast.Use], ...], name: str) -> None:
        """The way leads from a file to itself; the last `use` of it closes the circle."""
        more = tuple(Label(use.path.span, "which uses this") for _, use in way[:-1])
        title = "files use each other in a circle" if more else "this file uses itself"
        label = "and this is where it began" if more else "is the file itself"
        body = " → ".join([*(each for each, _ in way), name]) if more else ""
        help_ = "put what both need into a file that uses neither" if more else "leave the line out"
        self._problem("MIG016", title, way[-1][1].path.span, label, more, body, help_)
        self.whole = False

    def _finished(self, declared: tuple[ast.Declaration, ...]) -> str | None:
        """The date, as written, of a file that is history."""
        found = [each for each in declared if isinstance(each, ast.Finished)]
        for each in found[1:]:
            more = (Label(found[0].span, "first said here"),)
            title = "`finished` is said twice of the migration"
            self._problem("MIG013", title, each.span, "again", more, help_="keep one of them")
        for each in found[:1]:
            if not is_date(each.date.raw):
                title = f"`{each.date.raw}` is no date"
                self._problem("MIG008", title, each.date.span, "a day is expected", help_="for example 2027-02-01")
            if not any(isinstance(other, ast.Migration) for other in declared):
                title = "there is no migration in this file"
                help_ = "leave the line out: what is shared is never finished"
                self._problem("MIG005", title, each.span, "so nothing can be finished", help_=help_)
                return None
            return each.date.raw
        return None

    def _shared(self, use: ast.Use, declared: tuple[ast.Declaration, ...], finished: bool) -> Iterator[ast.Declaration]:
        """What a used file brings: all of it; where it is a migration of its own, what is there and not what becomes."""
        migration = next((d for d in declared if isinstance(d, ast.Migration)), None)
        if migration is None:
            yield from (d for d in declared if not isinstance(d, ast.Use | ast.Finished))
            return
        if not finished:
            more = (Label(migration.name.span, "this one"),)
            title = f"`{use.path.value}` is a migration of its own"
            help_ = "move what both need into a file without a migration, and use that"
            self._problem("MIG017", title, use.path.span, "only what is shared can be used", more, help_=help_)
        stale = {d.entity.text: d for d in declared if isinstance(d, ast.Change)} if finished else {}
        for each in (d for d in declared if isinstance(d, _DECLARING)):
            if isinstance(each, ast.Entity) and each.name.text in stale:
                self._stale(use, each, stale[each.name.text])
            yield each

    def _stale(self, use: ast.Use, entity: ast.Entity, change: ast.Change) -> None:
        title = f"`{use.path.value}` shows `{entity.name.text}` as it was before that migration"
        more = (Label(entity.name.span, "before"), Label(change.entity.span, "and what has become of it"))
        help_ = "use the file that `migdsl finish` put the entity into"
        self._problem("MIG017", title, use.path.span, "is finished, and history", more, help_=help_)

    def _problem(
        self,
        code: str,
        title: str,
        span: Span,
        label: str,
        more: tuple[Label, ...] = (),
        body: str = "",
        help_: str = "",
    ) -> None:
        self.problems.append(Diagnostic(code, Severity.ERROR, title, Label(span, label), more, body, help_))


def is_date(text: str) -> bool:
    """Whether it is a day of the calendar, `2027-02-01`."""
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    # The module that knows calendars takes longer to load than a file takes to check.
    year, month, day = map(int, match.groups())
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return year > 0 and 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1] - (month == 2 and not leap)


def _lines(source: SourceFile, found: tuple[Diagnostic, ...]) -> Iterator[str]:
    """The lines that problems begin on."""
    for each in found:
        if each.primary is not None:
            yield source.line_text(source.position(each.primary.span.start).line)
