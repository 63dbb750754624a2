"""A word of the language becomes the page that `migdsl explain` prints of it."""

from __future__ import annotations

from migdsl.diagnostics.catalog import all_codes
from migdsl.diagnostics.render_text import Ink, wrap
from migdsl.syntax.vocabulary import Construct, about, inner

_WIDTH = 80  # as wide as the pages of codes
_INDENT = "    "


def page(word: str, *, colour: bool) -> str:
    """All constructs that the word begins, ending with a newline; empty where it begins none."""
    ink = Ink(colour)
    return "\n".join(_construct(each, ink) for each in about(word))


def _construct(found: Construct, ink: Ink) -> str:
    head = "\n".join(ink("title", line) for line in found.syntax)
    parts = [head, "\n".join(wrap(found.says, _WIDTH))]
    if found.words:
        parts.append(_wrapped("words", ", ".join(found.words), ink))
    if found.lines:
        parts.append("\n".join([f"{ink('word', 'in its block')}:", *_lines(found)]))
    parts.append(
        "\n".join([f"{ink('word', 'example')}:", *(f"{_INDENT}{line}".rstrip() for line in found.example.split("\n"))])
    )
    if found.codes:
        rules = [f"{_INDENT}{code}  {all_codes()[code].title}" for code in found.codes if code in all_codes()]
        parts.append("\n".join([f"{ink('word', 'rules')}:", *rules]))
    return "\n\n".join(parts) + "\n"


def _wrapped(name: str, text: str, ink: Ink) -> str:
    return f"{ink('word', name)}: " + "\n".join(wrap(text, _WIDTH - len(name) - 2)).replace(
        "\n", f"\n{' ' * (len(name) + 2)}"
    )


def _lines(found: Construct) -> list[str]:
    """Each line of the block, with the first sentence of what it is for."""
    return [
        line
        for each in inner(found)
        for line in (
            *(f"{_INDENT}{way}" for way in each.syntax),
            *(f"{_INDENT * 2}{part}" for part in wrap(_short(each), 68)),
        )
    ]


def _short(found: Construct) -> str:
    return found.says.split(". ")[0].rstrip(".")
