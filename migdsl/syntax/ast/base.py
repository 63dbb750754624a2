"""The pieces that all declarations are made of."""

from __future__ import annotations

from migdsl.source import Span
from migdsl.values import Value


class Name(Value):
    """A name; `quoted` ones are taken literally, others too (no case is folded: SQL's folding is the dialect's)."""

    text: str
    quoted: bool
    span: Span


class Word(Value):
    """One of a fixed set of words (`none`, `shadow`, `expand`), checked by the semantics."""

    text: str
    span: Span


class Text(Value):
    """A string, its escapes resolved."""

    value: str
    span: Span


class Number(Value):
    """A number with its unit as written: `500k`, `0.1%`, `30d`, `2027-01-01`."""

    raw: str
    span: Span


class Sql(Value):
    """SQL as written between the backticks. `body` covers what stands between them."""

    text: str
    span: Span
    body: Span


class Type(Value):
    """An engine's type: `words` joined by blanks (`timestamp with time zone`), or a qualified name, or an enum's labels."""

    name: str
    schema: str | None
    quoted: bool
    args: tuple[str, ...]
    suffix: str
    dimensions: int
    labels: tuple[Text, ...] | None
    span: Span


class Allow(Value):
    """`allow MIG412 because "…"`."""

    code: Word
    reason: Text
    span: Span


class Setting(Value):
    """One line of a block whose value is a few words, strings or numbers: `ticket "MIG-77"`, `downtime none`."""

    key: str
    words: tuple[Word, ...]
    texts: tuple[Text, ...]
    numbers: tuple[Number, ...]
    span: Span
