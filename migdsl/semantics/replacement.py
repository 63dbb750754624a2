"""What is swapped for something else that is no table, and who owns what: checked values."""

from __future__ import annotations

from migdsl.source import Span
from migdsl.values import Value

KINDS = ("architecture", "infrastructure", "dependency")
DEFAULT_SOAK = 14 * 86_400
DEFAULT_WITHIN = 600
CANARY = "canary"  # who goes first where there are no tenants to name


class Service(Value):
    """A service, and who owns it."""

    name: str
    owner: str | None
    span: Span


class Verify(Value):
    """A command that proves something: `words` are what is started, without a shell, for `seconds` at most."""

    text: str
    command: str
    words: tuple[str, ...]
    seconds: int
    span: Span


class Replacement(Value):
    """`old` is swapped for `new`.

    `affects` are services and whatever else notices, as the file names them; `way_back` is what people do to return;
    `routes` are the paths that move, of an architecture, and `soak_seconds` how long the old stays after all have moved.
    """

    name: str
    kind: str
    old: str
    new: str
    affects: tuple[str, ...]
    verifies: tuple[Verify, ...]
    way_back: str
    routes: tuple[str, ...]
    soak_seconds: int
    span: Span

    @property
    def strangles(self) -> bool:
        """Whether requests are sent to the one or the other by a router."""
        return self.kind == "architecture"


def soak_of(each: Replacement, keep_seconds: int | None) -> int:
    """How long the old stays, in seconds: its own soak, or longer where the file keeps the way back open for longer."""
    return max(each.soak_seconds, keep_seconds or 0)
