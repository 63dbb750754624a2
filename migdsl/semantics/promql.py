"""PromQL as users write it becomes text that fits into generated rules, or the reason why it does not.

This is no parser: it finds what would break out of the place where the text is put. What is left, promtool says.
"""

from __future__ import annotations

import re

from migdsl.values import Value

_PAIRS = {")": "(", "]": "[", "}": "{"}
_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
      | (?P<bracket>[()\[\]{}])
      | (?P<bad>["'`$\x00-\x08\x0b\x0c\x0e-\x1f\x7f])
      | (?P<other>[^\s])
    """,
    re.VERBOSE,
)


class Flaw(Value):
    """What is wrong at characters `[start, end)`."""

    what: str
    start: int
    end: int


def flaw(text: str) -> Flaw | None:
    """The first thing that is wrong with PromQL, if any."""
    opened: list[tuple[str, int]] = []
    tokens = 0
    for match in _TOKEN.finditer(text):
        tokens += match.lastgroup != "comment"
        found = _of_token(match, opened)
        if found:
            return Flaw(found, *match.span())
    if not tokens:
        return Flaw("it says nothing", 0, len(text))
    if opened:
        bracket, at = opened[-1]
        return Flaw(f"`{bracket}` is never closed", at, at + 1)
    return None


def _of_token(match: re.Match[str], opened: list[tuple[str, int]]) -> str:
    """What is wrong with one token, or nothing; brackets are entered into, and taken from, those that are open."""
    text = match[0]
    if match.lastgroup == "bad":
        return "a string is never closed" if text in "\"'`" else f"{text!r} has no meaning in PromQL"
    if match.lastgroup == "string" and text[0] != '"' and re.search(r"\$|\[\[", text):
        return "`$` and `[[` are Grafana's in such a string: write it in double quotes"
    if match.lastgroup == "bracket" and text in "([{":
        if text != "(" and opened and opened[-1][0] != "(":
            return f"`{text}` can't stand inside `{opened[-1][0]}`"
        opened.append((text, match.start()))
    elif match.lastgroup == "bracket":
        if not opened or opened[-1][0] != _PAIRS[text]:
            return f"`{text}` closes nothing"
        opened.pop()
    return ""


def embedded(text: str) -> str:
    """PromQL on one line, without comments, and with nothing that Grafana would expand."""
    pieces: list[str] = []
    at, apart = 0, False
    for match in _TOKEN.finditer(text):
        apart = apart or match.start() > at
        if match.lastgroup != "comment":
            pieces += [" " if apart and pieces else "", _escaped(match[0])]
        apart = match.lastgroup == "comment"
        at = match.end()
    return "".join(pieces)


def _escaped(token: str) -> str:
    if token[0] != '"':
        return token
    return re.sub(r"\$|\[(?=\[)", lambda found: f"\\x{ord(found[0]):02x}", token)
