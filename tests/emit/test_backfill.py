"""What a file says of a backfill stands in its job, and nothing else does."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import ModuleType

import pytest

from migdsl.emit.proof import UnprovenError, boundary, prove
from migdsl.emit.python import formatted
from migdsl.runtime import BackfillJob, Transform
from migdsl.workspace import compile_files
from tests.ops.story import change
from tests.ops.support import USERS, checked, mig

FROM = change("add nickname text { from `username || '!'` }")
PYTHON = change("add email_key text")
CANARY = """cutover {
  canary "7F1F9A52-53F0-4D0E-9F0A-0D8F4A1F3C11", "22222222-2222-2222-2222-222222222222"
  ramp 1%, 100% every 24h
}"""
USING = 'using python "app.keys:email" from email, username'

WRITE = "SELECT :tenant_id, :key_1, :input_1, :answer"


def text_of(*declarations: str, entity: str = USERS) -> str:
    found = compile_files({"m.mig": mig(entity, *declarations)}, "m.mig")
    assert found.ok, found.diagnostics
    return next(a.text for a in found.artifacts if a.kind == "backfill")


def job_of(*declarations: str, entity: str = USERS) -> BackfillJob:
    """The job that a generated file defines."""
    module = ModuleType("job")
    exec(compile(text_of(*declarations, entity=entity), "job.py", "exec"), module.__dict__)
    job = module.JOB
    assert isinstance(job, BackfillJob)
    return job


def test_without_a_word_the_defaults_hold():
    text = text_of(FROM)
    for word in ("workers", "budget", "canary", "engine", "transform", "pace", "retry"):
        assert f"    {word}=" not in text
    assert "import BackfillJob, main\n" in text


def test_settings():
    job = job_of(FROM, CANARY, "backfill User { workers 4; engine procrastinate; batch 7 rows }")
    assert (job.workers, job.engine, job.pace.first) == (4, "procrastinate", 7)
    # As PostgreSQL writes them, or they would be nobody's.
    assert job.canary == ("7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11", "22222222-2222-2222-2222-222222222222")


@pytest.mark.parametrize(
    ("said", "rows", "share"),
    [("7", 7, None), ("0", 0, None), ("1k", 1000, None), ("0.1%", None, 0.001), ("2.5%", None, 0.025)],
)
def test_budget(said: str, rows: int | None, share: float | None):
    budget = job_of(FROM, f"backfill User {{ errors at most {said} }}").budget
    assert (budget.rows, budget.share) == (rows, share)


@pytest.mark.parametrize(("said", "signs"), [("id", ("<=", ">")), ("id desc", (">=", "<"))])
def test_direction(said: str, signs: tuple[str, str]):
    job = job_of(FROM, f"backfill User {{ order by {said} }}")
    assert job.key == ("id",)
    assert f"t.id {signs[0]} :upto" in job.batch
    assert f"(t.id {signs[1]} :after OR :after IS NULL)" in job.batch
    # The last row of the walk: from the other end.
    assert ("ORDER BY t.id DESC" in job.upper) == (said == "id")
    assert ("ORDER BY t.id DESC" in job.next_bound) == (said != "id")


def test_an_order_is_part_of_the_key():
    job = job_of(FROM, "backfill User { order by username }")
    assert job.key == ("username", "id")
    assert "(t.username, t.id) <= (:upto_1, :upto_2)" in job.batch


def test_python():
    job = job_of(PYTHON, f"backfill User.email_key {{ {USING} }}")
    assert job.transform is not None
    assert (job.transform.function, job.transform.inputs) == ("app.keys:email", ("email", "username"))
    assert job.batch.lstrip().startswith("SELECT t.id,")
    assert "app.keys" not in sys.modules


def test_a_write_of_python_that_is_not_confined_is_no_artifact():
    found = compile_files({"m.mig": mig(USERS, PYTHON, f"backfill User.email_key {{ {USING} }}")}, "m.mig")
    artifact = next(a for a in found.artifacts if a.kind == "backfill")
    module, _ = checked(mig(USERS, PYTHON))
    known = boundary(module, "app")
    where = " WHERE t.tenant_id = :tenant_id\n   AND t.id = CAST(g.key_1 AS bigint)"
    assert artifact.text.count(where) == 1
    prove(artifact, ast.parse(artifact.text), known)
    loose = formatted(artifact.text.replace(where, " WHERE t.id = CAST(g.key_1 AS bigint)"))
    with pytest.raises(UnprovenError, match=r"transform\.write"):
        prove(artifact, ast.parse(loose), known)


def test_a_document_is_no_array():
    assert "document=True" in text_of(change("add tags jsonb"), 'backfill User.tags { using python "a:b" from email }')
    assert "document" not in text_of(change("add tags jsonb[]"), 'backfill User.tags { using python "a:b" from email }')


def test_a_name_is_escaped_for_where_it_lands():
    """In SQL, in Python, and in a comment."""
    entity = USERS.replace("  unique", '  "x"" ; --" date\n  unique')
    job = job_of(FROM, 'backfill User { order by "x"" ; --" }', entity=entity)
    assert job.key == ('x" ; --', "id")
    assert 't."x"" ; --"' in job.batch


def test_the_example_of_a_function(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples/10_python_backfill"))
    found = Transform("names:search_key", ("name",), WRITE).load()
    assert found([{"name": "Zoë  LÖWE"}, {"name": "Straße"}]) == ["zoe lowe", "strasse"]
