"""Services, and what is swapped for something else, as written."""

from __future__ import annotations

from migdsl.source import Span
from migdsl.syntax.ast.base import Allow, Name, Number, Setting, Text
from migdsl.syntax.ast.policy import Affects
from migdsl.syntax.ast.rollout import Canary, Ramp
from migdsl.values import Value


class Service(Value):
    """A service that owns databases or APIs. Settings: owner."""

    name: Name
    settings: tuple[Setting, ...]
    span: Span


class Verify(Value):
    """`verify "the suite passes" run "make test" within 10m`."""

    text: Text
    run: Text | None
    within: Number | None
    span: Span


class Replace(Value):
    """Something swapped for something else. Settings: kind, old, new, rollback_by; `routes` are the paths that move."""

    name: Name
    settings: tuple[Setting, ...]
    affects: tuple[Affects, ...]
    canaries: tuple[Canary, ...]
    ramps: tuple[Ramp, ...]
    verifies: tuple[Verify, ...]
    routes: tuple[Text, ...]
    soaks: tuple[Number, ...]
    allows: tuple[Allow, ...]
    span: Span
