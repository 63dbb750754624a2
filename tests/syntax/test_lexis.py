"""Spelling: what separates statements, what goes on, what a name, a string, a number is; and that layout means nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migdsl.source import SourceFile
from migdsl.syntax import ast, lexis, parse
from migdsl.workspace import compile_files

USERS = (Path(__file__).resolve().parents[2] / "examples/users.mig").read_text(encoding="utf-8")


def compiled(text: str) -> dict[str, str]:
    """All files, without what depends on the source's bytes and not on its meaning."""
    found = compile_files({"users.mig": text}, "users.mig", through="contract")
    assert found.diagnostics == ()
    return {a.path: re.sub(r'"source_digest": "\w+"', "", a.text) for a in found.artifacts}


@pytest.fixture(scope="module")
def expected() -> dict[str, str]:
    return compiled(USERS)


def squeezed(text: str) -> str:
    """Each block on one line, statements separated by `;`."""
    text = re.sub(r"#[^\n]*", "", text)
    text = re.sub(r"\s*\n\s*", ";", text.strip())
    return re.sub(r"\{;", "{", text)


def outside_sql(pattern: str, replacement: str, text: str) -> str:
    parts = text.split("`")
    parts[::2] = [re.sub(pattern, replacement, part) for part in parts[::2]]
    return "`".join(parts)


SPELLINGS = {
    "blocks on one line": squeezed(USERS),
    "no space that isn't needed": outside_sql(r" ?([{};,()]) ?", r"\1", outside_sql(r"[ \t]+", " ", squeezed(USERS))),
    "semicolons at the ends": re.sub(r"(?m)(?<=[\w`\"?)])\n", ";\n", USERS),
    "many semicolons": USERS.replace("\n", "\n;;\n"),
    "empty lines": USERS.replace("\n", "\n\n\t\n"),
    "no end of line at the end": USERS.rstrip("\n"),
    "carriage returns": USERS.replace("\n", "\r\n"),
    "tabs": USERS.replace("  ", "\t"),
    "a comment everywhere": USERS.replace("\n", '   # `a" {(\n# "b` }\n'),
    "a comment without a space": USERS.replace("\n", "#x\n"),
    "goes on after a comma": outside_sql(r"(?<!address), ", ",  # first\n\n      ", USERS),
    "goes on inside parentheses": USERS.replace("(tenant_id, username)", "(\n  tenant_id # one\n  ,\n  username\n)"),
    "brackets on their own lines": USERS.replace(" {\n", " {\n\n"),
    "quoted names": re.sub(
        r"(?m)\b(entity|change|database|flag|migration|drop|add|back   ) *(\w+)", r'\1 "\2"', USERS
    ).replace("app.users", '"app"."users"'),
    "unquoted names are folded": USERS.replace("username   text", "UserName   text").replace(
        "drop email", "drop EMAIL"
    ),
    "the schema is said": USERS.replace("app.users", "app.public.users"),
    "types under other names": USERS.replace("bigint", "int8").replace("uuid  ", "UUID  "),
    "counts": USERS.replace("500k", "500_000"),
    "counts with a point": USERS.replace("500k", "0.5M"),
    "durations": USERS.replace("30d", "720h").replace("24h", "86400s"),
    "percentages": USERS.replace("1%,", "1.0%,"),
    "the canary in the ramp": USERS.replace("ramp   1%", "ramp canary, 1%"),
    "what is the default anyway": USERS.replace("  downtime none\n", "").replace(" every 24h", ""),
    "the ramp of most": re.sub(r"  ramp .*\n", "", USERS),
    "no flag is off for all": re.sub(r"(?s)flag users_email \{.*?\}\n", "", USERS),
    "marks in another order": USERS.replace("text pii {", "text pii{"),
    "another order of declarations": "\n".join(reversed(re.split(r"\n(?=[a-z]+ \w* ?.*\{\n)", USERS))),
    "upper case in a uuid": USERS.replace(
        "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11", "7F1F9A52-53f0-4d0e-9f0a-0d8f4a1f3c11"
    ),
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
def test_one_meaning_under_many_spellings(text, expected):
    found = compiled(text)
    for path in expected:
        assert found[path] == expected[path]
    assert found.keys() == expected.keys()


def test_other_meanings_are_seen(expected):
    """The comparison above isn't blind."""
    for before, after in (("30d", "31d"), ("500k", "501k"), ("username ||", "lower(username) ||"), ("1%,", "2%,")):
        assert compiled(USERS.replace(before, after)) != expected


def columns(text: str) -> list[ast.Column]:
    found = parse(SourceFile("a.mig", text))
    assert found.diagnostics == ()
    (entity,) = found.module.declarations
    assert isinstance(entity, ast.Entity)
    return [item for item in entity.items if isinstance(item, ast.Column)]


KEYWORDS = "key unique index check rows sensitivity legacy tenant global allow".split()
ELSEWHERE = (
    "list add drop from back canary ramp stage every engine url migrations flag entity cutover because on pii default"
).split()


@pytest.mark.parametrize("word", KEYWORDS + ELSEWHERE)
def test_every_word_can_be_a_quoted_name(word):
    text = f'entity "{word}" in "{word}"."{word}" {{ "{word}" text; key ("{word}") }}'
    assert [c.name.text for c in columns(text)] == [word]


@pytest.mark.parametrize("word", ELSEWHERE)
def test_a_word_that_directs_nothing_here_is_a_name_without_quotes(word):
    assert [c.name.text for c in columns(f"entity A in b.c {{ {word} text {word}_x }}".replace(f" {word}_x", ""))] == [
        word
    ]


@pytest.mark.parametrize("word", [*KEYWORDS, *ELSEWHERE, "entity", "change"])
def test_where_only_a_name_can_stand_any_word_is_one(word):
    # `drop index` and `drop default` direct something themselves.
    found = parse(SourceFile("a.mig", f"entity {word} in {word}.{word} {{ }}\nchange {word} {{ require {word} }}"))
    assert found.diagnostics == ()
    assert isinstance(found.module.declarations[0], ast.Entity)
    assert found.module.declarations[0].name.text == word


@pytest.mark.parametrize(
    "word", ["keys", "keyboard", "rowspan", "indexed", "unique_id", "tenants", "checked", "allowed"]
)
def test_a_word_that_begins_like_a_directive_is_none(word):
    assert [c.name.text for c in columns(f"entity A in b.c {{ {word} text }}")] == [word]


@pytest.mark.parametrize("written", ["enginee postgresql 15", "urlenv A", "urls env A", "schemapublic"])
def test_a_keyword_is_a_whole_word(written):
    assert parse(SourceFile("a.mig", f"database app {{ {written} }}")).diagnostics


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ('"a""b"', 'a"b'),
        ('"ü b"', "ü b"),
        ("größe", "größe"),
        ("名前", "名前"),
        ("_x1", "_x1"),
        ('"a`b#c"', "a`b#c"),
        ('"a\\n"', "a\\n"),
    ],
)
def test_names(written, name):
    (column,) = columns(f"entity A in b.c {{ {written} text }}")
    assert (column.name.text, column.name.quoted) == (name, written.startswith('"'))


