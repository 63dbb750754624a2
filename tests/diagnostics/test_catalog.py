"""The catalog is one table without holes, and its examples look like `.mig` source."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache

import pytest

from migdsl.diagnostics.catalog import FAMILIES, all_codes
from migdsl.diagnostics.code import Code
from migdsl.diagnostics.explain import FIXES, explain
from migdsl.diagnostics.model import Severity
from migdsl.source import SourceFile
from migdsl.syntax.parser import parse
from migdsl.workspace import compile_files

CODES = tuple(all_codes().values())
DECLARATIONS = re.compile(
    "migration|database|service|tenants|entity|change|create|drop|move|sync|backfill|validate|cutover|rollback|flag|"
    "phase|metric|alert|api|replace|impact|accept|gate|allow|output|use|finished"
)
PROMISED = [  # the first and the last number of each unbroken run
    *((1, 13), (101, 110), (201, 206), (301, 304), (311, 312), (401, 405), (407, 410), (412, 412)),
    *((501, 504), (506, 506), (601, 603), (701, 706)),
]
WARNINGS = {"MIG010", "MIG407", "MIG410", "MIG601", "MIG603"}
each_code = pytest.mark.parametrize("code", CODES, ids=lambda code: code.id)


def test_ids_are_unique_and_in_their_family() -> None:
    ids = [code.id for code in CODES]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"MIG\d{3}", each) for each in ids)
    assert {each[3] for each in ids} == set(FAMILIES)


def test_what_was_promised_is_there() -> None:
    assert {f"MIG{number:03}" for first, last in PROMISED for number in range(first, last + 1)} <= all_codes().keys()
    assert {code.id for code in CODES if code.severity is Severity.WARNING} >= WARNINGS


def test_the_table_is_sorted_read_only_and_built_once() -> None:
    assert list(all_codes()) == sorted(all_codes())
    assert all_codes() is all_codes()
    with pytest.raises(TypeError):
        all_codes()["MIG001"] = CODES[0]  # type: ignore[index]


@each_code
def test_texts(code: Code) -> None:
    for text in (code.title, code.why, code.bad, code.good):
        assert text == text.strip() != ""
        assert "\t" not in text
        assert text.replace("\n", "").isprintable()
    assert code.bad != code.good
    assert code.fix in ("none", *FIXES)  # that what is promised is kept, tests/workspace/test_case_fixes.py shows
    assert len(code.title) <= 72
    assert "\n" not in code.title
    assert code.title[-1] not in ".!"
    assert code.why[-1] in ".:`)"
    assert len(code.why) > 120
    # One paragraph is one line: the page is wrapped where it is shown.
    assert all("\n" not in paragraph and "  " not in paragraph for paragraph in code.why.split("\n\n"))


def test_titles_and_reasons_differ() -> None:
    assert len({code.title for code in CODES}) == len({code.why for code in CODES}) == len(CODES)


@each_code
def test_texts_name_only_codes_that_exist(code: Code) -> None:
    mentioned = re.findall(r"MIG\d{3}", code.why + code.bad + code.good)
    assert set(mentioned) <= all_codes().keys()


def bare(source: str) -> str:
    """The source without what stands in strings, SQL and comments."""
    return re.sub(r'"(?:\\.|[^"\\\n])*"|`[^`]*`|#[^\n]*', "", source)


@each_code
def test_good_examples_are_balanced_declarations(code: Code) -> None:
    rest = bare(code.good)
    assert '"' not in rest
    assert "`" not in rest
    assert rest.count("{") == rest.count("}")
    assert rest.count("(") == rest.count(")")
    starts = [line.split()[0] for line in rest.splitlines() if line and line[0] not in " }"]
    assert starts
    assert all(DECLARATIONS.fullmatch(word) for word in starts)


@each_code
def test_bad_examples_have_the_fault_that_they_show(code: Code) -> None:
    rest = bare(code.bad)
    assert (rest.count("{") != rest.count("}")) == (code.id == "MIG003")
    assert ("`" in rest) == (code.id == "MIG002")


PRELUDE = (
    ("migration", 'migration users_email { ticket "MIG-77" }'),
    ("database", "database app { engine postgresql 15; url env DATABASE_URL }"),
    ("tenants", "tenants { key tenant_id uuid; list `SELECT id FROM tenants ORDER BY id` }"),
    *(
        (f"entity {name}", f"entity {name} in app.{name.lower()}s {{ id bigint key; tenant_id uuid tenant\n{more}\n}}")
        for name, more in (
            ("User", "username text; email text? pii; old_settings text?"),
            ("Order", "status integer"),
            ("Invoice", "country text"),
        )
    ),
)


# Something that is migrated, for an example that speaks of what is around it.
CHANGE = "change User { add contact_email text? pii { from `email`; back email = `contact_email` } }"
TICKET = """{
  "ticket": {
    "id": "MIG-77", "title": "Every user can be reached", "description": "", "source": "jira", "priority": "P2"
  },
  "domain_context": {}, "assumptions": [], "risks": [], "non_functionals": [], "glossary": [],
  "acceptance_criteria": [{"id": "AC-1", "text": "Every user has an address"}, "Support knows the change"]
}"""
# Codes that a file alone can't give: they are of the disk, a database, an earlier version, a limit, or of another file.
ELSEWHERE = frozenset(
    [
        *("MIG004", "MIG005", "MIG006", "MIG010", "MIG016", "MIG017", "MIG018", "MIG019", "MIG112", "MIG301", "MIG430"),
        *("MIG508", "MIG509", "MIG809"),
        *(code.id for code in CODES if code.id.startswith("MIG7") and code.id not in ("MIG701", "MIG709")),
    ]
)
# What else an example says, since it is short: of files that it uses, and of what a part of it alone shows.
ASIDE = {
    **dict.fromkeys(["MIG015", "MIG016", "MIG017"], "MIG014"),
    **dict.fromkeys(["MIG018", "MIG019", "MIG607"], "MIG603"),
    "MIG012": "MIG601",
    "MIG606": "MIG603",
    "MIG109": "MIG413",
    "MIG112": "MIG103",
    "MIG707": "MIG102",
    "MIG708": "MIG413",
}


def whole(source: str) -> str:
    """The example with the declarations that it leaves out."""
    left = {head: text for head, text in PRELUDE if not re.search(f"(?m)^{head}\\b", source)}
    databases = re.findall(r"(?m)^database (\w+)", source)
    if "tenants" in left and len(databases) > 1:
        left["tenants"] = left["tenants"].replace("list", f"list in {databases[0]}")
    changes = re.search(r"(?m)^(change|create|drop|move|api|replace)\b", source)
    return "\n".join([*left.values(), source, *([CHANGE] if "entity User" in left and not changes else [])])


@cache
def codes(source: str) -> frozenset[str]:
    """What the compiler says of an example."""
    files = {"example.mig": source, "tickets/MIG-77.json": TICKET}
    return frozenset(problem.code for problem in compile_files(files, "example.mig").diagnostics)


def told(code: Code, example: str) -> set[str]:
    """What is said of an example of a code; that nothing is changed is meant, where it shows declarations alone."""
    return {each for each in codes(whole(example)) if each == code.id or each != "MIG602"} - {ASIDE.get(code.id)}


@each_code
def test_good_examples_check(code: Code) -> None:
    """Without the fault that they mend, and without any other."""
    assert parse(SourceFile("good.mig", code.good)).diagnostics == ()
    assert told(code, code.good) == set()


@each_code
def test_bad_examples_show_their_fault_alone(code: Code) -> None:
    said = told(code, code.bad)
    assert (code.id not in said) if code.id in ELSEWHERE else said == {code.id}


@each_code
def test_only_what_is_of_a_later_release_shows_it(code: Code) -> None:
    refused = "MIG007" in codes(whole(code.bad)) | codes(whole(code.good))
    assert refused == (code.id == "MIG007")


# What a text could advise and nobody could follow.
ABSENT = re.compile(
    r"`migdsl (?!compile|check|fmt|plan|diff|explain|import|finish|apply|status|rollback|rollout|report)\w+"
)


@each_code
def test_nothing_is_advised_that_is_not_there(code: Code) -> None:
    assert not ABSENT.findall(code.why)
    page = explain(code.id, colour=False)
    assert page is not None
    assert ("--fix`" in page, "--unsafe-fixes`" in page) == (code.fix == "safe", code.fix == "unsafe")


@pytest.mark.parametrize(
    "code", ["MIG007", "MIG105", "MIG109", "MIG206", "MIG110", "MIG312", "MIG401", "MIG403", "MIG404", "MIG405"]
)
def test_bad_examples_give_their_code_among_declarations(code: str) -> None:
    assert code in codes(whole(all_codes()[code].bad))


@pytest.mark.parametrize("code", ["MIG001", "MIG002", "MIG003", "MIG011", "MIG012"])
def test_bad_examples_give_their_code(code: str) -> None:
    assert {problem.code for problem in parse(SourceFile("bad.mig", all_codes()[code].bad)).diagnostics} == {code}


def test_the_catalog_is_not_loaded_before_it_is_asked_for() -> None:
    heavy = ["pydantic", "rich", "json", "lark", "jinja2", "argparse", "logging", "migdsl.diagnostics.catalog.syntax"]
    program = (
        "import sys, migdsl.diagnostics.catalog, migdsl.diagnostics.explain, migdsl.diagnostics.suggest\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
