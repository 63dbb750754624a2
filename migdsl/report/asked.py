"""The ticket and the integration plan that a plan holds become what its page says of who asked for what."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.plan import DataMigrationPlan
from migdsl.plan.asked import IntegrationPart, TicketPart
from migdsl.report.parts import Cell, Grid, cells
from migdsl.report.words import listed
from migdsl.values import Value


class Asked(Value):
    """What was asked for. `lists` are headings with sentences, `grids` tables; texts may be empty."""

    title: str
    text: str
    facts: tuple[str, ...]
    lists: tuple[tuple[str, tuple[str, ...]], ...]
    grids: tuple[Grid, ...]


def asked(plan: DataMigrationPlan) -> Asked | None:
    """What the plan says of it; None where there is nothing but a ticket's id."""
    ticket, integration = plan.ticket, plan.integration
    if ticket is None and integration is None and not plan.prd:
        return None
    return Asked(
        title=ticket.title if ticket else "",
        text=ticket.description if ticket else "",
        facts=tuple(_facts(plan)),
        lists=tuple((name, texts) for name, texts in _lists(ticket, integration) if texts),
        grids=tuple(grid for grid in _grids(ticket, integration) if grid.rows),
    )


def _facts(plan: DataMigrationPlan) -> Iterator[str]:
    if plan.ticket:
        yield f"Ticket {plan.ticket.id}, from {plan.ticket.source}, priority {plan.ticket.priority}"
    if plan.prd:
        yield f"Requirements: {plan.prd}"
    if plan.integration:
        yield f"Built on {plan.integration.stack}"


def _lists(ticket: TicketPart | None, plan: IntegrationPart | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    if ticket:
        yield "What the ticket takes for granted", ticket.assumptions
        yield "What it demands besides", ticket.non_functionals
        yield "What it expects to go wrong", ticket.risks
    if plan:
        yield "What the integration plan proposes", plan.proposed_changes
        yield "What the integration plan expects to go wrong", plan.risks


def _grids(ticket: TicketPart | None, plan: IntegrationPart | None) -> Iterator[Grid]:
    if plan:
        rows = (
            (Cell(s.service, s.touchpoints), *cells(s.direction, s.auth or "", listed(s.data))) for s in plan.systems
        )
        yield Grid("Services that notice", ("Service", "Who calls whom", "Trust", "Data"), tuple(rows), headed=True)
        agreed = ((Cell(c.name, c.details), Cell(c.type)) for c in plan.contracts)
        yield Grid("What was agreed on", ("Contract", "Kind"), tuple(agreed), headed=True)
    if ticket:
        words = (cells(each.term, each.definition) for each in ticket.glossary)
        yield Grid("Words of the ticket", ("Word", "Meaning"), tuple(words), headed=True)
