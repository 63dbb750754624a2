"""The terminal renderer: its look, literally, and that no input makes it crash or leak an escape sequence."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from migdsl.diagnostics import Applicability, Diagnostic, Edit, Fix, Label, Severity
from migdsl.diagnostics.render_text import render_text, text_width, visible, without_password, wrap
from migdsl.source import SourceFile, Span

CURRENCY = SourceFile(
    "billing/currency.mig",
    "\n" * 8
    + "    UPDATE invoice SET currency = a.currency\n      FROM account a\n     WHERE a.id = invoice.account_id\n",
)
SCHEMA = SourceFile(
    "billing/schema.mig", "entity Invoice in app.invoice {\n  id bigint key\n\n  tenant_id uuid tenant\n}\n"
)


def span(source: SourceFile, words: str) -> Span:
    start = source.text.index(words)
    return Span(source.path, start, start + len(words))


TWO_FILES = Diagnostic(
    code="MIG311",
    severity=Severity.ERROR,
    title="this backfill can write across tenants",
    primary=Label(span(CURRENCY, "WHERE"), "nothing here confines `invoice.tenant_id`"),
    secondary=(
        Label(span(CURRENCY, "UPDATE"), ""),
        Label(span(SCHEMA, "tenant_id uuid tenant"), "`Invoice` belongs to tenants here"),
    ),
    body="Each batch runs for one tenant, bound as `:tenant_id`. Without that predicate tenant A's batch rewrites "
    "tenant B's invoices.",
    help="confine both tables:\nWHERE a.id = invoice.account_id\n  AND invoice.tenant_id = :tenant_id\n"
    "  AND a.tenant_id = :tenant_id",
    fix=Fix(
        "changes which rows are written",
        (Edit(Span(CURRENCY.path, 0, 0), "x"),),
        Applicability.UNSAFE,
    ),
)
LOOK = """\
error[MIG311]: this backfill can write across tenants
   ┌─ billing/currency.mig:11:6
   │
 9 │     UPDATE invoice SET currency = a.currency
11 │      WHERE a.id = invoice.account_id
   │      ^^^^^ nothing here confines `invoice.tenant_id`
   ┌─ billing/schema.mig:4:3
 4 │   tenant_id uuid tenant
   │   --------------------- `Invoice` belongs to tenants here

Each batch runs for one tenant, bound as `:tenant_id`. Without that predicate tenant A's batch rewrites tenant B's \
invoices.

help: confine both tables:
      WHERE a.id = invoice.account_id
        AND invoice.tenant_id = :tenant_id
        AND a.tenant_id = :tenant_id
