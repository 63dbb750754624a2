"""The grammar's own text becomes its rules as data, and each rule a line that a person can read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType

from migdsl.resources import read_resource
from migdsl.values import Value

_DEFINITION = re.compile(r"^[?]?([A-Za-z_]\w*)(?:\.\d+)?[ \t]*:", re.MULTILINE)
_PIECE = re.compile(
    r'\s*(?:(?P<text>"[^"]*")|(?P<alias>->\s*\w+)|(?P<name>\w+)|(?P<sign>[|()\[\]]))(?P<times>[*+?]?)\s*'
)
_COMMENT = re.compile(r"//[^\n]*")

# What stands for a piece that is no word of the language.
SIGNS: Mapping[str, str] = {
    "STRING": '"…"',
    "SQL": "`SQL`",
    "NUMBER": "NUMBER",
    "NAME": "NAME",
    "MINUS": "-",
    "RANGE": "..",
    "COMPARED": "< | <= | > | >= | !=",
    "EQUAL": "=",
    "BOOLEAN": "boolean",
    "name": "NAME",
    "word": "WORD",
    "quoted": '"NAME"',
    "names": "(NAME, …)",
    "type_word": "WORD",
    "nullable": "?",
    "array": "[]",
}
# Parts that are a small language of their own: named in a line, told of elsewhere.
PARTS: Mapping[str, str] = {
    "type": "TYPE",
    "table": "TABLE",
    "_mark": "MARK",
    "_literal": "VALUE",
    "index_part": "PART",
    "condition": "CONDITION",
    "held": "HELD",
    "comparison": "COMPARISON",
}

Places = Mapping[str, Mapping[str, str]]


class Item(Value):
    """A piece of a rule: `text` is a keyword or sign, `rule` a rule's or terminal's name, else it is a choice of `ways`.

    `times` is what the grammar puts behind it: nothing, `?`, `*` or `+`.
    """

    text: str
    rule: str
    ways: tuple[Way, ...]
    times: str


class Way(Value):
    """One of the ways to write a rule, and the name that it has if it has one of its own."""

    items: tuple[Item, ...]
    alias: str


@cache
def rules() -> Mapping[str, tuple[Way, ...]]:
    """Every rule of the grammar by its name (an alias counts as a rule), in the order of the grammar."""
    text = _COMMENT.sub("", read_resource("grammar", "mig.lark"))
    heads = list(_DEFINITION.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    found: dict[str, tuple[Way, ...]] = {}
    for head, end in zip(heads, ends, strict=True):
        name = head[1]
        if name.isupper() or name == "start":
            continue
        ways = _Reader(text[head.end() : end]).ways()
        found[name] = tuple(way for way in ways if not way.alias) + tuple(_alias(way) for way in ways if way.alias)
        found |= {way.alias: (Way(way.items, ""),) for way in ways if way.alias}
    return found


def _alias(way: Way) -> Way:
    return Way((Item("", way.alias, (), ""),), "")


class _Reader:
    """Reads the right side of a definition."""

    def __init__(self, text: str) -> None:
        self._pieces = list(_PIECE.finditer(text.split("%ignore", maxsplit=1)[0]))
        self._at = 0

    def ways(self) -> tuple[Way, ...]:
        """All up to the end, or to the `)` or `]` that closes what was opened."""
        found: list[Way] = []
        items: list[Item] = []
        alias = ""
        while self._at < len(self._pieces):
            piece = self._pieces[self._at]
            self._at += 1
            if piece["sign"] in (")", "]"):
                self._at -= 1
                break
            if piece["sign"] == "|":
                found.append(Way(tuple(items), alias))
                items, alias = [], ""
            elif piece["alias"]:
                alias = piece["alias"].removeprefix("->").strip()
            else:
                items.append(self._item(piece))
        return (*found, Way(tuple(items), alias))

    def _item(self, piece: re.Match[str]) -> Item:
        if piece["text"]:
            return Item(piece["text"][1:-1], "", (), piece["times"])
        if piece["name"]:
            return Item("", piece["name"], (), piece["times"])
        inner = self.ways()
        closing = self._pieces[self._at]
        self._at += 1
        return Item("", "", inner, "?" if piece["sign"] == "[" else closing["times"])


@cache
def statements(rule: str) -> tuple[str, ...]:
    """The rules of the statements that the block of a rule may hold; none where it has no block."""
    for item in _block(rule) or ():
        if item.ways and item.times == "*":
            return tuple(members(item.ways[0].items[0].rule))
    return ()


def members(rule: str) -> Iterator[str]:
    """A family (`_setting`, or a rule that is but a choice of others) becomes those others, any other rule itself."""
    if not is_family(rule):
        yield rule
        return
    for way in rules()[rule]:
        for item in way.items[:1]:
            yield from members(item.rule)


def is_family(rule: str) -> bool:
    """Whether a rule is but a choice of other rules."""
    ways = rules()[rule]
    return rule.startswith("_") or (
        len(ways) > 1 and all(len(w.items) == 1 and w.items[0].rule in rules() and not w.items[0].times for w in ways)
    )


def _block(rule: str) -> tuple[Item, ...] | None:
    """The pieces between the braces of a rule, which may stand in a rule of their own (`_add_block`)."""
    for way in rules()[rule]:
        for at, item in enumerate(way.items):
            if item.text == "{":
                return way.items[at + 1 : -1]
            if item.rule.endswith("_block"):
                return _block(item.rule)
    return None


@cache
def first_words(rule: str) -> frozenset[str]:
    """The keywords that a rule may begin with."""
    return frozenset(_first(rule, ()))


def _first(rule: str, above: tuple[str, ...]) -> Iterator[str]:
    if rule in above or rule not in rules():
        return
    for way in rules()[rule]:
        for item in way.items[:1]:
            if item.text:
                yield item.text
            elif item.rule:
                yield from _first(item.rule, (*above, rule))


def starters(word: str) -> frozenset[str]:
    """The keywords that a statement may begin with in the block of the declaration or operation `word`."""
    found = [name for name in rules() if not name.startswith("_") and word in first_words(name)]
    return frozenset(text for name in found for each in statements(name) for text in first_words(each))


def written(rule: str, places: Places = MappingProxyType({})) -> str:
    """How a rule is written, in one line: `add NAME TYPE? [MARK …] [{ … }]`.

    `places`: per rule, what its signs are called instead (`{"after": {"NUMBER": "DURATION"}}`).
    """
    return " | ".join(_Writer(places).way(way.items, (rule,)) for way in rules()[rule])


class _Writer:
    """Writes rules; `above` are those on the way down to the present one."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def way(self, items: tuple[Item, ...], above: tuple[str, ...]) -> str:
        parts: list[str] = []
        skip = 0
        for at, item in enumerate(items):
            if skip:
                skip -= 1
                continue
            if item.text == "{":
                parts.append("{ … }")
                break
            repeated = items[at + 1] if at + 1 < len(items) else None
            if repeated is not None and _separated(repeated):
                parts.append(f"{self.item(item, above)}, …")
                skip = 1
                continue
            parts.append(self.item(item, above))
        return _joined(parts)

    def item(self, item: Item, above: tuple[str, ...]) -> str:
        text = item.text or (self.choice(item.ways, above) if item.ways else self.rule(item.rule, above))
        if item.times == "?":
            return text if text == "?" else f"[{text}]"
        if item.times == "*":
            return f"[{text} …]" if text != "[]" else "[[]]"
        return f"{text} …" if item.times == "+" else text

    def choice(self, ways: tuple[Way, ...], above: tuple[str, ...]) -> str:
        if len(ways) == 1:
            return self.way(ways[0].items, above)
        return f"({' | '.join(self.way(way.items, above) for way in ways)})"

    def rule(self, rule: str, above: tuple[str, ...]) -> str:
        if rule in SIGNS:
            return self.sign(SIGNS[rule], above)
        if rule in PARTS and above[0] != rule:
            return PARTS[rule]
        if rule.endswith("_block"):
            return "{ … }"
        if rule in above or rule not in rules():
            return rule.lstrip("_").upper()
        return self.choice(rules()[rule], (*above, rule))

    def sign(self, sign: str, above: tuple[str, ...]) -> str:
        """What stands for a sign in the innermost rule that says so."""
        bare = sign.strip("`")
        for rule in reversed(above):
            if bare in self._places.get(rule, {}):
                return sign.replace(bare, self._places[rule][bare])
        return sign


def _separated(item: Item) -> bool:
    """`("," x)*`: more of what stands before it."""
    return item.times in ("*", "+") and len(item.ways) == 1 and item.ways[0].items[0].text == ","


def _joined(parts: list[str]) -> str:
    text = " ".join(part for part in parts if part)
    for loose, tight in (
        (" ?", "?"),
        (" , …", ", …"),
        ("( ", "("),
        (" )", ")"),
        (" . ", "."),
        ("[. ", "[."),
        (" [(", "[("),
    ):
        text = text.replace(loose, tight)
    return text
