"""Text of anybody in Markdown: a parser of GitHub's dialect reads it back as the text that it was, and as nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from migdsl.cli import markdown
from migdsl.diagnostics.render_text import without_password

READER = MarkdownIt("gfm-like", {"html": True, "linkify": True})
HOSTILE = [
    "a|b",
    r"a\|b",
    "`tick`",
    "``` fence",
    "a`b|c",
    "`a``b`",
    "<script>alert(1)</script>",
    "<!-- hidden",
    "--> shown",
    "&lt; &amp;",
    "**bold** _it_ __init__ ~~gone~~",
    "[text](https://evil.example)",
    "![image](https://evil.example/x.png)",
    "https://evil.example and www.evil.example",
    "someone@evil.example",
    "@everyone please merge, @org/team",
    "fixes #1, GH-2, other/repo#3",
    "# heading",
    "#1 is first",
    "1. first",
    "- item",
    "+ item",
    "> quote",
    "===",
    "---",
    "$x$ and $$y$$",
    ":tada: a::text:",
    "\\",
    "ends with a backslash\\",
    "</details></summary>",
    "[^1]: note",
    "| a | b |",
    "    indented",
    "- [ ] task",
]
# What GitHub makes of text after Markdown is read, each in one piece of text.
REFERENCES = re.compile(r"@\w|#\d|(?i:\bGH-\d)|://|(?i:\bwww\.)|:[\w+-]+:")


def said(tokens: list[Token]) -> str:
    """The text that is seen; comments aren't."""
    found = []
    for token in tokens:
        assert token.type in ("text", "text_special", "code_inline", "html_inline"), token
        if token.type == "html_inline":
            assert token.content in ("<!-- -->", "<code>", "</code>")
        else:
            found.append(token.content)
    return "".join(found)


def inline(source: str) -> list[Token]:
    """The only paragraph's tokens."""
    tokens = READER.parse(source)
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"], source
    return tokens[1].children or []


def plain(text: str) -> str:
    """How it is shown: on one line, backticks in pairs being the type of code."""
    line = " ".join(text.split())
    return line.replace("`", "") if line.count("`") % 2 == 0 else line


@pytest.mark.parametrize("text", HOSTILE)
def test_prose_is_shown_as_it_is(text: str) -> None:
    tokens = inline(markdown.text(text))
    assert said(tokens) == plain(text)
    for token in tokens:
        assert token.type != "text" or not REFERENCES.search(token.content), token.content


@pytest.mark.parametrize("text", HOSTILE)
def test_code_is_shown_as_it_is(text: str) -> None:
    assert said(inline(markdown.code(text))) == " ".join(text.split())


@pytest.mark.parametrize("write", [markdown.text, markdown.code])
@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_stays_one_cell(text: str, write) -> None:
    tokens = READER.parse(markdown.table(("head", "other"), [(write(text), "x")]))
    cells = [tokens[n + 1] for n, token in enumerate(tokens) if token.type == "td_open"]
    assert len(cells) == 2
    expected = plain(text) if write is markdown.text else " ".join(text.split())
    assert said(cells[0].children or []) == expected


@given(st.text(st.sampled_from("ab1 `|\\<>&@#*_[]()!:/.-+=$~'\"{}\n\t")))
def test_no_text_is_read_as_anything_else(text: str) -> None:
    for written, expected in ((markdown.code(text), text), (markdown.text(f"x{text}"), plain(f"x{text}"))):
        if written and without_password(text) == text:
            assert "".join(said(inline(written)).split()) == "".join(expected.split())


@pytest.mark.parametrize("text", HOSTILE)
def test_an_item_of_a_list_stays_one(text: str) -> None:
    tokens = READER.parse(markdown.bullets([markdown.text(text), "last"]))
    kinds = [token.type for token in tokens]
    item = ["list_item_open", "paragraph_open", "inline", "paragraph_close", "list_item_close"]
    assert kinds == ["bullet_list_open", *item, *item, "bullet_list_close"]


def test_what_is_invisible_is_spelt_out() -> None:
    for write in (markdown.text, markdown.code):
        assert said(inline(write("a\u202eb\x00c"))) == "a\\u202eb\\x00c"


def test_a_password_is_not_shown() -> None:
    assert "s3cr3t" not in markdown.text("see postgresql://me:s3cr3t@host/db") + markdown.code(
        "postgresql://me:s3cr3t@host/db"
    )


def test_empty_columns_are_left_out() -> None:
    assert (
        markdown.table(("a", "b", "c"), [("1", "", "2"), ("3", "", "")])
        == "| a | c |\n| --- | --- |\n| 1 | 2 |\n| 3 |   |"
    )
