"""From syntax tree to checked module."""

from migdsl.semantics.check import check

__all__ = ["check"]
