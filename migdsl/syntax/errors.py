"""What the parser stumbled over becomes a diagnostic that says what a person would expect there."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

from migdsl.diagnostics import Diagnostic, Label, Severity, fixes
from migdsl.diagnostics.suggest import did_you_mean, word_meant
from migdsl.dialect.types import known_names
from migdsl.source import SourceFile, Span
from migdsl.syntax.grammar import END, tables
from migdsl.syntax.lexer import ENDLESS, MOST_WORDS
from migdsl.syntax.machine import Unexpected
from migdsl.syntax.words import LATER_DECLARATIONS, LATER_OPERATIONS, LATER_SETTINGS, listed, spoken

_WORD = re.compile(r"\w+")
_FIRST = re.compile(r"\s*([^\W\d]\w*)")
_MARKS = frozenset(["pii", "phi"])
_LINES_OF_AN_ENTITY = frozenset("allow check global index key legacy rows sensitivity tenant unique".split())
_FILLED = re.compile(r"\s*(add\s+.*\S)\s+from\s+")
_CALLED = re.compile(r"\bdefault\s+(\w+)\s*$")
_COLUMN = re.compile(r"\s*([^\W\d]\w*)[ \t]+([^\W\d]\w*)")


def unexpected(source: SourceFile, error: Unexpected, start: int, top: bool) -> Diagnostic:
    """The diagnostic for a parser's error in the statement that begins at `start` (`top`: a whole declaration)."""
    span = _span(source, error)
    if error.terminal == ENDLESS:
        return _endless(span)
    found = source.slice(span)
    accepted = _accepted(error)
    keywords = {text for name, text in accepted.items() if text}
    block = "" if top else _block(source.text, start)
    first = _FIRST.match(source.text, start)
    if span.start == start and _WORD.fullmatch(found):
        return _first_word(span, found, keywords, block, accepted)
    column = _COLUMN.match(source.text, start) if block == "entity" else None
    if column and column[1] in parser_keywords() and column[2].lower() in _type_words():
        return _directive_as_column(source.path, column)
    if _WORD.fullmatch(found) and keywords >= _MARKS:
        return _no_mark(span, found, keywords)
    if first and block not in ("", "entity") and (misspelt := _misspelt(source.path, first, block)):
        return misspelt
    name = first[1] if first else ""
    typeless = block == "move" and found.startswith("`") and "NAME" in accepted and name
    found_so = _typeless(span, name) if typeless else _plain(span, found, accepted, keywords, name)
    return replace(found_so, help=found_so.help or _often(source.text[start : span.start], found))


def _endless(span: Span) -> Diagnostic:
    title, help_ = f"a statement of more than {MOST_WORDS:,} words", "write what it says as several statements"
    return Diagnostic("MIG006", Severity.ERROR, title, Label(span, "not read from here on"), help=help_)


def _misspelt(path: str, first: re.Match[str], block: str) -> Diagnostic | None:
    """The first word of a statement, where a name could stand as well: it was read as one, and nothing came of that."""
    from migdsl.syntax.notation import starters  # the grammar's own text, for mistakes only

    known = starters(block)
    near = None if first[1] in known else did_you_mean(first[1], known)
    if near is None:
        return None
    span = Span(path, first.start(1), first.end(1))
    title, fix = f"`{first[1]}` is no {_kind(block)}", fixes.respelling(span, first[1], known)
    return Diagnostic("MIG012", Severity.ERROR, title, Label(span, "unknown"), help=f"did you mean `{near}`?", fix=fix)


@cache
def _type_words() -> frozenset[str]:
    """The words that a built-in type may begin with."""
    return frozenset(name.split()[0] for name in known_names())


def parser_keywords() -> frozenset[str]:
    """All words that are a keyword somewhere."""
    return frozenset(text for text in tables().literals.values() if text.isidentifier())


def _first_word(span: Span, found: str, keywords: set[str], block: str, accepted: dict[str, str]) -> Diagnostic:
    later = {"": LATER_DECLARATIONS, "change": LATER_OPERATIONS}.get(block, LATER_SETTINGS)
    if found in later and found not in keywords:
        what = f"`{found}`" + (f" in `{block}`" if block else "")
        return Diagnostic(
            "MIG007",
            Severity.ERROR,
            f"{what} is part of the language, and not of this release",
            Label(span, "not supported yet"),
            help="leave it out for now; the release notes say what each release compiles",
        )
    near = word_meant(found, keywords)
    title = f"`{found}` is no {_kind(block)}"
    help_ = f"did you mean `{near}`?" if near else f"expected {listed(spoken(accepted))}"
    fix = fixes.respelling(span, found, keywords)
    return Diagnostic("MIG012", Severity.ERROR, title, Label(span, "unknown"), help=help_, fix=fix)


def _kind(block: str) -> str:
    return {
        "": "declaration",
        "migration": "setting of a migration",
        "database": "setting of a database",
        "tenants": "setting of the tenant boundary",
        "change": "operation",
        "cutover": "setting of the cutover",
        "flag": "line of a flag",
        "entity": "line of an entity",
    }.get(block, f"part of `{block}`")


