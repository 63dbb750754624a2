"""A plan's page: whatever the plan says stands on it as text, it is in order, and it may fetch nothing."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from migdsl.plan import DataMigrationPlan
from migdsl.report.files import root_of, runbook
from migdsl.report.plan_page import plan_page, plan_view, wanted
from tests.report.pages import NAMES, Read, files_of, page_of, plan_of

HOSTILE = """</script><script>alert(1)</script><img src=x onerror=alert(2)>"'&amp;{{ 7*7 }}{% raw %}`"""


def squeezed(text: str) -> str:
    return " ".join(text.split())


def sentences(value: Any, key: str = "") -> Iterator[str]:
    """Every text of a plan that is meant for people, but those that only repeat others."""
    if isinstance(value, dict):
        for name, each in value.items():
            # `steps` and `exit_criteria` of phases, `checks` and the sentences of cutover and rollback repeat typed ones.
            if name not in ("exit_criteria", "checks", "steps", "exit_conditions") or (name == "exit_conditions"):
                yield from sentences(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from sentences(each, key)
    elif isinstance(value, str) and key not in (
        "id",
        "operation",
        "kind",
        "migration_type",
        "pattern",
        "table",
        "artifact_kind",
    ):
        yield value


@pytest.mark.parametrize("name", NAMES)
def test_it_holds_all_that_the_plan_says(name: str):
    text = squeezed(Read(page_of(name)).text).casefold().replace(" ", "")
    said = set(sentences(json.loads(plan_of(name).model_dump_json())))
    missing = [
        each
        for each in said
        if "".join(each.casefold().replace("_", " ").split()) not in text.replace("_", "")
        and "".join(each.casefold().split()) not in text
    ]
    assert missing == []
    assert len(said) > 40


def test_it_holds_what_tickets_and_other_people_say():
    plan = json.loads(plan_of("users_email").model_dump_json())
    words = {key: f"{key} said by nobody else" for key in "title description source priority".split()}
    lists = {key: [f"{key} of the ticket"] for key in "assumptions non_functionals risks".split()}
    plan["ticket"] = {"id": "MIG-77", **words, **lists, "glossary": [{"term": "a soak", "definition": "a long wait"}]}
    partner = {
        "service": "billing",
        "direction": "inbound",
        "touchpoints": ["/invoices"],
        "auth": "mTLS",
        "data": ["totals"],
    }
    agreed = {"name": "orders v1", "type": "HTTP", "details": ["pages: 100"]}
    plan["integration"] = {"stack": "Django", "systems": [partner], "contracts": [agreed]}
    plan["integration"] |= {"proposed_changes": ["one thing more"], "risks": ["a late partner"]}
    plan["prd"] = "docs/prd.md, chapter 3"
    plan["acceptance"] = [{"id": "AC-1", "criterion": "it is fast", "origin": "the PRD", "proven_by": []}]
    plan["acceptance"] += [{"id": None, "criterion": "it is right", "origin": "the file", "proven_by": ["User.counts"]}]
    plan["cutover"]["sequence_resets"] = ["orders_id_seq"]
    plan["impact"]["stakeholders"] = ["team-sales"]
    plan["guardrails"]["allowed"] = [{"code": "MIG431", "reason": "nobody reads it"}]
    plan["guardrails"]["irreversible"] = ["Cart: all of them are elsewhere"]
    plan["implementation_plan"][0]["files_elsewhere"] = ["web/app.py"]
    plan["timeline"]["unknown"] = ["public.carts"]
    filled = DataMigrationPlan.model_validate(plan)
    text = squeezed(Read(plan_page(filled, {})).text)
    wants = [
        *words.values(),
        *(text for texts in lists.values() for text in texts),
        "a soak",
        "a long wait",
        "billing",
        "inbound",
        "/invoices",
        "mTLS",
    ]
    wants += [
        "totals",
        "orders v1",
        "pages: 100",
        "Django",
        "one thing more",
        "a late partner",
        "docs/prd.md, chapter 3",
    ]
    wants += [
        "AC-1 · the PRD",
        "it is fast",
        "Nothing proves it",
        "it is right",
        "orders_id_seq",
        "team-sales",
        "MIG431",
    ]
    wants += [
        "nobody reads it",
        "Cart: all of them are elsewhere",
        "web/app.py",
        "no rows are declared for public.carts",
    ]
    assert [want for want in wants if want not in text] == []
    assert text.index("Summary") < text.index("What was asked for") < text.index("Calendar")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_in_order(name: str):
    read = Read(page_of(name))
    assert read.crossed == []
    ids = [given["id"] for _, given in read.elements if "id" in given]
    assert len(ids) == len(set(ids))
    links = [given["href"] or "" for _, given in read.each("a")]
    assert len(links) > 15
    assert {link for link in links if link[:1] != "#" or link[1:] not in ids} == set()
    assert {given["aria-labelledby"] for _, given in read.elements if "aria-labelledby" in given} <= set(ids)
    levels = [int(tag[1]) for tag, _ in read.each("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert [tag for tag, _ in read.elements].count("main") == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_same_plan_gives_the_same_bytes(name: str):
    again = DataMigrationPlan.model_validate_json(plan_of(name).model_dump_json())
    assert plan_page(again, dict(reversed(files_of(name).items()))) == page_of(name)


def test_it_may_fetch_nothing_and_run_only_what_it_brings_along():
    read = Read(page_of("users_email"))
    (policy,) = [g["content"] or "" for _, g in read.each("meta") if g.get("http-equiv") == "Content-Security-Policy"]
    for tag in ("style", "script"):
        digest = b64encode(hashlib.sha256(read.raw[tag].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    attributes = {name for _, given in read.elements for name in given}
    assert not [name for name in attributes if name == "style" or name.startswith("on")]
    assert not attributes & {"src", "srcset", "action", "xlink:href", "background"}
    assert {tag for tag, _ in read.elements} & {
        "img",
        "link",
        "iframe",
        "object",
        "form",
        "base",
        "image",
        "use",
    } == set()


OF_CHOICE = frozenset(
    "id kind migration_type flag_stage stage lock cost sensitivity risk rollback_complexity audience phase from_phase "
    "to_phase".split()
)


def poisoned(value: Any, key: str = "") -> Any:
    """A plan with the same words of choice, and something evil at the end of every other text."""
    if isinstance(value, dict):
        return {name: poisoned(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [poisoned(each, key) for each in value]
    return value + HOSTILE if isinstance(value, str) and key not in OF_CHOICE else value


def test_what_a_plan_says_can_only_become_text():
    name = "users_email"
    evil = DataMigrationPlan.model_validate(poisoned(json.loads(plan_of(name).model_dump_json())))
    plain, read = Read(plan_page(plan_of(name), {})), Read(plan_page(evil, {}))
    assert read.text.count("<script>alert(1)</script>") > 100
    assert read.crossed == []
    assert [tag for tag, _ in read.elements].count("script") == 1
    assert {tag for tag, _ in read.elements} <= {tag for tag, _ in plain.elements} | {"div"}
    assert {n for _, g in read.elements for n in g} <= {n for _, g in plain.elements for n in g} | {"hidden"}


def test_what_a_file_says_can_only_become_text():
    plan, files = plan_of("users_email"), files_of("users_email")
    attack = "users_email</code></pre><script>alert(1)</script>"
    evil = {path: text.replace("users_email", attack) for path, text in files.items()}
    read = Read(plan_page(plan, evil))
    assert "alert(1)" in read.text
    assert read.crossed == []
    assert [tag for tag, _ in read.elements].count("script") == 1


def test_it_says_which_files_it_has_not_found():
    plan = plan_of("users_email")
    text = Read(plan_page(plan, {})).text
    assert "weren't found beside the plan" in text
    assert "CREATE TRIGGER" not in text
    assert "alembic upgrade users_email_expand" in text  # the plan itself says that
    assert plan_view(plan, files_of("users_email")).missing == ()
    assert "CREATE TRIGGER" in Read(page_of("users_email")).text


def test_a_plan_can_not_name_files_elsewhere():
    plan = plan_of("users_email")
    tasks = json.loads(plan.model_dump_json())["implementation_plan"]
    for evil in ("/etc/passwd", "../../secret", "a/../../b", "~/x", "..\\x", "a\0b"):
        for task in tasks:
            task["files_touched"] = [evil]
        changed = DataMigrationPlan.model_validate({**json.loads(plan.model_dump_json()), "implementation_plan": tasks})
        assert wanted(changed) == ()
        assert root_of(changed, evil) is None


def test_the_root_is_where_the_plans_own_path_begins():
    plan = plan_of("users_email")
    assert root_of(plan, "/a/b/plan/users_email.plan.json") == "/a/b/"
    assert root_of(plan, "plan/users_email.plan.json") == ""
    assert root_of(plan, "/a/b/users_email.plan.json") is None
    assert root_of(plan, "/a/explan/users_email.plan.json") is None


@pytest.mark.parametrize("name", NAMES)
def test_commands_are_those_of_the_runbook(name: str):
    plan = plan_of(name)
    told = runbook(plan, files_of(name))
    assert told.source.endswith(".mig")
    for phase in plan.phases:
        lines = [line for command in told.of(phase.name) for line in command.lines]
        wants = [
            d.text.partition(": ")[2] for d in plan.timeline.deploys if d.phase == phase.id and d.kind == "revision"
        ]
        assert [want for want in wants if want not in lines] == []


PAIR = re.compile(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)")


def luminance(colour: str) -> float:
    """Relative luminance, by WCAG 2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1])
def test_texts_stand_out_from_their_ground_in_both_themes(theme: int):
    colours = {name: pair[theme] for name, *pair in PAIR.findall(Read(page_of("users_email")).raw["style"])}
    pairs = [
        (text, ground) for text in ("text", "quiet", "accent", "careful", "grave") for ground in ("ground", "raised")
    ]
    pairs += [
        ("accent", "accent-ground"),
        ("careful", "careful-ground"),
        ("grave", "grave-ground"),
        ("text", "accent-ground"),
    ]
    pairs.append(("quiet", "accent-ground"))
    for text, ground in pairs:
        one, two = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
        assert (one + 0.05) / (two + 0.05) >= 4.5, (text, ground)
