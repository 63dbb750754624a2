"""Text becomes statements in blocks, each token with the rule that reads it; whatever is wrong with it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache

from migdsl.formatting.scanner import goes_on
from migdsl.lsp.walk import Leaf, Place, State, beginning, leaf
from migdsl.syntax.notation import first_words, members
from migdsl.values import Value

# The pieces of `formatting/scanner.py`, without blanks.
_PIECE = re.compile(
    r"[^\S\n]*+(?:(?P<newline>\n\s*)"
    r"|(?P<comment>\#[^\n]*)"
    r'|(?P<string>"[^"\\\n]*+(?:(?:\\.|"")[^"\\\n]*+)*+")'
    r"|(?P<sql>`[^`]*+(?:``[^`]*+)*+`)"
    r"|(?P<number>[0-9]{4}-[0-9]{2}-[0-9]{2}(?!\w)|[0-9][0-9_]*(?:\.[0-9]+)?(?:%|[^\W\d_]+)?)"
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<sign>->|\.\.|[<>!=]=|\S)|$)",
)
_DECLARING = frozenset(word for rule in members("_declaration") for word in first_words(rule))
_MARGIN = re.compile(rf"^(?:{'|'.join(sorted(_DECLARING))})\b", re.MULTILINE)
_GOES_ON = re.compile(r"(?:,|\band|\bor)\s*\Z")
_OPENING = {"(": 1, ")": -1}


class Piece(Value):
    """A token: `kind` is string, sql, number, word or sign; `leaf` is what it was read as, None where it made no sense."""

    kind: str
    text: str
    start: int
    end: int
    leaf: Leaf | None


class Line:
    """A statement: its own tokens (those of its header, where it has a block), the lines of its block, and where it ends.

    `state` is the walk's state behind its last token, None where it got stuck; `inner` the one in its block; `open` and
    `close` are the braces' places (`close` -1: missing).
    """

    __slots__ = ("above", "before", "close", "end", "inner", "lines", "open", "pieces", "start", "state")

    def __init__(self, above: Line | None, before: State | None, start: int) -> None:
        self.above = above
        self.before = before  # the state that it begins in; None where nobody knows what its block may hold
        self.pieces: tuple[Piece, ...] = ()
        self.lines: list[Line] = []
        self.state: State | None = before
        self.inner: State | None = None
        self.start = start
        self.end = start
        self.open = -1
        self.close = -1

    def rule(self) -> str:
        """The construct that it is: the rule that its first token was read by; empty where it made no sense."""
        read = self.pieces[0].leaf if self.pieces else None
        if read is None:
            return ""
        depth = _depth(self.above.inner) if self.above is not None and self.above.inner is not None else 0
        inner = [each for each in read.path[depth:] if not each.startswith("_") and each not in _WRITTEN]
        return inner[0] if inner else read.rule

    def upward(self) -> Iterator[Line]:
        """The line itself and those whose blocks it stands in, innermost first."""
        line: Line | None = self
        while line is not None:
            yield line
            line = line.above


# A line that begins with a name begins with that rule's path too.
_WRITTEN = frozenset(["name", "word", "names"])


@lru_cache(maxsize=1_000)
def _depth(state: State) -> int:
    """How many rules there are around what stands in a block."""
    return next((len(each.path) for each in state.leaves() if each.text == "}"), 0)


class Comment(Value):
    """A comment's place."""

    start: int
    end: int


class Reading:
    """A text's statements, from the outermost to the innermost. `comments` are the places of comments."""

    def __init__(self, text: str, lines: list[Line], comments: tuple[Comment, ...]) -> None:
        self.text = text
        self.lines = lines
        self.comments = comments
        self.all = [each for line in lines for each in flat(line)]
        self._starts = [line.start for line in lines]

    def piece(self, offset: int) -> tuple[Line, Piece] | None:
        """The token at an offset, or the one that ends there."""
        found = None
        for line in self.around(offset):
            for piece in line.pieces:
                if piece.start <= offset <= piece.end and (piece.kind != "sign" or offset < piece.end):
                    found = (line, piece) if found is None or piece.start == offset else found
        return found

    def around(self, offset: int) -> Iterator[Line]:
        """The declaration that an offset stands in or behind, with the lines in it, and the one before."""
        at = bisect_right(self._starts, offset)
        for line in self.lines[max(0, at - 2) : at]:
            yield from flat(line)


def flat(line: Line) -> Iterator[Line]:
    """A line and those in its block, and in theirs."""
    yield line
    for each in line.lines:
        yield from flat(each)


def read(text: str) -> Reading:
    """Read a whole text. Never raises, whatever it holds.

    Declaration by declaration, each read once however often the others change: between two keystrokes most stay.
    """
    lines: list[Line] = []
    comments: list[Comment] = []
    for start, end in _declarations(text):
        found = _placed(text[start:end], start)
        lines += found[0]
        comments += found[1]
    return Reading(text, lines, tuple(comments))


def _declarations(text: str) -> Iterator[tuple[int, int]]:
    """Where the pieces of a text begin and end that can be read by themselves: at words in the first column that begin a
    declaration, unless SQL or a list goes on there."""
    begin = 0
    for match in _MARGIN.finditer(text):
        at = match.start()
        if at > begin and text.count("`", begin, at) % 2 == 0 and not _GOES_ON.search(text, max(begin, at - 200), at):
            yield begin, at
            begin = at
    yield begin, len(text)


@lru_cache(maxsize=4_000)
def _placed(text: str, start: int) -> tuple[list[Line], tuple[Comment, ...]]:
    """What a piece of a text says, where it begins at `start`."""
    lines, comments = _apart(text)
    if not start:
        return lines, comments
    return (
        [_shifted(line, None, start) for line in lines],
        tuple(Comment(each.start + start, each.end + start) for each in comments),
    )


