"""What the layout is, rule by rule, where the pairs in `tests/cases/format` would not show which rule it was."""

from __future__ import annotations

import pytest

from tests.formatting.support import formatted

SHORT = "flag a { stage off for all }\n"
LONG = "flag b {\n  stage off for all\n}\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (SHORT + SHORT, SHORT + SHORT),
        (SHORT + "\n\n\n" + SHORT, SHORT + "\n" + SHORT),
        (SHORT + LONG, SHORT + "\n" + LONG),
        (LONG + SHORT, LONG + "\n" + SHORT),
        (LONG + "# c\n" + LONG, LONG + "\n# c\n" + LONG),
        (LONG + "# c\n\n" + LONG, LONG + "# c\n\n" + LONG),
        (LONG + "# c\n# d\n\n\n# e\n" + LONG, LONG + "# c\n# d\n\n# e\n" + LONG),
        (SHORT + "# c\n" + SHORT, SHORT + "# c\n" + SHORT),
        ("\n\n# c\n" + LONG + "\n\n# end\n\n", "# c\n" + LONG + "\n# end\n"),
        (LONG.rstrip() + "# c", LONG.rstrip() + "  # c\n"),
        (" \n\t\n", ""),
        ("\n# only\n \n", "# only\n"),
        ("\x1f", ""),
        ("\xa0flag a {}\n\u3000\u2028flag b {}", "flag a {}\nflag b {}\n"),
    ],
)
def test_empty_lines_between_declarations(before: str, after: str):
    assert formatted(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("flag a {\n\n  stage off for all\n\n}\n", "flag a {\n  stage off for all\n}\n"),
        ("flag a {\n\n # c\n\n}\n", "flag a {\n  # c\n}\n"),
        ("flag a { # c\n\n}\n", "flag a {  # c\n}\n"),
        ("flag a {\n;;\n}\n", "flag a {}\n"),
        ("flag a {\n}; # c\n", "flag a {}  # c\n"),
        ("flag a {\nstage b for all\n; # c\n}", "flag a {\n  stage b for all\n  # c\n}\n"),
        ("flag a { stage b for all; ; # c\n}", "flag a {\n  stage b for all  # c\n}\n"),
        ("flag a { ; # c\n}", "flag a {  # c\n}\n"),
        ("flag a {stage b for all # c\n}", "flag a {\n  stage b for all  # c\n}\n"),
        ("migration m { type and # c\n# d\n}", "migration m {\n  type and  # c\n  # d\n}\n"),
        ("flag and # c\n# d\n{}", "flag and {  # c\n  # d\n}\n"),
        ("flag and # c\n{# d\n}", "flag and {  # c\n  # d\n}\n"),
        ("flag and\n# c\n{ # d\n}", "flag and {\n  # c\n  # d\n}\n"),
        ("flag or\n\n{ stage b for all }", "flag or { stage b for all }\n"),
        ("migration m { type and\n# d\n}", "migration m {\n  type and\n  # d\n}\n"),
    ],
)
def test_comments_and_empty_lines_in_blocks(before: str, after: str):
    assert formatted(before) == after


@pytest.mark.parametrize("excess", [0, 1])
@pytest.mark.parametrize("letter", ["x", "名"])
def test_one_line_holds_a_hundred_columns(excess: int, letter: str):
    frame = 'migration m { owner ""; ticket "" }'
    room = 100 - len(frame) + excess
    wide = room // 2 if letter == "名" else room
    text = f'migration m {{ owner "{"y" * (room - wide * (2 if letter == "名" else 1))}{letter * wide}"; ticket "" }}\n'
    assert (formatted(text) == text) is (excess == 0)
    assert formatted(text).count("\n") == (4 if excess else 1)


def test_a_comment_behind_a_block_does_not_count():
    text = f"flag a {{ stage off for all }}  # {'long ' * 30}".rstrip() + "\n"
    assert formatted(text) == text


def test_an_inner_block_may_stay_on_one_line():
    inner = "add x text { from `y`; unique per tenant }"
    long = f"change E {{ {inner}; {inner}; {inner} }}"
    assert formatted(long) == "change E {\n" + f"  {inner}\n" * 3 + "}\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_stay(end: str):
    sql = "`a \r\n b\n\tc`"
    text = f"change E {{{end}{end}add x text {{{end}from {sql} # c{end}}}{end}}}"
    lines = ["change E {", "  add x text {", f"    from {sql}  # c", "  }", "}", ""]
    assert formatted(text) == end.join(lines)


