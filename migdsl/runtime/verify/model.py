"""What a migration has proven by commands of its own: a description becomes a digest that evidence is held against."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verification:
    """A command that proves `text`: `run` are its words, started without a shell, for `seconds` at most."""

    text: str
    run: tuple[str, ...]
    seconds: int


@dataclass(frozen=True, slots=True)
class VerifyJob:
    """All verifications of a migration, in order."""

    migration: str
    checks: tuple[Verification, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over all texts and commands: evidence of other commands proves nothing."""
        said = [[check.text, *check.run] for check in self.checks]
        return hashlib.sha256(json.dumps([self.migration, said]).encode()).hexdigest()
