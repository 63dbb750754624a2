"""What a ticket and an integration plan say, as the rest of the compiler knows it."""

from __future__ import annotations

from migdsl.source import Span
from migdsl.values import Value


class Criterion(Value):
    """An acceptance criterion of the ticket; `id` is how people call it, where it has one (`AC-1`)."""

    id: str | None
    text: str
    span: Span

    def is_meant(self, said: str) -> bool:
        """Whether `accept "said"` speaks of it: its id, its text, or both as the ticket writes them."""
        return said in (self.id, self.text) or (self.id is not None and said == f"{self.id}: {self.text}")


class Ticket(Value):
    """A ticket: who asked for what, and when it is reached. `path` is the file that it stands in, `span` the place of its id."""

    id: str
    title: str
    description: str
    source: str
    priority: str
    criteria: tuple[Criterion, ...]
    assumptions: tuple[str, ...]
    risks: tuple[str, ...]
    non_functionals: tuple[str, ...]
    glossary: tuple[tuple[str, str], ...]
    path: str
    span: Span


class System(Value):
    """A service that the migrated one talks with: `direction` is inbound, outbound or bidirectional."""

    service: str
    direction: str
    touchpoints: tuple[str, ...]
    auth: str | None
    data: tuple[str, ...]


class Contract(Value):
    """What systems agreed on; `details` are names and values as they are said."""

    name: str
    kind: str
    details: tuple[tuple[str, str], ...]


class Assignment(Value):
    """A piece of work of other people's, and the files that it is about."""

    task: str
    files: tuple[str, ...]


class Integration(Value):
    """An integration plan: whom the migration meets, what was agreed on, and what others do for it."""

    ticket: str
    stack: str
    systems: tuple[System, ...]
    proposals: tuple[str, ...]
    contracts: tuple[Contract, ...]
    risks: tuple[str, ...]
    assignments: tuple[Assignment, ...]
    path: str
    span: Span