fix: unsafe (changes which rows are written), apply with `migdsl check --unsafe-fixes`
more: migdsl explain MIG311
"""


def test_the_look() -> None:
    sources = {file.path: file for file in (CURRENCY, SCHEMA)}
    assert render_text([TWO_FILES], sources, colour=False, width=130) == LOOK


def test_colour_is_the_look_and_nothing_else() -> None:
    sources = {file.path: file for file in (CURRENCY, SCHEMA)}
    text = render_text([TWO_FILES], sources, colour=True, width=130)
    assert "\x1b[1;31m^^^^^ nothing here confines `invoice.tenant_id`\x1b[0m" in text
    assert re.sub(r"\x1b\[[0-9;]*m", "", text) == LOOK


def test_prose_is_wrapped_and_what_can_be_pasted_is_not() -> None:
    problem = Diagnostic(
        "MIG401",
        Severity.WARNING,
        "a title is never wrapped, however narrow it is",
        None,
        body="First paragraph, with `one thing in backticks` kept whole.\n\n"
        "  CREATE TABLE much_wider_than_the_screen (id);\nLast.",
        help="write this line, which is not long:\n\tadd contact_email text? { from `a_long_expression(email)` }",
        fix=Fix("adds `?`", (), Applicability.SAFE),
    )
    assert render_text([problem], {}, colour=False, width=40) == (
        "warning[MIG401]: a title is never wrapped, however narrow it is\n"
        "\n"
        "First paragraph, with\n"
        "`one thing in backticks` kept whole.\n"
        "\n"
        "  CREATE TABLE much_wider_than_the_screen (id);\n"
        "Last.\n"
        "\n"
        "help: write this line, which is not\n"
        "      long:\n"
        "          add contact_email text? { from `a_long_expression(email)` }\n"
        "fix: safe (adds `?`), apply with `migdsl check --fix`\n"
        "more: migdsl explain MIG401\n"
    )


def snippet(text: str, *labels: tuple[int, int, str], width: int = 100) -> str:
    """The lines between title and `more`; the first label is the primary."""
    first, *rest = [Label(Span("u.mig", start, end), said) for start, end, said in labels]
    problem = Diagnostic("MIG001", Severity.ERROR, "x", first, tuple(rest))
    shown = render_text([problem], {"u.mig": SourceFile("u.mig", text)}, colour=False, width=width)
    head, tail = "error[MIG001]: x\n", "\n\nmore: migdsl explain MIG001\n"
    assert shown.startswith(head)
    assert shown.endswith(tail)
    return shown.removeprefix(head).removesuffix(tail)


def lines(*each: str) -> str:
    return "\n".join(each)


def test_tabs_are_four_columns_wide() -> None:
    assert snippet("{\n\ta\tb x\n", (3, 6, "two tabs"), (7, 8, "x")) == lines(
        "  ┌─ u.mig:2:2",
        "  │",
        "2 │     a   b x",
        "  │     ^^^^^ two tabs",
        "  │           - x",
    )


def test_labels_share_a_row_where_they_fit() -> None:
    text = "drop email after 30d because a_reason\n"
    assert snippet(text, (5, 10, "this"), (29, 37, "that")) == lines(
        "  ┌─ u.mig:1:6",
        "  │",
        "1 │ drop email after 30d because a_reason",
        "  │      ^^^^^ this              -------- that",
    )


def test_overlapping_labels_the_primary_first() -> None:
    text = "  drop email after 30d\n"
    assert snippet(text, (7, 12, "still used"), (2, 22, "this operation"), (7, 12, "declared")) == lines(
        "  ┌─ u.mig:1:8",
        "  │",
        "1 │   drop email after 30d",
        "  │        ^^^^^ still used",
        "  │   -------------------- this operation",
        "  │        ----- declared",
    )


def test_wide_and_combining_characters() -> None:
    # Two wide letters, then an e with its accent as a character of its own.
    text = "日本 cafe\u0301 x\n"
    assert snippet(text, (0, 2, "wide"), (3, 8, "word"), (7, 8, "accent"), (9, 10, "x")) == lines(
        "  ┌─ u.mig:1:1",
        "  │",
        "1 │ 日本 cafe\u0301 x",
        "  │ ^^^^ wide",
        "  │      ---- word",
        "  │         - accent",
        "  │           - x",
    )


def test_a_combining_character_does_not_join_the_frame() -> None:
    assert snippet("\u0301a", (1, 2, "a")) == lines("  ┌─ u.mig:1:2", "  │", "1 │ ◌\u0301a", "  │  ^ a")


def test_control_characters_are_spelt_out() -> None:
    text = "a\x1b[31m\x07\u202e\u200b\xa0\x85\ud800 b\n"
    assert snippet(text, (1, 2, "a terminal \x1b[0m escape"), (13, 14, "b")) == lines(
        "  ┌─ u.mig:1:2",
        "  │",
        r"1 │ a\x1b[31m\x07\u202e\u200b\xa0\x85\ud800 b",
        r"  │  ^^^^ a terminal \x1b[0m escape         - b",
    )


def test_messages_and_paths_are_spelt_out() -> None:
    label = Label(Span("a\x1b]0;b\n.mig", 0, 0), "c\x9bd")
    problem = Diagnostic("MIG004", Severity.ERROR, "e\rf\ng", label, (), "h\x08i\x0bj", "k\x00l", None)
    assert render_text([problem], {}, colour=False) == (
        "error[MIG004]: e\\rf\\ng\n  ┌─ a\\x1b]0;b\\n.mig\n  │ c\\x9bd\n\nh\\x08i\\x0bj\n\nhelp: k\\x00l\n"
        "more: migdsl explain MIG004\n"
    )


def test_crlf() -> None:
    assert snippet("a {\r\n  b\r\n}\r\n", (7, 8, "b")) == snippet("a {\n  b\n}\n", (6, 7, "b"))
    assert snippet("a\r\nb", (1, 3, "line end")) == lines("  ┌─ u.mig:1:2", "  │", "1 │ a", "  │  ^ line end")


def test_end_of_file() -> None:
    assert snippet("a {\n", (4, 4, "`}` expected")) == lines("  ┌─ u.mig:2:1", "  │", "2 │", "  │ ^ `}` expected")
    assert snippet("a {", (3, 3, "`}` expected")) == lines("  ┌─ u.mig:1:4", "  │", "1 │ a {", "  │    ^ `}` expected")
    assert snippet("a {", (99, 120, "past the end")) == lines(
        "  ┌─ u.mig:1:4", "  │", "1 │ a {", "  │    ^ past the end"
    )


def test_empty_file() -> None:
    assert snippet("", (0, 0, "nothing here")) == lines("  ┌─ u.mig:1:1", "  │", "1 │", "  │ ^ nothing here")


def test_some_lines() -> None:
    text = "add x {\n  from `a\n\n     + b`\n}\n"
    assert snippet(text, (15, 28, "two summands"), (0, 3, "of this")) == lines(
        "  ┌─ u.mig:2:8",
        "  │",
        "1 │ add x {",
        "  │ --- of this",
        "2 │   from `a",
        "  │        ^^",
        "3 │",
        "4 │      + b`",
        "  │      ^^^^ two summands",
    )


def test_of_many_lines_the_first_two_and_the_last() -> None:
    text = "entity User {\n" + "".join(f"  c{i} text\n" for i in range(8)) + "}\n\n# after\n"
    end = text.index("}") + 2  # with its line end
    assert snippet(text, (0, end, "this"), (text.index("# after"), len(text), "that")) == lines(
        "   ┌─ u.mig:1:1",
        "   │",
        " 1 │ entity User {",
        "   │ ^^^^^^^^^^^^^",
        " 2 │   c0 text",
        "   │   ^^^^^^^",
        "   ·",
        "10 │ }",
        "   │ ^ this",
        "12 │ # after",
        "   │ ------- that",
    )


def test_a_long_line_is_cut_around_each_label() -> None:
    text = "a" * 500_000 + "HERE" + "b" * 500_000 + "END"
    assert snippet(text, (500_000, 500_004, "middle"), (len(text) - 3, len(text), "end"), width=44) == lines(
        "  ┌─ u.mig:1:500001",
        "  │",
        "1 │ …aaaaaaaaaaaaaHEREbbbbbbbbbbbbbbbbbbbbb…",
        "  │               ^^^^ middle",
        "1 │ …bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbEND",
        "  │                                     ---",
        "  │                                     end",
    )


def test_a_long_label_on_a_long_line_ends_at_the_edge() -> None:
    shown = snippet("x" * 1_000_000, (10, 900_000, "all of it"), width=60)
    assert shown.splitlines()[2:4] == ["1 │ " + "x" * 54 + "…", "  │ " + " " * 10 + "^" * 44]
    assert shown.splitlines()[4].strip(" │") == "all of it"


def test_a_line_that_just_fits_is_whole() -> None:
    for length, cut in ((56, False), (57, True)):
        assert ("…" in snippet("x" * length, (0, 1, "first"), width=60)) is cut


def test_a_long_text_is_wrapped_beside_its_marks_or_below() -> None:
    said = "a text that is longer than what is left of the line here"
    assert snippet("name", (0, 4, said), width=50) == lines(
        "  ┌─ u.mig:1:1",
        "  │",
        "1 │ name",
        "  │ ^^^^ a text that is longer than what is left",
        "  │      of the line here",
    )
    assert snippet(" " * 30 + "name", (30, 34, said), width=50) == lines(
        "  ┌─ u.mig:1:31",
        "  │",
        "1 │                               name",
        "  │                               ^^^^",
        "  │ a text that is longer than what is left of the",
        "  │ line here",
    )


def test_sorted_by_file_place_and_code() -> None:
    def at(path: str, start: int, code: str) -> Diagnostic:
        return Diagnostic(code, Severity.ERROR, "x", Label(Span(path, start, start), "y"))

    nowhere = Diagnostic("MIG705", Severity.ERROR, "x", None)
    wanted = [nowhere, at("a", 1, "MIG202"), at("a", 2, "MIG101"), at("a", 2, "MIG102"), at("b", 0, "MIG001")]
    shown = [render_text(order, {}, colour=False) for order in (wanted, wanted[::-1])]
    assert shown[0] == shown[1]
    assert re.findall(r"error\[(MIG\d+)\]", shown[0]) == ["MIG705", "MIG202", "MIG101", "MIG102", "MIG001"]
    assert shown[0].startswith("error[MIG705]: x\n\nmore: migdsl explain MIG705\n\nerror[MIG202]: x\n")


def test_nothing_is_nothing() -> None:
    assert render_text([], {}, colour=True) == ""


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("\u1112\u1161\u11ab", 2)])
def test_text_width(text: str, width: int) -> None:
    assert text_width(text) == width


@given(st.text(), st.integers(1, 40))
def test_wrap_loses_no_word(text: str, room: int) -> None:
    wrapped = wrap(text, room)
    assert " ".join(wrapped).split() == visible(text.replace("\r\n", " ").replace("\n", " ").removesuffix("\r")).split()
    assert all(text_width(line) <= room or " " not in line for line in wrapped)


# Plain letters seldom hurt: line ends, tabs, escapes, wide, combining and invisible characters do.
NASTY = st.text("a b`\n\r\t\x1b\x00\x7f\x9b\u0301\u202e\u200d\u2028\ufeff日\ud800\U0001f600", max_size=60)
TEXTS = NASTY | st.text(max_size=30) | st.builds(lambda text, n: text * n, NASTY, st.integers(1, 40))
SPANS = st.builds(Span, st.sampled_from(["u.mig", "v.mig", "gone\x1b"]), st.integers(-5, 900), st.integers(-5, 900))
LABELS = st.builds(Label, SPANS, TEXTS)
FIXES = st.builds(Fix, TEXTS, st.just(()), st.sampled_from(Applicability))
DIAGNOSTICS = st.builds(
    Diagnostic,
    TEXTS,
    st.sampled_from(Severity),
    TEXTS,
    st.none() | LABELS,
    st.lists(LABELS, max_size=4).map(tuple),
    TEXTS,
    TEXTS,
    st.none() | FIXES,
)


@given(st.lists(DIAGNOSTICS, max_size=2), TEXTS, TEXTS, st.integers(-1, 120))
@example([Diagnostic("MIG001", Severity.ERROR, "x", Label(Span("u.mig", 1, 900), "y"))], "a\u0301" * 500, "", 0)
def test_anything(found: list[Diagnostic], one: str, other: str, width: int) -> None:
    sources = {"u.mig": SourceFile("u.mig", one), "v.mig": SourceFile("v.mig", other)}
    plain = render_text(found, sources, colour=False, width=width)
    assert all(line.isprintable() for line in plain.split("\n"))
    assert plain.encode().decode() == plain  # no lone surrogates either
    for problem in found:
        assert f"{problem.severity.value}[{visible(problem.code)}]: {visible(problem.title)}" in plain
    coloured = render_text(found, sources, colour=True, width=width)
    assert re.sub(r"\x1b\[(0|1|1;31|1;33|34|36|1;36)m", "", coloured) == plain


@given(TEXTS.filter(bool), st.data())
def test_source_lines_stay_within_the_width(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    width = data.draw(st.integers(40, 100))
    shown = snippet(text, (start, data.draw(st.integers(start, len(text))), ""), width=width)
    assert max(text_width(line) for line in shown.splitlines()[2:]) <= width + 1  # a mark may stand past the line's end
    assert "^" in shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://app:hunter2@db/app", "postgresql://app:*******@db/app"),
        ("postgresql://app:hunter2@hunter2/x@db/app", "postgresql://app:*****************@db/app"),
        (
            "postgresql://db/app?user=app&password=hunter2&port=1",
            "postgresql://db/app?user=app&password=*******&port=1",
        ),
        ("host=db password=hunter2 user=app", "host=db password=******* user=app"),
        ("host=db password='hunter2 hunter2' user=app", f"host=db password={'*' * 17} user=app"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str):
    source = SourceFile("a.mig", f'url "{url}"\n')
    label = Label(Span("a.mig", 4, 6 + len(url)), "a literal URL")
    diagnostic = Diagnostic("MIG311", Severity.ERROR, "a password stands in the file", label)
    text = render_text([diagnostic], {"a.mig": source}, colour=False)
    assert "hunter2" not in text
    assert f'url "{shown}"' in text


def test_sql_is_shown_as_it_stands():
    line = "  from `CASE WHEN password='x' THEN 1 END`"
    assert without_password(line) == line
