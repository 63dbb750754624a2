"""Diagnostics become text for people: what is wrong, where it stands in the source, why, and the way out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from migdsl.diagnostics.model import Applicability, Diagnostic, Fix, Label
from migdsl.source import SourceFile, Span

_TAB = 4
_NARROWEST = 32  # narrower than this, nothing can be read any more: let the terminal wrap instead
_LONGEST_SPAN = 4  # lines of one label that are all shown; of a longer one the first two and the last
_HELP_INDENT = 6
# In a URL up to the last `@`, as people write it who don't know that one in a password ends it.
_PASSWORD = re.compile(r"(://[^/@\s:]*:)([^\s\"]+)(@)")
_SAID = re.compile(r"(\burl\b.*\bpassword=)('[^']*'|[^\s&\"]+)()", re.IGNORECASE)
_STYLES = {"error": "1;31", "warning": "1;33", "title": "1", "frame": "34", "secondary": "36", "word": "1;36"}


@dataclass(frozen=True, slots=True)
class Ink:
    """Colours a piece of text by its role, or leaves it alone."""

    colour: bool

    def __call__(self, style: str, text: str) -> str:
        """`text` in the look of `style`; an unknown style is a KeyError."""
        code = _STYLES[style]
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text


@dataclass(frozen=True, slots=True)
class _Mark:
    """What one label does to one line: marks under the characters `start` to `end` (from 0), and a text behind them."""

    line: int
    start: int
    end: int
    style: str
    text: str = ""
    elided: bool = False  # lines of the same label before this one are not shown

    @property
    def char(self) -> str:
        return {"secondary": "-", "context": ""}.get(self.style, "^")


@dataclass(frozen=True, slots=True)
class _View:
    """The part `lo` to `hi` of a line that is shown: its text, and the column at which each character begins."""

    lo: int
    hi: int
    text: str
    columns: tuple[int, ...]

    def columns_of(self, mark: _Mark) -> tuple[int, int]:
        """First column and the one after the last; at least one wide, so that an empty span is seen too."""
        start, end = (min(max(place, self.lo), self.hi) - self.lo for place in (mark.start, mark.end))
        while 0 < start < len(self.columns) - 1 and self.columns[start] == self.columns[start + 1]:
            start -= 1  # a combining character is marked under the one that carries it
        return self.columns[start], max(self.columns[end], self.columns[start] + 1)

    def shows(self, mark: _Mark, length: int) -> bool:
        """Whether the mark, on a line of `length` characters, begins or lies in this part."""
        start = min(mark.start, length)
        return self.lo <= start < self.hi or start < self.lo < mark.end or start == length == self.hi


def render_text(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, SourceFile], *, colour: bool, width: int = 100
) -> str:
    """All diagnostics, sorted, with the lines they speak of; ends with a newline unless there are none.

    `sources` is by path; a label whose file isn't there is shown without its line. `width` is in terminal columns and
    holds for prose and source lines; what can be pasted is never wrapped. Control characters, terminal escapes and
    invisible characters of source and messages come out as `\\x1b`; the only escapes are those of `colour`.
    """
    ink, room = Ink(colour), max(width, _NARROWEST)
    blocks = [_block(each, sources, ink, room) for each in sorted(diagnostics, key=Diagnostic.sort_key)]
    return "\n".join(f"{block}\n" for block in blocks)


def visible(text: str) -> str:
    """`text` on one line with every control and invisible character spelt out."""
    return text if text.isprintable() else "".join(char if char.isprintable() else _escape(char) for char in text)


def without_password(line: str) -> str:
    """A source line that may be shown in a log: the password in a URL is as many stars, so that marks stay in place."""
    for pattern in (_PASSWORD, _SAID):
        line = pattern.sub(lambda found: found[1] + "*" * len(found[2]) + found[3], line)
    return line


def text_width(text: str) -> int:
    """How many terminal columns visible text takes: wide characters two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_char_width, text))


def wrap(text: str, room: int) -> list[str]:
    """Prose in lines of at most `room` columns; a word, or a piece in backticks, that is wider stays whole."""
    lines: list[str] = []
    line = ""
    for word in _words(visible(" ".join(_split(text))), room):
        if line and text_width(line) + 1 + text_width(word) > room:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def clamp(span: Span, length: int) -> tuple[int, int]:
    """The span's offsets, kept within a text of `length` characters and in order."""
    start = min(max(span.start, 0), length)
    return start, min(max(span.end, start), length)


