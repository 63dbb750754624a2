"""The rough shape of a text that doesn't parse: which braces match, where statements begin and end."""

from __future__ import annotations

import re
from dataclasses import dataclass

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.source import Span

_PIECE = re.compile(  # `*+` never goes back, so that a long text takes no memory
    r'#[^\n]*|"[^"\\\n]*+(?:(?:\\.|"")[^"\\\n]*+)*+"|`[^`]*+(?:``[^`]*+)*+`'
    r'|(?P<open>[{(])|(?P<close>[})])|(?P<end>[\n;])|(?P<bad>["`])'
)
_BLANK = re.compile(r"\s+")
_IN_STRING = re.compile(r'\\.|(?P<pair>"")|(?P<end>\n)')
_PAIRS = {"}": "{", ")": "("}
_OPENS = re.compile(r"\n[^\n]*(?:=|\b(?:from|back|list|check|where|generated|default))[ \t]*`$")
_LINE_OF_ITS_OWN = re.compile(r"\n(?:\}|(?:migration|database|tenants|entity|change|cutover|flag)\b[^\n`]*\{)")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement from `start` to `end`, its block included; `children` are the statements in its block."""

    start: int
    end: int
    children: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """The statements of a file, or what is wrong with its quotes and braces."""

    statements: tuple[Statement, ...]
    problems: tuple[Diagnostic, ...]


class _Frame:
    """A block that is open while the text is scanned."""

    def __init__(self, at: int, char: str) -> None:
        self.at = at
        self.char = char
        self.begin = at + 1
        self.block: tuple[Statement, ...] = ()
        self.statements: list[Statement] = []
        self.suspect: _Frame | None = None


def outline(path: str, text: str) -> Outline:
    """Scan a whole text; linear in its length, whatever is in it."""
    problems: list[Diagnostic] = []
    frames = [_Frame(-1, "")]
    for match in _PIECE.finditer(text):
        if match["bad"]:
            problems.append(_unterminated(path, text, _odd(text, match.start())))
            break
        if match["end"] and frames[-1].char != "(":
            _close_statement(frames[-1], text, match.start(), match.end())
        elif match["open"]:
            frames.append(_Frame(match.start(), match["open"]))
        elif match["close"] and not _close_block(frames, text, match.start()):
            problems.append(_unopened(path, match.start(), frames[-1]))
            break
    if not problems and len(frames) > 1:
        outermost = frames[0].suspect or frames[1]
        problems.append(_unclosed(path, text, outermost if frames[-1].char == "{" else frames[-1]))
    _close_statement(frames[0], text, len(text), len(text))
    return Outline(tuple(frames[0].statements), tuple(problems))


def _close_statement(frame: _Frame, text: str, end: int, following: int) -> None:
    blank = _BLANK.match(text, frame.begin, end)
    begin = blank.end() if blank else frame.begin
    if begin < end:
        frame.statements.append(Statement(begin, end, frame.block))
    frame.begin = following
    frame.block = ()


def _close_block(frames: list[_Frame], text: str, at: int) -> bool:
    frame = frames[-1]
    if frame.char != _PAIRS[text[at]]:
        return False
    if frame.char == "{" and frames[0].suspect is None and _margin(text, at) < _margin(text, frame.at):
        frames[0].suspect = frame
    if frame.char == "{":
        _close_statement(frame, text, at, at)
        frames[-2].block = tuple(frame.statements)
    frames.pop()
    return True


def _margin(text: str, at: int) -> int:
    """How far the line is indented: a brace further left than the line whose block it closes was meant for another."""
    line = text[text.rfind("\n", 0, at) + 1 : at + 1]
    return len(line) - len(line.lstrip())


def _odd(text: str, at: int) -> int:
    """The quote too many, where nothing closes the one at `at`: of a doubled one, the first may close and the second open."""
    if text[at] == "`":
        return text.rindex("`")
    for match in _IN_STRING.finditer(text, at + 1):
        if match["end"]:
            break
        if match["pair"]:
            at = match.end() - 1
    return at


def _unterminated(path: str, text: str, at: int) -> Diagnostic:
    if text[at] == '"':
        end = text.find("\n", at)
        span = Span(path, at, len(text) if end < 0 else end)
        label = Label(span, 'this string never ends: a closing `"` is missing on this line')
        help_ = 'strings stand on one line; a quote inside one is written `\\"`'
        return Diagnostic("MIG002", Severity.ERROR, "a string is not closed", label, help=help_)
    # The odd backtick is the last one, the mistake is mostly earlier: at the first SQL that swallows a whole block.
    suspect = next((m.start() for m in _PIECE.finditer(text, 0, at) if _swallows(m)), at)
    label = Label(Span(path, suspect, suspect + 1), "SQL begins here and is never closed")
    more = () if suspect == at else (Label(Span(path, at, at + 1), "so this backtick opens SQL instead of closing it"),)
    help_ = "close the SQL with a backtick; a backtick inside SQL is written twice"
    return Diagnostic("MIG002", Severity.ERROR, "SQL in backticks is not closed", label, more, help=help_)


def _swallows(match: re.Match[str]) -> bool:
    """SQL that holds a whole block, or ends where SQL begins: its own backtick was left out, and another one closed it."""
    return match[0].startswith("`") and any(p.search(match[0]) is not None for p in (_LINE_OF_ITS_OWN, _OPENS))


def _unopened(path: str, at: int, innermost: _Frame) -> Diagnostic:
    label = Label(Span(path, at, at + 1), "nothing is open that this could close")
    more: tuple[Label, ...] = ()
    if innermost.char:
        closer = {"{": "}", "(": ")"}[innermost.char]
        label = Label(Span(path, at, at + 1), f"expected `{closer}` before this")
        more = (Label(Span(path, innermost.at, innermost.at + 1), "opened here"),)
    return Diagnostic("MIG003", Severity.ERROR, "braces or parentheses don't match", label, more)


def _unclosed(path: str, text: str, frame: _Frame) -> Diagnostic:
    what = {"{": "block", "(": "parenthesis"}[frame.char]
    label = Label(Span(path, frame.at, frame.at + 1), f"this {what} is never closed")
    more = (Label(Span(path, len(text), len(text)), "the file ends here"),)
    closer = {"{": "}", "(": ")"}[frame.char]
    return Diagnostic(
        "MIG003", Severity.ERROR, f"a {what} is not closed", label, more, help=f"add the missing `{closer}`"
    )