def test_the_first_line_end_decides():
    assert formatted("flag a {}\r\nflag b {}\nflag c {}\n") == "flag a {}\r\nflag b {}\r\nflag c {}\r\n"
    assert formatted("flag a {}\nflag b {}\r\n") == "flag a {}\nflag b {}\n"


def test_a_column_that_becomes_nullable_changes_one_line():
    text = "entity E in a.e {\n  id    bigint   key\n  name  varchar  pii\n}\n".replace("bigint ", "bigint  ")
    text = formatted(text)
    optional = formatted(text.replace("varchar", "varchar?"))
    changed = [one for one, other in zip(text.split("\n"), optional.split("\n"), strict=True) if one != other]
    assert len(changed) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "unique (a, b) as e_uq",
        "index (lower(a), `b+(c)`) using gin include (d) where `e`",
        "(a, b) -> Other (a, b) on delete set null",
        "x  numeric(12,2)[]?  default -1",
        'x  enum mood("a", "b")?  -> Other.id on delete cascade',
        'x  "S"."t"   key tenant pii',
        "x  timestamp(3) with time zone?  identity always",
        'x  "e\u0301"',
        "tenant via a -> B",
    ],
)
def test_blanks_in_a_statement(statement: str):
    text = f"entity E in a.b.e {{\n  {statement}\n}}\n"
    assert formatted(text) == text
    assert formatted(text.replace("  ", " ").replace(", ", " ,\t").replace(" (", "(")) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("(a\n,b)", "(a, b)"),
        ("(a,\n\n\nb)", "(a,\n          b)"),
        ("(\na, b\n)", "(\n    a, b\n  )"),
        ("(\n# c\n a)", "(\n    # c\n    a)"),
        ("(a # c\n,b)", "(a  # c\n          , b)"),
        ("(a; # c\n)", "(a  # c\n  )"),
        ("(a,; b)", "(a, b)"),
    ],
)
def test_breaks_in_a_statement_stay(before: str, after: str):
    assert formatted(f"entity E in a.e {{\n  unique {before}\n}}\n") == f"entity E in a.e {{\n  unique {after}\n}}\n"


def test_comments_on_neighbouring_lines_stand_in_one_column():
    long = '"' + "x" * 80 + '"'
    lines = ["type x # a", f"owner {long} # b", 'ticket "" # c', "", 'risk "more" # d', 'title ""', "type xy # e"]
    expected = [
        "type   x   # a",
        f"owner  {long}  # b",
        'ticket ""  # c',
        "",
        'risk   "more"  # d',
        'title  ""',
        "type   xy  # e",
    ]
    assert formatted(block(lines)) == block(expected)


def block(lines: list[str]) -> str:
    """A migration with these lines."""
    return "migration m {\n" + "".join(f"  {line}\n" if line else "\n" for line in lines) + "}\n"


def test_what_goes_on_begins_further_left_where_there_is_no_room():
    name = "x" * 60
    text = f'entity E in a.e {{\n  (id) -> {name} (a,\nb)\n  {name} enum e("f",\n"g")\n}}\n'
    lines = ["entity E in a.e {", f"  (id) -> {name} (a,", "    b)", f'  {name}  enum e("f",', '    "g")', "}", ""]
    assert formatted(text) == "\n".join(lines)


def test_a_type_of_several_lines_does_not_push_the_others_aside():
    text = formatted('entity E in a.e {\n  id int key\n  mood enum mood("a",\n"b") key\n}')
    assert text == ('entity E in a.e {\n  id    int   key\n  mood  enum mood("a",\n                  "b")  key\n}\n')


def test_an_empty_line_beside_a_semicolon_stays():
    assert formatted("flag a {\nstage b for all\n\n;\nstage c for all\n}") == (
        "flag a {\n  stage b for all\n\n  stage c for all\n}\n"
    )


@pytest.mark.parametrize("type_", ["numeric(12,\n2)", "numeric(12\n,2)", "numeric(12\n,\n2)"])
def test_a_break_that_goes_away_does_not_count_in_the_alignment(type_: str):
    text = formatted(f"entity E in a.e {{\n  a {type_} key\n  b int pii\n}}\n")
    assert text == "entity E in a.e {\n  a  numeric(12,2)   key\n  b  int             pii\n}\n"


def test_one_wide_name_or_type_does_not_push_the_others_aside():
    wide = "x" * 41
    text = formatted(f"entity E in a.e {{\n  id int key\n  {wide} int key\n  a {wide} key\n}}\n")
    assert text == f"entity E in a.e {{\n  id  int   key\n  {wide}  int  key\n  a   {wide}  key\n}}\n"
