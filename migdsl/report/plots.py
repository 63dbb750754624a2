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
    """Rows on one axis."""

    name: str
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]


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


Points = Sequence[tuple[float, float]]


def plot(
    name: str, words: str, series: Sequence[tuple[str, Points]], along: Sequence[Tick], *, top: float, unit: str = ""
) -> Plot:
    """Up to three curves through points whose x is in percent of the width and whose y runs from 0 to `top`."""
    height = 160
    up = [Tick(round(height * (1 - part), 1), f"{top * part:g}{unit}") for part in (0, 0.5, 1)]
    curves = []
    for kind, (called, points) in zip(_KINDS, series, strict=False):
        pairs = [f"{round(x * 10, 1):g} {round(height * (1 - y / top), 1):g}" for x, y in points]
        curves.append(Curve(called, kind, "M" + "L".join(pairs)))
    return Plot(name, words, height, tuple(up), tuple(along), tuple(curves))


def stairs(points: Points) -> list[tuple[float, float]]:
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
