"""PromQL becomes the metrics that it selects, with the labels that it asks of each: a reader for tests, and no parser."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
      | (?P<range>\[[^\]]*\])
      | (?P<number>[0-9.][\w.]*)
      | (?P<name>[A-Za-z_:][\w:]*)
      | (?P<mark>=~|!~|!=|==|>=|<=|[-+*/%^(){},=<>@])
    """,
    re.VERBOSE,
)
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS = _GROUPING | {"bool", "offset", "and", "or", "unless", "atan2", "inf", "nan", "start", "end"}


@dataclass(frozen=True)
class Selected:
    """A metric, and the labels that matchers and enclosing `by` name."""

    metric: str
    labels: frozenset[str]


def selected(expression: str) -> tuple[Selected, ...]:
    """What an expression reads. Raises ValueError for what it can't read."""
    return tuple(_selected(_tokens(expression), frozenset()))


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"no PromQL at {text[at : at + 20]!r}")
        at = match.end()
        if match.lastgroup not in ("skip", "range"):
            found.append((str(match.lastgroup), match[0]))
    return found


def _selected(tokens: Sequence[tuple[str, str]], asked: frozenset[str]) -> Iterator[Selected]:
    at, by = 0, frozenset[str]()
    while at < len(tokens):
        kind, text = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if text in _GROUPING and following == "(":
            end = _closed(tokens, at + 1)
            # `on (…)` names labels of both sides, which an inner `by` leaves; `by (…)` those of what it aggregates.
            by = frozenset(t for _, t in tokens[at + 2 : end] if t != ",") if text == "by" else by
            at = end + 1
        elif text == "(":
            end = _closed(tokens, at)
            yield from _selected(tokens[at + 1 : end], asked | by)
            at, by = end + 1, frozenset()
        elif kind == "name" and text not in _WORDS and following not in ("(", *_GROUPING):
            matchers, at = _matchers(tokens, at + 1)
            yield Selected(text, asked | matchers)
        elif text == "{":
            raise ValueError("a selector without a name")
        else:
            at += 1


def _matchers(tokens: Sequence[tuple[str, str]], at: int) -> tuple[frozenset[str], int]:
    if at >= len(tokens) or tokens[at][1] != "{":
        return frozenset(), at
    end = _closed(tokens, at)
    return frozenset(text for kind, text in tokens[at + 1 : end] if kind == "name"), end + 1


def _closed(tokens: Sequence[tuple[str, str]], at: int) -> int:
    depth = 0
    for place in range(at, len(tokens)):
        depth += (tokens[place][1] in "({") - (tokens[place][1] in ")}")
        if depth == 0:
            return place
    raise ValueError("a bracket is never closed")


def unknown(expression: str, exported: Mapping[str, frozenset[str]]) -> list[str]:
    """What an expression reads that isn't exported: metrics, and labels of metrics."""
    wrong = []
    for each in selected(expression):
        if each.metric not in exported:
            wrong.append(each.metric)
        else:
            wrong += [f"{each.metric} by {label}" for label in sorted(each.labels - exported[each.metric])]
    return wrong
