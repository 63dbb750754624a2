"""A migration that is finished becomes the shared entities as they are now."""

from migdsl.folding.finish import Finishing, finish, stages_left
from migdsl.folding.schema import Unfoldable

__all__ = ["Finishing", "Unfoldable", "finish", "stages_left"]
