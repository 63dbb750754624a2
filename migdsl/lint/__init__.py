"""Rules over a checked module: what is dangerous, and how to do it right."""

from migdsl.lint.run import lint

__all__ = ["lint"]