@pytest.mark.parametrize(
    ("written", "sql"),
    [
        ("`a`", "a"),
        ("`a``b`", "a`b"),
        ("`'\\n'`", "'\\n'"),
        ("`a\n  + b`", "a\n  + b"),
        ("`'#'`", "'#'"),
        ('`"x"`', '"x"'),
        ("`{(`", "{("),
    ],
)
def test_sql_is_literal_but_for_doubled_backticks(written, sql):
    (column,) = columns(f"entity A in b.c {{ a text generated {written} }}")
    assert column.marks[0].sql is not None
    assert column.marks[0].sql.text == sql


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (r'"a\"b"', 'a"b'),
        (r'"\u00e9\n"', "é\n"),
        (r'"\\"', "\\"),
        ('""', ""),
        ('"`#{"', "`#{"),
        (r'"\ud83d\ude00"', "😀"),
    ],
)
def test_strings_are_those_of_json(written, value):
    assert lexis.string(written) == value


@pytest.mark.parametrize("written", [r'"\x41"', r'"\ud800"', '"a\tb"', r'"\u0000"'])
def test_what_is_no_string(written):
    assert lexis.string(written) is None


@pytest.mark.parametrize(
    ("raw", "count", "percent", "seconds"),
    [
        ("500k", 500_000, None, None),
        ("5M", 5_000_000, None, None),
        ("1_000", 1000, None, None),
        ("1.5k", 1500, None, None),
        ("0", 0, None, None),
        ("1.5", None, None, None),
        ("0.1%", None, 0.1, None),
        ("100%", None, 100.0, None),
        ("100.1%", None, None, None),
        ("250ms", None, None, 0.25),
        ("30s", None, None, 30.0),
        ("5m", None, None, 300.0),
        ("24h", None, None, 86_400.0),
        ("7d", None, None, 604_800.0),
        ("2w", None, None, 1_209_600.0),
        ("1y", None, None, None),
        ("2027-01-01", None, None, None),
        ("5K", None, None, None),
    ],
)
def test_numbers_with_units(raw, count, percent, seconds):
    assert (lexis.count(raw), lexis.percent(raw), lexis.seconds(raw)) == (count, percent, seconds)


@given(st.text(alphabet=st.characters(exclude_characters="`", exclude_categories=["Cs"])))
def test_any_sql_comes_through_and_has_its_place(sql):
    text = f"entity A in b.c {{ a text generated `{sql}` }}"
    (column,) = columns(text)
    found = column.marks[0].sql
    assert found is not None
    assert (found.text, text[found.body.start : found.body.end]) == (sql, sql)


@given(
    st.text(min_size=1, max_size=15, alphabet=st.characters(exclude_characters="\n\\\x00", exclude_categories=["Cs"]))
)
def test_any_quoted_name_comes_through(name):
    quoted = name.replace('"', '""')
    (column,) = columns(f'entity A in b.c {{ "{quoted}" text }}')
    assert column.name.text == name
