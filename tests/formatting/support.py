"""Texts to format: all that the project has and that parses, other layouts of them, and generated ones."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from migdsl.formatting import format_source
from migdsl.formatting.scanner import Token, goes_on, scan
from migdsl.source import SourceFile
from migdsl.syntax import parse

ROOT = Path(__file__).resolve().parent.parent.parent


def formatted(text: str) -> str:
    """The text laid out; it has to parse."""
    found = format_source(SourceFile("x.mig", text))
    assert found.diagnostics == ()
    return found.text


def parses(text: str) -> bool:
    """Whether nothing is wrong with the text's syntax."""
    return not parse(SourceFile("x.mig", text)).diagnostics


@cache
def corpus() -> tuple[str, ...]:
    """The examples and all cases that parse."""
    folders = (ROOT / "examples", ROOT / "tests/cases/check", ROOT / "tests/cases/format")
    paths = [path for folder in folders for path in sorted(folder.glob("*.mig"))]
    texts = {path.read_bytes().decode("utf-8") for path in paths}
    return tuple(sorted(text for text in texts if parses(text)))


def relaid(text: str, chance: random.Random, *, breaks: bool = True) -> str:
    """Another layout of the same tokens: other blanks and, with `breaks`, other lines and more comments."""
    tokens = [token for token in scan(text) if token.kind != "space"]
    out: list[str] = []
    depth = 0
    for index, token in enumerate(tokens):
        depth += _opens(token)
        if token.kind == "newline":
            out.append(_newline(token, chance) if breaks else token.text + chance.choice(["", " ", "\t\t"]))
        elif token.text == ";" and token.kind == "sign":
            out.append(chance.choice([";", " ; ", "\n", ";\n\n", ";;"]) if breaks else " ;")
        else:
            out.append(token.text)
            follows = tokens[index + 1] if index + 1 < len(tokens) else None
            if follows is not None and token.kind != "comment":
                out.append(_between(token, follows, depth, chance, breaks=breaks))
    return "".join(out)


def _opens(token: Token) -> int:
    return (token.text == "(") - (token.text == ")")


def _newline(token: Token, chance: random.Random) -> str:
    blank = chance.choice(["", " ", "\t", "      "])
    comment = chance.choice(["", "", "", '# more; } `" here', "#", "  # ünï\t"])
    return chance.choice([" ", "", "\t"]) + comment + chance.choice(["\n", "\n", "\n\n", "\r\n", "\n\n\n \n"]) + blank


def _between(left: Token, right: Token, depth: int, chance: random.Random, *, breaks: bool) -> str:
    # Two of these would be read as one, or as two others, without a blank.
    tight = "sign" in (left.kind, right.kind) and not (left.text == "-" or right.text == "-")
    blank = chance.choice(["", " ", "  "]) if tight else chance.choice([" ", "\t", "   "])
    free = depth > 0 or goes_on(left.text) or left.text in ("{", ";") or right.text == "}"
    if breaks and free and right.kind not in ("newline", "comment") and chance.random() < 0.3:
        return chance.choice([" # why", "", " "]) + chance.choice(["\n", "\n\n", "\r\n"]) + blank
    return blank


_WORDS = ["a", "b_c", "Order", "select", "größe", "名前", "ﬁ", "_", "x1", "index1", f"a_name_of_63_bytes_{'x' * 44}"]
_QUOTED = ["key", 'a""b', "# no", "{", "};", "`", " ", "名 前", "e\u0301", "a.b", "👩\u200d👧", ","]
_PLAIN = st.sampled_from(_WORDS + [f'"{name}"' for name in _QUOTED])
# Behind these two a newline separates nothing, so they stand where none follows.
_NAMES = st.one_of(_PLAIN, st.sampled_from(["and", "or"]))
_SQLS = st.sampled_from(["`x`", "``", "`a\n  b  \n`", "`'``'`", '`{ ; } # " ,`', "`\r\n\tx\r\n`", "`é`"])
_TEXTS = st.sampled_from(['"x"', '""', r'"\""', r'"é # ; {"', '"' + "long " * 15 + '"'])
_TYPES = st.sampled_from(
    [
        "bigint",
        "numeric ( 12 ,2 )",
        "text [ ]",
        'enum mood("a" ,"b")',
        '"S"."t" [3]',
        "timestamp(3) with time zone",
        "int?",
    ]
)
_MARKS = st.lists(
    st.one_of(
        st.sampled_from(["key", "tenant", "pii", "unique", "identity always", "default - 1.5", "default none"]),
        _SQLS.map(lambda sql: f"generated {sql}"),
        _PLAIN.map(lambda name: f"-> {name}. id on delete set null"),
    ),
    max_size=3,
).map(" ".join)
_LISTS = st.lists(_NAMES, min_size=1, max_size=4).map(lambda names: f"({' ,'.join(names)})")


def _made(pattern: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda found: pattern.format(*found))


def _block(head: st.SearchStrategy[str], lines: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A block, on one line or on several, with comments and empty lines."""
    between = st.sampled_from(["\n", ";", " ; ", "\n\n\n", " # why\n", "\n# own\n", "\r\n"])
    body = st.lists(st.tuples(lines, between), max_size=5).map(lambda found: "".join(a + b for a, b in found))
    opening = st.sampled_from(["{", "{ ", "{\n", "{ # o\n", "{\n\n  # p\n"])
    return st.tuples(head, opening, body, st.sampled_from(["}", " }"])).map("".join)


_COLUMNS = _made("{} {} {}", _PLAIN, _TYPES, _MARKS)
_ENTITY = _block(
    _made("entity {} in {}.{}", _NAMES, _NAMES, _NAMES),
    st.one_of(
        _COLUMNS.filter(lambda line: line.split()[0] not in ("index", "key")),
        _LISTS.map(lambda names: f"unique{names}"),
        _made("index (a, lower( {} ),{}) where {}", _PLAIN, _SQLS, _SQLS),
        _made("{}->{} {}", _LISTS, _PLAIN, _LISTS),
        _made("check {} as {}", _SQLS, _PLAIN),
        st.just("rows 5M"),
    ),
)
_ADD = _block(
    _made("add {} {} {}", _PLAIN, _TYPES, _MARKS),
    st.one_of(_SQLS.map(lambda sql: f"from {sql}"), _made("back {}={},\n{} = {}", _PLAIN, _SQLS, _PLAIN, _SQLS)),
)
_CHANGE = _block(_PLAIN.map(lambda name: f"change {name}"), st.one_of(_ADD, _PLAIN.map(lambda n: f"drop {n} after 3d")))
_MIGRATION = _block(
    _PLAIN.map(lambda name: f"migration {name}"),
    st.one_of(
        _TEXTS.map(lambda text: f"ticket {text}"),
        _made("allow {} because {}", st.just("MIG1"), _TEXTS),
        st.sampled_from(["downtime window 5m", "type x"]),
    ),
)
_CUTOVER = _block(
    st.just("cutover"), st.lists(_TEXTS, min_size=1, max_size=4).map(lambda texts: f"canary {', '.join(texts)}")
)
DECLARATIONS: st.SearchStrategy[str] = st.lists(
    st.tuples(
        st.one_of(_ENTITY, _CHANGE, _MIGRATION, _CUTOVER, _TEXTS.map(lambda text: f"tenants none because {text}")),
        st.sampled_from(["\n", ";", "\n\n\n", " # behind\n", "\n# own\n", "\n# own\n\n"]),
    ),
    max_size=4,
).map(lambda found: "".join(a + b for a, b in found))
