"""`python -m migdsl` becomes the command line."""

from __future__ import annotations

from migdsl.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
