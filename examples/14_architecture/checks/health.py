"""0 where the orders service at NEW_URL says that it is up."""

from __future__ import annotations

import json
import os
import urllib.request

with urllib.request.urlopen(f"{os.environ['NEW_URL']}/health", timeout=10) as answer:
    found = json.load(answer)
print(f"the orders service says {found}")
raise SystemExit(found != {"up": True})
