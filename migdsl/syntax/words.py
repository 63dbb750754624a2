"""What the grammar's terminals are called when one speaks to a person, and which words are for later releases."""

from __future__ import annotations

LATER_DECLARATIONS = frozenset("service move sync api replace".split())
LATER_OPERATIONS: frozenset[str] = frozenset()
LATER_SETTINGS: frozenset[str] = frozenset()

_NAMED = {
    "NAME": "a name",
    "STRING": 'a string in double quotes ("…")',
    "SQL": "SQL in backticks",
    "NUMBER": "a number",
    "MINUS": "a number",
    "_SEP": "the end of the line",
    "$END": "the end of the file",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[]`",
    "RSQB": "`]`",
    "COMMA": "a comma",
    "DOT": "`.`",
    "EQUAL": "`=`",
    "COMPARED": "`<`, `<=`, `>`, `>=` or `!=`",
    "RANGE": "`..`",
    "QMARK": "`?`",
}


def spoken(terminals: dict[str, str]) -> list[str]:
    """What may stand here, in words: terminals (name → the text of a keyword, or "") without repetition, keywords last."""
    if "ENUM" in terminals:
        return ["a type, such as `bigint` or `text?`"]
    others = {_NAMED[name] for name in terminals if name in _NAMED}
    if "a name" in others:
        others.discard('a string in double quotes ("…")')  # That is how a name is quoted.
    keywords = sorted(f"`{text}`" for name, text in terminals.items() if name not in _NAMED and text)
    return sorted(others, key=lambda phrase: (phrase.startswith("the end"), phrase)) + keywords


def listed(phrases: list[str]) -> str:
    """`a, b or c`."""
    if len(phrases) < 2:
        return "".join(phrases)
    return ", ".join(phrases[:-1]) + " or " + phrases[-1]
