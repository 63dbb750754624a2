"""The parser that Lark makes of `grammar/mig.lark`, built once and kept on disk between runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache

import lark

from migdsl.resources import cache_folder, read_resource

_GOES_ON = frozenset(["{", ";", ",", "and", "or"])


class Separators:
    """Drops the separators that separate nothing, so that the grammar sees one between two statements and no other."""

    # NAME, so that a keyword is always a whole word: `enginee` is no `engine` followed by something else.
    always_accept = ("_SEP", "NAME")

    def process(self, stream: Iterator[lark.Token]) -> Iterator[lark.Token]:
        """The tokens without such separators."""
        depth = 0
        previous = "{"
        for token in stream:
            if token.type == "_SEP":
                if depth > 0 or previous in _GOES_ON:
                    continue
                previous = ";"
            else:
                depth += (token == "(") - (token == ")")
                previous = str(token)
            yield token


@cache
def parser() -> lark.Lark:
    """The LALR parser; its tables are kept in the user's cache folder, since building them takes 0.3 s."""
    options = {"parser": "lalr", "propagate_positions": True, "maybe_placeholders": False}
    text = read_resource("grammar", "mig.lark")
    try:
        # The tables are a pickle; the folder is one that nobody else can write.
        return lark.Lark(text, postlex=Separators(), cache=os.path.join(cache_folder("grammar"), "mig.lark"), **options)
    except OSError:
        return lark.Lark(text, postlex=Separators(), **options)  # A cache that can't be had costs time, nothing else.