def _directive_as_column(path: str, column: re.Match[str]) -> Diagnostic:
    word = column[1]
    place = Span(path, column.start(1), column.end(1))
    return Diagnostic(
        "MIG011",
        Severity.ERROR,
        f"`{word}` begins a directive here",
        Label(place, "read as the directive of that name, not as a column"),
        (Label(Span(path, column.start(2), column.end(2)), "a type, which the directive has no use for"),),
        help=f'a column of that name is quoted: "{word}" {column[2]}',
        fix=fixes.replacing(place, f'"{word}"', f'`{word}` becomes `"{word}"`', safe=True),
    )


def _no_mark(span: Span, found: str, keywords: set[str]) -> Diagnostic:
    near = word_meant(found, keywords)
    help_ = f"did you mean `{near}`?" if near else f"what may follow a type: {', '.join(sorted(keywords))}"
    title, fix = f"`{found}` says nothing of a column", fixes.respelling(span, found, keywords)
    return Diagnostic("MIG012", Severity.ERROR, title, Label(span, "unknown"), help=help_, fix=fix)


def _typeless(span: Span, name: str) -> Diagnostic:
    title = f"`{name}` is computed, and its type isn't said"
    help_ = f"{name} text = `…`; a column that is copied as it is has neither type nor SQL: {name} = {name}"
    return Diagnostic("MIG001", Severity.ERROR, title, Label(span, "SQL doesn't tell of which type it is"), help=help_)


def _plain(span: Span, found: str, accepted: dict[str, str], keywords: set[str], first: str) -> Diagnostic:
    phrases = spoken(accepted)
    expected = listed(phrases) if phrases else "something else"
    what = "the file ends too early" if not found else f"`{_short(found).strip('`')}` makes no sense here"
    if found in ("\n", "\r\n") or found.isspace():
        what = "the line ends too early"
    near = word_meant(found, keywords) if _WORD.fullmatch(found) else None
    # A name may stand here too, perhaps: then it is not the word that is wrong.
    fix = fixes.respelling(span, found, keywords) if near and "NAME" not in accepted else None
    if near is None and "ENUM" in accepted and "EQUAL" not in accepted and first not in parser_keywords():
        near = did_you_mean(first, sorted(_LINES_OF_AN_ENTITY))  # `rowz 500k` reads as a column called rowz
    help_ = f"did you mean `{near}`?" if near else ""
    help_ = help_ or _meant(found, accepted, first)
    return Diagnostic("MIG001", Severity.ERROR, what, Label(span, f"expected {expected}"), help=help_, fix=fix)


def _often(before: str, found: str) -> str:
    """What is often meant where a statement that begins with `before` goes on so."""
    if found.startswith("`") and (added := _FILLED.fullmatch(before)):
        return f"what it is filled with stands in braces: {added[1]} {{ from {_short(found)} }}"
    if found == "(" and (called := _CALLED.search(before)):
        return f"SQL stands between backticks: default `{called[1]}()`"
    if found == "per" and before.split() == ["unique"]:
        return "over columns that are there already, the tenant's is one of them: unique (tenant_id, …)"
    return ""


def _meant(found: str, accepted: dict[str, str], first: str) -> str:
    """What is often meant where such a thing stands."""
    if "COMPARED" in accepted:
        return "a condition compares a metric with a number: drift_rate < 0.1%"
    if {"ENUM", "EQUAL"} <= set(accepted):  # in a move, behind a column's name
        return _of_a_move(found, first)
    if found.startswith("'") and "STRING" in accepted:
        return 'a text stands in double quotes: "…"; in SQL, between backticks, in single ones'
    if set(accepted) == {"DOT"}:
        return f"say which column of it: {first} -> ….id; or, for its key, in parentheses: ({first}) -> …"
    begins = "_SEP" in accepted and found in parser_keywords()
    return f"`{found}` begins on a line of its own, or after `;`" if begins else ""


def _of_a_move(found: str, first: str) -> str:
    if first == "key" and found == "(":
        return "the target has the key of its entity: copy its columns, each as it is; another one is for a migration of its own"
    return f"copied as it is: {first} = {first}; computed: {first} text = `…`"


def _short(text: str) -> str:
    line = text.split("\n", 1)[0]
    return line if len(line) <= 40 else line[:39] + "…"


def _span(source: SourceFile, error: Unexpected) -> Span:
    if error.terminal == END:
        return Span(source.path, len(source.text), len(source.text))
    if error.terminal == "_SEP":
        return Span(source.path, error.at, error.at + 1)
    if error.terminal:
        return Span(source.path, error.at, error.at + len(error.text))
    word = _WORD.match(source.text, error.at)
    return Span(source.path, error.at, word.end() if word else error.at + 1)


def _accepted(error: Unexpected) -> dict[str, str]:
    """The terminals that may stand here → the keyword's text, or "" for what is no keyword."""
    texts = tables().literals
    return {
        name: texts.get(name, "") if texts.get(name, "").isidentifier() or texts.get(name) == "->" else ""
        for name in sorted(error.accepted)
    }


def _block(text: str, start: int) -> str:
    """The directive whose block the statement at `start` stands in: the word before the innermost open brace."""
    depth = 0
    for at in range(start - 1, -1, -1):
        if text[at] == "}":
            depth += 1
        elif text[at] == "{":
            if depth == 0:
                line = max(text.rfind("\n", 0, at), text.rfind(";", 0, at), text.rfind("{", 0, at)) + 1
                word = _FIRST.match(text, line)
                return word[1] if word else ""
            depth -= 1
    return ""
