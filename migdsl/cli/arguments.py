"""The words of the command line become options, or a usage error that says what was probably meant."""

from __future__ import annotations

from migdsl.cli import help as help_

PHASES = ("prepare", "expand", "backfill", "validate", "cutover", "enforce", "contract")
STAGES = ("off", "dualwrite", "shadow", "live", "rampdown", "complete")
FORMATS = ("text", "json", "sarif", "github")

# Documents that go with a migration: what the command line calls them.
_BESIDE = ("--integration-plan", "--ticket")
# Per command: options that stand alone, options with a value, and how many words it takes besides (at least, at most).
_COMMANDS = {
    "apply": (
        ("--carry", "--wait", "--yes"),
        (*_BESIDE, "--alembic-config", "--confirm", "--out", "--prometheus", "--root", "--through", "--to", "--url"),
        (1, 1),
    ),
    "check": (
        ("--diff", "--fix", "--strict", "--unsafe-fixes"),
        (*_BESIDE, "--against", "--format", "--root"),
        (1, None),
    ),
    "compile": (("--check", "--force", "--strict"), (*_BESIDE, "--out", "--through", "--format", "--root"), (1, None)),
    "diff": (("--json", "--sql"), ("--out", "--root"), (2, 2)),
    "explain": ((), (), (0, 1)),
    "finish": (("--diff", "--force"), ("--date", "--into", "--root"), (1, 1)),
    "fmt": (("--check", "--diff"), (), (1, None)),
    "import": (("--force",), ("--out", "--schema", "--table"), (1, 1)),
    "lsp": (("--stdio",), (), (0, 0)),
    "new": ((), ("--change", "--name", "--schema", "--table", "--ticket", "--url"), (0, 1)),
    "plan": (("--json",), (*_BESIDE, "--through", "--root"), (1, 1)),
    "rehearse": (
        ("--keep",),
        tuple(
            "--files --html --json --junit --markdown --rate --root --rows --schema --seed --tenants --to --url".split()
        ),
        (1, 1),
    ),
    "report": (("--force",), ("--html",), (1, 1)),
    "rollback": (
        ("--lose", "--yes"),
        (*_BESIDE, "--alembic-config", "--out", "--root", "--through", "--to", "--url"),
        (1, 1),
    ),
    "rollout": (
        ("--dry-run", "--force", "--record"),
        (*_BESIDE, "--alembic-config", "--for", "--out", "--root", "--stage", "--through", "--url"),
        (1, 1),
    ),
    "status": (
        ("--json", "--watch"),
        (*_BESIDE, "--alembic-config", "--out", "--prometheus", "--root", "--through", "--url"),
        (1, 1),
    ),
    "summary": (("--if-changed",), ("--root",), (2, 2)),
}
_TO = frozenset(["apply", "rollback"])
_REPEATED = frozenset(["--against", "--alembic-config", "--change", "--confirm", "--schema", "--table", "--url"])
_ONE_URL = frozenset(["new", "rehearse"])  # takes one where the others take one a database
_CHOICES = {"--through": PHASES, "--format": FORMATS, "--stage": STAGES}


class UsageError(Exception):
    """What is wrong with the command line, in one or two lines for people."""


class Options:
    """A command with its words. Not a dataclass: that import alone costs half of bare Python's start."""

    __slots__ = (
        "against",
        "alembic_configs",
        "attached",
        "audience",
        "carry",
        "changes",
        "check",
        "command",
        "confirmed",
        "date",
        "diff",
        "dry_run",
        "fix",
        "folder",
        "force",
        "format",
        "html",
        "if_changed",
        "into",
        "json",
        "lose",
        "name",
        "prometheus",
        "record",
        "rehearsal",
        "root",
        "schemas",
        "sql",
        "stage",
        "strict",
        "tables",
        "taken_back",
        "through",
        "ticket",
        "to",
        "unsafe_fixes",
        "urls",
        "wait",
        "watch",
        "words",
        "yes",
    )

    def __init__(self, command: str, words: tuple[str, ...], flags: set[str], values: dict[str, str]) -> None:
        self.command = command
        self.words = words  # files, or the code to explain
        self.folder = values.get("--out")  # None: not said
        self.name = values.get("--name")
        self.ticket = values.get("--ticket")
        self.attached = _attached(values) if command != "new" else {}
        self.changes = _several(values, "--change")
        self.against = _several(values, "--against")
        self.schemas = _several(values, "--schema")
        self.tables = _several(values, "--table")
        self.through = values.get("--through")
        self.root = values.get("--root")
        self.into = values.get("--into")
        self.date = values.get("--date")
        self.format = values.get("--format", "text")
        self.check = "--check" in flags
        self.diff = "--diff" in flags
        self.unsafe_fixes = "--unsafe-fixes" in flags
        self.fix = self.unsafe_fixes or "--fix" in flags or (command == "check" and self.diff)
        self.force = "--force" in flags
        self.html = values.get("--html")
        self.strict = "--strict" in flags
        self.json = "--json" in flags
        # The options of `rehearse` have values that are its alone.
        self.rehearsal = {**dict.fromkeys(flags, ""), **values} if command == "rehearse" else {}
        self.sql = "--sql" in flags
        self.to = values.get("--to")
        self.urls = _several(values, "--url")
        self.stage = values.get("--stage")
        self.audience = values.get("--for")
        self.alembic_configs = _several(values, "--alembic-config")
        self.prometheus = values.get("--prometheus")
        self.confirmed = _several(values, "--confirm")
        self.dry_run = "--dry-run" in flags
        self.record = "--record" in flags
        self.wait, self.carry = "--wait" in flags, "--carry" in flags
        self.watch = "--watch" in flags
        self.yes = "--yes" in flags
        self.lose = "--lose" in flags
        self.if_changed = "--if-changed" in flags
        self.taken_back = False  # no word says it: a database that was asked hasn't run what is released no more

    @property
    def out(self) -> str:
        """The folder or file to write to."""
        return self.folder if self.folder is not None else "."

    @property
    def url(self) -> str | None:
        """The first database that was said."""
        return self.urls[0] if self.urls else None


