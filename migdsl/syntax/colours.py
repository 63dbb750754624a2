"""The grammar's rules become what a highlighter needs to know: which words begin a line of which block, and which go on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from migdsl.dialect.types import known_names
from migdsl.syntax.notation import Item, first_words, is_family, members, rules, statements
from migdsl.syntax.vocabulary import construct, texts
from migdsl.values import Value

# Pieces of patterns that Python, Oniguruma and, with its own spelling, Vim understand.
NAME = r'(?:[^\W\d]\w*|"(?:[^"\\\n]|\\.|"")*")'
BEGIN = r"(?:^|(?<=[{;]))[ \t]*"  # of a statement
HEAD = r'(?=(?:[^{}\n"`#;]|"(?:[^"\\\n]|\\.|"")*"|`[^`\n]*`)*\{)'  # a block follows
NUMBER = r"\b(?:[0-9]{4}-[0-9]{2}-[0-9]{2}\b|[0-9][0-9_]*(?:\.[0-9]+)?(?:%|[A-Za-z]+\b)?)"
TOP, LOOSE = "file", "loose"


class Start(Value):
    """A word that begins a line. `named`: a name may follow at once, unless it is one of `but`. `opens`: the block that such
    a line may have, or empty."""

    word: str
    named: bool
    but: tuple[str, ...]
    opens: str


class Block(Value):
    """What may stand in a block: how its lines begin, the words that go on, the words of sets (stages, phases, metrics), and
    whether types and columns stand there. TOP is the file, LOOSE any block behind a line that begins with no word."""

    name: str
    starts: tuple[Start, ...]
    clauses: tuple[str, ...]
    values: tuple[str, ...]
    typed: bool
    columns: bool


@cache
def blocks() -> tuple[Block, ...]:
    """The file's own lines, and every block that there is."""
    wordless = [rule for rule in rules() if statements(rule) and not is_family(rule) and not _words(rule)]
    inside = tuple(dict.fromkeys(line for rule in wordless for line in statements(rule)))
    return (*_blocks(TOP, (), tuple(members("_declaration"))), *_blocks(LOOSE, (), inside))


@cache
def types() -> tuple[str, ...]:
    """The words that built-in types consist of."""
    words = {word for name in known_names() for word in name.split()}
    return tuple(sorted(words | {"boolean"}))


def _blocks(name: str, heads: tuple[str, ...], lines: tuple[str, ...]) -> Iterator[Block]:
    """A block, then those in it. `heads`: the constructs that have it; their own words stand before the brace."""
    by_word: dict[str, list[str]] = {}
    for line in lines:
        for word in sorted(_words(line)):
            by_word.setdefault(word, []).append(line)
    opening = {word: f"{name}-{word}" for word, found in by_word.items() if any(statements(line) for line in found)}
    starts = tuple(_start(word, by_word[word], opening.get(word, "")) for word in sorted(by_word))
    clauses = {word for line in (*lines, *heads) for word in _clauses(line)}
    values = {word for line in (*lines, *heads) for part in _parts(line) for word in _values(part)}
    typed = any("type" in _parts(line) for line in (*lines, *heads))
    yield Block(name, starts, tuple(sorted(clauses)), tuple(sorted(values - clauses)), typed, "column" in lines)
    for word, inner in opening.items():
        inside = dict.fromkeys(line for rule in by_word[word] for line in statements(rule))
        yield from _blocks(inner, tuple(by_word[word]), tuple(inside))


def _start(word: str, lines: list[str], opens: str) -> Start:
    second = [
        way.items[1] for line in lines for way in rules()[line] if len(way.items) > 1 and way.items[0].text == word
    ]
    but = tuple(sorted({item.text for item in second if item.text.isidentifier()}))
    return Start(word, any(item.rule == "name" for item in second), but, opens)


def _words(rule: str) -> frozenset[str]:
    """The words that a construct begins with; none where it begins with a name."""
    return frozenset(word for word in first_words(rule) if word.isidentifier())


def _values(rule: str) -> tuple[str, ...]:
    found = construct(rule).words if rule in texts() else ()
    return tuple(word for word in found if word.isidentifier()) if rule != "type" else ()


def _clauses(rule: str) -> Iterator[str]:
    """The words of a line, apart from what is in its own block and from the first one."""
    for part in _parts(rule):
        for way in rules()[part]:
            for number, item in enumerate(_flat(way.items)):
                if item.text.isidentifier() and (part != rule or number > 0):
                    yield item.text
                if item.rule == "BOOLEAN" and part != "type_word":
                    yield "boolean"


@cache
def _parts(rule: str) -> frozenset[str]:
    """The rule and all that it is made of, apart from what is in its block."""
    found: set[str] = set()
    todo = [rule]
    while todo:
        name = todo.pop()
        if name in found or name not in rules() or name.endswith("_block"):
            continue
        found.add(name)
        todo += [item.rule for way in rules()[name] for item in _flat(way.items) if item.rule]
    return frozenset(found)


def _flat(items: tuple[Item, ...]) -> Iterator[Item]:
    for item in items:
        if item.text == "{":
            return
        yield item
        for way in item.ways:
            yield from _flat(way.items)
