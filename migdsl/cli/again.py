"""What a command was told of a file becomes the words that the next command on it needs too, to be pasted into a shell."""

from __future__ import annotations

from migdsl.cli import output

TYPE_CHECKING = False  # see migdsl/cli/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterable

    from migdsl.cli.arguments import Options

_ATTACHED = {"ticket": "--ticket", "integration": "--integration-plan"}


def file(name: str) -> str:
    """A file's name as a word."""
    return _word(output.shown(name))


def compiled(options: Options) -> str:
    """Where to, through what and with which documents it was compiled: ` --out DIR`, or nothing where all is as usual."""
    out = [] if options.out == "." else [("--out", options.out)]
    said = [*out, ("--through", options.through), ("--root", options.root)]
    said += [(name, options.attached.get(kind)) for kind, name in _ATTACHED.items()]
    return _said(said)


def checked(options: Options) -> str:
    """The same of what only reads: it is not asked where files go."""
    return _said([("--root", options.root), *((name, options.attached.get(kind)) for kind, name in _ATTACHED.items())])


def connected(options: Options) -> str:
    """The same with the databases and what walks them. A URL may hold a password: only the name of a variable is said."""
    urls = [url for url in options.urls if _is_named(url)]
    said = [("--url", url) for url in urls]
    said += [("--alembic-config", path) for path in options.alembic_configs]
    return compiled(options) + _said(said)


def _is_named(url: str) -> bool:
    """`env:NAME`, or `DATABASE=env:NAME`; a URL may have such words in its parameters."""
    database, _, address = url.partition("=")
    return url.startswith("env:") or (address.startswith("env:") and ":" not in database)


def _said(pairs: Iterable[tuple[str, str | None]]) -> str:
    return "".join(f" {name} {_word(output.shown(value))}" for name, value in pairs if value)


def _word(text: str) -> str:
    from shlex import quote  # for what is said to people only

    return quote(text)
