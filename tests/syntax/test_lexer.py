"""The parser's own lexer and machine say of any text what Lark's do: the same tree, or the same error at the same place."""

from __future__ import annotations

import marshal
import random
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import lark
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migdsl.resources import read_resource
from migdsl.syntax import grammar, lexer
from migdsl.syntax.derive import derive, lark_parser
from migdsl.syntax.grammar import tables
from migdsl.syntax.machine import Progress, Unexpected, run
from migdsl.syntax.tree import Token, Tree
from migdsl.workspace import check

ROOT = Path(__file__).resolve().parents[2]
PATHS = [*sorted((ROOT / "examples").rglob("*.mig")), *sorted((ROOT / "tests").rglob("*.mig"))]
TEXTS = [path.read_bytes().decode("utf-8") for path in PATHS]
fuzzed = settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])


@cache
def pieces_of_all() -> list[str]:
    return sorted({piece for text in TEXTS for piece in re.findall(r"\w+|`[^`]*`|\"[^\"]*\"|\s+|->|.", text)})


# Each worker collects these tests, and one runs them: what costs time is made then.
PIECES = st.deferred(lambda: st.sampled_from(pieces_of_all()))


@cache
def theirs_of_the_language() -> lark.Lark:
    return lark_parser(read_resource("grammar", "mig.lark"), propagate_positions=True)


def ours(text: str, start: int, end: int) -> tuple[object, ...]:
    """The tree as tuples, or what was wrong."""
    try:
        return flat(run(text, start, end))
    except Unexpected as error:
        return ("unexpected", error.terminal, error.text, error.at, sorted(error.accepted))


def flat(node: Tree | Token) -> tuple[object, ...]:
    if isinstance(node, Token):
        return (node.type, str(node), node.start, node.end)
    if node.data == "start" and not node.children:
        return ("start", [])  # An empty file is nowhere.
    return (node.data, [flat(child) for child in node.children], node.start, node.end)


def theirs(text: str, start: int, end: int) -> tuple[object, ...]:
    """The same of Lark's."""
    try:
        return flat_theirs(theirs_of_the_language().parse(lark.TextSlice(text, start, end)))
    except lark.UnexpectedToken as error:
        token = error.token
        return ("unexpected", token.type, str(token), token.start_pos, sorted(error.accepts or error.expected))
    except lark.UnexpectedCharacters as error:
        return ("unexpected", "", "", error.pos_in_stream, sorted(error.allowed))


def flat_theirs(node: lark.Tree[lark.Token] | lark.Token) -> tuple[object, ...]:
    if isinstance(node, lark.Token):
        return (node.type, str(node), node.start_pos, node.end_pos)
    children = [flat_theirs(child) for child in node.children]
    return (node.data, children, *(() if node.meta.empty else (node.meta.start_pos, node.meta.end_pos)))


def same(text: str, start: int = 0, end: int | None = None) -> None:
    end = len(text) if end is None else end
    assert ours(text, start, end) == theirs(text, start, end)


def test_there_is_enough_to_compare():
    assert sum(isinstance(ours(text, 0, len(text))[0], str) for text in TEXTS) > 100
    assert any(ours(text, 0, len(text))[0] == "unexpected" for text in TEXTS)


@pytest.mark.parametrize("text", TEXTS, ids=[path.name for path in PATHS])
def test_every_file_of_the_project(text: str):
    same(text)


@fuzzed
@given(st.text(alphabet=st.sampled_from(list('a1{}()[],.;"`#\n\r\t -?é_%=<>!|\u2028\xa0\x00')), max_size=60))
def test_any_characters(text: str):
    same(text)


@fuzzed
@given(st.lists(PIECES, max_size=60).map("".join))
def test_any_pieces_of_the_language(text: str):
    same(text)


@fuzzed
@given(st.sampled_from(TEXTS), st.randoms(use_true_random=False))
def test_files_with_a_few_pieces_exchanged(text: str, chance: random.Random):
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(pieces_of_all()) + text[at + chance.randrange(8) :]
    same(text)


@fuzzed
@given(st.sampled_from(TEXTS), st.integers(0, 3000), st.integers(0, 3000))
def test_parts_of_a_text_have_their_own_places(text: str, one: int, other: int):
    start, end = sorted((one % (len(text) + 1), other % (len(text) + 1)))
    same(text, start, end)


OVERLAPPING = r"""
start: (a | b | c | d)*
a: "a" (LESS | WORD) ";"
b: "b" (OPERATOR | KEY) ";"
c: "c" (DASH ">" | "-" | KEY) ";"
?d: "d" (WORD | LONG _REST?) ";"
LESS: "<"
KEY: "key"
DASH: "-"
OPERATOR: /<=|<|>=|[a-z]+!/
WORD: /[a-z]+/
LONG.2: /ke+y?/
_REST: "rest"
NAME: /[^\W\d]\w*/
_SEP: /\n/
SPACE: / +/
%ignore SPACE
"""


