"""A seed and a number become an input: files gone wrong in every way, and texts that follow the grammar and nothing else."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.texts import text_of
from migdsl.syntax.grammar import END, Tables, tables

ROOT = Path(__file__).resolve().parent.parent
TEN_MEGABYTES = 10 * 2**20
_PIECE = re.compile(r"`[^`]*`|\"[^\"\n]*\"|\w+|\s+|->|.", re.DOTALL)
_ODD = [
    "\x00",
    "\ufeff",
    "\r\n",
    "\r",
    "\u2028",
    "\xa0",
    "\u3000",
    "\x0b",
    "\x0c",
    "\x1b[31m",
    "é",
    "e\u0301",
    "👩\u200d👧",
    "\udcff",
]
_SQLS = [
    "a",
    "coalesce(a, '-')",
    "a || :tenant_id",
    "now()",
    "SELECT id FROM t ORDER BY id",
    "a > 0 AND b IS NULL",
    "'x'",
    "1",
]
_SQLS += [
    "",
    ")",
    "(SELECT 1)",
    "a::text",
    "a[1:n]",
    'U&"a"',
    "$$ x $$",
    "count(*)",
    "*",
    "x.y.z",
    "/* `` */ a",
    "sum(a) OVER ()",
]
_SQLS += [
    "UPDATE t SET a = 1",
    'up{job="x"}',
    "CASE WHEN a THEN b END",
    "ARRAY[a, b]",
    "ROW(a, b)",
    "NULL",
    "$1",
    "a -- x",
    "E'\\n'",
]
_NUMBERS = [
    "1",
    "0",
    "500k",
    "1.5M",
    "30d",
    "24h",
    "250ms",
    "10%",
    "0.1%",
    "100%",
    "101%",
    "2027-01-01",
    "2027-02-31",
    "1_000",
    "9" * 40,
]
_NAMES = [
    "a",
    "b",
    "id",
    "tenant_id",
    "email",
    "User",
    "Order",
    "app",
    "users",
    "users_email",
    "all",
    "text",
    "bigint",
    "expand",
    "x" * 70,
]
_STRINGS = [
    '"a"',
    '""',
    '"x y"',
    '"\\u0041"',
    '"\\q"',
    '"a""b"',
    '"7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11"',
    '"shared/x.mig"',
    '"' + "é" * 40 + '"',
]


@dataclass(frozen=True, slots=True)
class Input:
    """What kind it is, and the bytes of the file."""

    kind: str
    data: bytes


def make(seed: int, number: int) -> Input:
    """The input of that number; negative numbers are the large ones."""
    chance = random.Random(f"{seed}:{number}")
    if number < 0:
        kind, text = LARGE[-1 - number]
        return Input(kind, _bytes(text(chance)))
    kind, small = SMALL[chance.choices(range(len(SMALL)), WEIGHTS)[0]]
    return Input(kind, _bytes(small(chance)))


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


@cache
def corpus() -> tuple[str, ...]:
    """The examples and cases."""
    paths = [*(ROOT / "examples").rglob("*.mig"), *(ROOT / "tests").rglob("*.mig")]
    texts = (path.read_bytes().decode("utf-8") for path in sorted(paths) if path.stat().st_size < 20_000)
    return tuple(text.split("# expected\n")[0] for text in texts)


@cache
def pieces() -> tuple[str, ...]:
    """What files are made of, and every literal of the grammar."""
    found = {piece for text in corpus() for piece in _PIECE.findall(text)}
    return tuple(sorted(found | set(tables().literals.values()) | set(_ODD)))


# -------------------------------------------------------------------------------------------------- small ones


def mutated(chance: random.Random) -> str:
    """A file with a few pieces left out, doubled, exchanged or put in."""
    found = _PIECE.findall(chance.choice(corpus()))
    for _ in range(chance.choice([1, 1, 2, 4, 12])):
        at = chance.randrange(len(found) + 1)
        size = chance.choice([0, 1, 1, 2, 8, 40])
        source = _PIECE.findall(chance.choice(corpus())) if chance.random() < 0.3 else found
        start = chance.randrange(len(source) + 1)
        new: list[str] = chance.choice(
            [[], [chance.choice(pieces())], source[start : start + chance.choice([1, 6, 60])], [chance.choice(_ODD)]]
        )
        found[at : at + size] = new
    return "".join(found)


def bitten(chance: random.Random) -> bytes:
    """A file with some bytes changed, or cut off."""
    data = bytearray(chance.choice(corpus()).encode())
    for _ in range(chance.choice([1, 3, 20])):
        if data:
            data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data[: chance.randrange(len(data) + 1)] if chance.random() < 0.3 else data)


def soup(chance: random.Random) -> str:
    """Pieces in any order."""
    return chance.choice(["", " "]).join(chance.choices(pieces(), k=chance.choice([3, 30, 300])))


def rubbish(chance: random.Random) -> bytes:
    """Random bytes, or random characters."""
    size = chance.choice([1, 40, 4000])
    if chance.random() < 0.5:
        return chance.randbytes(size)
    return "".join(chr(chance.choice([chance.randrange(128), chance.randrange(0x500)])) for _ in range(size)).encode()


def sentence(chance: random.Random) -> str:
    """Declarations that follow the grammar, with names, SQL and numbers that need not make sense."""
    base = chance.choice(corpus()) if chance.random() < 0.6 else ""
    found = "".join(_walk(chance, chance.choice([20, 60, 300])))
    return base + ("" if base.endswith("\n") or not base else "\n") + found


def inserted(chance: random.Random) -> str:
    """A file with an operation or a line that follows the grammar put into one of its blocks."""
    text = chance.choice(corpus())
    opened = [
        found.end()
        for found in re.finditer(r"^(?:change|entity|migration|cutover|flag|database|create)\b.*\{\n", text, re.M)
    ]
    if not opened:
        return sentence(chance)
    for _ in range(chance.choice([1, 1, 2, 3])):
        at = chance.choice(opened)
        line = text.rfind("\n", 0, at - 1) + 1
        block = text[line:at].split()[0]
        inside = "".join(
            _walk(chance, 40, f"{block} a in b.c {{" if block in ("entity", "create") else f"{block} a {{")
        )
        text = text[:at] + inside.rstrip("\n; ") + "\n" + text[at:]
        opened = [each for each in opened if each <= at]
    return text


def _walk(chance: random.Random, most: int, start: str = "") -> Iterator[str]:
    """Terminals as the grammar lets them follow each other, until it may end."""
    made = tables()
    states = [made.first]
    for name in _terminals_of(made, start):
        _feed(made, states, name)
    floor = len(states)
    for step in range(most * 3):
        names = [name for name in made.actions[states[-1]] if _feed(made, list(states), name)]
        closing = [name for name in names if name in ("RBRACE", "RPAR", "RSQB", "_SEP")]
        if start and len(states) <= floor + 1 and step > 2 and "RBRACE" in names:
            return
        if END in names and step >= most:
            return
        names = closing if closing and step >= most else [name for name in names if name != END]
        if start and len(states) <= floor + 1:
            names = [name for name in names if name != "RBRACE"] or names
        if not names:
            return
        name = chance.choice(names)
        _feed(made, states, name)
        yield _spelt(made, name, chance) + (" " if name != "_SEP" else "")


def _terminals_of(made: Tables, text: str) -> Iterator[str]:
    by_text = {literal: name for name, literal in made.literals.items()}
    return (by_text.get(piece, "NAME") for piece in re.findall(r"\w+|\S", text))


def _feed(made: Tables, states: list[int], terminal: str) -> bool:
    """Let the machine take a terminal; whether it can."""
    while True:
        action = made.actions[states[-1]].get(terminal)
        if action is None:
            return False
        if action >= 0:
            states.append(action)
            return True
        rule = made.rules[~action]
        if rule.size:
            del states[-rule.size :]
        states.append(made.gotos[states[-1]][rule.origin])


def _spelt(made: Tables, name: str, chance: random.Random) -> str:
    if name in made.literals:
        return made.literals[name]
    known = {"NAME": _NAMES, "STRING": _STRINGS, "NUMBER": _NUMBERS, "_SEP": ["\n", ";", "\r\n", "\n\n"]}
    if name == "SQL":
        return f"`{chance.choice(_SQLS)}`"
    return chance.choice(known.get(name) or ["<", ">", "=", "!=", "<=", ">="])


_NESTS = tuple(
    pair.split("…")
    for pair in (
        '{…} (…) […] a~{\n…}\n change~User~{\n…}\n entity~A~in~b.c~{…} `… "… flag~a~{~stage~x~for…} cutover~{~abort~when~(…) '
        'unique~(…) text[…] ->… "\\\\…'
    ).split(" ")
)
_SQL_NESTS = tuple(
    pair.replace("~", " ").split("…")
    for pair in (
        "(…) NOT~… nullif(…,~'x') CASE~WHEN~…~THEN~a~END ARRAY[…] (SELECT~…) -~… a~||~… a~AND~… (a=ANY(…)) $$~… /*~…~*/ a[…] "
        "ROW(…) (a)::… '…"
    ).split(" ")
)


def nested(chance: random.Random) -> str:
    """Brackets in brackets, in the language or in SQL, closed or not."""
    depth = chance.choice([3, 30, 300, 3000, 20_000])
    closed = chance.choice([0, depth, depth, depth - 1, depth + 1])
    if chance.random() < 0.5:
        left, right = chance.choice(_NESTS)
        return (left * depth + right * closed).replace("~", " ")
    left, right = chance.choice(_SQL_NESTS)
    sql = left * depth + "a" + right * closed
    shape = chance.choice(
        ["add c text? {{ from `{0}`; back a = `{0}` }}", "check `{0}`", "index (`{0}`)", "drop a {{ back `{0}` }}"]
    )
    change = f"change User {{ {shape.format(sql)} }}\n"
    listing = f"tenants {{ key t uuid; list `SELECT {sql}` }}\n"
    return change + listing + f"entity A in b.c {{ a text default `{sql}` }}"


def long_ones(chance: random.Random) -> str:
    """Lines, names, strings, lists and numbers of errors that nobody would write."""
    size = chance.choice([100, 3000, 30_000])
    word = chance.choice(pieces())
    return chance.choice(
        [
            f"entity {'a' * size} in b.c {{ id bigint key }}",
            f"entity A in {'b.' * size}c {{ id bigint key }}",
            f'migration m {{ title "{"x" * size}" }}',
            f"entity A in b.c {{ unique ({', '.join(['a'] * size)}) }}",
            f"entity A in b.c {{ {'c text; ' * min(size, 3000)} }}",
            f"change A {{ {'drop a; ' * min(size, 3000)} }}",
            "cutover { ramp " + ", ".join(["1%"] * size) + " }",
            f"change A {{ {(word + '; ') * min(size, 3000)} }}",
            "\n".join(f"entity E{n} in b.c {{ a {word} }}" for n in range(min(size, 300))),
            f"# {word * size}\n",
            f"entity A in b.c {{ a text{' key' * min(size, 3000)} }}",
            f"entity A in b.c {{ a {'x ' * min(size, 3000)} }}",
            "tenants { list `" + "SELECT 1 UNION " * min(size, 3000) + "SELECT 1` }",
            (word + "\n") * min(size, 3000),
        ]
    )


def mixed_ends(chance: random.Random) -> str:
    """A file whose line ends and blanks are of every kind."""
    text = chance.choice(corpus())
    blanks = chance.choice([[" ", "\t", "  "], [" ", "\xa0", "\u3000"], [" ", "\x0c", "\x0b"]])
    ends = chance.choice([["\r\n"], ["\n", "\r\n"], ["\r"], ["\n", "\u2028"], ["\n\n \n"], ["\x85", "\n"]])
    out = re.sub(r" ", lambda _: chance.choice(blanks), re.sub(r"\n", lambda _: chance.choice(ends), text))
    return chance.choice(["", "", "\ufeff", "\ufeff\ufeff"]) + out


SMALL: tuple[tuple[str, Callable[[random.Random], str | bytes]], ...] = (
    ("mutated", mutated),
    ("inserted", inserted),
    ("sentence", sentence),
    ("bitten", bitten),
    ("soup", soup),
    ("rubbish", rubbish),
    ("nested", nested),
    ("long", long_ones),
    ("line ends", mixed_ends),
)
WEIGHTS = (30, 25, 12, 6, 6, 4, 6, 4, 4)


# -------------------------------------------------------------------------------------------------- ten megabytes


def _filled(piece: str, size: int = TEN_MEGABYTES) -> str:
    return piece * (size // len(piece.encode("utf-8", "surrogateescape")))


_HEAD = 'migration m { ticket "x" }\ndatabase b { engine postgresql 15; url env U }\ntenants { key t uuid; list `SELECT 1` }\n'
LARGE: tuple[tuple[str, Callable[[random.Random], str | bytes]], ...] = (
    ("10 MB of entities", lambda _: text_of(11_500)),
    ("10 MB of random bytes", lambda chance: chance.randbytes(TEN_MEGABYTES)),
    ("10 MB of random characters", lambda chance: bytes(chance.choices(range(32, 127), k=TEN_MEGABYTES))),
    ("10 MB of words", lambda chance: " ".join(chance.choices([*pieces()[:3000], "\n"], k=1_500_000))[:TEN_MEGABYTES]),
    ("10 MB of columns", lambda _: _HEAD + "entity A in b.c {\n" + "".join(f"c{n} text\n" for n in range(700_000)) + "}"),
    ("10 MB of columns of one name", lambda _: "entity A in b.c {" + _filled("c text; ") + "}"),
    ("10 MB of broken columns", lambda _: _HEAD + "entity A in b.c {\n" + _filled("c text text text,\n") + "}"),
    ("10 MB of rare mistakes", lambda _: _HEAD + "entity A in b.c {\n" + (_filled("c text\n", 500_000) + "c ,\n") * 20 + "}"),
    ("10 MB in one name", lambda _: "entity " + _filled("a") + " in b.c { }"),
    ("10 MB in one string", lambda _: 'migration m { title "' + _filled("x") + '" }'),
    ("10 MB of escapes", lambda _: 'migration m { title "' + _filled("\\n") + '" }'),
    ("10 MB in one SQL", lambda _: "entity A in b.c { check `" + _filled("x") + "` }"),
    ("10 MB of sum in SQL", lambda _: "entity A in b.c { check `" + _filled("a + ") + "1` }"),
    ("10 MB of doubled backticks", lambda _: "entity A in b.c { check `" + _filled("``") + "` }"),
    ("10 MB of backticks", lambda _: _filled("`") + "a"),
    ("10 MB of unfinished SQL", lambda _: "entity A in b.c { check `" + _filled("x\n") + "}"),
    ("10 MB of unfinished strings", lambda _: _filled('"\n')),
    ("10 MB of doubled quotes", lambda _: '"' + _filled('""')),
    ("10 MB of comment", lambda _: "# " + _filled("x")),
    ("10 MB of comments", lambda _: _filled("# x\n") + "flag a { stage off for all }"),
    ("10 MB of newlines", lambda _: _filled("\n")),
    ("10 MB of blanks", lambda _: _filled(" \t") + "x"),
    ("10 MB of semicolons", lambda _: _filled(";")),
    ("10 MB of opening braces", lambda _: _filled("{")),
    ("10 MB of closing braces", lambda _: _filled("}")),
    ("10 MB of blocks in blocks", lambda _: _filled("a {\n", TEN_MEGABYTES // 2) + _filled("}\n", TEN_MEGABYTES // 4)),
    ("10 MB of parentheses", lambda _: _filled("(", TEN_MEGABYTES // 2) + _filled(")", TEN_MEGABYTES // 2)),
    ("10 MB of digits", lambda _: "entity A in b.c { rows " + _filled("9") + " }"),
    ("10 MB of declarations in one line", lambda _: _filled("flag a { stage off for all }; ")),
    ("10 MB of changes", lambda _: "".join(f"change E{n} {{ drop a }}\n" for n in range(400_000))),
    ("10 MB of drops", lambda _: _HEAD + "entity A in b.c { a text }\nchange A {\n" + _filled("drop a\n") + "}"),
    ("10 MB of list", lambda _: "entity A in b.c { unique (" + _filled("a, ") + "a) }"),
    ("10 MB of list over lines", lambda _: "cutover { canary " + _filled('"a",\n') + '"a" }'),
    ("10 MB of wide characters", lambda _: "# " + _filled("名前")),
    ("10 MB of wide names", lambda _: "entity A in b.c {" + _filled("名 text\n") + "}"),
    ("10 MB of NUL", lambda _: _filled("\x00")),
    ("10 MB of half characters", lambda _: _filled("\udcff")),
    ("10 MB of carriage returns", lambda _: _filled("\r") + "\n"),
    ("10 MB of marks", lambda _: "entity A in b.c { a text" + _filled(" pii") + " }"),
    ("10 MB of words of a type", lambda _: "entity A in b.c { a " + _filled("x ") + "}"),
    ("10 MB of and", lambda _: "cutover { abort when a > 1 " + _filled("and a > 1 ") + "}"),
)  # fmt: skip
