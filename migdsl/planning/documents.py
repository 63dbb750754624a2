"""What ticket and integration plan say becomes parts of the plan, each with its origin."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.plan.asked import Agreement, IntegrationPart, Partner, Term, TicketPart
from migdsl.plan.model import Acceptance, Task
from migdsl.planning.facts import Facts
from migdsl.planning.words import listed
from migdsl.semantics.documents import Contract, System
from migdsl.semantics.policy import Accepted

_HOW = {"invariant": "invariant: ", "metric": "metric: ", "gate": "gate ", "manual": "a person says so: "}


def ticket(facts: Facts) -> TicketPart | None:
    """Who asked for what, where the ticket's file is known."""
    said = facts.module.ticket
    if said is None:
        return None
    return TicketPart(
        id=said.id,
        title=said.title,
        description=said.description,
        source=said.source,
        priority=said.priority,
        assumptions=said.assumptions,
        non_functionals=said.non_functionals,
        risks=said.risks,
        glossary=tuple(Term(term=term, definition=definition) for term, definition in said.glossary),
    )


def integration(facts: Facts) -> IntegrationPart | None:
    """Whom the migration meets, where an integration plan is given."""
    said = facts.module.integration
    if said is None:
        return None
    return IntegrationPart(
        stack=said.stack,
        systems=tuple(
            Partner(
                service=each.service,
                direction=each.direction,
                touchpoints=each.touchpoints,
                auth=each.auth,
                data=each.data,
            )
            for each in said.systems
        ),
        contracts=tuple(Agreement(name=c.name, type=c.kind, details=tuple(_details(c))) for c in said.contracts),
        proposed_changes=said.proposals,
        risks=said.risks,
    )


def _details(contract: Contract) -> Iterator[str]:
    return (f"{name}: {value}" for name, value in contract.details)


def acceptance(facts: Facts) -> Iterator[Acceptance]:
    """The ticket's criteria, each with what proves it, then those that stand in the file alone."""
    accepted, asked = facts.module.policy.accepted, facts.module.ticket
    criteria = asked.criteria if asked is not None else ()
    for criterion in criteria:
        assert asked is not None
        proofs = [proof for each in accepted if criterion.is_meant(each.criterion) for proof in _proofs(each)]
        yield Acceptance(
            id=criterion.id,
            criterion=criterion.text,
            origin=f"ticket {asked.id}",
            proven_by=tuple(dict.fromkeys(proofs)),
        )
    origin = facts.module.policy.prd or facts.module.path.replace("\\", "/").rsplit("/", 1)[-1]
    for each in accepted:
        if not any(criterion.is_meant(each.criterion) for criterion in criteria):
            yield Acceptance(id=None, criterion=each.criterion, origin=origin, proven_by=_proofs(each))


def _proofs(accepted: Accepted) -> tuple[str, ...]:
    return tuple(_HOW[proof.kind] + proof.text for proof in accepted.proofs)


def risks(facts: Facts) -> Iterator[str]:
    """What others expect to go wrong."""
    said, plan = facts.module.ticket, facts.module.integration
    if said is not None:
        yield from (_from(risk, f"ticket {said.id}") for risk in said.risks)
    yield from (_from(risk, "the integration plan") for risk in (plan.risks if plan else ()))


def _from(text: str, origin: str) -> str:
    return f"{text.rstrip('.')} ({origin})."


def constraints(facts: Facts) -> Iterator[str]:
    """What the ticket demands, and what it rests on."""
    said = facts.module.ticket
    if said is not None:
        yield from (f"Demanded by ticket {said.id}: {text}" for text in said.non_functionals)
        yield from (f"Taken for granted by ticket {said.id}: {text}" for text in said.assumptions)


def strategy(facts: Facts) -> Iterator[str]:
    """What the integration plan proposes."""
    said = facts.module.integration
    yield from (_from(text, "the integration plan proposes it") for text in (said.proposals if said else ()))


def systems(facts: Facts) -> Iterator[tuple[str, str]]:
    """The services of the integration plan, each with a sentence of where it meets the migration."""
    said = facts.module.integration
    yield from ((each.service, _met(each)) for each in (said.systems if said else ()))


def with_systems(facts: Facts, found: tuple[str, ...]) -> tuple[str, ...]:
    """Affected systems, those of the integration plan with what is known of them; none twice."""
    more = dict(systems(facts))
    known = tuple(more.get(each.removeprefix("service "), each) for each in found)
    return tuple(dict.fromkeys((*known, *more.values())))


def _met(system: System) -> str:
    where = f" at {listed(system.touchpoints)}" if system.touchpoints else ""
    data = f", exchanging {listed(system.data)}" if system.data else ""
    auth = f", by {system.auth}" if system.auth else ""
    return f"{system.service} ({system.direction}{where}{data}{auth})"


def contracts(facts: Facts) -> Iterator[str]:
    """What is to be looked at before anything changes."""
    said = facts.module.integration
    for each in said.contracts if said else ():
        details = f" ({'; '.join(_details(each))})" if each.details else ""
        yield f"See that the {each.kind} contract {each.name} still holds once {facts.migration} is live{details}"


def tasks(facts: Facts) -> Iterator[Task]:
    """What others do: their files are in their own repositories, and no compile writes them."""
    said = facts.module.integration
    for each in said.assignments if said else ():
        yield Task(
            task=each.task,
            owner_role=f"{said.stack} application" if said and said.stack != "generic" else "application",
            files_touched=(),
            phase="prepare",
            artifact_kind="integration",
            files_later=(),
            files_elsewhere=each.files,
        )
