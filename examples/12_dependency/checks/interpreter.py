"""0 where the interpreter that runs this is at least the version that is given."""

from __future__ import annotations

import sys

wanted = tuple(int(part) for part in sys.argv[1].split("."))
print(f"running {sys.version.split()[0]}, wanted at least {sys.argv[1]}")
raise SystemExit(sys.version_info[: len(wanted)] < wanted)
