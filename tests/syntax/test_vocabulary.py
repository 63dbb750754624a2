"""Every rule of the grammar is told of, and what is told is so: examples parse, codes and words exist."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import lark
import pytest

from migdsl.diagnostics.catalog import all_codes
from migdsl.resources import read_resource
from migdsl.syntax import notation, vocabulary
from migdsl.syntax.grammar import GOES_ON

# Codes that are no construct's: of the file as a text, of the disk, or of two files.
OF_NO_CONSTRUCT = frozenset(
    "MIG001 MIG002 MIG003 MIG004 MIG005 MIG006 MIG007 MIG010 MIG201 MIG702 MIG703 MIG704 MIG705".split()
)


class Separators:
    """Drops the separators that separate nothing, as the compiler's own lexer does."""

    always_accept = ("_SEP", "NAME")

    def process(self, stream: Iterator[lark.Token]) -> Iterator[lark.Token]:
        depth, previous = 0, "{"
        for token in stream:
            if token.type == "_SEP":
                if depth > 0 or previous in GOES_ON:
                    continue
                previous = ";"
            else:
                depth += (token == "(") - (token == ")")
                previous = str(token)
            yield token


@cache
def owners() -> dict[str, str]:
    """The rule of the grammar in which an alias is defined, by alias; any other rule is its own."""
    found = {rule: rule for rule in notation.rules()}
    for rule, ways in notation.rules().items():
        if f"\n{rule}:" in read_resource("grammar", "mig.lark"):
            for way in ways:
                if len(way.items) == 1 and (alias := way.items[0].rule) and is_alias(alias):
                    found[alias] = rule
    return found


def is_alias(rule: str) -> bool:
    return f"-> {rule}\n" in read_resource("grammar", "mig.lark") + "\n"


@cache
def grammar() -> lark.Lark:
    """The grammar, ready to read any construct by itself."""
    starts = sorted({owners()[rule] for rule in vocabulary.texts() if rule in owners()})
    return lark.Lark(
        read_resource("grammar", "mig.lark"),
        parser="lalr",
        start=starts,
        postlex=Separators(),
        maybe_placeholders=False,
    )


def test_every_rule_of_the_grammar_is_told_of() -> None:
    missing = sorted(vocabulary.needed() - vocabulary.texts().keys())
    assert missing == [], f"say in grammar/words.toml what these rules of mig.lark are for: {', '.join(missing)}"


def test_nothing_is_told_of_that_the_grammar_has_not() -> None:
    extra = sorted(vocabulary.texts().keys() - notation.rules().keys())
    assert extra == [], f"grammar/words.toml tells of what mig.lark doesn't have: {', '.join(extra)}"


@pytest.mark.parametrize("rule", vocabulary.texts())
def test_a_construct_is_told_of_in_full(rule: str) -> None:
    found = vocabulary.construct(rule)
    assert found.says.endswith((".", ")"))
    assert found.says[0].isupper()
    assert "\n" not in found.says
    assert set(found.codes) <= all_codes().keys()
    assert set(vocabulary.texts()[rule]) <= {"says", "example", "places", "words", "codes"}
    assert all(found.syntax)
    assert not any(sign in way for way in found.syntax for sign in ("_SEP", "  "))
    assert all(word == word.strip() != "" for word in found.words)


@pytest.mark.parametrize("rule", vocabulary.texts())
def test_an_example_is_one_of_its_construct(rule: str) -> None:
    example = vocabulary.construct(rule).example
    owner = owners()[rule]
    tree = grammar().parse(example, start=owner)
    if rule != owner and isinstance(tree, lark.Tree):
        assert tree.data == rule


def test_every_rule_of_the_compiler_has_its_construct() -> None:
    told = {code for rule in vocabulary.texts() for code in vocabulary.construct(rule).codes}
    # What the command line finds out about files and databases is no construct's either.
    expected = {code for code in all_codes() if code[3] in "0123456" and code not in OF_NO_CONSTRUCT}
    left = sorted(expected - told)
    assert left == [], f"add these codes to the constructs in grammar/words.toml that they look at: {', '.join(left)}"


def test_words_find_their_constructs() -> None:
    assert [each.rule for each in vocabulary.about("entity")] == ["entity"]
    assert {each.rule for each in vocabulary.about("unique")} > {"entity_unique", "mark_unique", "unique_per_tenant"}
    assert [each.rule for each in vocabulary.about("condition")] == ["condition"]
    assert vocabulary.about("nothing") == ()
    assert {"add", "drop", "entity", "ticket"} <= vocabulary.words()


@pytest.mark.parametrize(
    ("rule", "syntax"),
    [
        ("add", "add NAME TYPE? [MARK …] [{ … }]"),
        ("drop", 'drop NAME [after DURATION] [irreversible because "…"] [{ … }]'),
        ("ramp", "ramp (PERCENT | canary), … [every DURATION]"),
        ("back", "back NAME = `SQL`, …"),
        ("stage", 'stage STAGE for (all | canary | PERCENT | tenants "…", …)'),
        ("entity", "entity NAME in TABLE { … }"),
        ("tenant_list", "list [in NAME] `SQL`"),
    ],
)
def test_how_a_rule_is_written(rule: str, syntax: str) -> None:
    assert vocabulary.construct(rule).syntax == (syntax,)


def test_what_may_stand_in_a_block() -> None:
    assert {"add", "drop", "allow"} <= set(notation.statements("change"))
    assert {"from", "back", "allow"} <= set(notation.statements("add"))
    assert notation.statements("ticket") == ()
    assert {"add", "drop", "require"} <= notation.starters("change")
    assert "add" not in notation.starters("entity")
