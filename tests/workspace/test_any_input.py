"""Whatever stands in a file: diagnostics or artifacts, and never a traceback or a hang."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migdsl.diagnostics import Severity
from migdsl.diagnostics.catalog import all_codes
from migdsl.diagnostics.render_json import render_json
from migdsl.diagnostics.render_text import render_text
from migdsl.workspace import check, compile_files

ROOT = Path(__file__).resolve().parents[2]
USERS = (ROOT / "examples/users.mig").read_text(encoding="utf-8")
EVERYTHING = (ROOT / "tests/emit/samples/everything.mig").read_text(encoding="utf-8")
_PIECE = re.compile(r"\w+|`[^`]*`|\"[^\"]*\"|\s+|.")
OF_USERS = _PIECE.findall(USERS)
PIECES = OF_USERS + _PIECE.findall(EVERYTHING)
fuzzed = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])


def said(text: str) -> list[str]:
    """The codes of what is said of a text: all of them known, in the file, and to be shown in both ways."""
    found = check({"a.mig": text}, "a.mig")
    for each in found.diagnostics:
        assert each.code in all_codes()
        assert each.title
        for label in (each.primary, *each.secondary):
            assert label is None or 0 <= label.span.start <= label.span.end <= len(text)
    render_text(found.diagnostics, found.sources, colour=False)
    render_json(found.diagnostics, found.sources)
    return [each.code for each in found.diagnostics]


@fuzzed
@given(st.text())
def test_any_text(text):
    said(text)


@fuzzed
@given(st.binary())
def test_any_bytes_that_are_text(data):
    said(data.decode("utf-8", "replace"))
    said((data + data).decode("utf-16-le", "surrogatepass"))


@fuzzed
@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_any_pieces_of_the_language(text):
    said(text)


@fuzzed
@given(
    st.sampled_from([USERS, EVERYTHING]),
    st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(PIECES)), max_size=4),
)
def test_mutated_examples(text, changes):
    for at, piece in changes:
        place = at % (len(text) + 1)
        text = text[:place] + piece + text[place + len(piece) :]
    said(text)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(OF_USERS) - 1), st.sampled_from(["", "x", *'"`{}();', "\n", "é", "1d", "`a`", '"b"']))
def test_what_compiles_after_a_small_change_is_whole(at, instead):
    """One token exchanged: either an error, or all files; never half of them, and never a fault of the compiler."""
    text = "".join([*OF_USERS[:at], instead, *OF_USERS[at + 1 :]])
    found = compile_files({"a.mig": text}, "a.mig")
    failed = any(d.severity is Severity.ERROR for d in found.diagnostics)
    assert bool(found.artifacts) is not failed


DEEP = 20_000


@pytest.mark.parametrize(
    "text",
    [
        "{" * DEEP,
        "}" * DEEP,
        "(" * DEEP,
        "a {\n" * DEEP,
        "change User {\n" * DEEP + "}\n" * DEEP,
        "entity A in b.c { " * 300 + "}" * 300,
        "change User { add c text { from `" + "(" * DEEP + "a" + ")" * DEEP + "` } }",
        "change User { add c text { from `" + "a || " * DEEP + "a` } }",
        "change User { add c text { from `" + "NOT " * 900 + "a` } }",
        "change User { add c text? { from `" + "nullif(" * 150 + "a" + ", 'x')" * 150 + "`; back b = `c` } }",
        "tenants { key t uuid; list `SELECT " + "(SELECT " * 100 + "1" + ")" * 100 + "` }",
        "tenants { key t uuid; list `SELECT 1 WHERE " + "true AND " * 9000 + "true` }",
        'migration m { title "' + "x" * 10**6 + '" }',
        "# " + "x" * 10**6,
        "entity A in b.c { " + "c text; " * 2_000 + "}",
        "\n" * 10**6,
        "`" + "``" * 10**5 + "`",
        '"' + '""' * 10**5,
        "a" * 10**6,
        "\x00" * 1000,
        "\ufeffmigration m { }",
        'migration m { title "\\ud800" }',
        "tenants { key t uuid; list `SELECT FROM a` }",
        f"entity A in b.c {{ a float({'9' * 5000}); b numeric({'9' * 5000}); c text default {'9' * 5000}; rows {'9' * 5000} }}",
        f"cutover {{ ramp {', '.join(['1%'] * 3_000)}; abort when a > {'9' * 5000}kB for {'9' * 5000}s }}",
        "a {\n" * DEEP + "}\n" * DEEP,
        "\ud800",
        "entity A in b.c { c text default `'\ud800'` }",
        'migration "\x1b[31m" { }',
    ],
    ids=lambda text: f"{text[:12]!r}…{len(text)}",
)
def test_deep_long_and_odd(text):
    assert said(text) == said(text)


def test_random_pieces_up_to_a_megabyte():
    source = random.Random(7)
    text = "".join(source.choice(PIECES) for _ in range(300_000))[: 2**20]
    assert said(text)
    without = re.sub(r"[`\"(){}]", " ", text)
    assert "MIG010" in said(without)


@pytest.mark.parametrize("size", [2**20, 10 * 2**20])
def test_random_bytes_through_the_program(size, tmp_path):
    (tmp_path / "a.mig").write_bytes(random.Random(size).randbytes(size))
    (tmp_path / "b.mig").write_bytes(bytes(random.Random(size).choices(range(32, 127), k=size)))
    for name, codes in (("a.mig", {"MIG004"}), ("b.mig", {"MIG002", "MIG003"}))[: 1 if size > 2**20 else 2]:
        run = subprocess.run(
            [sys.executable, "-m", "migdsl", "compile", name],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 1
        assert set(re.findall(r"MIG\d{3}", run.stderr)) <= codes
        assert "Traceback" not in run.stderr
        assert len(run.stderr) < 3000


def test_no_more_is_shown_than_anybody_reads():
    found = check({"a.mig": "entity A in b.c { " + "c text; " * 2_000 + "}"}, "a.mig").diagnostics
    assert [d.code for d in found[-2:]] == ["MIG104", "MIG010"]
    assert len(found) == 101


def test_a_long_file_is_read_whole():
    """Fifteen thousand lines: what is said of them is about the last one."""
    entity = "entity E{0} in app.e{0} {{\n  id bigint key\n  tenant_id uuid tenant\n  name text\n}}\n"
    head = USERS[: USERS.index("entity User")]
    text = head + "".join(entity.format(n) for n in range(3_000)) + "change E2999 { drop nmae }\n"
    assert text.count("\n") > 15_000
    assert said(text) == ["MIG102"]
