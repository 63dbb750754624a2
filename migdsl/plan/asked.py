"""What was asked for, as a plan holds it: the ticket, and whom the migration meets."""

from __future__ import annotations

from pydantic import Field

from migdsl.plan.base import Part


class Term(Part):
    """A word of the trade."""

    term: str = Field(description="The word, as the ticket writes it.")
    definition: str = Field(description="What it means here.")


class TicketPart(Part):
    """The ticket that asked for the migration."""

    id: str = Field(description="What everybody calls it.")
    title: str = Field(description="Its title, in one line.")
    description: str = Field(description="What is wanted, and why.")
    source: str = Field(description="The tracker that it comes from.")
    priority: str = Field(description="How urgent it is.")
    assumptions: tuple[str, ...] = Field(description="What it takes for granted.")
    non_functionals: tuple[str, ...] = Field(description="What it demands besides.")
    risks: tuple[str, ...] = Field(description="What it expects to go wrong.")
    glossary: tuple[Term, ...] = Field(description="Words of the trade that it explains.")


class Partner(Part):
    """A service that the migrated one talks with."""

    service: str = Field(description="Its name, as the integration plan has it.")
    direction: str = Field(description="Who calls whom: inbound, outbound or bidirectional.")
    touchpoints: tuple[str, ...] = Field(description="Where they meet.")
    auth: str | None = Field(description="How they trust each other, or null where nobody says.")
    data: tuple[str, ...] = Field(description="What is exchanged.")


class Agreement(Part):
    """What systems agreed on."""

    name: str = Field(description="What it is called.")
    type: str = Field(description="What kind of interface it is.")
    details: tuple[str, ...] = Field(description="What there is to say of it, as name: value.")


class IntegrationPart(Part):
    """The integration plan that goes with the migration."""

    stack: str = Field(description="What the application is built on.")
    systems: tuple[Partner, ...] = Field(description="The services that notice.")
    contracts: tuple[Agreement, ...] = Field(description="What was agreed on between systems.")
    proposed_changes: tuple[str, ...] = Field(description="What is proposed.")
    risks: tuple[str, ...] = Field(description="What it expects to go wrong.")
