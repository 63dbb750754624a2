"""From text to syntax tree: `parse` never raises, whatever it is given."""

from migdsl.syntax.parser import Parsed, parse

__all__ = ["Parsed", "parse"]
