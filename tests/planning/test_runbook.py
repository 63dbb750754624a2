"""A runbook alone is enough: each of its commands exists, nothing stands empty, and no text is told of what it isn't about."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from migdsl.cli.arguments import Options, parse
from migdsl.plan.model import DataMigrationPlan
from migdsl.planning.build import build
from migdsl.planning.works import works
from migdsl.runtime import BackfillJob, ReconcileJob
from migdsl.runtime.cli import _backfill_parser, _reconcile_parser
from migdsl.runtime.stream.cli import parser as sync_parser
from migdsl.runtime.stream.jobs import Stream
from migdsl.workspace import Compilation, compile_files
from tests.planning.test_hollow import EXAMPLES, read

TENANTS = "tenants { key tenant_id uuid; list in mono `SELECT id FROM tenants` }"
A = "entity A in mono.a { id bigint key; tenant_id uuid tenant; x int?; n text?; index (tenant_id, id) }"
B = "entity B in mono.b { id integer key; tenant_id uuid tenant; y text?; index (tenant_id, id) }"
MONO = "database mono { engine postgresql 15; url env MONO_URL }"
CHANGED = "change A { require x { from `0` }; add m text { from `coalesce(n, '')`; back n = `m` }; drop n after 20d }"
SWAPPED = "change B { retype id bigint }"
NEW = "create N in mono.n { id bigint key; tenant_id uuid tenant; t text }"
THREE = (MONO, TENANTS, A, B, CHANGED, SWAPPED, NEW)
MOVED = (
    MONO,
    "database dst { engine postgresql 16; url env DST_URL }",
    TENANTS,
    B,
    A,
    CHANGED.replace("20d", "30d"),
    "move B to dst.b { id = id; tenant_id = tenant_id; y = y; after 14d }",
)


@cache
def compiled(*lines: str) -> Compilation:
    """A file of these declarations, in which nothing is wrong."""
    found = compile_files({"m.mig": "\n".join(('migration m { ticket "T-1"; downtime none }', *lines))}, "m.mig")
    assert found.plan is not None, found.diagnostics
    return found


def runbook(*lines: str) -> str:
    return next(a.text for a in compiled(*lines).artifacts if a.kind == "runbook")


def plan(*lines: str) -> DataMigrationPlan:
    found = compiled(*lines).plan
    assert found is not None
    return found


def part(text: str, heading: str) -> str:
    """What stands under a heading."""
    return re.split(r"^##+ ", text.split(f"\n{heading}", 1)[1], flags=re.MULTILINE)[0]


def commands(text: str) -> Iterator[str]:
    """All that a runbook has typed, in blocks and within sentences, without what is said beside it."""
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            bare = re.sub(r"(?: &)?\s*#.*$", "", line).strip()
            yield from [bare] if bare else []
    yield from re.findall(r"`((?:migdsl|python|alembic) [^`]+)`", text.replace("\\", ""))


# ------------------------------------------------------------------------------------------- each command exists


def of_jobs(found: Compilation) -> dict[str, object]:
    """The parser of each generated job, by its path; None of those that aren't asked here."""
    parsers: dict[str, object] = {}
    for artifact in (a for a in found.artifacts if a.path.endswith(".py") and a.kind != "revision"):
        space: dict[str, object] = {"__name__": "generated", "__file__": artifact.path}
        if artifact.kind in ("backfill", "reconcile", "sync"):
            exec(artifact.text, space)
        parsers[artifact.path] = parser_of(space.get("JOB", space.get("STREAM")))
    return parsers


def parser_of(job: object) -> object:
    if isinstance(job, BackfillJob):
        return _backfill_parser(job)
    if isinstance(job, ReconcileJob):
        return _reconcile_parser(job)
    return sync_parser(job) if isinstance(job, Stream) else None


_SAID = {"STAGE": "live", "WHO": "all"}


