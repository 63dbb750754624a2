"""Commands: what is taken means the same to a shell, and what only a shell would understand is refused."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from migdsl.semantics.commands import CommandError, words


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("make test", ["make", "test"]),
        ("  make   test ", ["make", "test"]),
        ("pytest -q 'a b' \"x|y\"", ["pytest", "-q", "a b", "x|y"]),
        ("sh -c 'make lint && make test > $OUT'", ["sh", "-c", "make lint && make test > $OUT"]),
        ("pytest tests/x.py::t[1]", ["pytest", "tests/x.py::t[1]"]),
        ("curl -fsS 'https://x/?a=1&b=2'", ["curl", "-fsS", "https://x/?a=1&b=2"]),
        ('run --key="a;b" c=d e#f g~h', ["run", "--key=a;b", "c=d", "e#f", "g~h"]),
        (r"say it\'s\ so \$5", ["say", "it's so", "$5"]),
        ("env CI=1 make", ["env", "CI=1", "make"]),
    ],
)
def test_a_command_becomes_its_words(command: str, expected: list[str]) -> None:
    assert list(words(command)) == expected


@pytest.mark.parametrize(
    "command",
    [
        *("a | b", "a|b", "a && b", "a; b", "a > b", "a < b", "a &", "(a)", "echo $HOME", 'echo "$HOME"', "echo `a`"),
        *(
            'echo "`a`"',
            "ls *.py",
            "ls a?",
            "cat ~/x",
            "a # b",
            "CI=1 make",
            "make 'test",
            'make "test',
            "",
            "  ",
            "a\nb",
            "''",
        ),
        *("a\x00b", "a\x1bb", "make \\"),
    ],
)
def test_what_is_no_command_by_itself_is_refused_with_a_way_out(command: str) -> None:
    with pytest.raises(CommandError) as refused:
        words(command)
    assert refused.value.help


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.text(alphabet=" ab1./=-_:@%+,'\"\\$`|&;<>()*?~#!é", min_size=1, max_size=12))
@example("a'b c'\"d\"\\ e")
@example('"\\a\\$"')
def test_what_is_taken_means_the_same_to_a_shell(text: str) -> None:
    """`sh` itself splits the text, behind a program that is known."""
    command = f"printf '%s\\n' {text}"
    try:
        found = words(command)
    except CommandError:
        return
    said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    assert said == "".join(f"{word}\n" for word in found[2:] or [""])


def test_what_is_shown_is_what_is_run() -> None:
    command = words("say 'it is' \"so; and\" \\$5")
    assert shlex.split(shlex.join(command)) == list(command)
