"""A command's text becomes the words that are started, or what is wrong with it: no shell reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator

_ASSIGNS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_SHELL = frozenset("();<>|&*?$`")
_IN_DOUBLE_QUOTES = frozenset("$`")
_AT_THE_BEGINNING = frozenset("~#")
_ASK = "write run \"sh -c '…'\" where a shell is meant to read it"


class CommandError(ValueError):
    """What is wrong with a command, and the way out."""

    def __init__(self, why: str, help_: str) -> None:
        super().__init__(why)
        self.help = help_


def words(command: str) -> tuple[str, ...]:
    """The words of a command. Raises CommandError, also for what only a shell would understand."""
    if not command.strip() or not command.isprintable():
        raise CommandError("a command is one line of text", 'run "make test"')
    for char, quote, begins in _characters(command):
        if char in _special(quote, begins=begins):
            raise CommandError(f"`{char}` is for a shell, and no shell reads this", _ASK)
    import shlex  # files that declare no command do without

    try:
        found = tuple(shlex.split(command))
    except ValueError:
        raise CommandError("a quote in it is not closed", "close it, or write \\\\ before it") from None
    if not found or not found[0]:
        raise CommandError("it names no program", 'run "make test"')
    if _ASSIGNS.match(found[0]):
        raise CommandError(f"`{found[0]}` is for a shell to set, and no shell reads this", f'run "env {command}"')
    return found


def _special(quote: str, *, begins: bool) -> frozenset[str]:
    """What a shell would not take as it is, by the quotes around it and whether a word begins with it."""
    if quote:
        return _IN_DOUBLE_QUOTES if quote == '"' else frozenset()
    return _SHELL | _AT_THE_BEGINNING if begins else _SHELL


def _characters(command: str) -> Iterator[tuple[str, str, bool]]:
    """Each character that is no quote and not escaped, with the quotes that it stands in, and whether a word begins with it."""
    quote, escaped, before = "", False, " "
    for char in command:
        begins, before = before == " ", char
        if escaped:
            escaped = False
            if quote and char in _IN_DOUBLE_QUOTES:  # there a shell takes the backslash away, and shlex leaves it
                yield char, quote, begins
        elif char == "\\" and quote != "'":
            escaped = True
        elif char == quote:
            quote = ""
        elif char in "'\"" and not quote:
            quote = char
        else:
            yield char, quote, begins
