"""Tickets and integration plans of others become parts of the plan, and what is wrong with them is said at its place."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from migdsl.source import SourceFile, Span
from migdsl.syntax import json_text
from migdsl.syntax.unit import Files
from migdsl.workspace import Compilation, check, compile_files
from tools.refresh_cases import TICKETS

ROOT = Path(__file__).resolve().parents[2]
USERS = (ROOT / "examples/users.mig").read_text(encoding="utf-8")
TICKET: dict[str, Any] = json.loads((TICKETS / "MIG-77.json").read_text(encoding="utf-8"))
PLAN: dict[str, Any] = json.loads((TICKETS / "contacts.json").read_text(encoding="utf-8")) | {"ticket_id": "MIG-77"}
FILE = 'ticket file "t.json"'
Way = Callable[[Files, str], Compilation]


def compiled(
    ticket: object = None,
    plan: object = None,
    header: str = 'ticket   "MIG-77"',
    more: str = "",
    way: Way = compile_files,
) -> Compilation:
    """The example with documents; a text is one that is no JSON object of ours."""
    files = {"users.mig": USERS.replace('ticket   "MIG-77"', header) + more}
    given = {"t.json": ticket, "i.json": plan}
    files |= {n: d if isinstance(d, str) else json.dumps(d, indent=2) for n, d in given.items() if d is not None}
    attached = {"integration": "i.json"} if plan is not None else {}
    if ticket is not None and header != FILE:
        attached["ticket"] = "t.json"
    return way(Files(files, attached), "users.mig")


def codes(found: Compilation) -> list[str]:
    return [each.code for each in found.diagnostics]


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((ROOT / f"schemas/{name}.schema.json").read_text(encoding="utf-8")))


def test_a_ticket_fills_the_plan() -> None:
    found = compiled(TICKET, header=FILE, more='accept "AC-1" by gate reconciled_User\n')
    plan = found.plan
    assert codes(found) == ["MIG603", "MIG603"]
    assert plan is not None
    assert (plan.ticket_id, plan.title) == ("MIG-77", "Every user can be reached")
    proofs = {(each.id, each.origin): each.proven_by for each in plan.acceptance}
    assert proofs == {
        ("AC-1", "ticket MIG-77"): ("gate reconciled_User",),
        ("AC-2", "ticket MIG-77"): (),
        (None, "ticket MIG-77"): (),
    }
    assert "Support sees two addresses of a user for a while (ticket MIG-77)." in plan.risks
    assert "Demanded by ticket MIG-77: Signing in takes no longer than before" in plan.constraints
    assert "Taken for granted by ticket MIG-77: No other service writes users" in plan.constraints
    assert plan.ticket is not None
    assert plan.ticket.glossary[0].term == "contact address"
    runbook = next(a.text for a in found.artifacts if a.kind == "runbook")
    for said in ("a third of the users have no address", "**contact address**", "AC-2: Two users", "nothing yet"):
        assert said in runbook


def test_the_file_wins_over_the_ticket_where_both_have_a_title() -> None:
    plan = compiled(TICKET, header=f'{FILE}\n  title "Addresses"').plan
    assert plan is not None
    assert plan.title == "Addresses"


def test_what_is_given_says_the_same_as_what_the_file_names() -> None:
    named, given_ = compiled(TICKET, header=FILE).plan, compiled(TICKET).plan
    assert named is not None
    assert given_ is not None
    assert named.model_dump(exclude={"source_digest"}) == given_.model_dump(exclude={"source_digest"})


def test_an_integration_plan_fills_the_plan_and_writes_no_file_more() -> None:
    found, plain = compiled(plan=PLAN), compiled()
    plan = found.plan
    assert codes(found) == []
    assert plan is not None
    assert [a.path for a in found.artifacts] == [a.path for a in plain.artifacts]
    assert any(
        each.startswith("newsletter (outbound at GET /users/{id}/contact") for each in plan.impact.affected_systems
    )
    assert "The newsletter caches addresses for a day (the integration plan)." in plan.risks
    task = plan.implementation_plan[-1]
    assert (task.files_touched, task.files_later, task.files_elsewhere) == ((), (), ("newsletter/recipients.py",))
    assert any("user.changed" in step and "topic: users; version: 3" in step for step in plan.phases[0].steps)


def test_a_system_that_the_file_names_too_stands_there_once() -> None:
    plan = compiled(plan=PLAN, more='impact { affects "newsletter", "billing" }\n').plan
    assert plan is not None
    assert [each.split(" (")[0] for each in plan.impact.affected_systems] == ["database app", "newsletter", "billing"]


def test_every_byte_of_a_document_counts_for_the_digest() -> None:
    plans = [compiled(TICKET | {"domain_context": {"since": year}}).plan for year in (2018, 2019)]
    assert plans[0] is not None
    assert plans[1] is not None
    assert plans[0].source_digest != plans[1].source_digest
    assert plans[0].model_dump(exclude={"source_digest"}) == plans[1].model_dump(exclude={"source_digest"})


def test_a_document_may_say_more_than_anybody_here_knows() -> None:
    more = {"ticket": TICKET["ticket"] | {"reporter": "ann"}, "links": [1, {"a": None}]}
    assert "MIG019" not in codes(compiled(TICKET | more, PLAN | {"owner": {"team": "accounts"}}))


@pytest.mark.parametrize(("name", "document"), [("ticket_context", TICKET), ("integration_plan", PLAN)])
def test_schema_and_compiler_agree_on_what_must_be_there(name: str, document: dict[str, Any]) -> None:
    """Take away or spoil each value in turn: what the one refuses the other refuses, at the place of the value."""
    validator = schema(name)
    assert validator.is_valid(document)
    for way in ways(document):
        for spoil in (None, 7, ["x"], {"y": 1}, "zzz"):
            spoilt = changed(document, way, spoil)
            given_ = {"ticket" if name == "ticket_context" else "plan": spoilt}
            found = codes(compiled(**given_, way=check))
            assert ("MIG019" in found) == (not validator.is_valid(spoilt)), (way, spoil)


def ways(node: Any, so_far: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all values of a document."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [way for key, value in pairs for way in [(*so_far, key), *ways(value, (*so_far, key))]]


def changed(document: Any, way: tuple[Any, ...], spoil: Any) -> Any:
    """The document with another value at the end of a way; None takes it out."""
    whole = copy.deepcopy(document)
    node = whole
    for step in way[:-1]:
        node = node[step]
    if spoil is None:
        del node[way[-1]]
    else:
        node[way[-1]] = spoil
    return whole


def test_a_problem_stands_where_the_value_is() -> None:
    found = compiled(json.dumps(TICKET, indent=2).replace('"P2"', '"PX"'), header=FILE)
    (problem,) = found.diagnostics
    assert problem.primary is not None
    span = problem.primary.span
    assert (problem.code, span.path, found.sources["t.json"].slice(span)) == ("MIG019", "t.json", '"PX"')
    assert problem.help == "there is: P0, P1, P2, P3, P4, unknown"


BAD = [
    ('{"a": 1,}', "}", "a comma stands before"),
    ('{"a": 1 "b": 2}', '"b"', "a comma or `}` is expected"),
    ('{"a" 1}', "1", "a colon is expected"),
    ('{"a": "x\ny"}', '"x', "no closing quote"),
    ('{"a": "x\\q"}', "\\q", "no escape"),
    ('{"a": "x\ty"}', "\t", "a control character"),
    ('{"a": "\\ud800"}', '"\\ud800"', "half a character"),
    ("{'a': 1}", "'a'", "a name in double quotes"),
    ('{"a": 1, "a": 2}', '"a"', "stands here twice"),
    ('{"a": 01}', "01", "a value is expected"),
    ('{"a": nul}', "nul", "a value is expected"),
    ('{"a": 1} {}', "{", "nothing may follow"),
    ('{"a": [1, 2', "2", "the file ends here"),
    ("[" * 99, "[", "is nested deeper"),
    ("// what\n{}", "//", "a value is expected"),
]


@pytest.mark.parametrize(("text", "where", "why"), BAD, ids=[why for _, _, why in BAD])
def test_what_is_no_json_is_shown_at_its_place(text: str, where: str, why: str) -> None:
    found = compiled(text, header=FILE)
    (problem,) = found.diagnostics
    assert problem.code == "MIG018"
    assert problem.primary is not None
    assert found.sources["t.json"].slice(problem.primary.span) == where
    assert why in problem.primary.text


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.sampled_from([None, 1]), st.booleans())
def test_it_reads_what_python_writes_and_knows_where_it_is(value: Any, indent: int | None, ascii_: bool) -> None:
    try:
        text = json.dumps(value, indent=indent, ensure_ascii=ascii_)
        text.encode()
        json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a character
        return
    source = SourceFile("a.json", text)
    root = json_text.parse(source)
    assert root.value == json.loads(text, parse_int=float)
    everything(root, source)


def everything(node: json_text.Node, source: SourceFile) -> None:
    assert json.loads(source.slice(node.span), parse_int=float) == node.value
    for inner in (*node.members.values(), *node.items):
        everything(inner, source)


@given(st.text(alphabet='{}[]",:\\0 a1-eutrnl\n', max_size=40))
def test_what_python_refuses_it_refuses(text: str) -> None:
    try:
        json.loads(text)
        known = True
    except ValueError:
        known = False
    try:
        json_text.parse(SourceFile("a.json", text))
        found = True
    except json_text.NotJson as error:
        found = error.label == "stands here twice"  # the one thing that Python lets through
        place = error.span
    else:
        place = Span("a.json", 0, 0)
    assert found == known
    assert 0 <= place.start <= place.end <= len(text)


def test_texts_of_others_steer_nothing() -> None:
    evil = "a\u202eb\u0007c\u2066 | `x` <b> [y](z) # q\n\n```sh\nrm\n```"
    document = copy.deepcopy(TICKET)
    document["ticket"] |= {"title": evil, "description": evil}
    document["risks"] = [evil]
    document["glossary"] = [{"term": evil, "definition": evil}]
    found = compiled(document, PLAN | {"proposed_changes": [evil], "risks": [evil]})
    assert found.plan is not None
    for artifact in found.artifacts:
        assert not set("\u202e\u2066\u0007") & set(artifact.text), artifact.path
        assert "\\u202e" not in artifact.text
    runbook = next(a.text for a in found.artifacts if a.kind == "runbook")
    assert "```sh\nrm" not in runbook
    assert "<b>" not in runbook
