"""The documents that a migration starts from: a ticket with its context, and a plan of what it is integrated with.

Both are written by other people and tools, so fields that nobody here knows are let through; what is here must be there.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Source = Literal["jira", "linear", "other"]
Priority = Literal["P0", "P1", "P2", "P3", "P4", "unknown"]
Stack = Literal["rails", "laravel", "generic"]
Direction = Literal["inbound", "outbound", "bidirectional"]
ContractKind = Literal["http", "event", "queue", "db", "file", "webhook", "sso", "other"]


class Document(BaseModel):
    """A part of a document of other people's: frozen, its values of exactly the types that are said, more is allowed."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, defer_build=True)


class TicketHead(Document):
    """The ticket itself."""

    id: str = Field(description="What everybody calls it, for example MIG-91.")
    title: str = Field(description="Its title, in one line.")
    description: str = Field(description="What is wanted, and why.")
    source: Source = Field(description="The tracker that it comes from.")
    priority: Priority = Field(description="How urgent it is.")


class CriterionDocument(Document):
    """An acceptance criterion with a name of its own."""

    id: str = Field(description="What people call it, for example AC-1.")
    text: str = Field(description="The criterion as a sentence.")


class Term(Document):
    """A word of the trade."""

    term: str = Field(description="The word, as people use it.")
    definition: str = Field(description="What it means here.")


class TicketContext(Document):
    """A ticket with what is known around it."""

    ticket: TicketHead = Field(description="The ticket itself.")
    domain_context: dict[str, Any] = Field(description="Whatever else is known of the domain; it is not read.")
    assumptions: list[str] = Field(description="What is taken for granted.")
    risks: list[str] = Field(description="What may go wrong.")
    acceptance_criteria: list[str | CriterionDocument] = Field(
        description="When the wish is met: sentences, perhaps with an id before a colon (`AC-1: …`), or objects."
    )
    non_functionals: list[str] = Field(description="What is demanded besides: speed, availability, privacy.")
    glossary: list[Term] = Field(description="Words of the trade.")


class Touched(Document):
    """A service that the migrated one talks with."""

    service: str = Field(description="Its name.")
    direction: Direction = Field(description="Who calls whom, seen from what is migrated.")
    touchpoints: list[str] = Field(description="Where they meet: endpoints, topics, tables.")
    auth: str | None = Field(default=None, description="How they trust each other.")
    data: list[str] | None = Field(default=None, description="What is exchanged.")


class Agreement(Document):
    """What systems agreed on."""

    name: str = Field(description="What it is called.")
    type: ContractKind = Field(description="What kind of interface it is.")
    details: dict[str, Any] = Field(description="Whatever there is to say of it.")


class Work(Document):
    """A piece of work."""

    task: str = Field(description="What is to be done, as a sentence.")
    files_touched: list[str] = Field(description="The files that it is about, in their own repository.")


class IntegrationPlan(Document):
    """What a migration is integrated with."""

    ticket_id: str = Field(description="The ticket that it belongs to.")
    stack: Stack = Field(description="What the application is built on.")
    integration_inventory: list[Touched] = Field(description="The services that notice.")
    proposed_changes: list[str] = Field(description="What is proposed.")
    contracts: list[Agreement] = Field(description="What was agreed on between systems.")
    risks: list[str] = Field(description="What may go wrong.")
    implementation_plan: list[Work] = Field(description="What other people do.")