def _split(text: str) -> list[str]:
    """The lines of a message; `str.splitlines` would swallow control characters that ought to be seen."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def _words(text: str, room: int) -> list[str]:
    words: list[str] = []
    for word in text.split():
        # `alter table x` in backticks is to be read, and copied, in one piece.
        if words and words[-1].count("`") % 2 and text_width(words[-1]) + 1 + text_width(word) <= room:
            words[-1] += f" {word}"
        else:
            words.append(word)
    return words


def _escape(char: str) -> str:
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char)
    code = ord(char)
    return short or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def _char_width(char: str) -> int:
    # Hangul vowels and finals join the syllable before them, although Unicode doesn't call them combining.
    if unicodedata.category(char) in ("Mn", "Me") or "\u1160" <= char <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _cell(char: str, column: int) -> tuple[str, int]:
    """What stands for a character of the source at a column, and how wide that is."""
    if char == "\t":
        return " " * (_TAB - column % _TAB), _TAB - column % _TAB
    shown = visible(char)
    return (shown, text_width(shown))


def _block(each: Diagnostic, sources: Mapping[str, SourceFile], ink: Ink, room: int) -> str:
    severity = each.severity.value
    head = ink(severity, f"{severity}[{visible(each.code)}]") + ink("title", f": {visible(each.title)}")
    parts = [
        "\n".join([head, *_snippets(each, sources, ink, room)]),
        "\n".join(_body(each.body, room)),
        "\n".join([*_help(each.help, ink, room), *_fix(each.fix, ink), _more(each.code, ink)]),
    ]
    return "\n\n".join(part for part in parts if part)


def _body(text: str, room: int) -> list[str]:
    lines = _split(text.strip("\r\n")) if text else []
    # A line that begins with a space is an example: it keeps its shape.
    return [rest for line in lines for rest in ([_code(line)] if line[:1].isspace() else wrap(line, room))]


def _code(line: str) -> str:
    return visible(line.rstrip().replace("\t", " " * _TAB))


def _help(text: str, ink: Ink, room: int) -> list[str]:
    first, *rest = _split(text.strip())
    if not first:
        return []
    pad = " " * _HELP_INDENT
    said, *more = wrap(first, room - _HELP_INDENT)
    # A line that begins with a space is a statement to be copied: it keeps its shape, however long.
    more += [line for one in rest for line in ([_code(one)] if one[:1].isspace() else wrap(one, room - _HELP_INDENT))]
    return [f"{ink('word', 'help')}: {said}", *(f"{pad}{line}".rstrip() for line in more)]


def _fix(fix: Fix | None, ink: Ink) -> list[str]:
    if fix is None:
        return []
    flags = "--fix" if fix.applicability is Applicability.SAFE else "--unsafe-fixes"
    kind = fix.applicability.value
    return [f"{ink('word', 'fix')}: {kind} ({visible(fix.title)}), apply with `migdsl check {flags}`"]


def _more(code: str, ink: Ink) -> str:
    return f"{ink('word', 'more')}: migdsl explain {visible(code)}"


def _snippets(each: Diagnostic, sources: Mapping[str, SourceFile], ink: Ink, room: int) -> list[str]:
    """The source lines that the labels speak of, the primary's file first."""
    labels = ([each.primary] if each.primary else []) + list(each.secondary)
    marks: dict[str, list[_Mark]] = {}
    for label in labels:
        source = sources.get(label.span.path)
        style = "secondary" if label is not each.primary else each.severity.value
        marks.setdefault(label.span.path, []).extend(_marks(source, label, style) if source else ())
    gutter = len(str(max((mark.line for group in marks.values() for mark in group), default=1)))
    lines: list[str] = []
    for path, group in marks.items():
        own = [label for label in labels if label.span.path == path]
        lines.append(_where(own[0], sources.get(path), gutter, ink))
        if path not in sources:
            lines += [_row("", gutter, wrapped, ink) for label in own for wrapped in wrap(label.text, room)]
            continue
        lines += [_row("", gutter, "", ink)] if len(lines) == 1 else []
        lines += _lines(sources[path], group, gutter, ink, room)
    return lines


def _where(label: Label, source: SourceFile | None, gutter: int, ink: Ink) -> str:
    place = ""
    if source:
        position = source.position(clamp(label.span, len(source.text))[0])
        place = f":{position.line}:{position.column}"
    return f"{' ' * gutter} {ink('frame', '┌─')} {visible(label.span.path)}{place}"


def _row(number: str, gutter: int, text: str, ink: Ink, bar: str = "│") -> str:
    return f"{ink('frame', f'{number:>{gutter}} {bar}')} {text}".rstrip()


def _marks(source: SourceFile, label: Label, style: str) -> list[_Mark]:
    """The label, line by line; its text goes with the last line.

    A secondary label without a text shows its lines and marks nothing: context for the others.
    """
    start, end = clamp(label.span, len(source.text))
    first, last = source.position(start), source.position(max(start, end - 1))
    if style == "secondary" and not label.text:
        style = "context"
    if first.line == last.line:
        column = first.column - 1
        return [_Mark(first.line, column, column + end - start, style, label.text)]
    return _marks_of_lines(source, label, style, (first.line, first.column - 1), (last.line, last.column))


