"""`migdsl explain`: a code or a word of the language becomes its page, or what was meant; no word becomes the list of all."""

from __future__ import annotations

import os
import re
import sys

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.diagnostics.catalog import FAMILIES, all_codes
from migdsl.diagnostics.explain import explain
from migdsl.diagnostics.render_text import Ink
from migdsl.diagnostics.suggest import did_you_mean

_CODE = re.compile(r"(mig)?\d+", re.IGNORECASE | re.ASCII)


def explain_command(options: Options) -> int:
    """Print the page; 1 where there is no such code or word."""
    colour = output.is_coloured(sys.stdout)
    if not options.words:
        output.say(_list(Ink(colour)))
        return 0
    word = options.words[0].strip()
    page = explain(word, colour=colour) or _word(word, colour)
    if page:
        output.say(page)
        return 0
    if os.path.exists(word):
        name = output.shown(options.words[0])
        output.complain(
            f"migdsl: explain takes a code or a word, and {name!r} is a file: migdsl check, or migdsl plan\n"
        )
        return 1
    near = _near(word)
    hint = f"did you mean {near}?" if near else "`migdsl explain` lists all codes, docs/reference.md all words"
    output.complain(f"migdsl: there is no code or word {output.shown(options.words[0])!r}; {hint}\n")
    return 1


def _list(ink: Ink) -> str:
    """All codes, by family."""
    groups = []
    for digit, (name, what) in FAMILIES.items():
        codes = [code for code in all_codes().values() if code.id[3] == digit]
        lines = [f"  {ink(code.severity.value, code.id)}  {code.title}\n" for code in codes]
        groups.append(f"{ink('title', name)}: {what}\n{''.join(lines)}")
    return "\n".join(groups)


def _word(word: str, colour: bool) -> str:
    if _CODE.fullmatch(word):
        return ""
    from migdsl.cli.glossary import page  # the grammar's text, which codes don't need

    return page(word, colour=colour)


def _near(word: str) -> str | None:
    near = did_you_mean(word.upper(), all_codes())
    if near or _CODE.fullmatch(word):
        return near
    from migdsl.syntax.vocabulary import words  # only where nothing was found

    return did_you_mean(word, words())