def test_terminals_that_overlap_are_told_apart_by_what_may_stand_there(monkeypatch: pytest.MonkeyPatch):
    """A grammar made to be difficult: literals with several hosts, priorities, terminals that begin with others."""
    chance = random.Random(3)
    made = derive(OVERLAPPING)
    for module in (grammar, lexer, sys.modules["migdsl.syntax.machine"]):
        monkeypatch.setattr(module, "tables", lambda: made)
    lexer._whole.cache_clear()
    lexer._narrow.cache_clear()
    difficult = lark_parser(OVERLAPPING, propagate_positions=True)
    monkeypatch.setattr(sys.modules[__name__], "theirs_of_the_language", lambda: difficult)
    pieces = [
        "a",
        "b",
        "c",
        "d",
        "<",
        "<=",
        "-",
        "->",
        ">",
        "key",
        "kee",
        "keys",
        "k",
        "ok!",
        "rest",
        ";",
        " ",
        "\n",
        "(",
    ]
    try:
        good = 0
        for _ in range(5000):
            text = "".join(chance.choice(pieces) + chance.choice(["", "", " "]) for _ in range(chance.randrange(9)))
            same(text)
            good += ours(text, 0, len(text))[0] == "start"
        assert good > 100
    finally:
        lexer._whole.cache_clear()
        lexer._narrow.cache_clear()


@fuzzed
@given(st.sampled_from(TEXTS), st.randoms(use_true_random=False))
def test_a_text_that_was_mended_is_parsed_on_from_there(text: str, chance: random.Random):
    """As often as it is mended: what is parsed from a place on is what is parsed from the beginning."""
    lines = text.split("\n")
    for _ in range(4):
        lines.insert(
            chance.randrange(len(lines) + 1),
            chance.choice(["  c ,", "@", "  text text text {", "  }", "drop drop drop"]),
        )
    text, progress, changed = "\n".join(lines), Progress(), 0
    for _ in range(6):
        found = outcome(text, progress, changed)
        assert found == outcome(text, None, 0)
        if found[0] != "unexpected":
            break
        at = found[3]
        assert isinstance(at, int)
        changed = text.rfind("\n", 0, at) + 1
        end = text.find("\n", at) if text[at : at + 1] != "\n" else at
        end = len(text) if end < 0 else end
        text = text[:changed] + " " * (end - changed) + text[end:]


def outcome(text: str, progress: Progress | None, changed: int) -> tuple[object, ...]:
    """The tree, or what was wrong; where the text ends too early, the place of that is of no use."""
    try:
        return flat(run(text, 0, len(text), progress, changed))
    except Unexpected as error:
        at = 0 if error.terminal == grammar.END else error.at
        return ("unexpected", error.terminal, error.text, at, sorted(error.accepted))


def test_a_long_list_is_not_copied_item_by_item():
    """A block of 20,000 lines: were each line a copy of those before it, this would take minutes."""
    text = "entity A in b.c {\n" + "  c text\n" * 20_000 + "}\n"
    (entity,) = run(text, 0, len(text)).children
    assert isinstance(entity, Tree)
    assert len(entity.children) == 20_002


def test_a_statement_without_an_end_is_not_read_to_its_end():
    """Ten megabytes of one list would take gigabytes; what follows the statement is read as ever."""
    room = lexer.MOST_WORDS // 2
    long = "entity A in b.c {{ unique ({}a) }}\nentity A in b.c {{ id bigint kee }}"
    fine = check({"m.mig": long.format("a, " * (room - 10))}, "m.mig")
    assert "MIG006" not in {d.code for d in fine.diagnostics}
    found = check({"m.mig": long.format("a, " * room)}, "m.mig")
    assert [d.title for d in found.diagnostics if d.code == "MIG006"] == ["a statement of more than 50,000 words"]
    assert "`kee` says nothing of a column" in [d.title for d in found.diagnostics]


def test_reading_a_file_needs_no_lark():
    """Only making the tables does, once on a machine."""
    tables()
    program = (
        "import sys; from migdsl.source import SourceFile; from migdsl.syntax import parse\n"
        "assert parse(SourceFile('x', sys.stdin.read())).diagnostics; assert 'lark' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], input="migration {", text=True, cwd=ROOT, check=True)


@pytest.mark.parametrize("damage", ["", "short", "other", "junk", "kind"])
def test_what_is_kept_on_disk_is_used_only_where_it_is_whole_and_of_this_grammar(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    text = read_resource("grammar", "mig.lark")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    grammar.tables.cache_clear()
    try:
        made = grammar.tables()
        (path,) = tmp_path.rglob("mig.tables")
        kept = path.read_bytes()
        bad = {"short": kept[:-9], "other": marshal.dumps((1,)), "junk": b"{}", "kind": marshal.dumps(None)}
        path.write_bytes(bad.get(damage, kept))
        assert (grammar._kept(str(path), text) is None) == bool(damage)
        assert grammar._kept(str(path), text + " ") is None
        grammar.tables.cache_clear()
        assert len(grammar.tables().actions) == len(made.actions)  # Lark numbers them otherwise each time
        assert grammar._kept(str(path), text) is not None
        assert list(path.parent.iterdir()) == [path]
    finally:
        grammar.tables.cache_clear()


def test_a_cache_that_cannot_be_had_costs_time_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    grammar.tables.cache_clear()
    try:
        assert grammar.tables().rules
    finally:
        grammar.tables.cache_clear()