def _marks_of_lines(
    source: SourceFile, label: Label, style: str, first: tuple[int, int], last: tuple[int, int]
) -> list[_Mark]:
    numbers: Sequence[int] = range(first[0], last[0] + 1)
    if elided := len(numbers) > _LONGEST_SPAN:
        numbers = (*numbers[:2], numbers[-1])
    marks = []
    for number in numbers:
        text = without_password(source.line_text(number))
        begin = first[1] if number == first[0] else len(text) - len(text.lstrip())
        end = min(last[1], len(text)) if number == last[0] else len(text)
        said = label.text if number == last[0] else ""
        blank = begin >= end and number not in (first[0], last[0])
        cut = elided and number == last[0]
        marks.append(_Mark(number, min(begin, end), end, "context" if blank else style, said, cut))
    return marks


def _lines(source: SourceFile, marks: list[_Mark], gutter: int, ink: Ink, room: int) -> list[str]:
    out: list[str] = []
    shown = 0
    space = max(room - gutter - 3, _NARROWEST)
    for number in sorted({mark.line for mark in marks}):
        here = [mark for mark in marks if mark.line == number]
        if any(mark.elided for mark in here) and number > shown + 1:
            out.append(_row("", gutter, "", ink, bar="·"))
        shown = number
        text = without_password(source.line_text(number))
        # A line too long for the screen is shown once for each part of it that is spoken of.
        while here:
            view = _view(text, here[0], space)
            out.append(_row(str(number), gutter, view.text, ink))
            now = [mark for mark in here if view.shows(mark, len(text))]
            here = [mark for mark in here if mark not in now]
            out += [_row("", gutter, row, ink) for row in _mark_rows(view, now, ink, space)]
    return out


def _view(text: str, focus: _Mark, space: int) -> _View:
    """The line whole if it fits, else the part around the mark."""
    at = min(focus.start, len(text))
    lo, hi = 0, len(text)
    if _reach(text, 0, 1, space)[0] < len(text):
        space -= 2  # for the ellipses
        hi, ahead = _reach(text, at, 1, space * 2 // 3)
        hi = max(hi, min(at + 1, len(text)))
        lo, behind = _reach(text, at, -1, space - ahead)
        if lo == 0:
            hi = max(hi, _reach(text, at, 1, space - behind)[0])
    shown = ["…"] if lo else []
    columns = [len(shown)]
    for char in text[lo:hi]:
        cell, cells = _cell(char, columns[-1])
        if not cells and columns[-1] == len(shown) and len(columns) == 1:
            cell, cells = f"◌{cell}", 1  # else it would combine with the frame
        shown.append(cell)
        columns.append(columns[-1] + cells)
    return _View(lo, hi, "".join(shown) + ("…" if hi < len(text) else ""), tuple(columns))


def _reach(text: str, at: int, step: int, space: int) -> tuple[int, int]:
    """How far from `at` one gets within `space` columns, and the columns used; a megabyte is never walked."""
    used = 0
    for _ in range(4 * space):  # characters without a width are not to be had without end
        if (at >= len(text)) if step > 0 else (at == 0):
            break
        cells = _cell(text[at if step > 0 else at - 1], 0)[1]
        if used + cells > space:
            break
        used, at = used + cells, at + step
    return at, used


def _mark_rows(view: _View, marks: list[_Mark], ink: Ink, space: int) -> list[str]:
    """The rows below a source line: each label with its text beside its own marks, as many in a row as fit."""
    rows: list[list[tuple[int, str, str]]] = []
    tops: list[list[tuple[int, int]]] = []
    for mark in sorted(marks, key=lambda each: (each.style == "secondary", each.start, each.end)):
        if not mark.char:
            continue
        start, end = view.columns_of(mark)
        first, *rest = _beside(mark, start, end, space)
        taken = (start, first[0] + text_width(first[1]) + 2)
        free = [i for i, top in enumerate(tops) if not rest and all(taken[1] <= a or taken[0] >= b for a, b in top)]
        row = free[0] if free else len(rows)
        if not free:
            rows.append([])
            # Nothing may stand beside a text of several rows.
            tops.append([(0, space * 4)] if rest else [])
        tops[row].append(taken)
        rows[row].append((first[0], mark.style, first[1]))
        for column, text in rest:
            rows.append([(column, mark.style, text)])
            tops.append([(0, space * 4)])
    return [_set(row, ink) for row in rows]


def _beside(mark: _Mark, start: int, end: int, space: int) -> list[tuple[int, str]]:
    """Marks and text as pieces (column, text), one a row: beside the marks if there is room, else below them."""
    line = mark.char * (end - start)
    if not mark.text.strip():
        return [(start, line)]
    room = space - end - 1
    if text_width(visible(mark.text)) <= room or room >= _NARROWEST:
        said, *more = wrap(mark.text, room)
        return [(start, f"{line} {said}"), *((end + 1, each) for each in more)]
    column = max(0, min(start, space - min(text_width(visible(mark.text)), 2 * _NARROWEST)))
    return [(start, line), *((column, each) for each in wrap(mark.text, space - column))]


def _set(row: list[tuple[int, str, str]], ink: Ink) -> str:
    out, column = "", 0
    for start, style, text in sorted(row):
        out += " " * (start - column) + ink(style, text)
        column = start + text_width(text)
    return out
