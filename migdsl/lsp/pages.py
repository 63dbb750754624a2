"""Constructs, codes and words of the language become the Markdown that an editor shows."""

from __future__ import annotations

from functools import cache

from migdsl.diagnostics.catalog import all_codes
from migdsl.syntax.vocabulary import Construct, about, construct, inner, texts

_MOST = 24  # words that are listed


@cache
def page(rule: str) -> str:
    """What there is to say of a construct; empty where there is nothing."""
    return _page(construct(rule)) if rule in texts() else ""


@cache
def pages_of(word: str) -> str:
    """All that begins with a word."""
    return "\n\n---\n\n".join(_page(each) for each in about(word)[:4])


@cache
def short(rule: str) -> str:
    """How a construct is written, in a line."""
    return construct(rule).syntax[0] if rule in texts() else ""


def _page(found: Construct) -> str:
    parts = ["\n".join(["```text", *found.syntax, "```"]), found.says]
    if found.words:
        more = "" if len(found.words) <= _MOST else f" and {len(found.words) - _MOST} more"
        parts.append("Words: " + ", ".join(f"`{word}`" for word in found.words[:_MOST]) + more)
    parts.append("\n".join(["```mig", found.example, "```"]))
    if found.lines:
        lines = [f"- {_code(each.syntax[0])}: {each.says.split('. ')[0].rstrip('.')}" for each in inner(found)]
        parts.append("\n".join(["In its block:", *lines]))
    known = all_codes()
    if found.codes:
        parts.append("Rules: " + ", ".join(f"{code} ({known[code].title})" for code in found.codes if code in known))
    return "\n\n".join(parts)


@cache
def code_page(code: str) -> str:
    """What a rule is for, and how it is kept; empty where there is no such code."""
    found = all_codes().get(code)
    if found is None:
        return ""
    head = f"**{found.id}**: {found.title}"
    return "\n\n".join([head, found.why, f"```mig\n{found.bad}\n```", "But so:", f"```mig\n{found.good}\n```"])


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"