@lru_cache(maxsize=2_000)
def _apart(text: str) -> tuple[list[Line], tuple[Comment, ...]]:
    reader = _Reader(text)
    reader.read()
    return reader.top, tuple(reader.comments)


def _shifted(line: Line, above: Line | None, by: int) -> Line:
    made = Line(above, line.before, line.start + by)
    made.pieces = tuple(Piece(p.kind, p.text, p.start + by, p.end + by, p.leaf) for p in line.pieces)
    made.state, made.inner, made.end = line.state, line.inner, line.end + by
    made.open = line.open + by if line.open >= 0 else -1
    made.close = line.close + by if line.close >= 0 else -1
    made.lines = [_shifted(each, made, by) for each in line.lines]
    return made


def pending(text: str) -> tuple[Line | None, Line | None, bool]:
    """The statement that a text breaks off in (None: it breaks off between two), the line whose block is open there, and
    whether a statement begins where it breaks off."""
    reader = _Reader(text)
    reader.scan()
    above = reader.stack[-1] if reader.stack else None
    if not reader.tokens:
        return None, above, True
    return reader.line(len(text)), above, False


class _Reader:
    """Statements so far: `stack` are the lines whose blocks are open, `tokens` what the present one has."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.top: list[Line] = []
        self.stack: list[Line] = []
        self.tokens: list[tuple[str, str, int]] = []
        self.comments: list[Comment] = []
        self.depth = 0

    def read(self) -> None:
        """All of the text."""
        self.scan()
        self._finish(len(self.text))
        while self.stack:
            self.stack.pop().end = len(self.text)

    def scan(self) -> None:
        """Take all tokens; the last statement is not finished, and blocks may be open."""
        for match in _PIECE.finditer(self.text):
            kind = match.lastgroup
            if kind is None:
                continue  # blanks at the end
            text, at = match[kind], match.start(kind)
            if kind == "newline":
                self._newline(at)
            elif kind == "comment":
                self.comments.append(Comment(at, at + len(text)))
            else:
                if kind == "word" and self.stack and text in _DECLARING and self._declares(at):
                    self._fall(at)
                self._token(kind, text, at)

    def _declares(self, at: int) -> bool:
        """Whether a declaration begins here though a block is still open: at the margin, with a block or a `=` of its own.

        The lines of blocks are indented, so that a brace which is missing costs one declaration and not the file.
        """
        return at == 0 or self.text[at - 1] == "\n"

    def _fall(self, at: int) -> None:
        self._finish(at)
        while self.stack:
            self.stack.pop().end = at
        self.depth = 0

    def _newline(self, at: int) -> None:
        if self.depth <= 0 and not (self.tokens and goes_on(self.tokens[-1][1])):
            self._finish(at)

    def _token(self, kind: str, text: str, at: int) -> None:
        if kind == "sign" and text == "{":
            self._begin_block(at)
        elif kind == "sign" and text == "}":
            self._finish(at)
            self.depth = 0
            if self.stack:
                line = self.stack.pop()
                line.close, line.end = at, at + 1
        elif kind == "sign" and text == ";":
            self._finish(at)
        else:
            self.depth = max(0, self.depth + _OPENING.get(text, 0)) if kind == "sign" else self.depth
            self.tokens.append((kind, text, at))

    def _begin_block(self, at: int) -> None:
        line = self.line(at)
        line.open = at
        step = line.state.step("sign", "{") if line.state is not None else None
        line.inner = step[0] if step is not None else None
        self.stack.append(line)
        self.depth = 0

    def _finish(self, at: int) -> None:
        """The statement ends."""
        self.depth = 0
        if self.tokens:
            self.line(at)

    def line(self, at: int) -> Line:
        """The tokens so far as a line of the innermost block."""
        above = self.stack[-1] if self.stack else None
        before = above.inner if above is not None else beginning()
        line = Line(above, before, self.tokens[0][2] if self.tokens else at)
        line.pieces, line.state = _walked(before, self.tokens)
        line.end = line.pieces[-1].end if line.pieces else at
        (self.top if above is None else above.lines).append(line)
        self.tokens = []
        return line


def _walked(state: State | None, tokens: list[tuple[str, str, int]]) -> tuple[tuple[Piece, ...], State | None]:
    """Tokens become pieces, and the state behind them."""
    leaves, behind = _leaves(state, tuple((kind, text) for kind, text, _ in tokens))
    pieces = tuple(
        Piece(kind, text, at, at + len(text), read) for (kind, text, at), read in zip(tokens, leaves, strict=True)
    )
    return pieces, behind


@lru_cache(maxsize=20_000)  # from one keystroke to the next, all statements but one stay
def _leaves(state: State | None, tokens: tuple[tuple[str, str], ...]) -> tuple[tuple[Leaf | None, ...], State | None]:
    """What read each token. Which rule it was is often decided by a later token."""
    came: list[dict[Place, Place]] = []
    for kind, text in tokens:
        step = state.step(kind, text) if state is not None else None
        if step is None:
            state = None
            break
        state, back = step
        came.append(back)
    leaves: list[Leaf | None] = [None] * len(tokens)
    place: Place | None = None
    for number in range(len(came) - 1, -1, -1):
        back = came[number]
        place = back[_first(back) if place is None else place]
        leaves[number] = leaf(place)
    return tuple(leaves), state


def _first(back: dict[Place, Place]) -> Place:
    """Of several ways that fit, the one on which the statement may end."""
    return () if () in back else next(iter(back))
