"""A short run of the fuzzer finds nothing; and the fuzzer would find, name and make smaller what there was."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.texts import text_of
from migdsl.workspace import check
from tools import fuzz, fuzz_child, fuzz_inputs
from tools.fuzz import Child, Failure, smaller
from tools.fuzz_inputs import make

USERS = (Path(__file__).resolve().parents[2] / "examples/users.mig").read_bytes()


def test_a_short_run_finds_nothing():
    tried, found = fuzz.fuzz(11, iter(range(60)), fuzz.MEMORY, 5)
    assert tried == 60
    assert [fuzz.told(11, each) for each in found] == []


def test_an_input_follows_from_seed_and_number():
    inputs = [make(5, number) for number in range(300)]
    assert inputs == [make(5, number) for number in range(300)]
    assert inputs[:20] != [make(6, number) for number in range(20)]
    assert {each.kind for each in inputs} == {kind for kind, _ in fuzz_inputs.SMALL}


def test_sentences_follow_the_grammar():
    texts = [make(5, number) for number in range(400)]
    sentences = [each.data.decode("utf-8", "replace") for each in texts if each.kind in ("sentence", "inserted")]
    codes = [{d.code for d in check({"a.mig": text}, "a.mig").diagnostics} for text in sentences[:60]]
    assert sum("MIG001" not in each for each in codes) > len(codes) / 2


@pytest.mark.parametrize(
    ("name", "wrong", "signature"),
    [
        ("check", lambda *_: 1 / 0, "ZeroDivisionError in test_fuzz.py:<lambda>"),
        (
            "format_source",
            lambda source: type("X", (), {"text": source.text + "\n", "diagnostics": ()}),
            "wrong: fmt changes",
        ),
        (
            "compile_files",
            lambda *_: type("X", (), {"artifacts": (), "diagnostics": (), "finished": None}),
            "wrong: files and",
        ),
        ("run", lambda _: 3, "wrong: check --format json exits with 3"),
        ("check", lambda *_: [0] * 10**18, "memory"),
    ],
    ids=["traceback", "unstable", "half", "exit", "memory"],
)
def test_what_goes_wrong_is_told_apart(monkeypatch: pytest.MonkeyPatch, name: str, wrong: object, signature: str):
    assert fuzz_child.verdict(USERS, 60) == ("", "")
    monkeypatch.setattr(fuzz_child, name, wrong)
    assert fuzz_child.verdict(USERS, 60)[0].startswith(signature)


def test_a_child_that_hangs_or_dies_is_seen_and_another_takes_its_place(tmp_path: Path):
    child = Child(fuzz.MEMORY, str(tmp_path))
    try:
        assert child.run(USERS, 0.001)[0] == "hang"
        assert child.run(USERS, 60.0) == ("", "")
    finally:
        child.stop()
    program = tmp_path / "child.py"
    program.write_text("import sys; sys.stdin.readline(); sys.exit(3)")
    assert Child(fuzz.MEMORY, str(tmp_path), program).run(USERS, 60.0) == ("died", "exit code 3")


def test_a_failure_is_made_as_small_as_it_can_be():
    class Picky:
        def run(self, data: bytes, _: float) -> tuple[str, str]:
            return ("bug" if b"b" in data and b"ug" in data else "", "")

    found = Failure(7, "soup", "bug", "", b"x" * 50 + b"b" + b"y" * 33 + b"ug" + b"z" * 9)
    assert smaller(Picky(), found, 60) == b"bug"  # type: ignore[arg-type]
    assert "--seed 3 --only=7" in fuzz.told(3, found)


def test_the_texts_of_the_benchmark_are_fine():
    assert check({"wide.mig": text_of(30)}, "wide.mig").diagnostics == ()
    assert 20 <= text_of(100).count("\n") / 100 <= 25
