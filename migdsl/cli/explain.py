"""`migdsl explain`: a code becomes its page, or the one that was meant; no code becomes the list of all."""

from __future__ import annotations

import sys

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.diagnostics.catalog import all_codes
from migdsl.diagnostics.explain import explain
from migdsl.diagnostics.render_text import Ink
from migdsl.diagnostics.suggest import did_you_mean


def explain_command(options: Options) -> int:
    """Print the page; 1 where there is no such code."""
    colour = output.is_coloured(sys.stdout)
    if not options.words:
        ink = Ink(colour)
        lines = [f"{ink(code.severity.value, code.id)}  {code.title}\n" for code in all_codes().values()]
        output.say("".join(lines))
        return 0
    page = explain(options.words[0], colour=colour)
    if page is not None:
        output.say(page)
        return 0
    word = options.words[0].strip().upper()
    near = did_you_mean(word, all_codes())
    hint = f"did you mean {near}?" if near else "`migdsl explain` lists all codes"
    output.complain(f"migdsl: there is no code {output.shown(options.words[0])!r}; {hint}\n")
    return 1
