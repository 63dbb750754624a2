"""What a generated router imports: each request goes to the old or the new application, as a flag says."""

from __future__ import annotations

from migdsl.runtime.strangler.model import Replacement
from migdsl.runtime.strangler.outcomes import Counted, Outcomes
from migdsl.runtime.strangler.router import Strangler
from migdsl.runtime.strangler.sides import Sides
from migdsl.runtime.strangler.subjects import Cookie, header

__all__ = ["Cookie", "Counted", "Outcomes", "Replacement", "Sides", "Strangler", "header"]
