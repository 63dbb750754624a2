"""A 1,000-line file and a keystroke in it: how long an editor waits for each answer, next to a check of the whole file.

The answers are the session's own: what a server adds is a few hundred bytes of JSON. Each round changes the text, as a
keystroke does, and asks at the place where it was typed.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from benchmarks.texts import text_of
from migdsl.lsp.navigate import reading_of
from migdsl.lsp.session import Session
from migdsl.lsp.shape import folds, kinds, symbols

LINES = 1000
TARGET = 0.050  # seconds, median, of each answer
_ROUNDS = 25
_TYPED = "contact"


def long_text() -> str:
    """A file of about a thousand lines."""
    number = 1
    while text_of(number).count("\n") < LINES:
        number += 1
    return text_of(number)


def measure(rounds: int = _ROUNDS) -> dict[str, float]:
    """Median seconds of each answer after a keystroke, and of a check of the whole file."""
    text = long_text()
    at = text.index(f"add {_TYPED}") + len("add con")
    session = Session()
    asked: dict[str, Callable[[str], object]] = {
        "completion": lambda name: session.complete(name, at),
        "definition": lambda name: session.definition(name, at),
        "tokens": lambda name: kinds(reading_of(session.texts[name])),
        "outline": lambda name: (symbols(reading_of(session.texts[name])), folds(reading_of(session.texts[name]))),
        "whole check": session.problems,
    }
    found: dict[str, list[float]] = {name: [] for name in asked}
    for number in range(rounds * len(asked)):
        name, ask = list(asked.items())[number % len(asked)]
        session.put("a.mig", f"{text[:at]}x{number}{text[at:]}")  # no two texts are the same
        began = time.process_time()
        ask("a.mig")
        found[name].append(time.process_time() - began)
    return {name: statistics.median(times[1:]) for name, times in found.items()}


def main() -> int:
    """Print the medians; 1 where an answer takes longer than the target."""
    found = measure()
    sys.stdout.write(f"{long_text().count(chr(10))} lines, processor time, median\n")
    for name, seconds in found.items():
        over = " over" if name != "whole check" and seconds > TARGET else ""
        sys.stdout.write(f"  {name:12} {seconds * 1000:7.1f} ms{over}\n")
    return int(any(seconds > TARGET for name, seconds in found.items() if name != "whole check"))


if __name__ == "__main__":
    raise SystemExit(main())
