"""What generated verifications import: commands become runs, evidence in a file, and an exit code."""

from __future__ import annotations

from migdsl.runtime.verify.cli import main
from migdsl.runtime.verify.model import Verification, VerifyJob

__all__ = ["Verification", "VerifyJob", "main"]
