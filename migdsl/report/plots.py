"""Numbers become bars and curves to scale: lengths in percent of the width, so that the words beside them keep their size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migdsl.report.words import short
from migdsl.values import Value

_KINDS = ("one", "two", "three")  # how curves are told apart: colour and dashes
_STEPS = tuple(
    n * unit for unit, ns in ((1, (1, 2, 5, 10, 30)), (60, (1, 2, 5, 10, 30)), (3600, (1, 3, 6, 12))) for n in ns
)
_DAY = 86_400


class Tick(Value):
    """A place on an axis, in percent along it or in pixels up from its top, and what is written there."""

    at: float
    text: str
    anchor: str = "middle"


class Bar(Value):
    """A stretch, in percent of the axis. `kind`: `work` or `wait`."""

    kind: str
    left: float
    width: float


class Sign(Value):
    """A mark at a place of the axis, in percent. `kind`: `open`, `tick` or `full`; `shift`: pixels, for marks side by side."""

    at: float
    kind: str
    shift: int


class Row(Value):
    """A row of bars, with its name at the left and its value at the right."""

    name: str
    under: str
    bars: tuple[Bar, ...]
    marks: tuple[Sign, ...]
    value: str
    note: str


class Bars(Value):
    """Rows on one axis. `kind` is `over` where names are too long to stand beside their bars."""

    name: str
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    kind: str = ""


class Band(Value):
    """A stretch of a plot's width, in percent of it. `kind`: `step`, which begins at a line with its text, or `fault`."""

    kind: str
    left: float
    width: float
    text: str = ""


class Curve(Value):
    """One curve; `path` in a field of 1000 by the plot's height."""

    name: str
    kind: str
    path: str


class Plot(Value):
    """Curves on one pair of axes; `words` say what there is to see to those who don't see it."""

    name: str
    words: str
    height: int
    up: tuple[Tick, ...]
    along: tuple[Tick, ...]
    curves: tuple[Curve, ...]
    bands: tuple[Band, ...] = ()


Points = Sequence[tuple[float, float | None]]


def plot(
    name: str,
    words: str,
    series: Sequence[tuple[str, Points]],
    along: Sequence[Tick],
    *,
    top: float,
    unit: str = "",
    bands: tuple[Band, ...] = (),
) -> Plot:
    """Up to three curves through points: x in percent of the width, y from 0 to `top`; None breaks a curve."""
    height = 160
    up = [Tick(round(height * (1 - part), 1), f"{top * part:g}{unit}") for part in (0, 0.5, 1)]
    curves = []
    for kind, (called, points) in zip(_KINDS, series, strict=False):
        curves.append(Curve(called, kind, "".join(_path(points, height, top))))
    return Plot(name, words, height, tuple(up), tuple(along), tuple(curves), bands)


def _path(points: Points, height: int, top: float) -> Iterator[str]:
    """The words of an SVG path, in a field of 1000 by `height`."""
    word = "M"
    for x, y in points:
        if y is not None:
            yield f"{word}{round(x * 10, 1):g} {round(height * (1 - y / top), 1):g}"
        word = "L" if y is not None else "M"


def stairs(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The corners of a curve that stays at each value until the next one."""
    corners: list[tuple[float, float]] = []
    for x, y in points:
        corners += [(x, corners[-1][1])] if corners else []
        corners.append((x, y))
    return corners


def percent(part: float, whole: float) -> float:
    """`part` in percent of `whole`, to a hundredth; 0 of nothing."""
    return round(100 * part / whole, 2) if whole else 0.0


def calendar_ticks(seconds: int) -> tuple[Tick, ...]:
    """At most seven ticks along so many seconds, at round distances from 0."""
    distance = next((each for each in _distances() if seconds / each <= 6), seconds or 1)
    places = [n * distance for n in range(int(seconds // distance) + 1)]
    if len(places) > 1 and seconds - places[-1] < max(distance / 3, seconds * 0.15):  # words need room
        places.pop()
    ticks = [Tick(percent(p, seconds), short(p) if p else "start", "middle" if p else "start") for p in places]
    return (*ticks, Tick(100.0, short(seconds), "end")) if seconds else tuple(ticks)


def _distances() -> Iterator[int]:
    yield from _STEPS
    yield from (days * _DAY for days in (1, 2, 5, 10, 20, 30, 60, 90, 180, 365))