def refuted(found: Compilation, text: str) -> Iterator[str]:
    """The commands that don't exist, or not with these words."""
    assert found.plan is not None
    jobs = of_jobs(found)
    revisions = {Path(f).stem for t in found.plan.implementation_plan for f in (*t.files_touched, *t.files_later)}
    for command in commands(text):
        program, *words = shlex.split(command)
        if program == "migdsl":
            good = isinstance(parse([_SAID.get(word, word) for word in words]), Options)
        elif program == "alembic":
            bare = [w for n, w in enumerate(words) if not (w == "--name" or (n and words[n - 1] == "--name"))]
            good = not bare or (bare[0] in ("upgrade", "downgrade") and bare[1].removesuffix("@base") in revisions)
        elif program == "python":
            parser = jobs.get(words[0], "unknown")
            good = parser is None or hasattr(parser, "parse_args")
            if hasattr(parser, "parse_args") and words[1:]:
                parser.parse_args(words[1:])  # a usage error ends the test
        else:
            good = True  # the file's own, and curl
        if not good:
            yield command


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_command_exists_with_its_words(path: Path) -> None:
    found = read(path)
    assert len(list(commands(found.runbook))) > 4
    assert not list(refuted(found.compiled, found.runbook))


@pytest.mark.parametrize("lines", [THREE, MOVED], ids=["three operations", "a move beside a change"])
def test_each_command_of_more_than_one_operation_exists(lines: tuple[str, ...]) -> None:
    assert not list(refuted(compiled(*lines), runbook(*lines)))


# ------------------------------------------------------------------------------------------- nothing stands empty


def flaws(text: str) -> Iterator[str]:
    """Headings that come twice, blocks without a line, lists that are announced and don't come, and grammar."""
    headings = re.findall(r"^##+ (.*)$", text, re.MULTILINE)
    yield from (f"twice: {heading}" for heading in {h for h in headings if headings.count(h) > 1})
    titles = [heading.split(":")[0] for heading in headings]
    yield from (f"named twice: {title}" for title in {t for t in titles if titles.count(t) > 1 and t != "Alert"})
    yield from ("an empty block" for _ in re.findall(r"^```\w+\n```$", text, re.MULTILINE))
    yield from (f"nothing behind: {line}" for line in re.findall(r"^(.*:)\n+(?![-`\d|\n])", text, re.MULTILINE))
    wrong = (
        r"\b1 (?:steps|days|rows|hours)\b|\ba (?:index|expand|enforce)\b| and \S+ has all|switch  --|\bAll data: All"
    )
    yield from (f"grammar: {found}" for found in re.findall(wrong, text))
    yield from ("blank lines" for _ in re.findall(r"\n\n\n", text))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_nothing_stands_empty_or_twice(path: Path) -> None:
    assert not list(flaws(read(path).runbook))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_phase_says_when_it_is_over(path: Path) -> None:
    found = read(path).compiled.plan
    assert found is not None
    assert [phase.id for phase in found.phases if not phase.exit_criteria] == []


def test_what_enforce_ends_with_is_what_it_binds() -> None:
    text = runbook(MONO, TENANTS, A, "change A { check `x > 0` as positive }")
    assert 'No client of A fails now that rows with "breaks check positive" are refused' in text.replace("\\", "")
    assert "It is over when:" in part(text, "### Enforce:")


def test_an_enforce_of_peoples_own_steps_binds_nobody() -> None:
    lines = (MONO, TENANTS, A, 'change A { add m text?; drop n after 20d irreversible because "unread" }')
    own = runbook(*MOVED[:5], MOVED[-1], 'phase enforce { step "look" run "make look" }')
    assert "### Enforce: what people do; nothing in a database waits for it" in own
    assert "revision" not in part(own, "### Enforce:").split("Contract")[0]
    assert "enforce has changed nothing" in part(own, "### From enforce back to cutover")
    assert "### Enforce:" not in runbook(*lines) or plan(*lines).phases[-2].id == "enforce"


# ------------------------------------------------------------------------------------------- told of what it is about


def test_versions_are_those_that_the_file_was_checked_against() -> None:
    told = "PostgreSQL 15 or later in mono and 16 or later in dst"
    assert told in plan(*MOVED).constraints
    assert f"Servers are {told}." in runbook(*MOVED)
    assert "PostgreSQL 15 or later" in plan(*THREE).constraints


def test_a_move_beside_a_change_is_told_of_neither_as_the_other() -> None:
    said = plan(*MOVED)
    assert "Change B (move to dst.b) in 2 deploys of DDL: expand and contract." in said.strategy
    assert "Change A (require x, add m, drop n) in 3 deploys of DDL: expand, enforce and contract." in said.strategy
    assert any("no old code writes A any more" in text for text in said.strategy)
    text = runbook(*MOVED).replace("\\", "")
    assert "All data of A; only the constraints that enforce made go." in text
    cutover = part(text, "### Cutover:")
    assert "Once no running code writes NULL into A.x, move all tenants through dualwrite" in cutover
    assert cutover.index("turn the writes of its tenants from mono.b to dst.b") < cutover.index("Move 1% of")
    enforce = part(text, "### Enforce:")
    assert "30 days have passed since everybody was live in m, as mono asks" in enforce
    assert "14 days have passed since everybody was live in m, as dst asks" in enforce