def parse(words: list[str]) -> Options | str:
    """The options, or the help text that was asked for. Raises UsageError."""
    if not words:
        raise UsageError(f"a command is missing\n\n{help_.OVERVIEW.rstrip()}")
    first, *rest = words
    if first in ("--help", "-h"):
        return help_.OVERVIEW
    if first == "help":
        return help_.COMMANDS[_known(rest[0], tuple(_COMMANDS), "command")] if rest else help_.OVERVIEW
    if first.startswith("-"):
        raise UsageError(f"{_unknown(first, ('--help', '--version'), 'option')}; a command comes first: migdsl --help")
    command = _known(first, tuple(_COMMANDS), "command")
    return _parse_command(command, rest)


def _parse_command(command: str, rest: list[str]) -> Options | str:
    alone, valued, bounds = _COMMANDS[command]
    flags: set[str] = set()
    values: dict[str, str] = {}
    words: list[str] = []
    todo = iter(rest)
    for word in todo:
        if word == "--":
            words.extend(todo)
        elif word in ("--help", "-h"):
            return help_.COMMANDS[command]
        elif not word.startswith("-") or word == "-":
            words.append(word)
        else:
            name, equals, value = word.partition("=")
            if _known(name, alone + valued, "option") in alone:
                if equals:
                    raise UsageError(f"{name} takes no value")
                flags.add(name)
            else:
                _set(values, name, value if equals else next(todo, None))
    _count(command, words, bounds)
    if command in _ONE_URL and "\0" in values.get("--url", ""):
        raise UsageError("--url is given twice")
    if command in _TO and "--to" not in values:
        raise UsageError(f"{command} needs a phase: {help_.USAGE[command]}")
    options = Options(command, tuple(words), flags, values)
    if options.attached and len(words) > 1:
        raise UsageError(f"a ticket and an integration plan go with one migration: {command} one file at a time")
    return options


def _set(values: dict[str, str], name: str, value: str | None) -> None:
    if value is None or value == "":
        raise UsageError(f"{name} needs a value")
    if name in values and name not in _REPEATED:
        raise UsageError(f"{name} is given twice")
    if "\0" in value:
        raise UsageError(f"{name} can't hold a NUL byte")
    if name in _CHOICES:
        _known(value, _CHOICES[name], f"value of {name}", listed=True)
    values[name] = f"{values[name]}\0{value}" if name in values else value


def _attached(values: dict[str, str]) -> dict[str, str]:
    """The documents that go with a migration, by kind."""
    kinds = (("ticket", "--ticket"), ("integration", "--integration-plan"))
    return {kind: values[name] for kind, name in kinds if name in values}


def _several(values: dict[str, str], name: str) -> tuple[str, ...]:
    """The values of an option that may be given more than once."""
    return tuple(values[name].split("\0")) if name in values else ()


def _count(command: str, words: list[str], bounds: tuple[int, int | None]) -> None:
    least, most = bounds
    what = "URL" if command == "import" else "file"
    if what == "file" and any("://" in word for word in words):
        # Quoted as a file that isn't there, its password would be seen.
        raise UsageError(f"{command} takes a file here, and no URL: {help_.USAGE[command]}")
    if len(words) < least:
        raise UsageError(f"{command} needs {f'a {what}' if least == 1 else 'two files'}: {help_.USAGE[command]}")
    if most is not None and len(words) > most:
        if most == 0:
            raise UsageError(f"{command} takes no file: {help_.USAGE[command]}")
        taken = {0: "one file" if command == "new" else "one code", 1: f"one {what}", 2: "two files"}[least]
        raise UsageError(f"{command} takes {taken} at a time: {help_.USAGE[command]}")


def _known(word: str, names: tuple[str, ...], what: str, *, listed: bool = False) -> str:
    if word not in names:
        raise UsageError(_unknown(word, names, what, listed=listed))
    return word


def _unknown(word: str, names: tuple[str, ...], what: str, *, listed: bool = False) -> str:
    from migdsl.cli.output import shown  # these are for mistakes only
    from migdsl.diagnostics.suggest import did_you_mean

    # The dashes would count as the beginning that all options share.
    bare = {name.lstrip("-"): name for name in names}
    near = did_you_mean(word.lstrip("-"), bare)
    exact = bare.get(word.lstrip("-"))
    hint = f"; did you mean {exact or bare[near or '']}?" if exact or near else f"; there is {', '.join(names)}"
    known = f" ({', '.join(names)})" if listed and near else ""
    return f"unknown {what} {shown(word)!r}{hint}{known}"
