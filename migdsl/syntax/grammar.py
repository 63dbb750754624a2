"""The parser that Lark makes of `grammar/mig.lark`, built once and kept on disk between runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache

import lark

from migdsl import __version__
from migdsl.resources import read_resource

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
    folder = _cache_folder()
    if folder is not None:
        try:
            return lark.Lark(text, postlex=Separators(), cache=os.path.join(folder, "grammar.lark"), **options)
        except OSError:
            pass  # A cache that can't be written costs time, nothing else.
    return lark.Lark(text, postlex=Separators(), **options)


def _cache_folder() -> str | None:
    """A folder of the user's own for derived files, made if need be; None where there can't be one."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = os.path.join(base, "migdsl", __version__)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError:
        return None
    # The tables are a pickle: never read one that somebody else could have written.
    return folder if os.stat(folder).st_uid == os.getuid() and os.access(folder, os.W_OK) else None
