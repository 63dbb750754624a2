"""A code of the catalog becomes the page that `migdsl explain` prints."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from migdsl.diagnostics.catalog import all_codes
from migdsl.diagnostics.code import Code
from migdsl.diagnostics.render_text import Ink, wrap

_WIDTH = 80  # of prose: a page is read, not scanned
_INDENT = "    "
# What the compiler can do about a problem, by the catalog's word for it.
FIXES: Mapping[str, str] = MappingProxyType(
    {
        "safe": "`migdsl check --fix` mends it where there is no doubt what was meant",
        "unsafe": "`migdsl check --unsafe-fixes` can mend it; a person should look at the result",
    }
)


def explain(code: str, *, colour: bool) -> str | None:
    """The page of a code, ending with a newline; None if there is no such code.

    `mig401` and `401` are understood too.
    """
    wanted = code.strip().upper()
    found = all_codes().get(f"MIG{wanted:0>3}" if wanted.isdecimal() else wanted)
    return _page(found, Ink(colour)) if found else None


def _page(code: Code, ink: Ink) -> str:
    severity = code.severity.value
    head = ink(severity, f"{severity}[{code.id}]") + ink("title", f": {code.title}")
    why = ["\n".join(wrap(paragraph, _WIDTH)) for paragraph in code.why.split("\n\n")]
    examples = [_example("bad", code.bad, ink), _example("good", code.good, ink)]
    fix = [f"{ink('word', 'fix')}: {FIXES[code.fix]}"] if code.fix in FIXES else []
    return "\n\n".join([head, *why, *examples, *fix]) + "\n"


def _example(name: str, source: str, ink: Ink) -> str:
    lines = [f"{_INDENT}{line}".rstrip() for line in source.strip("\n").splitlines()]
    return "\n".join([f"{ink('word', name)}:", *lines])