def test_a_new_table_has_no_old_code_and_is_lost_on_the_way_back() -> None:
    text = runbook(*THREE).replace("\\", "")
    assert "The roles of new code have their grants on public.n (N)" in text
    assert "Old code writes N" not in text
    assert "Reconciliation of N finds 0 rows that differ" not in text
    back = part(text, "### From expand back")
    assert "N is dropped with all that was written there" in back
    assert "`migdsl rollback m.mig --to prepare --lose`" in back
    assert "--lose" not in runbook(*THREE[:4], SWAPPED)


def test_the_way_back_takes_a_revision_back_before_the_flag_that_releases_it() -> None:
    text = runbook(*THREE)
    for heading, revision, stage in (("cutover", "m_validate", "shadow"), ("validate", "m_expand", "dualwrite")):
        block = part(text, f"### From {heading} back to")
        assert block.index(f"downgrade {revision}") < block.index(f"--stage {stage} --for all")
    # Where no revision is in the way, readers go first.
    block = part(runbook(*THREE[:4], CHANGED), "### From cutover back to")
    assert "--stage dualwrite --for all" in block
    assert "downgrade" not in block


def test_what_was_swapped_is_filled_no_more() -> None:
    found = compiled(*THREE)
    assert found.module is not None
    planned = build(found.module, "")
    again = {p: [w.subject for w in works(planned, p) if w.kind == "again"] for p in ("validate", "cutover", "enforce")}
    assert again == {"validate": ["A"], "cutover": [], "enforce": ["A"]}


@pytest.mark.parametrize(
    ("engine", "needs"), [("celery", "`CELERY_BROKER_URL`"), ("procrastinate", "pooler of transactions")]
)
def test_a_queue_is_told_of_where_it_is_used(engine: str, needs: str) -> None:
    text = runbook(MONO, TENANTS, A, CHANGED, f"backfill A {{ engine {engine} }}")
    assert needs in part(text, "## Before you begin")
    assert f"its extra `{engine}`" in text
    assert "on each further machine `python backfills/m/a.py --work`" in part(text, "### Backfill:")
    assert "and the workers on other machines" in part(text, "### From backfill back")
    plainly = runbook(MONO, TENANTS, A, CHANGED)
    assert "--work" not in plainly
    assert needs not in plainly


def test_where_there_are_no_tenants_none_move() -> None:
    owned = A.replace("tenant_id uuid tenant; ", "").replace("index (tenant_id, id)", "")
    text = runbook(MONO, 'tenants none because "one"', "cutover { ramp by request }", owned, CHANGED)
    assert "move requests, few at first" in text
    assert "request by request" in text
    assert "per request." in text
    assert not re.search(r"\btenant", part(text, "### Cutover:") + part(text, "### Backfill:"))


def test_sections_of_alembic_ini_are_nobody_elses() -> None:
    text = runbook(*(line.replace("dst", "loggers") for line in MOVED))
    assert "alembic --name loggers_database upgrade" in text
    assert "`[mono]` and `[loggers_database]`" in text


def test_it_says_where_metrics_go_before_anything_looks_at_them() -> None:
    for lines in (THREE, MOVED):
        text = runbook(*lines)
        before, _, phases = text.partition("## Phases")
        assert "`MIGDSL_PUSHGATEWAY`" in before
        assert "`--metrics FILE`" in before
        assert ("the sync job above all" in before) == (lines is MOVED)
        # Nothing has run by then that could show data.
        prepare = phases.partition("### Expand")[0]
        assert (
            "- [ ] The dashboard of m opens, its alerts are loaded, and its jobs know where to send metrics" in prepare
        )
        assert "take its alerts away" in text.partition("## Alerts")[2].partition("### Alert")[0]
    (served,) = (path for path in EXAMPLES if path.parent.name == "11_api_retirement")
    assert "MIGDSL_PUSHGATEWAY" not in read(served).runbook
