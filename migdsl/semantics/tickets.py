"""The JSON documents beside a migration become its ticket and its integration plan, and complete its header."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from migdsl.diagnostics.suggest import did_you_mean
from migdsl.plan.inputs import CriterionDocument, Document, IntegrationPlan, TicketContext
from migdsl.semantics.documents import Assignment, Contract, Criterion, Integration, System, Ticket
from migdsl.semantics.model import CheckedModule
from migdsl.semantics.problems import Problems
from migdsl.source import SourceFile, Span
from migdsl.syntax import json_text
from migdsl.syntax.json_text import Node
from migdsl.syntax.unit import Attached
from migdsl.values import replace

_ID = re.compile(r"(?=[^:\s]*[0-9])([A-Za-z][A-Za-z0-9]*(?:[-_.][A-Za-z0-9]+)*)\s*:\s+(\S.*)", re.DOTALL)
# What could turn a line around for whoever reads it; line ends and tabs are blanks anyway.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff]")
_LONGEST = 200  # characters of one detail of a contract
_CALLED = {"ticket": "a ticket", "integration": "an integration plan"}


def with_documents(problems: Problems, module: CheckedModule, documents: Sequence[Attached]) -> CheckedModule:
    """The module with what its documents say; the header has the ticket's id and title where it has none of its own."""
    for document in documents:
        root = _read(problems, document)
        if root is None:
            continue
        if document.kind == "ticket":
            said = TicketContext.model_validate(root.value)
            module = _with_ticket(problems, module, document, _ticket(said, root, document.source.path))
        else:
            plan = IntegrationPlan.model_validate(root.value)
            found = _integration(plan, root, document.source)
            module = _with_integration(problems, module, found)
    return module


def _read(problems: Problems, document: Attached) -> Node | None:
    """The document's nodes, where it is what it should be."""
    try:
        root = json_text.parse(document.source)
    except json_text.NotJson as error:
        title = f"`{document.source.path}` is not JSON"
        more = [(error.first, "the first one")] if error.first else []
        problems.error("MIG018", error.span, title, error.label, help=error.help, more=more)
        return None
    model: type[Document] = TicketContext if document.kind == "ticket" else IntegrationPlan
    try:
        model.model_validate(root.value)
    except ValidationError as error:
        seen: set[Span] = set()
        for each in error.errors(include_url=False, include_context=True, include_input=False):
            _misfit(problems, document, root, dict(each), seen)
        return None
    return root


def _misfit(problems: Problems, document: Attached, root: Node, error: Mapping[str, Any], seen: set[Span]) -> None:
    """One thing that is missing or of the wrong kind, said once at its place."""
    kind, way = str(error["type"]), [each for each in error["loc"] if not _is_choice(each)]
    node, name = _walk(root, way)
    missing = kind == "missing" and name is not None
    place = _opening(node) if missing else node.span
    either = _is_choice(error["loc"][-1]) if error["loc"] else False
    if not missing and (place in seen or (either and node.members)):
        return  # each kind that a value may have says for itself that it hasn't
    seen.add(place)
    said = ".".join(str(each) for each in way)
    title = f"`{document.source.path}` is not {_CALLED[document.kind]}"
    if missing:
        near = did_you_mean(str(name), node.members)
        help_ = (
            f"did you mean this by `{near}`?"
            if near and near not in _known(node)
            else f'"{name}": {_example(str(name))}'
        )
        problems.error("MIG019", place, title, f"`{said}` is missing here", help=help_)
        return
    label, help_ = _expected(kind, error.get("ctx") or {}, node)
    label = "a text, or an object with `id` and `text`," if either else label
    problems.error("MIG019", place, title, f"{label} is expected" + (f" for `{said}`" if said else ""), help=help_)


def _known(node: Node) -> frozenset[str]:
    """Names in an object that are fields of ours, and so no slip of the pen."""
    fields = {name for model in (TicketContext, IntegrationPlan) for name in model.model_fields}
    return frozenset(fields & set(node.members))


def _is_choice(part: object) -> bool:
    """Whether a step of pydantic's way is no step in the document but one of the kinds that a value may have."""
    return part in ("str", CriterionDocument.__name__)


def _walk(root: Node, way: Sequence[object]) -> tuple[Node, object | None]:
    """The node at the end of a way; where there is none, the last one on it and the step that is missing."""
    node = root
    for step in way:
        found = None
        if isinstance(step, int) and step < len(node.items):
            found = node.items[step]
        elif isinstance(step, str):
            found = node.members.get(step)
        if found is None:
            return node, step
        node = found
    return node, None


def _opening(node: Node) -> Span:
    """The brace that an object begins with: all of it would underline the whole file."""
    return Span(node.span.path, node.span.start, node.span.start + 1)


_EXPECTED = {"string_type": "a text", "list_type": "a list", "dict_type": "an object", "model_type": "an object"}


