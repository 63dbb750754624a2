"""Tokens become statements with their blocks, each comment and empty line kept where it belongs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from migdsl.formatting.scanner import Token, comment_text, goes_on
from migdsl.values import Value, replace


class Comment(Value):
    """A comment; `own`: on a line of its own; `blank`: an empty line stands before it."""

    text: str
    own: bool
    blank: bool = False


class Word(Value):
    """A token of a statement; `breaks`: it begins a line inside the statement, behind the comments `notes`."""

    kind: str
    text: str
    start: int
    breaks: bool
    notes: tuple[Comment, ...]


class Block(Value):
    """What stands between braces; `opening` is the comment behind the opening brace.

    `inline`: it was written on one line, but for the lines of SQL in it.
    """

    items: tuple[Item, ...]
    inline: bool
    opening: str


class Statement(Value):
    """Words, a block behind them if there is one, and the comment at the end of the last line."""

    words: tuple[Word, ...]
    block: Block | None
    comment: str
    blank: bool


Item = Statement | Comment


def build(tokens: Iterable[Token]) -> tuple[Item, ...]:
    """The statements and comments of a text that parses; of any other text something, and no error."""
    builder = _Builder()
    for token in tokens:
        builder.take(token)
    return builder.end()


@dataclass(slots=True)
class _Frame:
    """A block that is being read, the file being the outermost, with the statement that is being read in it."""

    line: int
    items: list[Item] = field(default_factory=list)
    opening: str = ""
    words: list[Word] = field(default_factory=list)
    block: Block | None = None
    comment: str = ""
    blank: bool = False
    depth: int = 0

    @property
    def unfinished(self) -> bool:
        """Whether a newline here would separate nothing, since the statement goes on."""
        return bool(self.words) and self.block is None and (self.depth > 0 or goes_on(self.words[-1].text))

    def comment_behind(self, text: str) -> None:
        """Keep a comment that stands behind the opening brace, or behind a `;`."""
        last = self.items[-1] if self.items else None
        if isinstance(last, Statement):
            self.items[-1] = replace(last, comment=text)
        elif last is None and not self.opening:
            self.opening = text
        else:
            self.items.append(Comment(text, own=True))

    def finish(self) -> None:
        """Put the statement among the items."""
        if self.words or self.block is not None:
            self.items.append(Statement(tuple(self.words), self.block, self.comment, self.blank))
        self.words, self.block, self.comment, self.depth = [], None, "", 0


class _Builder:
    """Reads token after token."""

    def __init__(self) -> None:
        self._line = 0
        self._frames = [_Frame(0)]
        self._blank = False  # an empty line has been read since the last token
        self._broken = False  # so has a newline inside a statement
        self._fresh = True  # nothing stands on this line so far
        self._notes: list[Comment] = []

    def take(self, token: Token) -> None:
        """Read one token."""
        if token.kind == "newline":
            self._newline(token.text.count("\n"))
        elif token.kind == "comment":
            self._comment(comment_text(token))
        elif token.kind == "sign" and token.text == "{":
            self._open()
        elif token.kind == "sign" and token.text == "}" and len(self._frames) > 1:
            self._close()
        elif token.kind == "sign" and token.text == ";":
            self._separator()
        elif token.kind != "space":
            self._word(token)

    def end(self) -> tuple[Item, ...]:
        """All that was read."""
        frame = self._frames[-1]
        self._finish(frame)
        return tuple(frame.items)

    def _newline(self, count: int) -> None:
        self._line += count
        frame = self._frames[-1]
        if frame.unfinished:
            self._broken = True
        else:
            frame.finish()
            self._blank = self._blank or count > 1
        self._fresh = True

    def _separator(self) -> None:
        frame = self._frames[-1]
        if not frame.unfinished:
            frame.finish()

    def _comment(self, text: str) -> None:
        frame, own = self._frames[-1], self._fresh
        if frame.unfinished:
            self._notes.append(Comment(text, own))
        elif own:
            frame.items.append(Comment(text, own, self._blank))
        elif frame.words:
            frame.comment = text
        else:
            frame.comment_behind(text)
        self._blank = False

    def _open(self) -> None:
        # A name `and` lets comments stand before the brace; they go behind it, and so the block takes several lines.
        notes, self._notes = self._notes, []
        frame = _Frame(-1 if notes else self._line)
        if notes and not notes[0].own:
            frame.opening = notes.pop(0).text
        frame.items.extend(notes)
        self._frames.append(frame)
        self._fresh = self._blank = self._broken = False

    def _close(self) -> None:
        inner = self._frames.pop()
        self._finish(inner)
        self._frames[-1].block = Block(tuple(inner.items), inner.line == self._line, inner.opening)
        self._fresh = self._blank = False

    def _word(self, token: Token) -> None:
        frame = self._frames[-1]
        if frame.block is not None:
            frame.finish()
        if not frame.words:
            frame.blank = self._blank
        frame.words.append(Word(token.kind, token.text, token.start, self._broken, tuple(self._notes)))
        if token.kind == "sign":
            frame.depth += (token.text == "(") - (token.text == ")")
        self._notes = []
        self._fresh = self._blank = self._broken = False

    def _finish(self, frame: _Frame) -> None:
        """End a block: a name `and` may be the last word in it, and comments behind it wait for more in vain."""
        notes, self._notes, self._broken = self._notes, [], False
        if notes and not notes[0].own:
            frame.comment = notes.pop(0).text
        frame.finish()
        frame.items.extend(notes)
