"""The checks that stand between the formatter and a person's file find every difference."""

from __future__ import annotations

import pytest

import migdsl.formatting as subject
from migdsl.formatting import FormatError, assert_equivalent, assert_stable, format_source
from migdsl.formatting.facts import nodes, same_tree
from migdsl.formatting.printer import layout
from migdsl.formatting.scanner import scan
from migdsl.source import SourceFile, Span
from migdsl.syntax import ast, parse
from migdsl.values import Value, replace
from tests.formatting.support import ROOT

USERS = (ROOT / "examples/users.mig").read_text(encoding="utf-8")


def test_a_change_of_any_token_is_a_difference():
    kinds = ("string", "sql", "number", "word", "comment")
    tokens = [token for token in scan(USERS) if token.kind in kinds]
    assert len(tokens) > 70
    for token in tokens:
        # One letter more, inside of what encloses the token.
        at = token.start + len(token.text) - (token.kind in ("string", "sql"))
        with pytest.raises(FormatError):
            assert_equivalent(USERS, USERS[:at] + ("0" if token.kind == "number" else "x") + USERS[at:])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bigint   key", "bigint"),
        ("text?", "text"),
        ("  downtime none\n", ""),
        ('"MIG-77"', r'"\u004dIG-77"'),
        ("id)", '"id")'),
        ("10%, 50%", "50%, 10%"),
        ("# users", "#users"),
        ("}\n\ndatabase", "} # more\n\ndatabase"),
        ("email, username", "email,  username"),
    ],
)
def test_what_is_left_out_moved_or_respelt_is_a_difference(old: str, new: str):
    assert old in USERS
    with pytest.raises(FormatError):
        assert_equivalent(USERS, USERS.replace(old, new, 1))


def test_another_layout_is_none():
    assert_equivalent(USERS, USERS.replace("  ", "\t ").replace("\n", "\r\n").replace("{\r\n", "{\n\n;"))


def test_trees_are_compared_without_their_spans_and_in_every_field():
    tree, moved = (parse(SourceFile("x", text)).module for text in (USERS, "\n\n" + USERS))
    assert same_tree(tree, moved)
    assert not same_tree(tree, parse(SourceFile("y", USERS)).module)
    assert not same_tree(ast.Canary((), Span("x", 0, 1)), ast.Cutover((), (), (), Span("x", 0, 1)))
    assert not same_tree(ast.Word("a", Span("x", 0, 1)), ast.Text("a", Span("x", 0, 1)))
    found = [node for node in nodes(tree) if isinstance(node, Value)]
    assert len(found) > 70
    fields = 0
    for node in found:
        for field in node.FIELDS:
            if not isinstance(getattr(node, field), Span):
                assert not same_tree(node, replace(node, **{field: object()}))
                fields += 1
    assert fields > 150


def test_what_is_not_formatted_is_not_stable():
    assert_stable(USERS)
    with pytest.raises(FormatError):
        assert_stable(USERS.replace("ticket   ", "ticket "))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text.replace("{", "{ {", 1), "no longer parse"),
        (lambda text: text.replace("users_email", "user_email", 1), "no longer mean the same"),
        (lambda text: text.replace("# users", "# user", 1), "a comment would be lost"),
    ],
)
def test_a_mistake_of_the_layout_is_never_returned(monkeypatch: pytest.MonkeyPatch, damage, said: str):
    monkeypatch.setattr(subject, "layout", lambda text, facts: damage(layout(text, facts)))
    with pytest.raises(FormatError, match=said) as caught:
        format_source(SourceFile("x", USERS))
    assert "users" not in str(caught.value)


def test_a_layout_that_would_go_on_changing_is_never_returned(monkeypatch: pytest.MonkeyPatch):
    more = iter(["\n", ""])
    monkeypatch.setattr(subject, "layout", lambda tokens, facts: layout(tokens, facts) + next(more))
    with pytest.raises(FormatError, match="would change it again"):
        format_source(SourceFile("x", USERS))


def test_a_file_with_errors_is_left_alone():
    text = USERS.replace("username   text", "username") + "  \n\n"
    found = format_source(SourceFile("x.mig", text))
    assert found.text == text
    assert [each.code for each in found.diagnostics] == ["MIG001"]