def _expected(kind: str, context: Mapping[str, Any], node: Node) -> tuple[str, str]:
    """What should stand at a place, and how to get there."""
    if kind != "literal_error":
        return _EXPECTED.get(kind, "another kind of value"), ""
    known = re.findall(r"'([^']*)'", str(context.get("expected", "")))
    near = did_you_mean(node.value, known) if isinstance(node.value, str) else None
    return "one of the known words", f'did you mean "{near}"?' if near else f"there is: {', '.join(known)}"


_LISTS = frozenset(
    "assumptions risks acceptance_criteria non_functionals glossary touchpoints integration_inventory proposed_changes "
    "contracts implementation_plan files_touched".split()
)
_OBJECTS = frozenset(["domain_context", "details", "ticket"])


def _example(name: str) -> str:
    return "[]" if name in _LISTS else "{ }" if name in _OBJECTS else '"…"'


def clean(text: str) -> str:
    """A text of other people's as one line: no control characters, nothing that turns its direction."""
    return " ".join(_STEERING.sub(" ", text).split())


def _cleaned(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Each once, none empty."""
    return tuple(dict.fromkeys(found for each in texts or () if (found := clean(each))))


def _ticket(said: TicketContext, root: Node, path: str) -> Ticket:
    head = said.ticket
    places = root.members["acceptance_criteria"].items
    criteria = [_criterion(each, node.span) for each, node in zip(said.acceptance_criteria, places, strict=True)]
    return Ticket(
        id=clean(head.id),
        title=clean(head.title),
        description=clean(head.description),
        source=head.source,
        priority=head.priority,
        criteria=tuple({each.text: each for each in reversed(criteria) if each.text}.values())[::-1],
        assumptions=_cleaned(said.assumptions),
        risks=_cleaned(said.risks),
        non_functionals=_cleaned(said.non_functionals),
        glossary=tuple((clean(each.term), clean(each.definition)) for each in said.glossary),
        path=path,
        span=root.members["ticket"].members["id"].span,
    )


def _criterion(said: str | CriterionDocument, span: Span) -> Criterion:
    if isinstance(said, CriterionDocument):
        return Criterion(clean(said.id) or None, clean(said.text), span)
    text = clean(said)
    named = _ID.fullmatch(text)
    return Criterion(named[1], named[2], span) if named else Criterion(None, text, span)


def _integration(said: IntegrationPlan, root: Node, source: SourceFile) -> Integration:
    contracts = root.members["contracts"].items
    return Integration(
        ticket=clean(said.ticket_id),
        stack=said.stack,
        systems=tuple(
            System(
                clean(each.service),
                each.direction,
                _cleaned(each.touchpoints),
                clean(each.auth or "") or None,
                _cleaned(each.data),
            )
            for each in said.integration_inventory
        ),
        proposals=_cleaned(said.proposed_changes),
        contracts=tuple(
            Contract(clean(each.name), each.type, tuple(_details(node.members["details"], source)))
            for each, node in zip(said.contracts, contracts, strict=True)
        ),
        risks=_cleaned(said.risks),
        assignments=tuple(
            Assignment(clean(each.task), _cleaned(each.files_touched)) for each in said.implementation_plan
        ),
        path=source.path,
        span=root.members["ticket_id"].span,
    )


def _details(node: Node, source: SourceFile) -> Iterator[tuple[str, str]]:
    """Names with values, as the document has them; a text without its quotes."""
    for name, value in node.members.items():
        text = clean(value.value if isinstance(value.value, str) else source.slice(value.span))
        yield clean(name), text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _with_ticket(problems: Problems, module: CheckedModule, document: Attached, ticket: Ticket) -> CheckedModule:
    if not ticket.id:
        title = f"`{document.source.path}` is not a ticket"
        problems.error("MIG019", ticket.span, title, "an id is expected, and this is empty", help='"id": "MIG-91"')
        return module
    header = module.header
    if header is None:
        return replace(module, ticket=ticket)
    if header.ticket is not None and header.ticket != ticket.id:
        _two_tickets(problems, module, header.ticket, ticket.id, ticket.span)
    filled = replace(header, ticket=header.ticket or ticket.id, title=header.title or ticket.title or None)
    return replace(module, header=filled, ticket=ticket)


def _with_integration(problems: Problems, module: CheckedModule, found: Integration) -> CheckedModule:
    header = module.header
    if header is not None and header.ticket is not None and header.ticket != found.ticket:
        _two_tickets(problems, module, header.ticket, found.ticket, found.span)
    elif header is not None:
        header = replace(header, ticket=header.ticket or found.ticket or None)
    return replace(module, header=header, integration=found)


def _two_tickets(problems: Problems, module: CheckedModule, first: str, second: str, place: Span) -> None:
    header = module.header
    assert header is not None
    span = header.ticket_span or (module.ticket.span if module.ticket is not None else header.span)
    title = f"the migration is of `{first}`, and this document of `{second}`"
    help_ = f'take the other document, or say: ticket "{second}"'
    problems.error("MIG607", place, title, "is another ticket", more=[(span, f"says {first}")], help=help_)
