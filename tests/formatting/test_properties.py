"""Whatever a file looks like: formatting keeps what it says and every comment, and doing it twice changes nothing."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from migdsl.diagnostics.render_text import text_width
from migdsl.formatting import assert_equivalent, assert_stable, format_source
from migdsl.formatting.printer import WIDTH
from migdsl.formatting.scanner import comments, said, scan
from migdsl.formatting.tree import Block, Comment, Statement, build
from migdsl.resources import read_resource
from migdsl.source import SourceFile
from migdsl.syntax.derive import lark_parser
from tests.formatting.support import DECLARATIONS, corpus, formatted, parses, relaid

# All that costs time is read when the first test asks for it, not when tests are collected.
TEXTS = st.deferred(lambda: st.sampled_from(corpus()))


def proven(text: str) -> str:
    """The text laid out, which has to say the same and to stay as it is."""
    result = formatted(text)
    assert_equivalent(text, result)
    assert_stable(result)
    assert sorted(comments(scan(result))) == sorted(comments(scan(text)))
    assert said(scan(result)) == said(scan(text))
    tidy(result)
    return result


def tidy(text: str) -> None:
    """What holds of every formatted text, outside of SQL."""
    tokens = list(scan(text))
    for index, token in enumerate(tokens):
        last = index + 1 == len(tokens)
        if token.kind == "newline":
            assert token.text.count("\n") <= 2
            assert "\t" not in token.text
        assert token.kind != "space" or (set(token.text) == {" "} and not last and tokens[index + 1].kind != "newline")
    assert not text or (text.endswith("\n") and not text.endswith("\n\n") and not text[0].isspace())


def test_the_corpus_is_there():
    assert len(corpus()) > 60


def test_every_file_of_the_project():
    for text in corpus():
        proven(text)


@given(text=TEXTS, chance=st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_other_layouts_say_the_same(text: str, chance: random.Random):
    other = relaid(text, chance)
    assert parses(other)
    assert said(scan(proven(other))) == said(scan(text))


@given(text=TEXTS, chance=st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_blanks_make_no_difference(text: str, chance: random.Random):
    assert formatted(relaid(text, chance, breaks=False)) == formatted(text)


@given(text=DECLARATIONS)
@settings(max_examples=100)
def test_generated_files_with_hostile_names(text: str):
    proven(text)


@given(text=DECLARATIONS, chance=st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_generated_files_in_other_layouts(text: str, chance: random.Random):
    other = relaid(text, chance)
    assert said(scan(proven(other))) == said(scan(text))


@given(
    text=TEXTS,
    at=st.floats(0, 1),
    length=st.integers(0, 12),
    junk=st.one_of(
        st.text(max_size=4), st.sampled_from(["}", "{", "`", '"', "\n", ";", "#", ",", "(", ")", "\x1f", " "])
    ),
)
@settings(max_examples=100)
def test_damaged_files_are_formatted_well_or_not_at_all(text: str, at: float, length: int, junk: str):
    start = int(at * len(text))
    broken = text[:start] + junk + text[start + length :]
    if parses(broken):
        proven(broken)
    else:
        found = format_source(SourceFile("x.mig", broken))
        assert found.diagnostics
        assert found.text == broken


@given(text=st.text(alphabet=st.sampled_from(list('a1{}()[],.;"`#\n\r\t -?é_%=\u2028\xa0')), max_size=40))
@settings(max_examples=100)
def test_the_scanner_leaves_nothing_out(text: str):
    assert "".join(token.text for token in scan(text)) == text
    build(scan(text))


def test_the_scanner_reads_what_the_parser_reads():
    parser = lark_parser(read_resource("grammar", "mig.lark"))
    for text in corpus():
        theirs = list(parser.parse(text).scan_values(lambda _: True))
        ours = {(token.start, token.text) for token in scan(text)}
        assert {(token.start_pos, str(token)) for token in theirs} <= ours, text


@given(text=st.one_of(DECLARATIONS, TEXTS))
@settings(max_examples=50)
def test_a_block_on_one_line_fits(text: str):
    result = formatted(text)
    lines = result.split("\n")
    for block in blocks(result):
        line = lines[line_of(result, block)]
        assert not block.inline or text_width(line[: line.rindex("}") + 1]) <= WIDTH


def blocks(text: str) -> list[Block]:
    """All blocks of a text that hold anything."""
    todo = list(build(scan(text)))
    found = []
    while todo:
        item = todo.pop()
        if isinstance(item, Comment) or item.block is None:
            continue
        todo += item.block.items
        if any(isinstance(each, Statement) for each in item.block.items):
            found.append(item.block)
    return found


def line_of(text: str, block: Block) -> int:
    """The line (from 0) on which the first statement of a block begins."""
    first = next(item for item in block.items if isinstance(item, Statement))
    return text.count("\n", 0, first.words[0].start)
