"""Systems become a drawing: boxes, words and arrows with their places, once for a wide page and once for a narrow one."""

from __future__ import annotations

from collections.abc import Sequence

from migdsl.report.systems import Database, Feed, Holding, Side, Systems
from migdsl.values import Value

WIDE, NARROW = 720, 336  # pixels; the narrow one fits a telephone
_PAD, _LINE, _GAP = 14, 18, 16
_WIDTHS = {"name": 7.6, "fine": 6.7, "id": 7.4}  # pixels a character takes at most, on average


class Box(Value):
    """A rectangle. `kind`: class names."""

    kind: str
    x: float
    y: float
    width: float
    height: float


class Words(Value):
    """A line of text that begins, ends or is centred at a place."""

    kind: str
    x: float
    y: float
    anchor: str
    text: str


class Arrow(Value):
    """A path with tips at its ends: `tips` are the three corners of each."""

    kind: str
    path: str
    tips: tuple[str, ...]


class Drawing(Value):
    """What there is to draw, back to front."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    words: tuple[Words, ...]


def draw(systems: Systems, width: int) -> Drawing:
    """The drawing of that width; its height is what it takes."""
    pen = _Pen(width, narrow=width < 500)
    pen.code(systems.code)
    for database in systems.databases:
        pen.database(database)
    pen.others(systems.others)
    return pen.drawing()


class _Pen:
    """Draws from top to bottom; `y` is where the next thing goes."""

    def __init__(self, width: int, *, narrow: bool) -> None:
        self.width, self.narrow, self.y = width, narrow, 1.0
        self.boxes: list[Box] = []
        self.arrows: list[Arrow] = []
        self.words: list[Words] = []

    def drawing(self) -> Drawing:
        return Drawing(self.width, int(self.y - _GAP) + 2, tuple(self.boxes), tuple(self.arrows), tuple(self.words))

    def code(self, versions: Sequence[tuple[str, str, str]]) -> None:
        """The application's versions in a row, each with an arrow down to what comes next."""
        if not versions:
            return
        count, height = len(versions), _PAD * 1.5 + _LINE * (3 if self.narrow and len(versions) > 1 else 2)
        width = min((self.width - _GAP * (count - 1)) / count, 250)
        for place, (name, duty, verb) in enumerate(versions):
            x = (self.width - width) / 2 if count == 1 else 1 + place * (self.width - 2 - width) / (count - 1)
            x = x if self.narrow or count == 1 else x + (1 - 2 * place) * _PAD
            self.box("box", x, width, height)
            self.line("name", x + width / 2, self.y + 24, name, width - 12, "middle")
            for below, words in enumerate(_wrapped(duty, int((width - 12) / _WIDTHS["fine"]))):
                self.line("fine", x + width / 2, self.y + 42 + below * 16, words, width - 12, "middle")
            at = x + (_PAD * 2 if self.narrow else width / 2)
            self.down(at, self.y + height + 2, 30, both=True)
            self.line("fine", at + 9, self.y + height + 21, verb, width, "start")
        self.y += height + 36

    def database(self, database: Database) -> None:
        """A database around its tables."""
        top, self.y = self.y, self.y + 30
        frame = len(self.boxes)
        self.line("fine", _PAD, top + 21, database.title, self.width - 2 * _PAD, "start")
        for holding in database.holdings:
            self.holding(holding)
            self.y += _GAP
        self.boxes.insert(frame, Box("hold", 1, top, self.width - 2, self.y - top))
        self.y += _GAP

    def holding(self, holding: Holding) -> None:
        """A table, or two sides beside each other; below each other where it is narrow."""
        inner = self.width - 2 * _PAD
        if holding.right is None:
            self.side(holding.left, _PAD, inner, _height(holding.left, inner))
        elif self.narrow:
            self.side(holding.left, _PAD, inner, _height(holding.left, inner))
            self.y += 4
            for feed in holding.feeds:
                self.feed_down(feed)
            self.y += 2
            self.side(holding.right, _PAD, inner, _height(holding.right, inner))
        else:
            top, width = self.y, (inner - 190) / 2
            sides = (holding.left, holding.right)
            height = max(*(_height(each, width) for each in sides), len(holding.feeds) * 34.0)
            self.across(holding.feeds, _PAD + width, _PAD + width + 190, height)
            for place, each in enumerate(sides):
                self.y = top
                self.side(each, _PAD + place * (width + 190), width, height)

    def side(self, side: Side, x: float, width: float, height: float) -> None:
        """A side from `y` on."""
        self.box(f"box {side.tone}".strip(), x, width, height)
        y = self.y + _PAD + 11
        self.line("name", x + _PAD, y, side.name, width - 2 * _PAD - 30, "start")
        self.line("fine", x + width - _PAD, y, side.tone, 40, "end")
        if side.table:
            y += _LINE
            self.line("fine id", x + _PAD, y, side.table, width - 2 * _PAD, "start")
        for kind, text in _lines(side, width):
            y += _LINE
            self.line(kind, x + _PAD, y + 6, text, width - 2 * _PAD, "start")
        self.y += height

    def others(self, names: Sequence[str]) -> None:
        """Those that are affected too, one a line where it is narrow, else up to three."""
        if not names:
            return
        if self.boxes:
            self.line("fine", 1, self.y + 12, "also affected", self.width, "start")
            self.y += 22
        many = 1 if self.narrow else min(3, len(names))
        width = (self.width - 2 - _GAP * (many - 1)) / many
        for row in (names[at : at + many] for at in range(0, len(names), many)):
            texts = [_wrapped(name, int((width - 16) / _WIDTHS["name"])) for name in row]
            height = 22 + _LINE * max(map(len, texts))
            for place, lines in enumerate(texts):
                x = 1 + place * (width + _GAP)
                self.box("box side", x, width, height)
                for below, words in enumerate(lines):
                    self.line("name", x + width / 2, self.y + 25 + below * _LINE, words, width - 16, "middle")
            self.y += height + _GAP

    def feed_down(self, feed: Feed) -> None:
        self.down(_PAD * 3, self.y, 28, both=feed.both, soft=feed.compares)
        self.line("fine", _PAD * 3 + 14, self.y + 18, feed.text, self.width - _PAD * 5, "start")
        self.y += 34

    def down(self, x: float, y: float, long: float, *, both: bool, soft: bool = False) -> None:
        tips = [_tip(x, y + long, 0, -1)] + ([_tip(x, y, 0, 1)] if both else [])
        self.arrows.append(Arrow("arrow soft" if soft else "arrow", f"M{x:g} {y:g}V{y + long:g}", tuple(tips)))

    def across(self, feeds: Sequence[Feed], left: float, right: float, height: float) -> None:
        for place, feed in enumerate(feeds):
            y = self.y + (height - 34 * len(feeds)) / 2 + 24 + place * 34
            tips = [_tip(right - 6, y, -1, 0)] + ([_tip(left + 6, y, 1, 0)] if feed.both else [])
            path = f"M{left + 6:g} {y:g}H{right - 6:g}"
            self.arrows.append(Arrow("arrow soft" if feed.compares else "arrow", path, tuple(tips)))
            self.line("fine", (left + right) / 2, y - 7, feed.text, right - left - 16, "middle")

    def box(self, kind: str, x: float, width: float, height: float) -> None:
        self.boxes.append(Box(kind, round(x, 1), round(self.y, 1), round(width, 1), round(height, 1)))

    def line(self, kind: str, x: float, y: float, text: str, room: float, anchor: str) -> None:
        if text:
            fits = int(room / _WIDTHS[kind.rpartition(" ")[2]])
            shown = text if len(text) <= fits else text[: max(fits - 1, 1)] + "…"
            self.words.append(Words(kind, round(x, 1), round(y, 1), anchor, shown))


def _lines(side: Side, width: float) -> list[tuple[str, str]]:
    """What stands below a side's name: its columns, or what becomes of it."""
    if side.columns:
        return [("id", each) for each in side.columns]
    fits = int((width - 2 * _PAD) / _WIDTHS["fine"])
    return [("fine", words) for note in side.notes for words in _wrapped(note, fits)]


def _height(side: Side, width: float) -> float:
    """What a side takes."""
    lines = len(_lines(side, width))
    return 2 * _PAD + _LINE * (1 + bool(side.table) + lines) + (6 if lines else 0) - 4


def _wrapped(text: str, fits: int) -> list[str]:
    """The words of a text in lines of so many characters."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) > fits and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _tip(x: float, y: float, dx: int, dy: int) -> str:
    """The corners of an arrow's tip whose tail lies in that direction."""
    wide = 4
    end_x, end_y = x + dx * 8, y + dy * 8
    corners = ((x, y), (end_x + dy * wide, end_y + dx * wide), (end_x - dy * wide, end_y - dx * wide))
    return " ".join(f"{round(a, 1):g},{round(b, 1):g}" for a, b in corners)
